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
        int exponent = 0;
        while (exponent < kMaxWeightExponent && std::ldexp(largest, exponent + 1) <= float(kWeightLimit)) exponent++;
        result.exponents[o] = int8_t(exponent);
        const float scale = std::ldexp(1.0f, exponent);
        for (size_t i = 0; i < per_output; i++) {
            const float v = std::clamp(row[i] * scale, -float(kWeightLimit), float(kWeightLimit));
            result.integers[o * per_output + i] = int8_t(std::lrint(v));
        }
    }
    return result;
}

}  // namespace decant
