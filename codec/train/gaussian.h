// Bits of a Gaussian integrated over unit bins (Minnen 2018), with gradients; written so that compilers vectorise it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "codec/tensor/vectorised.h"

namespace decant {

inline constexpr float kMinScale = 0.11f;         // of a Gaussian, in quantisation steps
inline constexpr float kMinProbability = 1e-9f;

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

// Complementary error function, relative error below 5e-7·(1 + x²) (Press et al., Numerical Recipes, "erfcc"; the square is rounded).
DECANT_INLINE float fast_erfc(float x) {
    const float z = std::fabs(x), t = 1.0f / (1.0f + 0.5f * z);
    float p = 0.17087277f;
    p = p * t - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t - 1.26551223f;
    const float r = t * fast_exp(p - z * z);
    return x >= 0.0f ? r : 2.0f - r;
}

struct BitsAndSlopes {
    float bits;
    float by_value;  // derivative by the value
    float by_scale;  // derivative by the scale
};

// Bits of the unit bin around `deviation` (value minus mean) under a Gaussian of standard deviation `scale` ≥ kMinScale. Far out,
// where the probability has no digits left, bits stop at -log2 1e-9, and the slopes stay those of six standard deviations, so
// that training pulls such values back.
DECANT_INLINE BitsAndSlopes gaussian_bits(float deviation, float scale) {
    constexpr float kInverseLn2 = 1.44269504f, kInverseSqrt2 = 0.70710678f, kInverseSqrt2Pi = 0.39894228f, kTail = 6.0f;
    const float v = std::fabs(deviation), inverse = 1.0f / scale;
    const float a = (0.5f - v) * inverse, b = (-0.5f - v) * inverse;
    const float p = 0.5f * (fast_erfc(-a * kInverseSqrt2) - fast_erfc(-b * kInverseSqrt2));
    const float density_a = kInverseSqrt2Pi * fast_exp(-0.5f * a * a), density_b = kInverseSqrt2Pi * fast_exp(-0.5f * b * b);
    const float safe = std::max(p, kMinProbability), per_p = -kInverseLn2 / safe;
    const float near_value = per_p * (density_b - density_a) * inverse, near_scale = per_p * (density_b * b - density_a * a) * inverse;
    const float z = std::min(-a, kTail), far_value = z * inverse * kInverseLn2, far_scale = -z * z * inverse * kInverseLn2;
    const bool far = p < kMinProbability;
    const float by_value = far ? far_value : near_value;
    return {-fast_log2(safe), deviation < 0.0f ? -by_value : by_value, far ? far_scale : near_scale};
}

}  // namespace decant
