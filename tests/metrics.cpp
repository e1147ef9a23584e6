// The metrics against slow implementations in double precision, written from their definitions, and OpenCV's PSNR.
#include "codec/image/metrics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <opencv2/core.hpp>
#include <tuple>
#include <utility>

#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

double naive_mse(const Image& a, const Image& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.samples().size(); ++i)
        sum += std::pow(static_cast<double>(a.samples()[i]) - static_cast<double>(b.samples()[i]), 2);
    return sum / static_cast<double>(a.samples().size());
}

using Grid = std::vector<std::vector<double>>;

Grid channel_of(const Image& image, std::size_t channel) {
    Grid grid(image.height, std::vector<double>(image.width));
    for (std::uint32_t y = 0; y < image.height; ++y)
        for (std::uint32_t x = 0; x < image.width; ++x)
            grid[y][x] = image.visit([&]<Sample T>(const std::vector<T>& samples) {
                return static_cast<double>(samples[(std::size_t{y} * image.width + x) * static_cast<std::size_t>(image.channels) + channel]) /
                       (sizeof(T) == 1 ? 1 : 257);
            });
    return grid;
}

Grid halved(const Grid& grid) {
    const std::size_t height = grid.size(), width = grid[0].size();
    Grid padded(height + height % 2, std::vector<double>(width + width % 2, 0.0));
    for (std::size_t y = 0; y < height; ++y)
        for (std::size_t x = 0; x < width; ++x) padded[y + height % 2][x + width % 2] = grid[y][x];
    Grid result(padded.size() / 2, std::vector<double>(padded[0].size() / 2));
    for (std::size_t y = 0; y < result.size(); ++y)
        for (std::size_t x = 0; x < result[0].size(); ++x)
            result[y][x] =
                (padded[2 * y][2 * x] + padded[2 * y][2 * x + 1] + padded[2 * y + 1][2 * x] + padded[2 * y + 1][2 * x + 1]) / 4;
    return result;
}

// {mean of contrast-structure, mean of SSIM}, every window summed up by itself around its own means.
std::pair<double, double> naive_ssim(const Grid& a, const Grid& b) {
    double weights[11][11], weight_sum = 0;
    for (int i = 0; i < 11; ++i)
        for (int j = 0; j < 11; ++j)
            weight_sum += weights[i][j] = std::exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5));
    const double c1 = 6.5025, c2 = 58.5225;
    double structure_sum = 0, full_sum = 0, count = 0;
    for (std::size_t y = 0; y + 11 <= a.size(); ++y)
        for (std::size_t x = 0; x + 11 <= a[0].size(); ++x) {
            double mean_a = 0, mean_b = 0, variance_a = 0, variance_b = 0, covariance = 0;
            for (std::size_t i = 0; i < 11; ++i)
                for (std::size_t j = 0; j < 11; ++j) {
                    mean_a += weights[i][j] / weight_sum * a[y + i][x + j];
                    mean_b += weights[i][j] / weight_sum * b[y + i][x + j];
                }
            for (std::size_t i = 0; i < 11; ++i)
                for (std::size_t j = 0; j < 11; ++j) {
                    const double weight = weights[i][j] / weight_sum;
                    variance_a += weight * (a[y + i][x + j] - mean_a) * (a[y + i][x + j] - mean_a);
                    variance_b += weight * (b[y + i][x + j] - mean_b) * (b[y + i][x + j] - mean_b);
                    covariance += weight * (a[y + i][x + j] - mean_a) * (b[y + i][x + j] - mean_b);
                }
            const double structure = (2 * covariance + c2) / (variance_a + variance_b + c2);
            structure_sum += structure;
            full_sum += structure * (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1);
            ++count;
        }
    return {structure_sum / count, full_sum / count};
}

double naive_ms_ssim(const Image& a, const Image& b, const std::vector<double>& weights) {
    double weight_sum = 0, total = 0;
    for (const double weight : weights) weight_sum += weight;
    for (std::size_t c = 0; c < static_cast<std::size_t>(a.channels); ++c) {
        Grid grid_a = channel_of(a, c), grid_b = channel_of(b, c);
        double product = 1;
        for (std::size_t s = 0; s < weights.size(); ++s) {
            const auto [structure, full] = naive_ssim(grid_a, grid_b);
            product *= std::pow(std::max(0.0, s + 1 == weights.size() ? full : structure), weights[s] / weight_sum);
            grid_a = halved(grid_a);
            grid_b = halved(grid_b);
        }
        total += product;
    }
    return total / a.channels;
}

double naive_single_ssim(const Image& a, const Image& b) {
    double total = 0;
    for (std::size_t c = 0; c < static_cast<std::size_t>(a.channels); ++c)
        total += naive_ssim(channel_of(a, c), channel_of(b, c)).second;
    return total / a.channels;
}

// On the 8-bit scale, where the PSNR is the same.
double naive_psnr_luma(const Image& a, const Image& b) {
    double sum = 0;
    const std::vector<double> weights = a.channels == 3 ? std::vector{0.299, 0.587, 0.114} : std::vector{1.0};
    std::vector<Grid> grids_a, grids_b;
    for (std::size_t c = 0; c < weights.size(); ++c) {
        grids_a.push_back(channel_of(a, c));
        grids_b.push_back(channel_of(b, c));
    }
    for (std::size_t y = 0; y < a.height; ++y)
        for (std::size_t x = 0; x < a.width; ++x) {
            double luma_a = 0, luma_b = 0;
            for (std::size_t c = 0; c < weights.size(); ++c) {
                luma_a += weights[c] * grids_a[c][y][x];
                luma_b += weights[c] * grids_b[c][y][x];
            }
            sum += (luma_a - luma_b) * (luma_a - luma_b);
        }
    return 10 * std::log10(255.0 * 255.0 / (sum / static_cast<double>(a.pixel_count())));
}

double opencv_psnr(const Image& a, const Image& b) {
    return a.visit([&]<Sample T>(const std::vector<T>& samples) {
        const int type = CV_MAKETYPE(sizeof(T) == 1 ? CV_8U : CV_16U, a.channels);
        const auto mat = [&](const std::vector<T>& values) {
            return cv::Mat(static_cast<int>(a.height), static_cast<int>(a.width), type, const_cast<T*>(values.data()));
        };
        return cv::PSNR(mat(samples), mat(b.samples<T>()), std::numeric_limits<T>::max());
    });
}

// The upper left of a sample picture.
Image sample_crop(const char* name) { return cropped(sample_image(name), {0, 0, 180, 164}); }

Image disturbed(const Image& image, int strength) {
    Image result = image;
    std::mt19937 random(3);
    for (std::uint8_t& sample : result.samples()) {
        const int noise = static_cast<int>(random() % static_cast<unsigned>(2 * strength + 1)) - strength;
        sample = static_cast<std::uint8_t>(std::clamp(sample + noise, 0, 255));
    }
    return result;
}

Image flat_image(std::uint32_t width, std::uint32_t height, int channels, std::uint8_t value) {
    Image image(width, height, channels);
    std::fill(image.samples().begin(), image.samples().end(), value);
    return image;
}

const std::vector<double> five_weights = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

}  // namespace

TEST_CASE("MSE and PSNR of cases known by hand") {
    CHECK(mse(flat_image(3, 3, 3, 0), flat_image(3, 3, 3, 255)) == 65025);
    CHECK(psnr(flat_image(3, 3, 3, 0), flat_image(3, 3, 3, 255)) == 0);
    CHECK(psnr(flat_image(9, 2, 1, 10), flat_image(9, 2, 1, 11)) == doctest::Approx(48.1308036).epsilon(1e-8));
    CHECK(std::isinf(psnr(flat_image(1, 1, 1, 7), flat_image(1, 1, 1, 7))));
    Image one_off = flat_image(2, 2, 1, 100);
    one_off.samples()[3] = 104;
    CHECK(mse(flat_image(2, 2, 1, 100), one_off) == 4);
}

TEST_CASE("PSNR is the naive one, and symmetric") {
    for (const int channels : {1, 3}) {
        const Image a = noise_image(37, 23, channels, 1), b = noise_image(37, 23, channels, 2);
        CHECK(mse(a, b) == doctest::Approx(naive_mse(a, b)).epsilon(1e-12));
        CHECK(psnr(a, b) == doctest::Approx(10 * std::log10(65025 / naive_mse(a, b))).epsilon(1e-12));
        CHECK(psnr(a, b) == psnr(b, a));
    }
}

TEST_CASE("pictures of different shapes are refused with both shapes") {
    const Image a(4, 3, 3);
    for (const Image& b : {Image(3, 4, 3), Image(4, 3, 1), Image(4, 4, 3)})
        for (const auto metric : {mse, psnr, psnr_luma, ssim, ms_ssim}) {
            const Failure failure = failure_of([&] { metric(a, b); });
            CHECK(failure.code == ErrorCode::invalid_argument);
            CHECK(contains(failure.message, describe_shape(a)));
            CHECK(contains(failure.message, describe_shape(b)));
        }
}

TEST_CASE("pictures of different depths are refused, though their shapes agree") {
    const Image shallow = flat_image(20, 20, 1, 9);
    for (const auto metric : {mse, psnr, psnr_luma, ssim, ms_ssim}) {
        const Failure failure = failure_of([&] { metric(shallow, with_depth(shallow, 16)); });
        CHECK(failure.code == ErrorCode::invalid_argument);
        CHECK(contains(failure.message, "differ in depth: 20x20, 1 channel, 8 bit and 20x20, 1 channel, 16 bit"));
    }
}

TEST_CASE("of 16 bits the peak is 65535") {
    const Image black(40, 30, 3, 16);
    Image other = black;
    for (std::uint16_t& sample : other.samples<std::uint16_t>()) sample = 65535;
    CHECK(mse(black, other) == 65535.0 * 65535.0);
    CHECK(psnr(black, other) == 0);
    for (std::uint16_t& sample : other.samples<std::uint16_t>()) sample = 1;
    CHECK(psnr(black, other) == doctest::Approx(96.3294660753).epsilon(1e-10));
    CHECK(std::isinf(psnr(other, other)));
}

TEST_CASE("8 bits made 16 have the same PSNR and MS-SSIM") {
    const Image image = smooth_image(176, 180, 3), noisy = disturbed(image, 20);
    const Image deep = with_depth(image, 16), deep_noisy = with_depth(noisy, 16);
    CHECK(psnr(deep, deep_noisy) == doctest::Approx(psnr(image, noisy)).epsilon(1e-12));
    CHECK(ms_ssim(deep, deep_noisy) == doctest::Approx(ms_ssim(image, noisy)).epsilon(1e-6));
}

TEST_CASE("MS-SSIM agrees with a direct computation in double precision") {
    // 161 is the smallest side with five scales, and odd at four of them.
    for (const auto& [width, height, channels] : {std::tuple{176U, 192U, 1}, {161U, 170U, 1}, {176U, 176U, 3}}) {
        CAPTURE(width);
        const Image image = smooth_image(width, height, channels);
        for (const int strength : {3, 40}) {
            const Image other = disturbed(image, strength);
            CHECK(ms_ssim(image, other) == doctest::Approx(naive_ms_ssim(image, other, five_weights)).epsilon(2e-6));
        }
    }
}

TEST_CASE("MS-SSIM in the darkest and brightest flat regions, where floats are weakest") {
    for (const std::uint8_t level : {0, 255}) {
        const Image image = flat_image(176, 176, 1, level), other = disturbed(image, 2);
        CHECK(ms_ssim(image, other) == doctest::Approx(naive_ms_ssim(image, other, five_weights)).epsilon(1e-5));
    }
}

TEST_CASE("between flat pictures only luminance counts, at the coarsest scale") {
    const double a = 50, b = 80, c1 = 6.5025;
    const double luminance = (2 * a * b + c1) / (a * a + b * b + c1);
    CHECK(ms_ssim(flat_image(176, 208, 3, 50), flat_image(176, 208, 3, 80)) ==
          doctest::Approx(std::pow(luminance, 0.1333 / 1.0001)).epsilon(1e-5));
}

TEST_CASE("small pictures use the scales that fit, with weights that sum to 1") {
    const Image image = smooth_image(30, 60, 1), other = disturbed(image, 20);
    CHECK(ms_ssim(image, other) == doctest::Approx(naive_ms_ssim(image, other, {0.0448, 0.2856})).epsilon(1e-6));
    // A single window: the rounding of floats does not average out.
    const Image tiny = smooth_image(11, 11, 1), tiny_other = disturbed(tiny, 20);
    CHECK(ms_ssim(tiny, tiny_other) == doctest::Approx(naive_ms_ssim(tiny, tiny_other, {1.0})).epsilon(1e-4));
    const Failure failure = failure_of([] { ms_ssim(Image(10, 100, 1), Image(10, 100, 1)); });
    CHECK(failure.code == ErrorCode::unsupported);
    CHECK(contains(failure.message, "10x100"));
}

TEST_CASE("MS-SSIM: equal is 1, inverted is 0, more noise is less") {
    const Image image = noise_image(180, 180, 3);
    CHECK(ms_ssim(image, image) == doctest::Approx(1).epsilon(1e-6));
    Image inverted = image;
    for (std::uint8_t& sample : inverted.samples()) sample = static_cast<std::uint8_t>(255 - sample);
    CHECK(ms_ssim(image, inverted) == 0);
    CHECK(ms_ssim(image, disturbed(image, 5)) > ms_ssim(image, disturbed(image, 50)));
}

TEST_CASE("a dozen pictures: PSNR as OpenCV's, all else as in double precision") {
    for (const char* name : {"bricks.png", "chart.png", "colour_wheel.png", "desktop.png", "film_grain.png", "flower.webp", "foliage.jpg",
                             "gradients.png", "landscape.png", "page.png", "still_life.png", "zone_plate.pgm"}) {
        CAPTURE(name);
        const Image image = sample_crop(name), other = disturbed(image, 12);
        const Distortion all = measure_distortion(image, other);
        CHECK(std::abs(all.psnr - opencv_psnr(image, other)) < 1e-9);
        CHECK(std::abs(all.psnr_luma - naive_psnr_luma(image, other)) < 1e-9);
        CHECK(std::abs(all.ssim - naive_single_ssim(image, other)) < 1e-4);
        CHECK(std::abs(all.ms_ssim - naive_ms_ssim(image, other, five_weights)) < 1e-4);
        CHECK(all.max_error == 12);
        CHECK(all.psnr == psnr(image, other));
        CHECK(all.psnr_luma == psnr_luma(image, other));
        CHECK(all.ssim == ssim(image, other));
        CHECK(all.ms_ssim == ms_ssim(image, other));
    }
}

TEST_CASE("all metrics of 16 bits, not only of those that were 8") {
    const Image a = noise_image(61, 47, 3, 4, 16);
    Image b = a;
    std::mt19937 random(5);
    for (std::uint16_t& sample : b.samples<std::uint16_t>())
        sample = static_cast<std::uint16_t>(std::clamp(int{sample} + static_cast<int>(random() % 4001) - 2000, 0, 65535));
    CHECK(psnr(a, b) == doctest::Approx(opencv_psnr(a, b)).epsilon(1e-12));
    CHECK(psnr_luma(a, b) == doctest::Approx(naive_psnr_luma(a, b)).epsilon(1e-12));
    CHECK(std::abs(ssim(a, b) - naive_single_ssim(a, b)) < 1e-6);
    CHECK(max_error(a, b) > 1900);
    CHECK(max_error(a, b) <= 2000);
}

TEST_CASE("equal pictures, gray luma, and pictures too small for SSIM") {
    const Image image = noise_image(20, 15, 3), gray = noise_image(20, 15, 1), other_gray = noise_image(20, 15, 1, 2);
    const Distortion none = measure_distortion(image, image);
    CHECK(std::isinf(none.psnr));
    CHECK(std::isinf(none.psnr_luma));
    CHECK(none.ssim == doctest::Approx(1).epsilon(1e-6));
    CHECK(none.max_error == 0);
    CHECK(psnr_luma(gray, other_gray) == psnr(gray, other_gray));
    const Distortion tiny = measure_distortion(Image(5, 30, 1), Image(5, 30, 1));
    CHECK(std::isnan(tiny.ssim));
    CHECK(std::isnan(tiny.ms_ssim));
    CHECK(failure_of([] { ssim(Image(5, 30, 1), Image(5, 30, 1)); }).code == ErrorCode::unsupported);
    CHECK(max_error(flat_image(3, 3, 3, 0), flat_image(3, 3, 3, 255)) == 255);
}
