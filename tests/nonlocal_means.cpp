// OpenCV's non-local means through its module.
#include "codec/denoise/nonlocal_means.h"

#include <doctest/doctest.h>

#include <cmath>

#include "codec/image/metrics.h"
#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

Image with_noise(const Image& clean, float sigma) {
    return spoilt(clean, {1}, [&](Crop& crop, RandomStream& random) { add_gaussian(crop, sigma, random); });
}

}  // namespace

TEST_CASE("non-local means take noise out of gray and RGB") {
    const NonlocalMeans nlm(1);
    for (const int channels : {1, 3}) {
        const Image clean = smooth_image(90, 70, channels), noisy = with_noise(clean, 20);
        const Image result = nlm.denoise(noisy, 20);
        CHECK(describe_shape(result) == describe_shape(clean));
        CHECK(psnr(clean, result) > psnr(clean, noisy) + 4);
        CHECK(NonlocalMeans(2).denoise(noisy, 20) == result);
        CHECK(psnr(noisy, nlm.denoise(noisy, 1)) > 40);
    }
}

TEST_CASE("non-local means keep the order of the channels") {
    Image red(24, 24, 3);
    for (size_t i = 0; i < red.samples().size(); i += 3) red.samples()[i] = 200;
    const Image result = NonlocalMeans().denoise(red, 10);
    CHECK(result.samples()[0] > 190);
    CHECK(result.samples()[2] < 10);
}

TEST_CASE("non-local means refuse what they cannot take") {
    const NonlocalMeans nlm;
    CHECK(failure_of([&] { nlm.denoise(Image(), 10); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { nlm.denoise(Image(8, 8, 1), std::nan("")); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { nlm.denoise(Image(8, 8, 1), -1); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { nlm.denoise(Image(8, 8, 1, 16), 10); }).code == ErrorCode::invalid_argument);
    CHECK(contains(nlm.description(), "OpenCV 4."));
}

TEST_CASE("a missing module of OpenCV's photo library is an error that names it") {
    const std::array<std::string, 1> folders = {"/nonexistent"};
    const Failure failure = failure_of([&] { const NonlocalMeans nlm(0, folders); });
    CHECK(failure.code == ErrorCode::unsupported);
    CHECK(failure.message ==
          "OpenCV's non-local means needs decant_opencv_photo.so, which is not in /nonexistent; install it there");
}
