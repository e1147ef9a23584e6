// Pictures row by row: the same pixels, metadata and bytes as those of whole pictures.
#include "codec/image/rows.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "codec/error.h"
#include "codec/image/format.h"
#include "codec/image/metrics.h"
#include "codec/image/row_comparison.h"
#include "tests/image_samples.h"
#include "tests/metadata_samples.h"
#include "tests/row_pictures.h"

using namespace decant;
using namespace decant::test;

namespace {

ByteAccess access_to(const std::vector<uint8_t>& bytes) {
    return {bytes.size(), [&bytes](uint64_t offset, std::span<uint8_t> target) {
                REQUIRE(offset + target.size() <= bytes.size());
                std::copy_n(bytes.begin() + int64_t(offset), target.size(), target.begin());
            }};
}

Image read_all(RowReader& rows) {
    const PictureShape shape = rows.shape();
    Image image(shape.width, shape.height, shape.channels, shape.depth);
    image.visit([&](auto& samples) {
        for (uint32_t y = 0; y < shape.height; y++) rows.read(samples.data() + y * image.row_size());
    });
    return image;
}

void write_all(const Image& image, RowWriter& rows) {
    rows.begin(shape_of(image));
    image.visit([&](const auto& samples) {
        for (uint32_t y = 0; y < image.height; y++) rows.write(samples.data() + y * image.row_size());
    });
}

}  // namespace

TEST_CASE("PNG, PPM and PGM are read by rows as they are read whole") {
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::pnm}) {
        for (const int channels : {1, 3}) {
            for (const int depth : {8, 16}) {
                for (const auto& [width, height] : {std::pair{1u, 1u}, {1u, 90u}, {300u, 1u}, {33u, 71u}}) {
                    const Image image = noise_image(width, height, channels, 5, depth);
                    const auto bytes = encode_image(image, format);
                    auto rows = open_rows(access_to(bytes), "x");
                    REQUIRE(rows.has_value());
                    CHECK(rows->rows->shape() == shape_of(image));
                    CHECK(read_all(*rows->rows) == image);
                    CHECK(rows->metadata.empty());
                    CHECK(rows->remarks.empty());
                }
            }
        }
    }
}

TEST_CASE("rows are written as whole pictures are") {
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::pnm}) {
        for (const int depth : {8, 16}) {
            for (const auto& [width, height] : {std::pair{1u, 1u}, {257u, 300u}}) {
                const Image image = noise_image(width, height, 3, 6, depth);
                std::vector<uint8_t> bytes;
                std::vector<std::string> remarks;
                const Metadata none;
                const auto writer = make_row_writer(format, none, remarks, [&](std::span<const uint8_t> part) { bytes.insert(bytes.end(), part.begin(), part.end()); });
                write_all(image, *writer);
                CHECK(bytes == encode_image(image, format));
            }
        }
    }
    std::vector<std::string> remarks;
    for (const ImageFormat format : {ImageFormat::jpeg, ImageFormat::webp, ImageFormat::tiff, ImageFormat::bmp})
        CHECK(make_row_writer(format, {}, remarks, {}) == nullptr);
}

TEST_CASE("metadata go with the rows") {
    Picture picture;
    picture.image = noise_image(40, 30, 3);
    picture.metadata = all_metadata();
    const auto whole = encode_picture(picture, ImageFormat::png);
    REQUIRE(whole.remarks.empty());
    auto rows = open_rows(access_to(whole.bytes), "x");
    REQUIRE(rows.has_value());
    CHECK(rows->metadata == read_picture(whole.bytes, "x").metadata);
    CHECK_FALSE(rows->metadata.empty());

    std::vector<uint8_t> bytes;
    std::vector<std::string> remarks;
    const auto sink = [&](std::span<const uint8_t> part) { bytes.insert(bytes.end(), part.begin(), part.end()); };
    write_all(picture.image, *make_row_writer(ImageFormat::png, picture.metadata, remarks, sink));
    CHECK(bytes == whole.bytes);
    CHECK(remarks.empty());
    bytes.clear();
    write_all(picture.image, *make_row_writer(ImageFormat::pnm, picture.metadata, remarks, sink));
    CHECK(remarks.size() == 1);
}

TEST_CASE("what cannot be had by rows is left to the reader of whole pictures") {
    const Image image = noise_image(20, 10, 3);
    Picture transparent;
    transparent.image = image;
    transparent.alpha = noise_image(20, 10, 1);
    std::vector<std::vector<uint8_t>> files{encode_picture(transparent, ImageFormat::png).bytes, encode_image(image, ImageFormat::jpeg),
                                            encode_image(image, ImageFormat::tiff), {}, bytes_of("P6\n2 2\n100\n123456789012"), bytes_of("P6\n2 2\n255\n12345678901"),
                                            bytes_of("P5\n0 2\n255\n"), bytes_of("not a picture")};
    for (const auto& file : files) CHECK_FALSE(open_rows(access_to(file), "x").has_value());
}

TEST_CASE("a PNG that is cut off or damaged ends with an error") {
    const Image image = noise_image(200, 100, 3);
    const auto bytes = encode_image(image, ImageFormat::png);
    auto damaged = bytes;
    damaged[bytes.size() / 2] ^= 0x55;
    auto rows = open_rows(access_to(damaged), "x");
    REQUIRE(rows.has_value());
    const Failure failure = failure_of([&] { read_all(*rows->rows); });
    CHECK(failure.code == ErrorCode::corrupt);
    CHECK(contains(failure.message, "x: damaged or truncated PNG"));
    // Without its end the chunks do not add up.
    const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + int64_t(bytes.size() / 2));
    CHECK_FALSE(open_rows(access_to(cut), "x").has_value());
    CHECK(failure_of([&] { open_rows(access_to(bytes), "x", {.max_pixels = 19999}); }).code == ErrorCode::limit);
    // A file that breaks off while it is read: what the access throws comes through libpng.
    bool is_gone = false;
    const Image large = noise_image(300, 400, 3);
    const auto many = encode_image(large, ImageFormat::png);
    ByteAccess breaks{many.size(), [&](uint64_t offset, std::span<uint8_t> target) {
                          if (is_gone) throw Error(ErrorCode::io, "gone");
                          std::copy_n(many.begin() + int64_t(offset), target.size(), target.begin());
                      }};
    auto breaking = open_rows(breaks, "x");
    REQUIRE(breaking.has_value());
    is_gone = true;
    CHECK(failure_of([&] { read_all(*breaking->rows); }).message == "gone");
}

TEST_CASE("rows change their depth as pictures do") {
    for (const int from : {8, 16}) {
        for (const int to : {8, 16}) {
            const Image image = noise_image(31, 7, 3, 9, from);
            RowImage kept;
            DepthWriter writer(kept, to);
            write_all(image, writer);
            CHECK(kept.image == with_depth(image, to));
        }
    }
}

TEST_CASE("rows are compared as whole pictures are, and hashed") {
    for (const int depth : {8, 16}) {
        for (const int channels : {1, 3}) {
            const Image a = noise_image(33, 21, channels, 1, depth), b = noise_image(33, 21, channels, 2, depth);
            for (const auto& [reference, other] : {std::pair{&a, &b}, {&b, &a}, {&a, &a}}) {
                ImageRows rows(*reference);
                RowComparison comparison(rows);
                HashingWriter hashing(&comparison), alone;
                write_all(*other, hashing);
                write_all(*other, alone);
                CHECK(comparison.psnr() == psnr(*reference, *other));
                CHECK(comparison.max_error() == max_error(*reference, *other));
                CHECK(hashing.hash() == alone.hash());
                HashingWriter of_reference;
                write_all(*reference, of_reference);
                CHECK((of_reference.hash() == alone.hash()) == (reference == other));
            }
        }
    }
    // The same bytes of another shape are another picture.
    const Image wide(6, 2, 1), high(2, 6, 1), colour(2, 2, 3);
    HashingWriter of_wide, of_high, of_colour;
    write_all(wide, of_wide);
    write_all(high, of_high);
    write_all(colour, of_colour);
    CHECK(of_wide.hash() != of_high.hash());
    CHECK(of_wide.hash() != of_colour.hash());
    ImageRows rows(wide);
    RowComparison comparison(rows);
    CHECK_THROWS_WITH_AS(comparison.begin(shape_of(high)), doctest::Contains("6x2"), Error);
}
