// Butteraugli through its module: 0 for equal pictures, more for more noise, whatever the depth; what is missing is said.
#include "codec/measure/butteraugli.h"

#include <doctest/doctest.h>

#include <optional>

#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

// None where libjxl is not installed.
std::optional<Butteraugli> butteraugli() {
    std::optional<Butteraugli> result;
    const Failure missing = failure_of([&] { result.emplace(1); });
    if (missing.failed) {
        CHECK(missing.code == ErrorCode::unsupported);
        CHECK(contains(missing.message, "install"));
        MESSAGE(missing.message);
    }
    return result;
}

Image with_noise(const Image& clean, float sigma) {
    return spoilt(clean, {1}, [&](Crop& crop, RandomStream& random) { add_gaussian(crop, sigma, random); });
}

}  // namespace

TEST_CASE("Butteraugli: nothing between equal pictures, more with more noise") {
    const auto metric = butteraugli();
    if (!metric) return;
    for (const int channels : {1, 3}) {
        CAPTURE(channels);
        const Image image = smooth_image(90, 70, channels);
        CHECK(metric->distance(image, image) == 0);
        const double some = metric->distance(image, with_noise(image, 2)), much = metric->distance(image, with_noise(image, 12));
        CHECK(some > 0.1);
        CHECK(much > 2 * some);
    }
}

TEST_CASE("Butteraugli of 8 bits made 16 is the same, of any number of threads, and tiny pictures have one") {
    const auto metric = butteraugli();
    if (!metric) return;
    const Image image = smooth_image(90, 70, 3), noisy = with_noise(image, 5);
    const double distance = metric->distance(image, noisy);
    CHECK(metric->distance(with_depth(image, 16), with_depth(noisy, 16)) == doctest::Approx(distance).epsilon(1e-3));
    CHECK(Butteraugli(2).distance(image, noisy) == distance);
    for (const auto& [width, height] : {std::pair{1U, 1U}, {1U, 40U}, {7U, 7U}, {300U, 2U}})
        CHECK(metric->distance(Image(width, height, 3), Image(width, height, 3)) == 0);
}

TEST_CASE("Butteraugli refuses pictures of different shapes") {
    const auto metric = butteraugli();
    if (!metric) return;
    CHECK(failure_of([&] { metric->distance(Image(20, 10, 3), Image(10, 20, 3)); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { metric->distance(Image(20, 10, 3), Image(20, 10, 3, 16)); }).code == ErrorCode::invalid_argument);
}
