// PNG: every colour type in, bit-exact round trips, and what is refused.
#include <doctest/doctest.h>
#include <png.h>

#include <optional>

#include "codec/image/reader.h"
#include "codec/image/writer.h"
#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

struct PngRecipe {
    std::uint32_t width = 1;
    std::uint32_t height = 1;
    int color_type = PNG_COLOR_TYPE_GRAY;
    int bit_depth = 8;
    std::vector<std::uint8_t> data;  // rows as PNG packs them
    std::vector<png_color> palette = {};
    std::vector<std::uint8_t> palette_alpha = {};
    int interlace = PNG_INTERLACE_NONE;
    std::optional<png_color_16> transparent_colour = {};
};

std::vector<std::uint8_t> make_png(const PngRecipe& recipe) {
    std::vector<std::uint8_t> bytes;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    const auto append = [](png_structp p, png_bytep data, std::size_t size) {
        auto& out = *static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(p));
        out.insert(out.end(), data, data + size);
    };
    png_set_write_fn(png, &bytes, append, nullptr);
    png_set_IHDR(png, info, recipe.width, recipe.height, recipe.bit_depth, recipe.color_type, recipe.interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!recipe.palette.empty()) png_set_PLTE(png, info, recipe.palette.data(), static_cast<int>(recipe.palette.size()));
    if (!recipe.palette_alpha.empty())
        png_set_tRNS(png, info, recipe.palette_alpha.data(), static_cast<int>(recipe.palette_alpha.size()), nullptr);
    if (recipe.transparent_colour) png_set_tRNS(png, info, nullptr, 0, &*recipe.transparent_colour);
    png_write_info(png, info);
    const std::size_t row_size = png_get_rowbytes(png, info);
    REQUIRE(recipe.data.size() == row_size * recipe.height);
    std::vector<png_bytep> rows;
    for (std::uint32_t y = 0; y < recipe.height; ++y) rows.push_back(const_cast<png_bytep>(recipe.data.data() + y * row_size));
    png_write_image(png, rows.data());
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return bytes;
}

Image read_recipe(const PngRecipe& recipe) { return read_image(make_png(recipe), "test.png"); }

}  // namespace

TEST_CASE("PNG round trips are bit-exact at any size, channel count and level") {
    for (const int channels : {1, 3})
        for (const auto& [width, height] : {std::pair{1U, 1U}, {1U, 77U}, {77U, 1U}, {13U, 7U}, {255U, 129U}})
            for (const int level : {1, 2, 9}) {
                const Image image = noise_image(width, height, channels);
                CHECK(read_image(encode_image(image, ImageFormat::png, {.png_level = level}), "x") == image);
            }
}

TEST_CASE("PNG samples come out in the order red, green, blue") {
    const Image image = read_recipe({.width = 2, .color_type = PNG_COLOR_TYPE_RGB, .data = {1, 2, 3, 4, 5, 6}});
    CHECK(image.channels == 3);
    CHECK(image.samples() == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("PNG with fewer than 8 bits is expanded to the whole range") {
    const Image two_tone = read_recipe({.width = 3, .bit_depth = 1, .data = {0b10100000}});
    CHECK(two_tone.channels == 1);
    CHECK(two_tone.samples() == std::vector<std::uint8_t>{255, 0, 255});
    CHECK(read_recipe({.width = 2, .bit_depth = 4, .data = {0x3F}}).samples() == std::vector<std::uint8_t>{0x33, 0xFF});
}

TEST_CASE("PNG palettes become RGB") {
    const Image image = read_recipe({.width = 3,
                                     .color_type = PNG_COLOR_TYPE_PALETTE,
                                     .bit_depth = 2,
                                     .data = {0b01001000},
                                     .palette = {{9, 8, 7}, {1, 2, 3}, {200, 100, 50}}});
    CHECK(image.channels == 3);
    CHECK(image.samples() == std::vector<std::uint8_t>{1, 2, 3, 9, 8, 7, 200, 100, 50});
}

TEST_CASE("interlaced PNG reads like any other") {
    const Image image = noise_image(19, 11, 3);
    CHECK(read_recipe({.width = 19,
                       .height = 11,
                       .color_type = PNG_COLOR_TYPE_RGB,
                       .data = image.samples(),
                       .interlace = PNG_INTERLACE_ADAM7}) == image);
}

TEST_CASE("opaque alpha is dropped, transparency refused where nobody asks for alpha") {
    const Image rgb = read_recipe({.width = 2, .color_type = PNG_COLOR_TYPE_RGB_ALPHA, .data = {1, 2, 3, 255, 4, 5, 6, 255}});
    CHECK(rgb.channels == 3);
    CHECK(rgb.samples() == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
    const Image gray = read_recipe({.width = 2, .color_type = PNG_COLOR_TYPE_GRAY_ALPHA, .data = {7, 255, 8, 255}});
    CHECK(gray.channels == 1);
    CHECK(gray.samples() == std::vector<std::uint8_t>{7, 8});

    for (const PngRecipe& recipe :
         {PngRecipe{.width = 2, .color_type = PNG_COLOR_TYPE_RGB_ALPHA, .data = {1, 2, 3, 255, 4, 5, 6, 254}},
          PngRecipe{.width = 2, .color_type = PNG_COLOR_TYPE_GRAY_ALPHA, .data = {7, 0, 8, 255}},
          PngRecipe{
              .color_type = PNG_COLOR_TYPE_PALETTE, .data = {1}, .palette = {{0, 0, 0}, {1, 1, 1}}, .palette_alpha = {255, 9}}}) {
        const Failure failure = failure_of([&] { read_recipe(recipe); });
        CHECK(failure.code == ErrorCode::unsupported);
        CHECK(contains(failure.message, "test.png: has transparent pixels"));
    }
}

TEST_CASE("PNG with 16 bits a sample keeps them all") {
    const Image gray = read_recipe({.width = 2, .bit_depth = 16, .data = {0x12, 0x34, 0xFF, 0xFE}});
    CHECK(gray.depth() == 16);
    CHECK(gray.samples<std::uint16_t>() == std::vector<std::uint16_t>{0x1234, 0xFFFE});
    const Image rgb = read_recipe({.color_type = PNG_COLOR_TYPE_RGB, .bit_depth = 16, .data = {0, 1, 0, 2, 3, 0}});
    CHECK(rgb.channels == 3);
    CHECK(rgb.samples<std::uint16_t>() == std::vector<std::uint16_t>{1, 2, 0x300});
    // What is written has the high byte first as well: byte for byte as libpng packs it.
    const auto bytes = encode_image(gray, ImageFormat::png);
    CHECK(read_image(bytes, "x") == gray);
    CHECK(bytes[24] == 16);
}

TEST_CASE("interlaced PNG of 16 bits reads like any other") {
    const Image image = noise_image(19, 11, 3, 1, 16);
    CHECK(read_recipe({.width = 19,
                       .height = 11,
                       .color_type = PNG_COLOR_TYPE_RGB,
                       .bit_depth = 16,
                       .data = big_endian(image.samples<std::uint16_t>()),
                       .interlace = PNG_INTERLACE_ADAM7}) == image);
}

TEST_CASE("alpha of 16 bits is opaque at 65535 alone") {
    const Image rgb =
        read_recipe({.color_type = PNG_COLOR_TYPE_RGB_ALPHA, .bit_depth = 16, .data = {0, 1, 0, 2, 0, 3, 0xFF, 0xFF}});
    CHECK(rgb.samples<std::uint16_t>() == std::vector<std::uint16_t>{1, 2, 3});
    const Image gray = read_recipe(
        {.width = 2, .color_type = PNG_COLOR_TYPE_GRAY_ALPHA, .bit_depth = 16, .data = {7, 1, 0xFF, 0xFF, 8, 2, 0xFF, 0xFF}});
    CHECK(gray.channels == 1);
    CHECK(gray.samples<std::uint16_t>() == std::vector<std::uint16_t>{0x701, 0x802});
    const PngRecipe keyed = {
        .width = 2, .bit_depth = 16, .data = {0, 5, 0, 6}, .transparent_colour = png_color_16{0, 0, 0, 0, 4}};
    CHECK(read_recipe(keyed).samples<std::uint16_t>() == std::vector<std::uint16_t>{5, 6});

    PngRecipe hit = keyed;
    hit.transparent_colour->gray = 6;
    for (const PngRecipe& recipe :
         {PngRecipe{.color_type = PNG_COLOR_TYPE_RGB_ALPHA, .bit_depth = 16, .data = {0, 1, 0, 2, 0, 3, 0xFF, 0xFE}},
          PngRecipe{.color_type = PNG_COLOR_TYPE_GRAY_ALPHA, .bit_depth = 16, .data = {7, 1, 0xFE, 0xFF}}, hit}) {
        const Failure failure = failure_of([&] { read_recipe(recipe); });
        CHECK(failure.code == ErrorCode::unsupported);
        CHECK(contains(failure.message, "has transparent pixels"));
    }
}

TEST_CASE("the pixel limit counts pixels, and is checked before anything is decoded") {
    const auto bytes = encode_image(noise_image(10, 10, 3), ImageFormat::png);
    CHECK(read_image(bytes, "x", {.max_pixels = 100}).width == 10);
    const Failure failure = failure_of([&] { read_image(bytes, "x", {.max_pixels = 99}); });
    CHECK(failure.code == ErrorCode::limit);
    CHECK(contains(failure.message, "10x10"));
    CHECK(contains(failure.message, "99"));
    // Only signature and IHDR are there: the limit speaks before the missing rest does.
    const std::vector<std::uint8_t> header(bytes.begin(), bytes.begin() + 45);
    CHECK(failure_of([&] { read_image(header, "x", {.max_pixels = 99}); }).code == ErrorCode::limit);
}

TEST_CASE("encode_image refuses images and options that make no sense") {
    Image broken = noise_image(4, 4, 3);
    broken.samples().pop_back();
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::pnm, ImageFormat::jpeg}) {
        const Failure failure = failure_of([&] { encode_image(broken, format); });
        CHECK(failure.code == ErrorCode::invalid_argument);
        CHECK(contains(failure.message, "47 samples instead of 48"));
        CHECK(failure_of([&] { encode_image(Image{}, format); }).code == ErrorCode::invalid_argument);
    }
    const Image image = noise_image(4, 4, 3);
    CHECK(failure_of([&] { encode_image(image, ImageFormat::png, {.png_level = 10}); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { encode_image(image, ImageFormat::jpeg, {.jpeg_quality = 0}); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { Image(0, 5, 3); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { Image(5, 5, 2); }).code == ErrorCode::invalid_argument);
}
