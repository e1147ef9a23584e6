// The integer arithmetic between bits and symbols, against long double.
#include "codec/latents/fixed_point.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace decant;

TEST_CASE("the table of powers of two") {
    for (int i = 0; i < 1024; i++) {
        const long double exact = std::exp2(static_cast<long double>(i) / 1024) * 32768;
        CHECK(std::abs(detail::kExp2[size_t(i)] - exact) <= 0.5L);
    }
}

TEST_CASE("scaling by powers of two is within rounding of the exact result") {
    std::mt19937_64 random(1);
    for (int n = 0; n < 200000; n++) {
        const int bits = int(random() % 41);
        int64_t v = int64_t(random() & ((uint64_t(1) << bits) - 1));
        if (random() % 2 == 0) v = -v;
        const int log2_factor = int(random() % (40 * 1024)) - 20 * 1024, shift = int(random() % 29);
        // The factor is rounded to 15 bits after the point, the product to an integer.
        const long double exact =
            std::ldexp(std::exp2(static_cast<long double>(log2_factor) / 1024) * static_cast<long double>(v), -shift);
        const long double got = static_cast<long double>(scale_by_exp2(v, log2_factor, shift));
        REQUIRE(std::abs(got - exact) <= 0.5L + std::abs(exact) * std::ldexp(0.5L, -15) * (1 + 1e-9L));
    }
}

TEST_CASE("scaling: exact cases and extremes") {
    // Halves are rounded up, on both sides of zero.
    CHECK(scale_by_exp2(1, 0, 1) == 1);
    CHECK(scale_by_exp2(-1, 0, 1) == 0);
    CHECK(scale_by_exp2(3, 0, 1) == 2);
    CHECK(scale_by_exp2(-3, 0, 1) == -1);
    CHECK(scale_by_exp2(0, 19 * 1024, 0) == 0);
    CHECK(scale_by_exp2(1, 19 * 1024, 0) == 1 << 19);
    CHECK(scale_by_exp2(-1, 19 * 1024, 0) == -(1 << 19));
    CHECK(scale_by_exp2(1, 15 * 1024, 0) == 1 << 15);  // no shift at all is left
    CHECK(scale_by_exp2(12345, -19 * 1024, 0) == 0);
    const int64_t large = (int64_t(1) << 40) - 1;
    CHECK(scale_by_exp2(large, -19 * 1024, 21) == 1);
    CHECK(scale_by_exp2(-large, -19 * 1024, 21) == -1);
    CHECK(scale_by_exp2(large, 12 * 1024, 28) == 1 << 24);
    CHECK(scale_by_exp2(large, 0, 0) == large);
    // In the order of the factors, without steps back between octaves.
    int64_t last = 0;
    for (int f = -4096; f <= 4096; f++) {
        const int64_t v = scale_by_exp2(1 << 20, f, 0);
        REQUIRE(v > last);
        last = v;
    }
}

TEST_CASE("interpolation between rate points") {
    const int levels = 4, channels = 3;
    std::mt19937 random(2);
    std::vector<int16_t> table(size_t(levels * channels));
    for (int round = 0; round < 20; round++) {
        for (int16_t& v : table) v = int16_t(int(random() % 28673) - 14336);
        if (round == 0) std::fill(table.begin(), table.end(), int16_t(-14336));
        for (int channel = 0; channel < channels; channel++) {
            for (int q = 0; q <= 256 * (levels - 1); q++) {
                const int level = std::min(q / 256, levels - 2);
                const double upper = double(q - 256 * level) / 256;
                const double exact = table[size_t(level * channels + channel)] * (1 - upper) +
                                     table[size_t((level + 1) * channels + channel)] * upper;
                REQUIRE(mix_fixed(table.data(), levels, channels, channel, q) == int(std::floor(exact + 0.5)));
            }
            // At a rate point it is the table itself, the last one included.
            for (int level = 0; level < levels; level++) {
                REQUIRE(mix_fixed(table.data(), levels, channels, channel, 256 * level) ==
                        table[size_t(level * channels + channel)]);
            }
        }
    }
}
