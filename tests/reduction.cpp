// Pictures made smaller: each pixel is the mean of its area.
#include "codec/image/reduction.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

// The mean of [x0, x1) × [y0, y1), parts of pixels counted as parts.
double mean_of(const Image& image, double x0, double x1, double y0, double y1, int c) {
    double sum = 0;
    for (uint32_t y = uint32_t(y0); y < image.height && y < y1; y++) {
        for (uint32_t x = uint32_t(x0); x < image.width && x < x1; x++) {
            const double w = std::min<double>(x + 1, x1) - std::max<double>(x, x0), h = std::min<double>(y + 1, y1) - std::max<double>(y, y0);
            const size_t at = (size_t{y} * image.width + x) * size_t(image.channels) + size_t(c);
            sum += w * h * image.visit([&](const auto& samples) { return double(samples[at]); });
        }
    }
    return sum / ((x1 - x0) * (y1 - y0)) / (image.depth() == 16 ? 257 : 1);
}

}  // namespace

TEST_CASE("each pixel is the mean of the area that it stands for") {
    for (const int depth : {8, 16}) {
        for (const auto& [width, height, side, w, h] :
             {std::array{100u, 60u, 20u, 20u, 12u}, {61u, 97u, 40u, 25u, 40u}, {1000u, 3u, 100u, 100u, 1u}, {1u, 500u, 7u, 1u, 7u}, {33u, 32u, 32u, 32u, 31u}}) {
            const Image image = noise_image(width, height, 3, 4, depth), small = reduced(image, side);
            REQUIRE(small.width == w);
            REQUIRE(small.height == h);
            CHECK(small.depth() == 8);
            double worst = 0;
            for (uint32_t y = 0; y < h; y++) {
                for (uint32_t x = 0; x < w; x++) {
                    for (int c = 0; c < 3; c++) {
                        const double sx = double(width) / w, sy = double(height) / h;
                        const double mean = mean_of(image, x * sx, (x + 1) * sx, y * sy, (y + 1) * sy, c);
                        worst = std::max(worst, std::abs(mean - small.row(y)[3 * x + uint32_t(c)]));
                    }
                }
            }
            CHECK(worst < 0.502);
        }
    }
}

TEST_CASE("a picture that is small enough stays as it is") {
    for (const int channels : {1, 3}) {
        const Image image = noise_image(30, 20, channels);
        CHECK(reduced(image, 30) == image);
        CHECK(reduced(image, 1000) == image);
        CHECK(reduced(with_depth(image, 16), 30) == image);
    }
    CHECK(reduced(noise_image(1, 1, 1), 1) == noise_image(1, 1, 1));
    const Image one = reduced(noise_image(500, 400, 1), 1);
    CHECK(one.pixel_count() == 1);
    CHECK(std::abs(int(one.row(0)[0]) - 127) <= 2);
}
