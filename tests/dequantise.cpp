// Latents in quantisation steps to what the synthesis reads: the exact product, rounded.
#include "codec/latents/dequantise.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "codec/latents/fixed_point.h"

using namespace decant;

TEST_CASE("dequantised latents are within rounding of the exact product") {
    std::mt19937 random(1);
    constexpr int kChannels = 37, kLevels = 3, kPositions = 50;
    std::vector<int16_t> step(kChannels * kLevels);
    for (int16_t& v : step) v = int16_t(int(random() % (28 * 1024 + 1)) - 14 * 1024);
    for (const int quality_q8 : {0, 77, 256, 511, 512}) {
        const Dequantiser dequantise(step, kLevels, quality_q8);
        std::vector<int32_t> latents(kChannels * kPositions);
        for (int32_t& v : latents) v = int32_t(random()) >> (random() % 32);
        std::vector<int16_t> result(latents.size());
        dequantise(latents.data(), result.data(), kPositions);
        size_t inside = 0;
        for (size_t i = 0; i < latents.size(); i++) {
            const int log2_step = mix_fixed(step.data(), kLevels, kChannels, int(i % kChannels), quality_q8);
            const double exact = latents[i] / 64.0 * std::exp2(log2_step / 1024.0) * 1024.0;
            const double want = std::clamp(exact, -32768.0, 32767.0);
            REQUIRE(std::abs(result[i] - want) <= 0.5 + std::abs(want) * 0x1p-15);
            inside += std::abs(want) < 32767 && std::abs(want) > 1 ? 1 : 0;
        }
        CHECK(inside > latents.size() / 10);
    }
}

TEST_CASE("dequantisation rounds half up and saturates") {
    // A step of 1/32 gives half a unit for each sixty-fourth of it.
    const std::vector<int16_t> step{-5 * 1024, -5 * 1024, 14 * 1024, 14 * 1024};
    const Dequantiser dequantise(step, 2, 0);
    std::vector<int16_t> result(2);
    const auto of = [&](int32_t v) {
        const int32_t both[] = {v, v};
        dequantise(both, result.data(), 1);
        return int(result[0]);
    };
    CHECK(of(1) == 1);
    CHECK(of(-1) == 0);
    CHECK(of(3) == 2);
    CHECK(of(-3) == -1);
    CHECK(of(64) == 32);
    CHECK(of(2 * 32767) == 32767);
    CHECK(of(-2 * 32768) == -32768);
    CHECK(of(2 * 32768) == 32767);
    CHECK(of(INT32_MAX) == 32767);
    CHECK(of(INT32_MIN) == -32768);
    const Dequantiser coarse(step, 2, 256);
    const int32_t both[] = {INT32_MAX, -1};
    coarse(both, result.data(), 1);
    CHECK(result[0] == 32767);
    CHECK(result[1] == -32768);
}
