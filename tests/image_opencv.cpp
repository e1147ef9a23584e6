// JPEG, WebP, TIFF and BMP through the module: round trips, kinds that are refused, orientation tags, the module itself.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "codec/image/metrics.h"
#include "codec/image/opencv_loader.h"
#include "codec/image/reader.h"
#include "codec/image/writer.h"
#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

void append(std::vector<std::uint8_t>& bytes, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// An uncompressed little-endian TIFF of one strip.
struct TiffRecipe {
    std::uint16_t width = 1;
    std::uint16_t height = 1;
    std::uint16_t bits = 8;
    std::uint16_t photometric = 1;
    std::uint16_t channels = 1;
    std::vector<std::uint8_t> data;
    std::uint16_t orientation = 1;
    std::uint16_t sample_format = 1;
    std::uint16_t planar = 1;
};

std::vector<std::uint8_t> make_tiff(const TiffRecipe& recipe) {
    constexpr std::uint32_t data_offset = 8;
    const auto data_size = static_cast<std::uint32_t>(recipe.data.size());
    const std::uint32_t bits_offset = data_offset + data_size + data_size % 2;
    const std::uint32_t directory_offset = bits_offset + 8;
    std::vector<std::uint8_t> bytes = {'I', 'I', 42, 0};
    append(bytes, directory_offset, 4);
    bytes.insert(bytes.end(), recipe.data.begin(), recipe.data.end());
    bytes.resize(bits_offset);
    for (int i = 0; i < 4; ++i) append(bytes, recipe.bits, 2);
    struct Entry {
        std::uint16_t tag;
        std::uint16_t count;
        std::uint32_t value;
    };
    const std::uint32_t bits_value = recipe.channels <= 2 ? recipe.bits * 0x10001U : bits_offset;
    const std::array<Entry, 12> entries = {{{256, 1, recipe.width},
                                            {257, 1, recipe.height},
                                            {258, recipe.channels, bits_value},
                                            {259, 1, 1},
                                            {262, 1, recipe.photometric},
                                            {273, 1, data_offset},
                                            {274, 1, recipe.orientation},
                                            {277, 1, recipe.channels},
                                            {278, 1, recipe.height},
                                            {279, 1, data_size},
                                            {284, 1, recipe.planar},
                                            {339, 1, recipe.sample_format}}};
    append(bytes, entries.size(), 2);
    for (const Entry& entry : entries) {
        append(bytes, entry.tag, 2);
        append(bytes, 3, 2);  // 16-bit integers
        append(bytes, entry.count, 4);
        append(bytes, entry.value, 4);
    }
    append(bytes, 0, 4);
    return bytes;
}

std::vector<std::uint8_t> make_bmp(std::int32_t width, std::int32_t height, std::uint16_t bits,
                                   const std::vector<std::uint8_t>& data) {
    std::vector<std::uint8_t> bytes = {'B', 'M'};
    append(bytes, 54 + data.size(), 4);
    append(bytes, 0, 4);
    append(bytes, 54, 4);
    append(bytes, 40, 4);
    append(bytes, static_cast<std::uint32_t>(width), 4);
    append(bytes, static_cast<std::uint32_t>(height), 4);
    append(bytes, 1, 2);
    append(bytes, bits, 2);
    bytes.resize(54);
    bytes.insert(bytes.end(), data.begin(), data.end());
    return bytes;
}

Failure read_failure(const std::vector<std::uint8_t>& bytes, const ReadOptions& options = {}) {
    return failure_of([&] { read_image(bytes, "test", options); });
}

}  // namespace

TEST_CASE("BMP, TIFF and WebP round trips are bit-exact at odd sizes") {
    for (const ImageFormat format : {ImageFormat::bmp, ImageFormat::tiff, ImageFormat::webp})
        for (const int channels : {1, 3})
            for (const auto& [width, height] : {std::pair{1U, 1U}, {1U, 9U}, {13U, 7U}, {131U, 65U}}) {
                if (format == ImageFormat::webp && channels == 1) continue;
                CAPTURE(format_name(format));
                CAPTURE(width);
                const Image image = noise_image(width, height, channels);
                CHECK(read_image(encode_image(image, format), "x") == image);
            }
}

TEST_CASE("gray in WebP comes back as three equal channels") {
    const Image gray = noise_image(5, 3, 1);
    const Image back = read_image(encode_image(gray, ImageFormat::webp), "x");
    REQUIRE(back.channels == 3);
    for (std::size_t i = 0; i < gray.samples().size(); ++i)
        for (std::size_t c = 0; c < 3; ++c) CHECK(back.samples()[3 * i + c] == gray.samples()[i]);
}

TEST_CASE("JPEG keeps shape, channels and, at quality 95, nearly all") {
    for (const int channels : {1, 3}) {
        const Image image = smooth_image(67, 45, channels);
        const auto bytes = encode_image(image, ImageFormat::jpeg);
        CHECK(psnr(image, read_image(bytes, "x")) > 38);
        CHECK(encode_image(image, ImageFormat::jpeg, {.jpeg_quality = 20}).size() < bytes.size());
    }
}

TEST_CASE("JPEG keeps the order of the channels") {
    Image red(16, 16, 3);
    for (std::size_t i = 0; i < red.samples().size(); i += 3) red.samples()[i] = 200;
    const Image back = read_image(encode_image(red, ImageFormat::jpeg), "x");
    CHECK(back.samples()[0] > 190);
    CHECK(back.samples()[2] < 10);
}

TEST_CASE("an EXIF orientation does not turn a JPEG") {
    const Image image = smooth_image(32, 16, 3);
    const auto plain = encode_image(image, ImageFormat::jpeg);
    std::vector<std::uint8_t> exif = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0};
    for (const std::uint16_t value : {0x0112, 3, 1, 0, 6, 0, 0, 0}) append(exif, value, 2);  // orientation 6, no next directory
    auto tagged = plain;
    tagged.insert(tagged.begin() + 2, exif.begin(), exif.end());
    CHECK(read_image(tagged, "x") == read_image(plain, "x"));
}

TEST_CASE("a TIFF orientation does not turn the picture") {
    for (const std::uint16_t orientation : {1, 2, 3, 4, 6, 8}) {
        const Image image =
            read_image(make_tiff({.width = 3, .height = 2, .data = {1, 2, 3, 4, 5, 6}, .orientation = orientation}), "x");
        CHECK(image.width == 3);
        CHECK(image.samples() == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
    }
}

TEST_CASE("TIFF: opaque alpha is dropped; transparency and odd kinds are refused") {
    const Image rgb =
        read_image(make_tiff({.width = 2, .photometric = 2, .channels = 4, .data = {1, 2, 3, 255, 4, 5, 6, 255}}), "x");
    CHECK(rgb.samples() == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
    CHECK(read_image(make_tiff({.width = 8, .bits = 1, .data = {0b10100101}}), "x").samples() ==
          std::vector<std::uint8_t>{255, 0, 255, 0, 0, 255, 0, 255});

    const auto refused = [](const TiffRecipe& recipe, const std::string& part) {
        const Failure failure = read_failure(make_tiff(recipe));
        CAPTURE(failure.message);
        CHECK(failure.code == ErrorCode::unsupported);
        CHECK(contains(failure.message, part));
    };
    refused({.photometric = 2, .channels = 4, .data = {1, 2, 3, 4}}, "transparent");
    refused({.channels = 2, .data = {1, 255}}, "alpha channel");
    refused({.photometric = 5, .channels = 4, .data = {1, 2, 3, 4}}, "CMYK");
    refused({.bits = 12, .data = {1, 2}}, "12 bits a sample are not supported; convert to 8 or 16 bit");
    refused({.bits = 32, .data = {1, 2, 3, 4}}, "32 bits a sample");
    refused({.bits = 16, .data = {1, 2}, .sample_format = 2}, "signed");
    refused({.bits = 16, .data = {1, 2}, .sample_format = 3}, "floating-point");
    // What OpenCV would take as it lies: white at 0, planes one after the other, another colour space, gray with more beside it.
    refused({.bits = 16, .photometric = 0, .data = {1, 2}}, "black at 0");
    refused({.bits = 16, .photometric = 2, .channels = 3, .data = {1, 0, 2, 0, 3, 0}, .planar = 2}, "interleaved");
    refused({.bits = 16, .photometric = 8, .channels = 3, .data = {1, 0, 2, 0, 3, 0}}, "RGB only");
    refused({.bits = 16, .channels = 4, .data = {1, 0, 2, 0, 3, 0, 0xFF, 0xFF}}, "RGB only");
    refused({.bits = 16, .photometric = 2, .channels = 4, .data = {1, 0, 2, 0, 3, 0, 0xFE, 0xFF}}, "transparent");
    refused({.bits = 4, .data = {1}}, "4 bits a sample");
    refused({.data = {1}, .sample_format = 2}, "signed");
}

TEST_CASE("TIFF with 16 bits a sample keeps them all") {
    using Deep = std::vector<std::uint16_t>;
    const auto read = [](const TiffRecipe& recipe) { return read_image(make_tiff(recipe), "x"); };
    const Image gray = read({.width = 2, .bits = 16, .data = {0x34, 0x12, 0xFE, 0xFF}});
    CHECK(gray.channels == 1);
    CHECK(gray.samples<std::uint16_t>() == Deep{0x1234, 0xFFFE});
    CHECK(read({.bits = 16, .photometric = 2, .channels = 3, .data = {1, 0, 0, 2, 3, 0}}).samples<std::uint16_t>() ==
          Deep{1, 0x200, 3});
    CHECK(read({.bits = 16, .photometric = 2, .channels = 4, .data = {1, 0, 2, 0, 3, 0, 0xFF, 0xFF}}).samples<std::uint16_t>() ==
          Deep{1, 2, 3});
    CHECK(read({.width = 1, .height = 2, .bits = 16, .data = {1, 0, 2, 0}, .orientation = 3}).samples<std::uint16_t>() ==
          Deep{1, 2});
}

TEST_CASE("BMP: both row orders; 16 bits a pixel are refused") {
    CHECK(read_image(make_bmp(1, 2, 24, {3, 2, 1, 0, 6, 5, 4, 0}), "x").samples() == std::vector<std::uint8_t>{4, 5, 6, 1, 2, 3});
    CHECK(read_image(make_bmp(1, -2, 24, {3, 2, 1, 0, 6, 5, 4, 0}), "x").samples() ==
          std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
    CHECK(read_failure(make_bmp(1, 1, 16, {1, 2, 0, 0})).code == ErrorCode::unsupported);
}

TEST_CASE("claimed sizes are checked before the decoder sees them") {
    CHECK(read_failure(make_bmp(2, 2, 24, std::vector<std::uint8_t>(16)), {.max_pixels = 3}).code == ErrorCode::limit);
    CHECK(read_failure(make_bmp(60000, 60000, 24, {})).code == ErrorCode::corrupt);
    CHECK(read_failure(make_bmp(INT32_MAX, INT32_MIN, 32, {})).code == ErrorCode::corrupt);
    CHECK(read_failure(make_tiff({.width = 65535, .height = 65535, .data = {1}})).code == ErrorCode::limit);
    std::vector<std::uint8_t> webp = bytes_of("RIFF");
    append(webp, 18, 4);
    for (const std::uint8_t byte : bytes_of("WEBPVP8L")) webp.push_back(byte);
    append(webp, 6, 4);
    append(webp, 0x2F, 1);
    append(webp, 0x0FFFFFFF, 5);
    CHECK(read_failure(webp, {.max_pixels = 1U << 20}).code == ErrorCode::limit);
    auto jpeg = encode_image(smooth_image(8, 8, 1), ImageFormat::jpeg);
    const std::array<std::uint8_t, 2> frame = {0xFF, 0xC0};
    const auto found = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
    REQUIRE(found != jpeg.end());
    std::fill(found + 5, found + 9, std::uint8_t{0xFF});
    const Failure failure = read_failure(jpeg);
    CHECK(failure.code == ErrorCode::limit);
    CHECK(contains(failure.message, "65535x65535"));
    // Of those that pass a generous limit, no more is believed than OpenCV can hold.
    CHECK(read_failure(jpeg, {.max_pixels = UINT64_MAX}).code == ErrorCode::unsupported);
}

TEST_CASE("animated WebP is refused") {
    std::vector<std::uint8_t> webp = bytes_of("RIFF");
    append(webp, 22, 4);
    for (const std::uint8_t byte : bytes_of("WEBPVP8X")) webp.push_back(byte);
    append(webp, 10, 4);
    append(webp, 0x02, 4);
    append(webp, 0, 6);
    CHECK(contains(read_failure(webp).message, "animated"));
}

TEST_CASE("formats say which side is too long for them") {
    const Image wide = noise_image(16384, 1, 3);
    const Failure failure = failure_of([&] { encode_image(wide, ImageFormat::webp); });
    CHECK(failure.code == ErrorCode::unsupported);
    CHECK(contains(failure.message, "WebP holds at most 16383 pixels a side"));
    CHECK(read_image(encode_image(wide, ImageFormat::tiff), "x") == wide);
}

TEST_CASE("a missing module is an error that says where it was looked for") {
    const std::array<std::string, 2> folders = {"/nonexistent-a", "/nonexistent-b"};
    const Failure failure = failure_of([&] { const OpencvModule module(folders); });
    CHECK(failure.code == ErrorCode::unsupported);
    CHECK(contains(failure.message, "decant_opencv.so, which is not in /nonexistent-a or /nonexistent-b"));
}

TEST_CASE("a module that does not load says why") {
    const auto folder = std::filesystem::temp_directory_path() / ("decant-module-" + std::to_string(getpid()));
    std::filesystem::create_directory(folder);
    std::filesystem::create_symlink("/dev/null", folder / "decant_opencv.so");
    const std::array<std::string, 1> folders = {folder.string()};
    const Failure failure = failure_of([&] { const OpencvModule module(folders); });
    std::filesystem::remove_all(folder);
    CHECK(failure.code == ErrorCode::unsupported);
    CHECK(contains(failure.message, "does not load"));
}
