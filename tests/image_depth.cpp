// Pictures of 16 bits a sample: which access is caught, conversion between depths, every value through every format.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "codec/image/reader.h"
#include "codec/image/sample_view.h"
#include "codec/image/writer.h"
#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

using Deep = std::vector<std::uint16_t>;

// All 65536 values, in each channel in an order of its own.
Image every_value(int channels) {
    Image image(256, 256, channels, 16);
    Deep& samples = image.samples<std::uint16_t>();
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const std::size_t pixel = i / static_cast<std::size_t>(channels), channel = i % static_cast<std::size_t>(channels);
        samples[i] = static_cast<std::uint16_t>(pixel * (2 * channel + 1) + 77 * channel);
    }
    return image;
}

}  // namespace

TEST_CASE("samples are reached as what they are, anything else is an error") {
    Image deep(2, 1, 3, 16), shallow(2, 1, 3);
    CHECK(deep.depth() == 16);
    CHECK(shallow.depth() == 8);
    CHECK(deep.samples<std::uint16_t>().size() == 6);
    CHECK(deep.bytes().size() == 12);
    CHECK(deep != shallow);
    CHECK(describe_shape(deep) == "2x1, 3 channels, 16 bit");
    const Failure failure = failure_of([&] { deep.samples(); });
    CHECK(failure.code == ErrorCode::invalid_argument);
    CHECK(contains(failure.message, "16 bit: is used as one of 8 bit"));
    CHECK(failure_of([&] { deep.row(0); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { shallow.samples<std::uint16_t>(); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { shallow.row<std::uint16_t>(0); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { std::as_const(deep).row(0); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("a picture has 8 or 16 bits and as many samples as its shape says") {
    for (const int depth : {0, 1, 12, 32, -8})
        CHECK(failure_of([&] { Image(1, 1, 1, depth); }).code == ErrorCode::invalid_argument);
    CHECK(Image(2, 2, 1, Deep{1, 2, 3, 4}).row<std::uint16_t>(1)[1] == 4);
    const Failure failure = failure_of([] { Image(2, 2, 1, Deep{1, 2, 3}); });
    CHECK(failure.code == ErrorCode::invalid_argument);
    CHECK(contains(failure.message, "2x2, 1 channel, 16 bit: holds 3 samples instead of 4"));
    CHECK(failure_of([] { Image(2, 1, 2, Deep(4)); }).failed);
}

TEST_CASE("depths are converted exactly upwards and to the nearest downwards") {
    Image all(256, 1, 1);
    std::iota(all.samples().begin(), all.samples().end(), std::uint8_t{0});
    const Image raised = with_depth(all, 16);
    CHECK(raised.samples<std::uint16_t>()[1] == 257);
    CHECK(raised.samples<std::uint16_t>()[255] == 65535);
    CHECK(with_depth(raised, 8) == all);
    CHECK(with_depth(raised, 16) == raised);
    CHECK(with_depth(all, 8) == all);

    const Image deep = every_value(3), reduced = with_depth(deep, 8);
    CHECK(reduced.channels == 3);
    for (std::size_t i = 0; i < deep.samples<std::uint16_t>().size(); ++i)
        REQUIRE(std::abs(deep.samples<std::uint16_t>()[i] - 257 * reduced.samples()[i]) <= 128);
    CHECK(failure_of([&] { with_depth(all, 12); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("16 bits survive PNG, PPM and PGM, and TIFF exactly, whatever their values and the size") {
    std::vector<Image> images = {every_value(1), every_value(3)};
    for (const int channels : {1, 3})
        for (const auto& [width, height] : {std::pair{1U, 1U}, {1U, 77U}, {77U, 1U}, {13U, 7U}})
            images.push_back(noise_image(width, height, channels, 5, 16));
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::pnm, ImageFormat::tiff})
        for (const Image& image : images) {
            CAPTURE(format_name(format));
            CAPTURE(describe_shape(image));
            const Image back = read_image(encode_image(image, format), "x");
            CHECK(back.depth() == 16);
            CHECK((back == image));
        }
}

TEST_CASE("formats of 8 bits refuse 16 and say what to do") {
    for (const ImageFormat format : {ImageFormat::jpeg, ImageFormat::webp, ImageFormat::bmp}) {
        CHECK(format_depth(format) == 8);
        const Failure failure = failure_of([&] { encode_image(noise_image(4, 4, 3, 1, 16), format); });
        CHECK(failure.code == ErrorCode::invalid_argument);
        CHECK(contains(failure.message, std::string(format_name(format)) + " holds 8 bits a sample, not 16"));
        CHECK(contains(failure.message, "--depth 8"));
    }
}

TEST_CASE("readers say before they allocate how many bits a sample there will be") {
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::pnm, ImageFormat::tiff, ImageFormat::bmp})
        for (int depth = 8; depth <= format_depth(format); depth += 8) {
            int told = 0;
            std::uint64_t pixels = 0;
            ReadOptions options;
            options.make_room = [&](std::uint64_t count, int bits) {
                pixels = count;
                told = bits;
            };
            read_image(encode_image(noise_image(5, 4, 3, 1, depth), format), "x", options);
            CHECK(pixels == 20);
            CHECK(told == depth);
        }
}

TEST_CASE("both depths are seen on the scale of 8 bits") {
    const Image image = noise_image(9, 5, 3);
    std::vector<float> shallow(27), deep(27);
    SampleView(image).read(3, 0, 9, shallow.data());
    const Image raised = with_depth(image, 16);
    SampleView(raised).read(3, 0, 9, deep.data());
    for (std::size_t i = 0; i < shallow.size(); ++i) CHECK(deep[i] == doctest::Approx(shallow[i]).epsilon(1e-6));
}
