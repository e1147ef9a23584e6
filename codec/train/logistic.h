// Bits of a logistic integrated over unit bins (as Minnen 2018 does with a Gaussian), with gradients; written so that compilers vectorise it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "codec/entropy/scale_tables.h"
#include "codec/tensor/vectorised.h"

namespace decant {

inline constexpr float kMinScale = float(kSmallestScale);  // standard deviation, in quantisation steps
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

struct BitsAndSlopes {
    float bits;
    float by_value;  // derivative by the value
    float by_scale;  // derivative by the scale
};

// Bits of the unit bin around `deviation` (value minus mean) under a logistic of standard deviation `scale` ≥ kMinScale. Far out, where
// the probability has no digits left, bits stop at -log2 1e-9, and the slopes go on as those of an exponential, so that training pulls
// such values back.
DECANT_INLINE BitsAndSlopes logistic_bits(float deviation, float scale) {
    constexpr float kInverseLn2 = 1.44269504f, kUnit = 0.55132890f;  // √3/π: of the logistic, in standard deviations
    constexpr float kTail = 21.0f;
    const float v = std::fabs(deviation), inverse = 1.0f / (scale * kUnit);
    const float a = (v - 0.5f) * inverse, b = (v + 0.5f) * inverse;
    // Tails beyond both edges of the bin, and densities there. Where a is negative its tail is 1 minus a small one.
    const float ea = fast_exp(-std::fabs(a)), eb = fast_exp(-b);
    const float small_a = ea / (1.0f + ea), tail_b = eb / (1.0f + eb), tail_a = a < 0.0f ? 1.0f - small_a : small_a;
    const float p = tail_a - tail_b;
    const float density_a = small_a * (1.0f - small_a), density_b = tail_b * (1.0f - tail_b);
    const float safe = std::max(p, kMinProbability), per_p = kInverseLn2 / safe;
    const float near_value = per_p * (density_a - density_b) * inverse, near_scale = per_p * (density_b * b - density_a * a) * inverse * kUnit;
    const float far_value = inverse * kInverseLn2, far_scale = -std::min(a, kTail) * inverse * kInverseLn2 * kUnit;
    const bool far = p < kMinProbability;
    const float by_value = far ? far_value : near_value;
    return {-fast_log2(safe), deviation < 0.0f ? -by_value : by_value, far ? far_scale : near_scale};
}

}  // namespace decant
