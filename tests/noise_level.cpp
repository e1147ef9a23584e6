// The estimated noise level against the one that was added: flat, smooth and textured pictures, gray and RGB, 8 and 16 bits.
#include "codec/denoise/noise_level.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

Image with_noise(const Image& clean, float sigma, uint32_t seed = 1) {
    return spoilt(clean, {random_key(seed, 5)}, [&](Crop& crop, RandomStream& random) { add_gaussian(crop, sigma, random); });
}

Image flat(uint32_t width, uint32_t height, int channels, uint8_t value = 128) {
    Image image(width, height, channels);
    std::fill(image.samples().begin(), image.samples().end(), value);
    return image;
}

// Waves and edges everywhere.
Image textured(uint32_t width, uint32_t height) {
    Image image(width, height, 3);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const double wave =
                std::sin(0.3 * x + 0.1 * y) + 0.6 * std::sin(0.5 * y - 0.2 * x) + (((x / 37) ^ (y / 29)) & 1 ? 0.8 : -0.8);
            for (uint32_t c = 0; c < 3; c++) image.row(y)[3 * x + c] = uint8_t(128 + 30 * wave * (c == 1 ? 0.8 : 1));
        }
    }
    return image;
}

double estimate(const Image& image) { return estimate_noise_level(SampleView(image)).sigma; }

}  // namespace

TEST_CASE("noise of flat pictures is found within 3 %") {
    for (float sigma : {1.0f, 3.0f, 10.0f, 25.0f, 40.0f}) {
        for (int channels : {1, 3}) {
            CAPTURE(sigma);
            // Rounding adds 1/12 of variance.
            const double wanted = std::sqrt(sigma * sigma + 1.0 / 12);
            CHECK(estimate(with_noise(flat(256, 192, channels), sigma)) == doctest::Approx(wanted).epsilon(0.03));
        }
    }
    CHECK(estimate(flat(200, 200, 3)) == 0);
}

TEST_CASE("noise of textured pictures is found within 10 %") {
    const Image clean = textured(320, 256);
    CHECK(estimate(clean) < 1.0);
    for (float sigma : {5.0f, 15.0f, 25.0f}) {
        CAPTURE(sigma);
        CHECK(estimate(with_noise(clean, sigma)) == doctest::Approx(sigma).epsilon(0.1));
    }
}

TEST_CASE("noise of photographs is found, and their finest texture with it") {
    for (const std::string name : {"landscape.png", "still_life.png", "page.png", "bricks.png", "foliage.jpg", "flower.webp"}) {
        CAPTURE(name);
        const Image clean = sample_image(name);
        const double own = estimate(clean);
        MESSAGE(name << ": without added noise " << own);
        for (float sigma : {5.0f, 10.0f, 25.0f, 50.0f}) {
            CAPTURE(sigma);
            // What was added, after clipping, and what was there.
            const Image noisy = with_noise(clean, sigma);
            const double found = estimate(noisy);
            Crop a(int(clean.width), int(clean.height), clean.channels, clean.samples()),
                b(a.width, a.height, a.channels, noisy.samples());
            MESSAGE(name << ": added " << rms_difference(a, b) << ", found " << found);
            // Half of the noise of white paper is cut off, which no patch tells.
            CHECK(found > (name == "page.png" ? 0.88 : 0.97) * rms_difference(a, b));
            CHECK(found < 1.1 * std::hypot(rms_difference(a, b), own));
        }
    }
}

TEST_CASE("the local level follows the noise over the picture") {
    const Image clean = flat(512, 256, 3);
    Image noisy = with_noise(clean, 5);
    const Image more = with_noise(clean, 20, 2);
    for (uint32_t y = 0; y < 256; y++) std::copy_n(more.row(y) + 3 * 256, 3 * 256, noisy.row(y) + 3 * 256);
    // Of two levels at one brightness the lower one is believed; brightness tells them apart.
    for (uint32_t y = 0; y < 256; y++) {
        for (uint32_t x = 256; x < 512; x++) {
            for (uint32_t c = 0; c < 3; c++) noisy.row(y)[3 * x + c] = uint8_t(noisy.row(y)[3 * x + c] + 40);
        }
    }
    const NoiseLevel level = estimate_noise_level(SampleView(noisy));
    std::vector<float> row(512);
    level.read(128, 0, 512, row.data());
    CHECK(row[40] == doctest::Approx(5).epsilon(0.1));
    CHECK(row[480] == doctest::Approx(20).epsilon(0.1));
    CHECK(row[256] > 6);
    CHECK(row[256] < 19);
    CHECK(level.sigma == doctest::Approx(std::sqrt((25 + 400) / 2.0)).epsilon(0.15));
}

TEST_CASE("16 bits read as 8") {
    const Image noisy = with_noise(flat(128, 128, 1), 10);
    std::vector<uint16_t> deep;
    for (uint8_t v : noisy.samples()) deep.push_back(uint16_t(v * 257));
    CHECK(estimate_noise_level(SampleView(128, 128, 1, deep)).sigma == doctest::Approx(estimate(noisy)).epsilon(1e-4));
}

TEST_CASE("threads do not change the level") {
    const Image noisy = with_noise(textured(300, 200), 12);
    WorkerPool pool(2);
    const NoiseLevel one = estimate_noise_level(SampleView(noisy)), two = estimate_noise_level(SampleView(noisy), &pool);
    CHECK(one.local == two.local);
    CHECK(one.sigma == two.sigma);
}

TEST_CASE("pictures of any size have a level") {
    for (auto [width, height] : {std::pair(1u, 1u), std::pair(2u, 2u), std::pair(1u, 50u), std::pair(6u, 7u), std::pair(16u, 16u),
                                 std::pair(400u, 9u)}) {
        for (int channels : {1, 3}) {
            CAPTURE(width);
            const NoiseLevel level = estimate_noise_level(SampleView(with_noise(flat(width, height, channels), 10)));
            CHECK(std::isfinite(level.sigma));
            CHECK(level.sigma >= 0);
            CHECK(level.sigma < 40);
            std::vector<float> row(width);
            level.read(int(height) - 1, 0, int(width), row.data());
            for (float v : row) CHECK(std::isfinite(v));
        }
    }
    CHECK(estimate(with_noise(flat(16, 16, 3), 10)) == doctest::Approx(10).epsilon(0.35));
    CHECK(uniform_level(7).sigma == 7);
    // White and black show no noise.
    CHECK(estimate(flat(100, 100, 3, 255)) == 0);
}
