// Random numbers as a function of a key and a counter: any one can be had again without those before it.
#pragma once

#include <cmath>
#include <cstdint>

#include "codec/tensor/vectorised.h"

namespace decant {

// 32-bit finaliser with low bias (Wellons 2018, "hash prospector").
DECANT_INLINE uint32_t mix_bits(uint32_t x) {
    x ^= x >> 16;
    x *= 0x21f0aaadu;
    x ^= x >> 15;
    x *= 0x735a2d97u;
    x ^= x >> 15;
    return x;
}

// Uniform in [0, 1).
DECANT_INLINE float uniform(uint32_t key, uint32_t counter) { return float(mix_bits(mix_bits(counter) ^ key) >> 8) * 0x1p-24f; }

struct RandomStream {
    uint32_t key;
    uint32_t counter = 0;

    uint32_t bits() { return mix_bits(mix_bits(counter++) ^ key); }
    float next() { return uniform(key, counter++); }
    int below(int n) { return int((uint64_t(bits()) * uint64_t(n)) >> 32); }
    float normal() {  // Box and Muller 1958
        const float u = 1.0f - next(), v = next();
        return std::sqrt(-2.0f * std::log(u)) * std::cos(6.2831853f * v);
    }
};

inline uint32_t random_key(uint64_t seed, uint64_t a, uint64_t b = 0, uint64_t c = 0) {
    uint32_t k = 0x9e3779b9u;
    for (uint64_t v : {seed, a, b, c}) {
        k = mix_bits(k ^ uint32_t(v));
        k = mix_bits(k ^ uint32_t(v >> 32));
    }
    return k;
}

}  // namespace decant
