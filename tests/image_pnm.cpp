// PPM and PGM: the header's grammar, round trips, and what is refused.
#include <doctest/doctest.h>

#include "codec/image/reader.h"
#include "codec/image/writer.h"
#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

Image read_text(const std::string& text) { return read_image(bytes_of(text), "test.ppm"); }

}  // namespace

TEST_CASE("PPM and PGM round trips are bit-exact") {
    for (const int channels : {1, 3})
        for (const auto& [width, height] : {std::pair{1U, 1U}, {31U, 17U}}) {
            const Image image = noise_image(width, height, channels);
            CHECK(read_image(encode_image(image, ImageFormat::pnm), "x") == image);
        }
}

TEST_CASE("the written header is the canonical one") {
    const auto bytes = encode_image(noise_image(3, 2, 1), ImageFormat::pnm);
    CHECK(std::string(bytes.begin(), bytes.begin() + 11) == "P5\n3 2\n255\n");
    CHECK(bytes.size() == 11 + 6);
}

TEST_CASE("comments and any white space are allowed between the header's numbers") {
    const Image image = read_text("P5 # a comment 7 8\n#another\r\n 2\t# width was before\n1\v255\nAB");
    CHECK(image.width == 2);
    CHECK(image.height == 1);
    CHECK(image.samples == bytes_of("AB"));
}

TEST_CASE("pixels begin after exactly one white-space byte, even when they look like more") {
    CHECK(read_text("P5 2 1 255\n\n#").samples == bytes_of("\n#"));
}

TEST_CASE("what follows the first picture is not read") { CHECK(read_text("P5 1 1 255 AP5 1 1 255 B").samples == bytes_of("A")); }

TEST_CASE("damaged headers and missing pixels are corrupt") {
    for (const std::string text :
         {"P5", "P6", "P5 ", "P5 1", "P5 1 1", "P5 1 1 255", "P5 1 1 255\n", "P6 1 1 255\nAB", "P5 0 1 255\n", "P5 1 0 255\n",
          "P5 -1 1 255\nA", "P5 a 1 255\nA", "P5 1 1 0\nA", "P5 1 1 70000\nA", "P5 1 1 255#A", "P5 99999999999999999999 1 255\nA",
          "P5 # only a comment", "P6 16000 16000 255\nA"}) {
        CAPTURE(text);
        const Failure failure = failure_of([&] { read_text(text); });
        CHECK(failure.failed);
        CHECK(failure.code == ErrorCode::corrupt);
    }
}

TEST_CASE("PPM with other than 8 bits is refused") {
    const Failure failure = failure_of([] { read_text("P5 1 1 65535\nAB"); });
    CHECK(failure.code == ErrorCode::unsupported);
    CHECK(contains(failure.message, "16 bits a sample"));
    CHECK(contains(failure_of([] { read_text("P5 1 1 15\nA"); }).message, "largest value of 15"));
}

TEST_CASE("a huge claimed size is refused from the header") {
    CHECK(failure_of([] { read_text("P6 4294967295 4294967295 255\nABC"); }).code == ErrorCode::limit);
    // Behind a limit that lets everything pass, the missing pixels are noticed before they get memory.
    CHECK(failure_of([] { read_image(bytes_of("P6 4294967295 4294967295 255\nABC"), "x", {.max_pixels = UINT64_MAX}); }).code ==
          ErrorCode::corrupt);
}
