// Loops that the compiler vectorises for several instruction sets, chosen when the program starts.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define DECANT_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DECANT_VECTORISED  // resolvers of clones run before a sanitizer is ready
#endif

#define DECANT_INLINE inline __attribute__((always_inline))

namespace decant {

// bfloat16: the upper half of an IEEE single.
struct bf16 {
    uint16_t bits;
};

DECANT_INLINE float to_float(bf16 v) {
    const uint32_t bits = uint32_t(v.bits) << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
}
DECANT_INLINE float to_float(float v) { return v; }

// Round to nearest, ties to even; NaN is not expected.
DECANT_INLINE bf16 to_bf16(float v) {
    uint32_t bits;
    std::memcpy(&bits, &v, 4);
    return {uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

template <class T>
DECANT_INLINE T from_float(float v) {
    if constexpr (sizeof(T) == 2) {
        return to_bf16(v);
    } else {
        return v;
    }
}

}  // namespace decant
