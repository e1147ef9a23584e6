// The BD-rate of curves whose answer is known, and the form in which curves come.
#include "codec/measure/bd_rate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/error.h"
#include "codec/io/file.h"
#include "tools/decant/curve.h"

using namespace decant;
using namespace decant::cli;

namespace {

// Rates of 0.1 bpp doubled each 5 dB, with a bend.
std::vector<CurvePoint> curve(double factor, double low, double high, double step) {
    std::vector<CurvePoint> points;
    for (double psnr = low; psnr <= high + 1e-9; psnr += step)
        points.push_back({factor * 0.1 * std::exp2((psnr - 28) / 5 + 0.02 * (psnr - 28)), psnr});
    return points;
}

std::vector<CurvePoint> published(const std::string& name) {
    const std::vector<uint8_t> bytes = read_file(DECANT_SOURCE_DIR "/models/anchors/kodak-" + name + ".json");
    return parse_curve({bytes.begin(), bytes.end()}).points;
}

}  // namespace

TEST_CASE("half the rate at equal PSNR is -50 %, twice the rate +100 %") {
    const auto anchor = curve(1, 28, 43, 3);
    CHECK(bd_rate(anchor, curve(0.5, 28, 43, 3)).value == doctest::Approx(-50).epsilon(1e-9));
    CHECK(bd_rate(anchor, curve(2, 28, 43, 3)).value == doctest::Approx(100).epsilon(1e-9));
    CHECK(bd_rate(anchor, anchor).value == doctest::Approx(0));
}

TEST_CASE("the order of the points does not matter, other sampling hardly, and the range is the common one") {
    const auto anchor = curve(1, 28, 43, 3);
    auto test = curve(0.8, 30, 46, 2);
    const BjontegaardDelta sorted = bd_rate(anchor, test);
    CHECK(sorted.value == doctest::Approx(-20).epsilon(0.001));
    CHECK(sorted.low == 30);
    CHECK(sorted.high == 43);
    std::reverse(test.begin(), test.end());
    CHECK(bd_rate(anchor, test).value == sorted.value);
}

TEST_CASE("two points are a straight line in the logarithm of the rate") {
    // From equal rates to a quarter: on average half, in the geometric sense.
    const std::vector<CurvePoint> anchor{{0.1, 30}, {0.8, 36}}, test{{0.1, 30}, {0.2, 36}};
    CHECK(bd_rate(anchor, test).value == doctest::Approx(-50).epsilon(1e-12));
}

TEST_CASE("uneven points: the integral of the slopes that Fritsch and Carlson give") {
    // Over x = 0, 1, 3 and y = ln(bpp) = 0, 1, 2: secants 1 and 1/2, slopes 7/6, 9/13 and 1/6.
    const std::vector<CurvePoint> test{{1, 0}, {std::exp(1.0), 1}, {std::exp(2.0), 3}}, anchor{{1, 0}, {1 + 1e-15, 3}};
    const double s0 = 7.0 / 6, s1 = 9.0 / 13, s2 = 1.0 / 6;
    const double integral = 0.5 + (s0 - s1) / 12 + 2 * 1.5 + 4 * (s1 - s2) / 12;  // trapezoids and h²(s_i - s_{i+1})/12
    CHECK(bd_rate(anchor, test).value == doctest::Approx(100 * std::expm1(integral / 3)).epsilon(1e-9));
}

TEST_CASE("curves that cannot be compared are refused") {
    const auto good = curve(1, 28, 43, 3);
    CHECK_THROWS_AS(bd_rate(good, {{0.1, 30}}), Error);
    CHECK_THROWS_AS(bd_rate({}, good), Error);
    CHECK_THROWS_AS(bd_rate(good, {{0, 30}, {1, 35}}), Error);
    CHECK_THROWS_AS(bd_rate(good, {{0.1, 30}, {0.2, 30}}), Error);
    CHECK_THROWS_AS(bd_rate(good, {{0.1, 30}, {0.2, std::numeric_limits<double>::infinity()}}), Error);
    CHECK_THROWS_AS(bd_rate(good, curve(1, 50, 60, 2)), Error);
}

TEST_CASE("a report is read, with either name of the PSNR") {
    const NamedCurve rgb = parse_curve(R"({"name": "n", "results": {"bpp": [0.5, 1], "psnr": [1, 2], "psnr-rgb": [30, 33]}})");
    CHECK(rgb.name == "n");
    REQUIRE(rgb.points.size() == 2);
    CHECK(rgb.points[1].bpp == 1);
    CHECK(rgb.points[1].quality == 33);
    CHECK(parse_curve(R"({"results": {"bpp": [0.5], "psnr": [31]}})").points[0].quality == 31);
    const NamedCurve lossless = parse_curve(R"({"results": {"bpp": [0.5, 1, 8], "psnr-rgb": [31, null, "inf"]}})");
    CHECK(lossless.points.size() == 1);
    for (const char* bad : {"", "[]", R"({"results": {"bpp": 1, "psnr": 1}})", R"({"results": {"bpp": [1], "psnr": ["-"]}})", "{}", R"({"results": {"bpp": [1]}})", R"({"results": {"bpp": [1], "psnr": [1, 2]}})",
                            R"({"results": {"bpp": ["a"], "psnr": [1]}})"})
        CHECK_THROWS_AS(parse_curve(bad), Error);
}

TEST_CASE("published curves on Kodak against BPG") {
    const auto bpg = published("bpg444");
    for (const auto& [name, percent] : {std::pair{"vtm", -18.0}, {"av1", -6.2}, {"webp", 44.2}}) {
        CAPTURE(name);
        CHECK(std::abs(bd_rate(bpg, published(name)).value - percent) < 0.3);
        // One cubic through all points is not the same, but comes near.
        CHECK(std::abs(bd_rate(bpg, published(name), CurveFit::cubic).value - percent) < 1);
        // Fewer bits at the same PSNR are a higher PSNR of the same bits.
        CHECK((bd_quality(bpg, published(name)).value > 0) == (percent < 0));
    }
}

TEST_CASE("one cubic through four points: the integral worked out by hand") {
    // ln(bpp) = x³ and 0 over x = -1, 0, 1, 2: the mean of x³ over -1 … 2 is (16 - 1) / 4 / 3.
    std::vector<CurvePoint> test, anchor;
    for (const double x : {-1.0, 0.0, 1.0, 2.0}) {
        test.push_back({std::exp(x * x * x), x});
        anchor.push_back({1, x});
    }
    CHECK(bd_rate(anchor, test, CurveFit::cubic).value == doctest::Approx(100 * std::expm1(1.25)).epsilon(1e-9));
    // Fewer points than coefficients: a straight line.
    CHECK(bd_rate({{0.1, 30}, {0.8, 36}}, {{0.1, 30}, {0.2, 36}}, CurveFit::cubic).value == doctest::Approx(-50).epsilon(1e-9));
}

TEST_CASE("BD-PSNR: a curve moved up by 2 dB, over the rates in common") {
    const auto anchor = curve(1, 28, 43, 3);
    auto better = anchor;
    for (CurvePoint& point : better) point.quality += 2;
    for (const CurveFit fit : {CurveFit::piecewise_cubic, CurveFit::cubic}) {
        const BjontegaardDelta delta = bd_quality(anchor, better, fit);
        CHECK(delta.value == doctest::Approx(2).epsilon(1e-9));
        CHECK(delta.low == doctest::Approx(anchor.front().bpp));
        CHECK(delta.high == doctest::Approx(anchor.back().bpp));
    }
}
