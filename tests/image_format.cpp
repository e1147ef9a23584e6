// Format names, extensions, first bytes.
#include "codec/image/format.h"

#include <doctest/doctest.h>

#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

TEST_CASE("format names are parsed in any case; others list what is known") {
    CHECK(parse_image_format("png") == ImageFormat::png);
    CHECK(parse_image_format("JPEG") == ImageFormat::jpeg);
    CHECK(parse_image_format("tif") == ImageFormat::tiff);
    CHECK(parse_image_format("pgm") == ImageFormat::pnm);
    const Failure failure = failure_of([] { parse_image_format("gif"); });
    CHECK(failure.code == ErrorCode::invalid_argument);
    CHECK(contains(failure.message, "\"gif\""));
    CHECK(contains(failure.message, "png, ppm, pgm, pnm, jpg, jpeg, webp, tif, tiff, bmp"));
    CHECK(failure_of([] { parse_image_format(""); }).failed);
    CHECK(failure_of([] { parse_image_format(".png"); }).failed);
}

TEST_CASE("only the last extension of the file name counts") {
    CHECK(format_from_extension("a/b.c/photo.JPG") == ImageFormat::jpeg);
    CHECK(format_from_extension("x.png.webp") == ImageFormat::webp);
    CHECK_FALSE(format_from_extension("photos.png/readme").has_value());
    CHECK_FALSE(format_from_extension(".png").has_value());
    CHECK_FALSE(format_from_extension("png").has_value());
    CHECK_FALSE(format_from_extension("").has_value());
    CHECK_FALSE(format_from_extension("a.dcn").has_value());
}

TEST_CASE("every extension leads to a format whose own extension leads back") {
    for (const std::string_view extension : image_extensions()) {
        const auto format = format_from_extension(std::string("x").append(extension));
        REQUIRE(format.has_value());
        CHECK(format_from_extension(std::string("x").append(format_extension(*format))) == format);
        CHECK_FALSE(format_name(*format).empty());
    }
    CHECK(format_extension(ImageFormat::pnm, 1) == ".pgm");
    CHECK(format_extension(ImageFormat::pnm, 3) == ".ppm");
}

TEST_CASE("content decides, and a few bytes are not enough") {
    CHECK(sniff_image_format(bytes_of("\x89PNG\r\n\x1a\n")) == ImageFormat::png);
    CHECK(sniff_image_format(bytes_of("RIFF....WEBPVP8 ")) == ImageFormat::webp);
    CHECK(sniff_image_format(bytes_of(std::string("MM\0*", 4))) == ImageFormat::tiff);
    CHECK(sniff_image_format(bytes_of("BM")) == ImageFormat::bmp);
    for (const std::string text : {"", "\x89", "\x89PNG", "RIFF....WAVE", "II*", "P4 1 1", "P7", "GIF89a", "<svg>"})
        CHECK_FALSE(sniff_image_format(bytes_of(text)).has_value());
}
