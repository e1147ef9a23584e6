#include "codec/network/rounding.h"

#include <algorithm>
#include <cmath>

#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

DECANT_VECTORISED float largest_magnitude(const float* row, size_t count) {
    constexpr size_t kLanes = 16;
    float lanes[kLanes] = {};
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (size_t l = 0; l < kLanes; l++) {
            const float v = std::fabs(row[i + l]);
            lanes[l] = lanes[l] > v ? lanes[l] : v;
        }
    }
    float largest = *std::max_element(lanes, lanes + kLanes);
    for (; i < count; i++) largest = std::max(largest, std::fabs(row[i]));
    return largest;
}

// To nearest, ties to even.
DECANT_INLINE int32_t rounded_within(float v, float limit) {
    constexpr float kShift = 12582912.0f;  // 1.5·2^23: what is added to it loses its fraction
    return int32_t((std::min(std::max(v, -limit), limit) + kShift) - kShift);
}

// Returns the sum of the magnitudes.
DECANT_VECTORISED int64_t round_row(const float* row, size_t count, float scale, int8_t* integers) {
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t rounded = rounded_within(row[i] * scale, float(kWeightLimit));
        integers[i] = int8_t(rounded);
        sum += rounded < 0 ? -rounded : rounded;
    }
    return sum;
}

DECANT_VECTORISED void round_row(const float* row, size_t count, float scale, int16_t* integers) {
    for (size_t i = 0; i < count; i++) integers[i] = int16_t(rounded_within(row[i] * scale, float(kWideLimit)));
}

// The largest exponent with which a row stays within ±limit, a number of `bits` bits.
int largest_exponent(float largest, int limit, int bits, int most) {
    if (largest <= 0.0f) return most;
    int octave = 0;  // largest = fraction · 2^octave, with a fraction in [1/2, 1)
    const float fraction = std::frexp(largest, &octave);
    return std::clamp((fraction <= std::ldexp(float(limit), -bits) ? bits : bits - 1) - octave, 0, most);
}

DECANT_VECTORISED void scale_row(const int8_t* integers, size_t count, float step, float* values) {
    for (size_t i = 0; i < count; i++) values[i] = float(integers[i]) * step;
}

}  // namespace

void round_weights(std::span<const float> weights, int outputs, RoundedWeights& result) {
    result.integers.resize(weights.size());
    result.exponents.resize(size_t(outputs));
    const size_t per_output = weights.size() / size_t(outputs);
    for (size_t o = 0; o < size_t(outputs); o++) {
        const float* row = weights.data() + o * per_output;
        int8_t* integers = result.integers.data() + o * per_output;
        int exponent = largest_exponent(largest_magnitude(row, per_output), kWeightLimit, 6, kMaxWeightExponent);
        // Halving once or twice is enough even for a row of nothing but its largest weight.
        while (round_row(row, per_output, std::ldexp(1.0f, exponent), integers) > kRowLimit && exponent > 0) exponent--;
        result.exponents[o] = int8_t(exponent);
    }
}

RoundedWeights round_weights(std::span<const float> weights, int outputs) {
    RoundedWeights result;
    round_weights(weights, outputs, result);
    return result;
}

WideWeights round_wide_weights(std::span<const float> weights, int outputs) {
    WideWeights result{std::vector<int16_t>(weights.size()), std::vector<int8_t>(size_t(outputs))};
    const size_t per_output = weights.size() / size_t(outputs);
    for (size_t o = 0; o < size_t(outputs); o++) {
        const float* row = weights.data() + o * per_output;
        const int exponent = largest_exponent(largest_magnitude(row, per_output), kWideLimit, 12, kMaxWideExponent);
        round_row(row, per_output, std::ldexp(1.0f, exponent), result.integers.data() + o * per_output);
        result.exponents[o] = int8_t(exponent);
    }
    return result;
}

std::vector<int8_t> wide_digits(std::span<const int16_t> integers) {
    std::vector<int8_t> digits(2 * integers.size());
    for (size_t i = 0; i < integers.size(); i++) {
        const int high = (integers[i] + (1 << (kWideDigit - 1))) >> kWideDigit;
        digits[i] = int8_t(high);
        digits[integers.size() + i] = int8_t(integers[i] - high * (1 << kWideDigit));
    }
    return digits;
}

void rounded_values(const RoundedWeights& weights, std::vector<float>& values) {
    values.resize(weights.integers.size());
    const size_t per_output = values.size() / weights.exponents.size();
    for (size_t o = 0; o < weights.exponents.size(); o++) {
        scale_row(weights.integers.data() + o * per_output, per_output, std::ldexp(1.0f, -weights.exponents[o]), values.data() + o * per_output);
    }
}

std::vector<float> rounded_values(const RoundedWeights& weights) {
    std::vector<float> values;
    rounded_values(weights, values);
    return values;
}

}  // namespace decant
