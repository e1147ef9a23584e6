// The fast approximations that training's rate term uses, against the C++ library in double precision.
#include "codec/train/logistic.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

using namespace decant;

namespace {

// Half a unit in the last place of the exact result: no function of floats can promise more.
double half_ulp(double exact) {
    const float f = float(std::abs(exact));
    return 0.5 * (double(std::nextafter(f, std::numeric_limits<float>::infinity())) - double(f));
}

double exact_probability(double deviation, double scale) {
    const double v = std::abs(deviation), unit = scale * std::numbers::sqrt3 / std::numbers::pi;
    const auto tail = [unit](double from) { return 1 / (1 + std::exp(from / unit)); };
    return tail(v - 0.5) - tail(v + 0.5);
}
double exact_bits(double deviation, double scale) { return -std::log2(exact_probability(deviation, scale)); }

// Calls f(deviation, scale) over the range that training meets.
template <class F>
void each_deviation_and_scale(F&& f) {
    for (double scale = 0.06; scale <= 300.0; scale *= 1.13) {
        for (double deviation = -40.0; deviation <= 40.0; deviation += 0.037) f(float(deviation), float(scale));
    }
}

}  // namespace

TEST_CASE("fast_exp2") {
    double worst = 0;
    for (double x = -126.0; x <= 126.0; x += 0.0007) {
        const double exact = std::exp2(double(float(x)));
        worst = std::max(worst, std::abs(double(fast_exp2(float(x))) - exact) / exact);
    }
    MESSAGE("worst relative error " << worst);
    CHECK(worst < 2e-7);
    for (int n = -126; n <= 126; n++) CHECK(fast_exp2(float(n)) == std::ldexp(1.0f, n));
    // Beyond the range it stops.
    CHECK(fast_exp2(-1000.0f) == fast_exp2(-126.0f));
    CHECK(fast_exp2(1000.0f) == fast_exp2(126.0f));
}

TEST_CASE("fast_log2") {
    double worst = 0;
    const auto check = [&](float x) {
        const double exact = std::log2(double(x));
        worst = std::max(worst, std::abs(double(fast_log2(x)) - exact) - half_ulp(exact));
    };
    for (double l = -125.99; l < 127.99; l += 0.0007) check(float(std::exp2(l)));
    for (double m = 0.7; m < 1.5; m += 1e-6) check(float(m));
    MESSAGE("worst absolute error beyond the rounding of the result " << worst);
    CHECK(worst < 1e-6);
    CHECK(fast_log2(1.0f) == 0.0f);
    for (int n = -126; n <= 127; n++) CHECK(fast_log2(std::ldexp(1.0f, n)) == float(n));
}

TEST_CASE("bits of a bin") {
    // The probability is a difference of two values near 1 where scales are large, and shrinks with the scale.
    double worst = 0, worst_far = 0;
    int close = 0, far = 0;
    each_deviation_and_scale([&](float deviation, float scale) {
        const double p = exact_probability(deviation, scale), got = logistic_bits(deviation, scale).bits;
        if (p < 0.9999e-9) {
            far++;
            worst_far = std::max(worst_far, std::abs(got + std::log2(1e-9)));
        } else if (p > 1.0001e-9) {
            close++;
            worst = std::max(worst, std::abs(got - exact_bits(deviation, scale)) / (1e-5 + 1.5e-6 * scale));
        }
    });
    MESSAGE("worst error over what is allowed " << worst << ", in the far tail " << worst_far);
    CHECK(close > 10000);
    CHECK(far > 10000);
    CHECK(worst < 1.0);
    CHECK(worst_far < 1e-5);
}

TEST_CASE("bits of a bin add up to a distribution") {
    for (float scale : {0.06f, 0.3f, 1.0f, 7.0f, 40.0f}) {
        for (float offset : {0.0f, 0.25f, 0.5f}) {
            double sum = 0;
            for (int k = -400; k <= 400; k++) {
                const float bits = logistic_bits(float(k) + offset, scale).bits;
                if (bits < 29.8f) sum += std::exp2(-double(bits));
            }
            CAPTURE(scale);
            CHECK(sum == doctest::Approx(1.0).epsilon(1e-4));
        }
    }
}

TEST_CASE("slopes are the derivatives of the bits") {
    double worst_value = 0, worst_scale = 0;
    int count = 0;
    each_deviation_and_scale([&](float deviation, float scale) {
        if (exact_probability(deviation, scale) < 2e-9) return;
        const BitsAndSlopes b = logistic_bits(deviation, scale);
        const double h = 1e-4 * scale, d = deviation, s = scale;
        const double by_value = (exact_bits(d + h, s) - exact_bits(d - h, s)) / (2 * h);
        const double by_scale = (exact_bits(d, s + h) - exact_bits(d, s - h)) / (2 * h);
        // In units of what a step of one scale changes, relative where slopes are steep.
        worst_value = std::max(worst_value, std::abs(b.by_value - by_value) * s / (1.0 + std::abs(by_value * s)));
        worst_scale = std::max(worst_scale, std::abs(b.by_scale - by_scale) * s / (1.0 + std::abs(by_scale * s)));
        count++;
    });
    MESSAGE("worst error of the slope by the value " << worst_value << ", by the scale " << worst_scale);
    CHECK(count > 10000);
    CHECK(worst_value < 1e-3);
    CHECK(worst_scale < 1e-3);
}

TEST_CASE("values and slopes are symmetric, and the far tail pulls back") {
    each_deviation_and_scale([&](float deviation, float scale) {
        const BitsAndSlopes a = logistic_bits(deviation, scale), b = logistic_bits(-deviation, scale);
        REQUIRE(std::isfinite(a.bits));
        REQUIRE(std::isfinite(a.by_value));
        REQUIRE(std::isfinite(a.by_scale));
        REQUIRE(a.bits == b.bits);
        REQUIRE(a.by_scale == b.by_scale);
        REQUIRE((a.by_value == -b.by_value || deviation == 0.0f));
        if (exact_probability(deviation, scale) < 0.9e-9) {
            REQUIRE(a.by_value * deviation > 0.0f);
            REQUIRE(a.by_scale < 0.0f);
            REQUIRE(std::abs(a.by_value) <= 1.4427f * 1.8138f / scale);
        }
    });
}
