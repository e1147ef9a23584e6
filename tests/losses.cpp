// Losses of reconstructions: by their formulas, MS-SSIM by the metric, gradients by finite differences.
#include "codec/train/losses.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "codec/error.h"
#include "codec/image/metrics.h"

using namespace decant;

namespace {

struct Pair {
    Shape shape;
    std::vector<float> reconstruction, target, gradient;

    explicit Pair(Shape s, uint32_t seed = 1) : shape(s), reconstruction(s.elements()), target(s.elements()), gradient(s.elements()) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<float> number(-0.15f, 0.15f);
        for (size_t i = 0; i < target.size(); i++) {
            const size_t pixel = i / size_t(s.c), y = pixel / size_t(s.w), x = pixel % size_t(s.w);
            target[i] = 0.5f + 0.3f * std::sin(0.21f * float(x) + 0.33f * float(y) + float(i % size_t(s.c)));
            reconstruction[i] = std::clamp(target[i] + number(random), 0.02f, 0.98f);
        }
    }

    double loss(const Losses& l) { return reconstruction_loss(l, shape, reconstruction, target, gradient); }
};

void check(const Losses& losses, const Shape& shape, double step = 1e-3) {
    Pair p(shape);
    p.loss(losses);
    const std::vector<float> gradient = p.gradient;
    double usual = 0;
    for (const float g : gradient) usual += double(std::abs(g)) / double(gradient.size());
    for (size_t i = 0; i < gradient.size(); i += std::max<size_t>(1, gradient.size() / 60)) {
        const float before = p.reconstruction[i];
        p.reconstruction[i] = before + float(step);
        const double above = p.loss(losses), up = double(p.reconstruction[i]);
        p.reconstruction[i] = before - float(step);
        const double below = p.loss(losses), down = double(p.reconstruction[i]);
        p.reconstruction[i] = before;
        CHECK((above - below) / (up - down) == doctest::Approx(double(gradient[i])).epsilon(0.02).scale(usual));
    }
}

double mean_of(const Pair& p, double (*f)(double, double)) {
    double sum = 0;
    for (size_t i = 0; i < p.target.size(); i++) sum += f(double(p.reconstruction[i]), double(p.target[i]));
    return sum / double(p.target.size());
}

}  // namespace

TEST_CASE("losses of values") {
    const Shape shape{2, 5, 4, 3};
    Pair p(shape);
    CHECK(p.loss({.mse = 2.0f}) == doctest::Approx(2 * mean_of(p, [](double x, double y) { return (x - y) * (x - y); })));
    CHECK(p.loss({.l1 = 1.0f}) == doctest::Approx(mean_of(p, [](double x, double y) { return std::abs(x - y); })));
    CHECK(p.loss({.charbonnier = 1.0f}) == doctest::Approx(mean_of(p, [](double x, double y) { return std::hypot(x - y, 0.5 / 255); })));
    CHECK(p.loss({.cross_entropy = 0.5f}) ==
          doctest::Approx(0.5 * mean_of(p, [](double x, double y) { return -y * std::log(x) - (1 - y) * std::log(1 - x); })));
    const double sum = p.loss({.mse = 1.0f}) + p.loss({.l1 = 0.3f});
    CHECK(p.loss({.mse = 1.0f, .l1 = 0.3f}) == doctest::Approx(sum));
    check({.mse = 2.0f}, shape);
    check({.l1 = 1.0f}, shape);
    check({.charbonnier = 1.0f}, shape, 1e-4);
    check({.cross_entropy = 0.7f}, shape);
    check({.mse = 1.0f, .l1 = 0.1f, .charbonnier = 0.2f, .cross_entropy = 0.3f}, shape, 1e-4);
}

TEST_CASE("certainty costs much, but not everything") {
    Pair p({1, 2, 2, 1});
    p.reconstruction = {0.0f, 1.0f, 0.0f, 1.0f};
    p.target = {1.0f, 0.0f, 0.0f, 1.0f};
    const double loss = p.loss({.cross_entropy = 1.0f});
    CHECK(std::isfinite(loss));
    CHECK(loss > 5);
    for (const float g : p.gradient) CHECK(std::isfinite(g));
}

TEST_CASE("MS-SSIM: the metric's value, at any number of scales, and its slopes") {
    for (const int side : {11, 24, 45, 176}) {
        CAPTURE(side);
        Pair p({1, side, side + 3, 3});
        Image reference(uint32_t(side + 3), uint32_t(side), 3), distorted = reference;
        for (size_t i = 0; i < p.target.size(); i++) {
            reference.samples<uint8_t>()[i] = uint8_t(std::lround(255 * p.target[i]));
            distorted.samples<uint8_t>()[i] = uint8_t(std::lround(255 * p.reconstruction[i]));
            p.target[i] = float(reference.samples<uint8_t>()[i]) / 255;
            p.reconstruction[i] = float(distorted.samples<uint8_t>()[i]) / 255;
        }
        CHECK(1 - p.loss({.ms_ssim = 1.0f}) == doctest::Approx(ms_ssim(reference, distorted)).epsilon(1e-4));
    }
    check({.ms_ssim = 1.0f}, {1, 13, 12, 2});
    check({.ms_ssim = 1.0f}, {2, 25, 23, 1});
    check({.mse = 0.1f, .ms_ssim = 0.5f}, {1, 46, 44, 1});
    Pair small({1, 10, 20, 1});
    CHECK_THROWS_AS(small.loss({.ms_ssim = 1.0f}), Error);
}
