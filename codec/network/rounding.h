// Weights of integer layers: w ≈ integer · 2^-exponent with one exponent an output. Powers of two, so that rescaling a sum is a
// rounding shift, and at most ±63, so that CPUs without VNNI (whose pair sums saturate at 16 bits) agree with those that have it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace decant {

inline constexpr int kWeightLimit = 63;
inline constexpr int kMaxWeightExponent = 20;
// Of the magnitudes of an output's weights: with inputs up to 255 sums stay below 2^24, since oneDNN's kernels for CPUs without VNNI
// pass them through floats.
inline constexpr int kRowLimit = (1 << 24) / 255;

struct RoundedWeights {
    std::vector<int8_t> integers;   // as many as weights
    std::vector<int8_t> exponents;  // [outputs], 0 … kMaxWeightExponent
};

// weights: [outputs, …]. The exponent is the largest with which the row's weights stay within both limits. Rounding weights that
// were rounded before changes nothing but, at most, the exponent of a row. The first form reuses the memory of `result`.
void round_weights(std::span<const float> weights, int outputs, RoundedWeights& result);
RoundedWeights round_weights(std::span<const float> weights, int outputs);

// The weights that they stand for.
void rounded_values(const RoundedWeights& weights, std::vector<float>& values);
std::vector<float> rounded_values(const RoundedWeights& weights);

}  // namespace decant
