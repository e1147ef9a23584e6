// Weights of integer layers: six bits and a sign, one power of two a row.
#include "codec/network/rounding.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace decant;

namespace {

std::vector<float> restored(const RoundedWeights& r) {
    std::vector<float> values(r.integers.size());
    const size_t per_output = values.size() / r.exponents.size();
    for (size_t i = 0; i < values.size(); i++) values[i] = std::ldexp(float(r.integers[i]), -r.exponents[i / per_output]);
    return values;
}

// Rows of 9 weights with largest values from 2^-30 to 2^12.
std::vector<float> rows_of_all_scales(int rows, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<float> octave(-30, 12);
    std::vector<float> weights;
    for (int o = 0; o < rows; o++) {
        const float scale = std::exp2(octave(random));
        for (int i = 0; i < 9; i++) weights.push_back(scale * normal(random));
    }
    return weights;
}

}  // namespace

TEST_CASE("rounded weights are within ±63 and as close as the row's grid allows") {
    const int rows = 2000;
    const auto weights = rows_of_all_scales(rows, 1);
    const RoundedWeights r = round_weights(weights, rows);
    const auto values = restored(r);
    REQUIRE(r.integers.size() == weights.size());
    REQUIRE(r.exponents.size() == size_t(rows));
    int smallest = 100, largest = -1;
    for (size_t o = 0; o < size_t(rows); o++) {
        const int e = r.exponents[o];
        smallest = std::min(smallest, e);
        largest = std::max(largest, e);
        float top = 0;
        for (size_t i = 9 * o; i < 9 * o + 9; i++) {
            top = std::max(top, std::abs(weights[i]));
            REQUIRE(std::abs(int(r.integers[i])) <= kWeightLimit);
            const float clipped = std::clamp(weights[i], -63.0f, 63.0f);
            REQUIRE(std::abs(values[i] - clipped) <= std::ldexp(0.5f, -e));
        }
        // A finer grid would not hold the largest weight, or is beyond the last exponent.
        REQUIRE((e == kMaxWeightExponent || std::ldexp(top, e + 1) > 63.0f));
        REQUIRE((e == 0 || std::ldexp(top, e) <= 63.0f));
    }
    CHECK(smallest == 0);
    CHECK(largest == kMaxWeightExponent);
}

TEST_CASE("rounding a second time changes nothing") {
    const int rows = 5000;
    const RoundedWeights once = round_weights(rows_of_all_scales(rows, 2), rows);
    const RoundedWeights twice = round_weights(restored(once), rows);
    CHECK(restored(twice) == restored(once));
    // Biases are rounded on a grid that depends on the exponent, so it must not move either.
    CHECK(twice.exponents == once.exponents);

    // Largest weights around the border between two exponents.
    std::vector<float> border;
    for (float v = 31.0f; v < 32.5f; v += 1.0f / 64) border.push_back(v);
    for (float v = 31.0f; v < 32.5f; v += 1.0f / 64) border.push_back(-v / 8);
    const int count = int(border.size());
    const RoundedWeights first = round_weights(border, count), second = round_weights(restored(first), count);
    CHECK(restored(second) == restored(first));
    CHECK(second.exponents == first.exponents);
}

TEST_CASE("zeros, tiny and huge rows") {
    const float tiny = std::numeric_limits<float>::denorm_min(), huge = std::numeric_limits<float>::max();
    const std::vector<float> weights{0, 0,     -0.0f, 0,   tiny,  -tiny, 1e-12f, 0,      huge, -huge,
                                     1, -0.4f, 63,    -63, 62.4f, 0.6f,  31.5f,  -31.5f, 1,    0};
    const RoundedWeights r = round_weights(weights, 5);
    CHECK(r.integers == std::vector<int8_t>{0, 0, 0, 0, 0, 0, 0, 0, 63, -63, 1, 0, 63, -63, 62, 1, 63, -63, 2, 0});
    CHECK(r.exponents == std::vector<int8_t>{20, 20, 0, 0, 1});
}

TEST_CASE("each row has its own exponent, and one row's does not depend on the others") {
    const auto weights = rows_of_all_scales(50, 3);
    const RoundedWeights all = round_weights(weights, 50);
    for (size_t o = 0; o < 50; o++) {
        const RoundedWeights one = round_weights(std::span(weights).subspan(9 * o, 9), 1);
        CHECK(one.exponents[0] == all.exponents[o]);
        CHECK(std::equal(one.integers.begin(), one.integers.end(), all.integers.begin() + std::ptrdiff_t(9 * o)));
    }
}

TEST_CASE("wide weights have thirteen bits in two digits") {
    const int rows = 2000;
    const auto weights = rows_of_all_scales(rows, 3);
    const WideWeights r = round_wide_weights(weights, rows);
    const auto digits = wide_digits(r.integers);
    REQUIRE(digits.size() == 2 * weights.size());
    std::vector<float> values;
    for (size_t i = 0; i < weights.size(); i++) {
        const int e = r.exponents[i / 9];
        REQUIRE(e >= 0);
        REQUIRE(e <= kMaxWideExponent);
        REQUIRE(std::abs(int(r.integers[i])) <= kWideLimit);
        values.push_back(std::ldexp(float(r.integers[i]), -e));
        REQUIRE(std::abs(values[i] - std::clamp(weights[i], -4063.0f, 4063.0f)) <= std::ldexp(0.5f, -e));
        const int high = digits[i], low = digits[weights.size() + i];
        REQUIRE(std::abs(high) <= kWeightLimit);
        REQUIRE(low >= -32);
        REQUIRE(low <= 31);
        REQUIRE(high * 64 + low == r.integers[i]);
    }
    for (size_t o = 0; o < size_t(rows); o++) {
        float top = 0;
        for (size_t i = 9 * o; i < 9 * o + 9; i++) top = std::max(top, std::abs(weights[i]));
        REQUIRE((r.exponents[o] == kMaxWideExponent || std::ldexp(top, r.exponents[o] + 1) > 4063.0f));
    }
    const WideWeights again = round_wide_weights(values, rows);
    CHECK(again.integers == r.integers);
    CHECK(again.exponents == r.exponents);
}
