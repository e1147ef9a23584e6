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

// Weights of wide layers: 13 bits in two digits of seven, so that products with the digits are exact on every CPU like those above.
inline constexpr int kWideDigit = 6;  // w = high·2^kWideDigit + low with |high| ≤ kWeightLimit, low in -32 … 31
inline constexpr int kWideLimit = (kWeightLimit << kWideDigit) + (1 << (kWideDigit - 1)) - 1;
inline constexpr int kMaxWideExponent = 18;

struct WideWeights {
    std::vector<int16_t> integers;  // within ±kWideLimit
    std::vector<int8_t> exponents;  // [outputs], 0 … kMaxWideExponent
};

// The same for wide layers. Rounding again changes nothing.
WideWeights round_wide_weights(std::span<const float> weights, int outputs);
// The digits as rows of an integer layer of twice as many outputs: the high ones of all outputs, then the low ones.
std::vector<int8_t> wide_digits(std::span<const int16_t> integers);

// The weights that they stand for.
void rounded_values(const RoundedWeights& weights, std::vector<float>& values);
std::vector<float> rounded_values(const RoundedWeights& weights);

}  // namespace decant
