// Pictures that pass row by row, regions and previews: the same bytes and pixels as those of whole pictures.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "codec/decant.h"
#include "codec/error.h"
#include "codec/image/metrics.h"
#include "codec/image/reduction.h"
#include "tests/image_samples.h"
#include "tests/row_pictures.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

std::shared_ptr<const Model> tiny() {
    static const auto model = tiny_model();
    return model;
}

}  // namespace

TEST_CASE("a picture that passes row by row becomes the same file and the same pixels") {
    for (const int threads : {1, 3}) {
        Codec codec(tiny(), threads);
        for (const auto& [width, height, channels, depth] :
             {std::array{1u, 1u, 3u, 8u}, {17u, 2u, 1u, 16u}, {100u, 1100u, 3u, 8u}, {1100u, 70u, 3u, 16u}, {1050u, 3333u, 1u, 8u}, {40u, 5000u, 3u, 8u}}) {
            const Image image = noise_image(width, height, int(channels), 7, int(depth));
            EncodeOptions options;
            options.preview_from = 1u << 20;
            const auto bytes = codec.encode(image, options).bytes;
            ImageRows rows(image);
            CHECK(codec.encode(rows, options).bytes == bytes);
            CHECK(rows.rows_read == height);
            const Image decoded = codec.decode(bytes);
            RowImage written;
            codec.decode(bytes, written);
            CHECK(written.rows == height);
            CHECK(written.image == decoded);
        }
    }
}

TEST_CASE("without loss, too: the picture is read twice") {
    for (const int threads : {1, 3}) {
        Codec codec(tiny(), threads);
        for (const auto& [width, height, channels, depth, bound] : {std::array{1u, 1u, 3u, 8u, 0u}, {17u, 65u, 1u, 16u, 3u}, {1100u, 1150u, 3u, 8u, 0u}, {90u, 2111u, 3u, 16u, 0u}}) {
            const Image image = noise_image(width, height, int(channels), 7, int(depth));
            EncodeOptions options;
            options.max_error = uint16_t(bound);
            options.preview_from = 1u << 20;
            const auto bytes = codec.encode(image, options).bytes;
            ImageRows rows(image);
            CHECK(codec.encode(rows, options, [&] { return std::make_unique<ImageRows>(image); }).bytes == bytes);
            const Image decoded = codec.decode(bytes);
            CHECK(max_error(image, decoded) <= bound);
            RowImage written;
            codec.decode(bytes, written);
            CHECK(written.image == decoded);
            // Regions begin and end within bands.
            for (const Region& region : {Region{0, 0, 1, 1}, {width / 2, height / 3, width - width / 2, height - height / 3}, {0, height / 2, width, 1}}) {
                DecodeOptions decode_options;
                decode_options.region = region;
                RowImage part;
                codec.decode(bytes, part, decode_options);
                CHECK(part.image == cropped(decoded, region));
            }
        }
    }
}

TEST_CASE("refined latents see the same rows") {
    Codec codec(tiny(), 2);
    const Image image = mixed_image(80, 2300, 3);
    EncodeOptions options;
    options.effort = 4;
    ImageRows rows(image);
    CHECK(codec.encode(rows, options).bytes == codec.encode(image, options).bytes);
}

TEST_CASE("errors of rows come through, and what needs the whole picture is refused") {
    Codec codec(tiny(), 2);
    const Image image = noise_image(64, 2500, 3);
    for (const size_t row : {0, 100, 2499}) {
        ImageRows rows(image);
        rows.fails_at = row;
        CHECK(failure_of([&] { codec.encode(rows); }).message == "no more rows");
        RowImage written;
        written.fails_at = row;
        CHECK(failure_of([&] { codec.decode(codec.encode(image).bytes, written); }).message == "no space");
    }
    ImageRows rows(image);
    EncodeOptions options;
    options.target = {EncodeTarget::Kind::bytes, 1000};
    CHECK(failure_of([&] { codec.encode(rows, options); }).code == ErrorCode::invalid_argument);
    options.target = {};
    options.max_error = 0;
    CHECK(failure_of([&] { codec.encode(rows, options); }).code == ErrorCode::invalid_argument);
    // The second time it is another picture, or ends early.
    const Image other = noise_image(64, 2499, 3);
    ImageRows once(image), once_more(image);
    CHECK(failure_of([&] { codec.encode(once, options, [&] { return std::make_unique<ImageRows>(other); }); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] {
              codec.encode(once_more, options, [&] {
                  auto again = std::make_unique<ImageRows>(image);
                  again->fails_at = 1000;
                  return again;
              });
          }).message == "no more rows");
    options.max_error = {};
    options.alpha = noise_image(64, 2500, 1);
    CHECK(failure_of([&] { codec.encode(rows, options); }).code == ErrorCode::invalid_argument);
    CHECK(rows.rows_read == 0);
}

TEST_CASE("a region has the pixels of the whole picture") {
    Codec codec(tiny(), 2);
    const Image image = noise_image(2200, 1300, 3);
    const auto bytes = codec.encode(image).bytes;
    const Image whole = codec.decode(bytes);
    for (const Region& region : {Region{0, 0, 1, 1}, {2199, 1299, 1, 1}, {1000, 1000, 60, 50}, {3, 5, 2190, 1290}, {0, 0, 2200, 1300}, {1024, 0, 16, 1300}, {17, 1023, 2000, 2}}) {
        DecodeOptions options;
        options.region = region;
        CHECK(codec.decode(bytes, options) == cropped(whole, region));
        RowImage written;
        codec.decode(bytes, written, options);
        CHECK(written.image == cropped(whole, region));
    }
    for (const Region& region : {Region{0, 0, 0, 1}, {0, 0, 1, 0}, {2200, 0, 1, 1}, {0, 1299, 1, 2}, {UINT32_MAX, 0, UINT32_MAX, 1}}) {
        DecodeOptions options;
        options.region = region;
        CHECK(failure_of([&] { codec.decode(bytes, options); }).code == ErrorCode::invalid_argument);
    }
}

TEST_CASE("of a region no other tiles are read") {
    Codec codec(tiny(), 2);
    const Image image = noise_image(4000, 4000, 1);  // 4 × 4 tiles
    const auto bytes = codec.encode(image).bytes;
    const Container container = parse_container(bytes);
    size_t tiles = 0;
    for (const auto& tile : container.tiles) tiles += tile.size();
    DecodeOptions options;
    options.region = Region{1200, 1200, 300, 300};  // in the middle of a tile
    std::vector<uint8_t> sparse(bytes.size());
    size_t fetched = 0;
    options.fetch = [&](size_t offset, size_t length) {
        std::copy_n(bytes.begin() + int64_t(offset), length, sparse.begin() + int64_t(offset));
        fetched += length;
    };
    CHECK(codec.decode(sparse, options) == cropped(codec.decode(bytes), *options.region));
    CHECK(fetched <= container.tiles[5].size() + 4 + (bytes.size() - tiles) + 22);  // the first 22 bytes twice

    // Damage elsewhere is not seen, there it is.
    auto damaged = bytes;
    damaged.back() ^= 1;
    options.fetch = {};
    CHECK(codec.decode(damaged, options).width == 300);
    options.region = Region{3000, 3000, 900, 900};
    CHECK(failure_of([&] { codec.decode(damaged, options); }).code == ErrorCode::corrupt);
}

TEST_CASE("large pictures carry a preview, which is read alone") {
    Codec codec(tiny(), 2);
    const Image image = mixed_image(1000, 700, 3);
    EncodeOptions options;
    CHECK(parse_container(codec.encode(image, options).bytes).sections.empty());
    options.preview_from = 1000 * 700;
    const auto bytes = codec.encode(image, options).bytes;
    const Container container = parse_container(bytes);
    REQUIRE(container.sections.size() == 1);
    CHECK(container.sections[0].type == kSectionPreview);
    CHECK(codec.decode(bytes) == codec.decode(codec.encode(image).bytes));

    size_t fetched = 0;
    DecodeOptions decode_options;
    decode_options.fetch = [&](size_t offset, size_t length) { fetched = std::max(fetched, offset + length); };
    const Image preview = codec.decode_preview(bytes, 256, decode_options);
    CHECK(preview.width == 256);
    CHECK(preview.height == 179);
    CHECK(fetched < bytes.size() / 4);
    const Image small = codec.decode_preview(bytes, 100, decode_options);
    CHECK(small.width == 100);
    CHECK(small.height == 70);
    // More than it has: from the picture.
    CHECK(codec.decode_preview(bytes, 257) == reduced(codec.decode(bytes), 257));
    CHECK(codec.decode_preview(codec.encode(image).bytes, 50) == reduced(codec.decode(bytes), 50));
    CHECK(codec.decode_preview(bytes, 5000) == codec.decode(bytes));
    CHECK(failure_of([&] { codec.decode_preview(bytes, 0); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("16 bits a sample go in and come out") {
    Codec codec(tiny(), 2);
    for (const int channels : {1, 3}) {
        const Image image = noise_image(70, 50, channels, 3, 16);
        const auto bytes = codec.encode(image).bytes;
        CHECK(parse_container(bytes).header.depth == 16);
        CHECK(codec.decode(bytes).depth() == 16);
        CHECK(codec.decode(bytes) == Codec(tiny(), 1).decode(bytes));
    }
}

TEST_CASE("16 bits are more than 8") {
    const auto model = shipped_model();
    if (model == nullptr) return;
    Codec codec(model);
    // A soft gradient of 3 steps of 8 bits across.
    Image image(512, 512, 3, 16);
    for (uint32_t y = 0; y < image.height; y++)
        for (uint32_t x = 0; x < 3 * image.width; x++) image.row<uint16_t>(y)[x] = uint16_t(25000 + x / 3 + y);
    EncodeOptions options;
    options.quality = 100;
    const Image decoded = codec.decode(codec.encode(image, options).bytes);
    const auto& samples = decoded.samples<uint16_t>();
    CHECK(std::set<uint16_t>(samples.begin(), samples.end()).size() > 300);
    const auto error = [&](const Image& result) {
        double sum = 0;
        for (size_t i = 0; i < samples.size(); i++) {
            const double d = double(result.samples<uint16_t>()[i]) - double(image.samples<uint16_t>()[i]);
            sum += d * d;
        }
        return sum;
    };
    CHECK(error(decoded) < 0.8 * error(with_depth(with_depth(decoded, 8), 16)));
}
