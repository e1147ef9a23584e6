// Exponentials and logarithms that compilers vectorise. Not of what must be the same on every machine.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "codec/tensor/vectorised.h"

namespace decant {

// Relative error below 2e-7.
DECANT_INLINE float fast_exp2(float x) {
    x = std::min(std::max(x, -126.0f), 126.0f);
    const float n = std::floor(x + 0.5f), f = x - n;
    float p = 1.535336188e-4f;
    p = p * f + 1.339887440e-3f;
    p = p * f + 9.618437357e-3f;
    p = p * f + 5.550332471e-2f;
    p = p * f + 2.402264791e-1f;
    p = p * f + 6.931472028e-1f;
    p = p * f + 1.0f;
    const uint32_t bits = uint32_t(int32_t(n) + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, 4);
    return p * scale;
}
DECANT_INLINE float fast_exp(float x) { return fast_exp2(x * 1.44269504f); }

// Error below 1e-6, or an ulp where that is more, for positive, normal x.
DECANT_INLINE float fast_log2(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const int32_t e = int32_t(bits - 0x3f3504f3u) >> 23;  // mantissa in [sqrt(1/2), sqrt(2))
    bits -= uint32_t(e) << 23;
    float m;
    std::memcpy(&m, &bits, 4);
    const float t = (m - 1.0f) / (m + 1.0f), u = t * t;  // log m = 2 atanh t
    return float(e) + 2.885390082f * t * (1.0f + u * (0.333333333f + u * (0.2f + u * (0.142857143f + u * 0.111111111f))));
}

}  // namespace decant
