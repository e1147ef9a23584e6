#include "codec/network/rounding.h"

#include <algorithm>
#include <cmath>

namespace decant {

RoundedWeights round_weights(std::span<const float> weights, int outputs) {
    RoundedWeights result{std::vector<int8_t>(weights.size()), std::vector<int8_t>(size_t(outputs))};
    const size_t per_output = weights.size() / size_t(outputs);
    for (size_t o = 0; o < size_t(outputs); o++) {
        const auto row = weights.subspan(o * per_output, per_output);
        float largest = 0.0f;
        for (float v : row) largest = std::max(largest, std::abs(v));
        int octave = 0;  // largest = fraction · 2^octave, with a fraction in [1/2, 1)
        const float fraction = std::frexp(largest, &octave), limit = float(kWeightLimit) / 64.0f;
        const int exponent = largest > 0.0f ? std::clamp((fraction <= limit ? 6 : 5) - octave, 0, kMaxWeightExponent) : kMaxWeightExponent;
        result.exponents[o] = int8_t(exponent);
        const float scale = std::ldexp(1.0f, exponent);
        for (size_t i = 0; i < per_output; i++) {
            const float v = std::clamp(row[i] * scale, -float(kWeightLimit), float(kWeightLimit));
            result.integers[o * per_output + i] = int8_t(std::lrint(v));
        }
    }
    return result;
}

std::vector<float> rounded_values(const RoundedWeights& weights) {
    std::vector<float> values(weights.integers.size());
    const size_t per_output = values.size() / weights.exponents.size();
    for (size_t o = 0; o < weights.exponents.size(); o++) {
        const float step = std::ldexp(1.0f, -weights.exponents[o]);
        for (size_t i = o * per_output; i < (o + 1) * per_output; i++) values[i] = float(weights.integers[i]) * step;
    }
    return values;
}

}  // namespace decant
