// Bits of a logistic integrated over unit bins (as Minnen 2018 does with a Gaussian), with gradients; written so that compilers vectorise it.
#pragma once

#include <algorithm>
#include <cmath>

#include "codec/entropy/scale_tables.h"
#include "codec/tensor/fast_math.h"

namespace decant {

inline constexpr float kMinScale = float(kSmallestScale);  // standard deviation, in quantisation steps
inline constexpr float kMinProbability = 1e-9f;

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
