// PPM and PGM: the header's grammar, round trips, and what is refused.
#include <doctest/doctest.h>

#include <cmath>

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
    CHECK(image.samples() == bytes_of("AB"));
}

TEST_CASE("pixels begin after exactly one white-space byte, even when they look like more") {
    CHECK(read_text("P5 2 1 255\n\n#").samples() == bytes_of("\n#"));
}

TEST_CASE("what follows the first picture is not read") {
    CHECK(read_text("P5 1 1 255 AP5 1 1 255 B").samples() == bytes_of("A"));
}

TEST_CASE("damaged headers and missing pixels are corrupt") {
    for (const std::string text : {"P5",
                                   "P6",
                                   "P5 ",
                                   "P5 1",
                                   "P5 1 1",
                                   "P5 1 1 255",
                                   "P5 1 1 255\n",
                                   "P6 1 1 255\nAB",
                                   "P5 0 1 255\n",
                                   "P5 1 0 255\n",
                                   "P5 -1 1 255\nA",
                                   "P5 a 1 255\nA",
                                   "P5 1 1 0\nA",
                                   "P5 1 1 70000\nA",
                                   "P5 1 1 255#A",
                                   "P5 99999999999999999999 1 255\nA",
                                   "P5 # only a comment",
                                   "P6 16000 16000 255\nA",
                                   "P5 1 1 65535\nA",
                                   "P6 1 1 256\nABCDE"}) {
        CAPTURE(text);
        const Failure failure = failure_of([&] { read_text(text); });
        CHECK(failure.failed);
        CHECK(failure.code == ErrorCode::corrupt);
    }
}

TEST_CASE("16 bits are stored with the high byte first") {
    const Image image = read_text("P6 1 1 65535\nABCDEF");
    CHECK(image.depth() == 16);
    CHECK(image.samples<std::uint16_t>() == std::vector<std::uint16_t>{0x4142, 0x4344, 0x4546});
    const auto bytes = encode_image(image, ImageFormat::pnm);
    CHECK(std::string(bytes.begin(), bytes.end()) == "P6\n1 1\n65535\nABCDEF");
}

TEST_CASE("any largest value is scaled to the whole range, each sample rounded to nearest") {
    for (const unsigned largest : {1U, 2U, 15U, 100U, 254U, 255U, 256U, 300U, 1023U, 4095U, 65534U, 65535U}) {
        CAPTURE(largest);
        const bool is_deep = largest > 255;
        std::vector<std::uint16_t> stored;
        for (unsigned value = 0; value <= largest; ++value) stored.push_back(static_cast<std::uint16_t>(value));
        auto file = bytes_of("P5 " + std::to_string(stored.size()) + " 1 " + std::to_string(largest) + "\n");
        if (is_deep) {
            const auto pixels = big_endian(stored);
            file.insert(file.end(), pixels.begin(), pixels.end());
        } else {
            file.insert(file.end(), stored.begin(), stored.end());
        }
        const Image image = read_image(file, "x");
        CHECK(image.depth() == (is_deep ? 16 : 8));
        const double full = is_deep ? 65535 : 255;
        image.visit([&](const auto& samples) {
            for (std::size_t value = 0; value < samples.size(); ++value)
                REQUIRE(samples[value] == std::floor(static_cast<double>(value) * full / largest + 0.5));
        });
    }
    CHECK(contains(failure_of([] { read_text("P5 1 1 64\nA"); }).message, "a sample of 65, the header's largest value is 64"));
    CHECK(failure_of([] { read_text("P5 1 1 1023\nAB"); }).code == ErrorCode::corrupt);
}

TEST_CASE("a huge claimed size is refused from the header") {
    CHECK(failure_of([] { read_text("P6 4294967295 4294967295 255\nABC"); }).code == ErrorCode::limit);
    // Behind a limit that lets everything pass, the missing pixels are noticed before they get memory.
    CHECK(failure_of([] { read_image(bytes_of("P6 4294967295 4294967295 255\nABC"), "x", {.max_pixels = UINT64_MAX}); }).code ==
          ErrorCode::corrupt);
}
