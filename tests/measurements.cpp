// Means over pictures, and tables and reports of them.
#include "tools/decant/measurements.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "codec/error.h"

using namespace decant;
using namespace decant::cli;

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinite = std::numeric_limits<double>::infinity();

Measurements two_measures(std::vector<double> points) {
    return Measurements("q", std::move(points), {{"PSNR dB", 2, "psnr-rgb"}, {"MP/s", 1, ""}});
}

}  // namespace

TEST_CASE("means are over the pictures that have a value") {
    Measurements m = two_measures({20, 50});
    m.add("a.png", {{30, 1}, {kInfinite, 2}});
    m.add("b.png", {{34, 3}, {40, kNone}});
    m.add("c.png", {{35, 5}, {41, kNone}});
    const std::vector<Values> means = m.means();
    CHECK(means[0] == Values{33, 3});
    CHECK(means[1] == Values{40.5, 2});
    CHECK(m.pictures() == 3);
    CHECK(std::isnan(two_measures({1}).means()[0][0]));
}

TEST_CASE("tables have a row a picture and point, then the means of several pictures") {
    Measurements m = two_measures({20, kNone});
    m.add("a.png", {{30, 1}, {kInfinite, kNone}});
    CHECK(m.text() == "picture   q  PSNR dB  MP/s\na.png    20    30.00   1.0\na.png     -      inf     -\n");
    m.add("b.png", {{31, 2}, {40, 4}});
    CHECK(m.text().find("\n\nmean of 2 pictures   q  PSNR dB  MP/s\n                    20    30.50   1.5\n") !=
          std::string::npos);
}

TEST_CASE("reports have the measures with a key, \"inf\" for infinity and null for what is no number") {
    Measurements m = two_measures({20, 50});
    m.add("a.png", {{30, 1}, {kInfinite, 2}});
    CHECK(m.report().dump() == R"({"psnr-rgb":[30.0,"inf"]})");
    CHECK(m.picture_reports().dump() == R"([{"picture":"a.png","psnr-rgb":[30.0,"inf"]}])");
}

TEST_CASE("CSV has a line a picture and point, quoted where it must be") {
    Measurements m = two_measures({20, 50});
    m.add("a, \"b\".png", {{30.5, 1}, {kInfinite, 2}});
    m.add("c.png", {{kNone, 1}, {41, 2}});
    CHECK(m.csv_head("codec") == "codec,picture,parameter,value,psnr-rgb\n");
    CHECK(m.csv("x") == "x,\"a, \"\"b\"\".png\",q,20,30.5\nx,\"a, \"\"b\"\".png\",q,50,inf\nx,c.png,q,20,\nx,c.png,q,50,41\n");
}

TEST_CASE("values of another form are an error") {
    Measurements m = two_measures({20, 50});
    CHECK_THROWS_AS(m.add("a.png", {{30, 1}}), Error);
    CHECK_THROWS_AS(m.add("a.png", {{30, 1}, {30}}), Error);
}
