// Alpha: the coder of its plane, colours that cannot be seen, picture files with transparency, the section of a .dcn file.
#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>

#include "codec/alpha/hidden_colours.h"
#include "codec/alpha/plane_coder.h"
#include "codec/container/alpha_section.h"
#include "codec/decant.h"
#include "codec/image/reader.h"
#include "codec/image/writer.h"
#include "codec/metadata/exif.h"
#include "tests/image_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

// A disc: 255 inside, 0 outside, with an edge of `softness` pixels.
Image disc(uint32_t width, uint32_t height, double softness) {
    Image plane(width, height, 1);
    for (uint32_t y = 0; y < height; ++y)
        for (uint32_t x = 0; x < width; ++x) {
            const double r = std::hypot(x - width / 2.0, y - height / 2.0), edge = std::min(width, height) / 3.0;
            plane.row(y)[x] = uint8_t(std::lround(255 * std::clamp((edge - r) / std::max(softness, 1e-9) + 0.5, 0.0, 1.0)));
        }
    return plane;
}

Image constant(uint32_t width, uint32_t height, uint8_t value) {
    return Image(width, height, 1, std::vector<uint8_t>(size_t(width) * height, value));
}

bool comes_back(const Image& plane) { return decode_plane(encode_plane(plane), plane.width, plane.height) == plane; }

size_t deflated_size(const Image& plane) {
    uLongf size = compressBound(plane.samples().size());
    std::vector<uint8_t> packed(size);
    REQUIRE(compress2(packed.data(), &size, plane.samples().data(), plane.samples().size(), 9) == Z_OK);
    return size;
}

// Colours that differ where they cannot be seen count as equal.
bool looks_the_same(const Image& a, const Image& b, const Image& alpha) {
    return in_front_of_white(a, alpha) == in_front_of_white(b, alpha) && describe_shape(a) == describe_shape(b);
}

// That sections take, of a file whose head has less than 128 bytes without them; with more, its length takes a byte more.
size_t added_bytes(const std::vector<uint8_t>& with, const std::vector<uint8_t>& without) { return with.size() - without.size() - (with[5] >= 128 ? 1 : 0); }

}  // namespace

TEST_CASE("a plane comes back exactly") {
    for (const auto& [width, height] : {std::pair{1u, 1u}, {1u, 200u}, {200u, 1u}, {16u, 16u}, {17u, 65u}, {33u, 128u}, {100u, 63u}}) {
        CAPTURE(width);
        CAPTURE(height);
        for (const uint8_t value : {0, 1, 7, 254, 255}) CHECK(comes_back(constant(width, height, value)));
        CHECK(comes_back(noise_image(width, height, 1)));
        CHECK(comes_back(smooth_image(width, height, 1)));
        for (const double softness : {0.0, 2.0, 30.0}) CHECK(comes_back(disc(width, height, softness)));
        Image dots = noise_image(width, height, 1);
        for (uint8_t& value : dots.samples()) value = value < 250 ? 0 : 255;
        CHECK(comes_back(dots));
    }
}

TEST_CASE("masks cost little") {
    CHECK(encode_plane(constant(4000, 3000, 255)).size() < 5000);
    const Image hard = disc(640, 480, 0), soft = disc(640, 480, 3);
    CHECK(encode_plane(hard).size() < deflated_size(hard) / 2);
    CHECK(encode_plane(soft).size() < deflated_size(soft) * 2 / 3);
    // What cannot be compressed does not grow by more than a few percent.
    const Image noise = noise_image(320, 240, 1);
    CHECK(encode_plane(noise).size() < noise.samples().size() * 106 / 100);
}

TEST_CASE("planes of another kind are refused") {
    CHECK(failure_of([] { encode_plane(smooth_image(8, 8, 3)); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([] { encode_plane(noise_image(8, 8, 1, 1, 16)); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("a damaged plane is corrupt or another plane, and nothing worse") {
    const Image plane = disc(90, 140, 4);
    const std::vector<uint8_t> good = encode_plane(plane);
    for (size_t size = 0; size < good.size(); ++size)
        CHECK(failure_of([&] { decode_plane({good.data(), size}, 90, 140); }).code == ErrorCode::corrupt);
    std::vector<uint8_t> longer = good;
    longer.push_back(0);
    CHECK(failure_of([&] { decode_plane(longer, 90, 140); }).code == ErrorCode::corrupt);
    size_t noticed = 0;
    for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
        std::vector<uint8_t> damaged = good;
        damaged[bit / 8] ^= uint8_t(1u << bit % 8);
        const Failure failure = failure_of([&] { decode_plane(damaged, 90, 140); });
        if (failure.failed) CHECK(failure.code == ErrorCode::corrupt);
        noticed += failure.failed ? 1 : 0;
    }
    CHECK(noticed > 8 * good.size() * 95 / 100);
    CHECK(failure_of([&] { decode_plane({}, 1u << 12, 1u << 12); }).code == ErrorCode::corrupt);
}

TEST_CASE("hidden colours continue those around them, and visible ones stay") {
    for (const int depth : {8, 16})
        for (const int channels : {1, 3}) {
            CAPTURE(depth);
            CAPTURE(channels);
            const Image alpha = with_depth(disc(61, 47, 3), depth);
            Image image = noise_image(61, 47, channels, 3, depth);
            const Image before = image;
            fill_hidden_colours(image, alpha);
            CHECK(looks_the_same(image, before, alpha));
            CHECK(image != before);

            // One visible colour: it is everywhere.
            Image even = noise_image(20, 30, channels, 4, depth);
            Image dot(20, 30, 1, depth);
            dot.visit([](auto& values) { values[20 * 11 + 7] = 1; });
            fill_hidden_colours(even, dot);
            even.visit([&](const auto& values) {
                const size_t step = size_t(channels), at = (20 * 11 + 7) * step;
                for (size_t i = 0; i < values.size(); ++i) CHECK(values[i] == values[at + i % step]);
            });

            Image unseen = noise_image(5, 4, channels, 5, depth);
            fill_hidden_colours(unseen, Image(5, 4, 1, depth));
            CHECK(unseen == Image(5, 4, channels, depth));
        }
    Image image = smooth_image(4, 4, 3);
    CHECK(failure_of([&] { fill_hidden_colours(image, Image(4, 5, 1)); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { fill_hidden_colours(image, Image(4, 4, 3)); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { fill_hidden_colours(image, Image(4, 4, 1, 16)); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("in front of white") {
    const Image image(2, 2, 1, std::vector<uint8_t>{100, 100, 100, 0});
    const Image alpha(2, 2, 1, std::vector<uint8_t>{255, 0, 128, 255});
    CHECK(in_front_of_white(image, alpha).samples() == std::vector<uint8_t>{100, 255, 177, 0});
}

TEST_CASE("PNG, WebP and TIFF keep alpha exactly") {
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::webp, ImageFormat::tiff})
        for (const int depth : {8, 16})
            for (const int channels : {1, 3})
                for (const double softness : {0.0, 5.0}) {
                    if (depth > format_depth(format)) continue;
                    CAPTURE(format_name(format));
                    CAPTURE(depth);
                    CAPTURE(channels);
                    Picture picture{noise_image(37, 29, channels, 1, depth), with_depth(disc(37, 29, softness), depth), {}, {}};
                    const EncodedPicture encoded = encode_picture(picture, format);
                    CHECK(encoded.remarks.empty());
                    const Picture back = read_picture(encoded.bytes, "x");
                    REQUIRE(back.alpha.has_value());
                    CHECK(*back.alpha == *picture.alpha);
                    CHECK(back.remarks.empty());
                    // Gray with alpha is RGB in WebP and TIFF.
                    const bool stays = channels == 3 || format == ImageFormat::png;
                    CHECK(back.image.channels == (stays ? channels : 3));
                    if (stays) CHECK(looks_the_same(back.image, picture.image, *picture.alpha));
                    CHECK(failure_of([&] { read_image(encoded.bytes, "x"); }).code == ErrorCode::unsupported);
                }
}

TEST_CASE("formats without alpha get the picture in front of white, with a word") {
    const Picture picture{smooth_image(24, 16, 3), disc(24, 16, 2), {}, {}};
    for (const ImageFormat format : {ImageFormat::jpeg, ImageFormat::pnm, ImageFormat::bmp}) {
        CAPTURE(format_name(format));
        const EncodedPicture encoded = encode_picture(picture, format);
        REQUIRE(encoded.remarks.size() == 1);
        CHECK(contains(encoded.remarks[0], "holds no transparency"));
        const Picture back = read_picture(encoded.bytes, "x");
        CHECK(!back.alpha);
        if (format != ImageFormat::jpeg) CHECK(back.image == in_front_of_white(picture.image, *picture.alpha));
    }
    CHECK(failure_of([] { encode_picture({smooth_image(4, 4, 3), Image(4, 5, 1), {}, {}}, ImageFormat::png); }).code ==
          ErrorCode::invalid_argument);
}

TEST_CASE("TIFF: colours that are stored multiplied with alpha are divided by it") {
    const Image alpha(2, 1, 1, std::vector<uint8_t>{128, 255});
    for (const int depth : {8, 16}) {
        // 100, 50 and 0 at half of the opacity.
        Picture picture{with_depth(Image(2, 1, 3, std::vector<uint8_t>{50, 25, 0, 9, 8, 7}), depth), with_depth(alpha, depth), {}, {}};
        std::vector<uint8_t> bytes = encode_picture(picture, ImageFormat::tiff).bytes;
        TiffTree kind;
        kind.fields[tiff_tag::extra_samples] = {3, 1, {1, 0}};
        set_fields(bytes, kind);
        const Picture back = read_picture(bytes, "x");
        REQUIRE(back.alpha.has_value());
        CHECK(with_depth(back.image, 8).samples() == std::vector<uint8_t>{100, 50, 0, 9, 8, 7});
        REQUIRE(back.remarks.size() == 1);
        CHECK(contains(back.remarks[0], "multiplied with alpha"));
    }
}

TEST_CASE("a .dcn file holds alpha as it was, in a section that old decoders refuse") {
    Codec codec(tiny_model(), 1);
    for (const int channels : {1, 3}) {
        const Image image = smooth_image(70, 50, channels);
        EncodeOptions options;
        const EncodeResult opaque = codec.encode(image, options);
        CHECK(!decode_alpha(opaque.bytes));
        options.alpha = disc(70, 50, 4);
        const EncodeResult result = codec.encode(image, options);
        CHECK(decode_alpha(result.bytes) == options.alpha);
        CHECK(codec.decode(result.bytes) == codec.decode(opaque.bytes));
        const Container container = parse_container(result.bytes);
        REQUIRE(container.sections.size() == 1);
        CHECK(container.sections[0].type == kSectionAlpha);
        CHECK(added_bytes(result.bytes, opaque.bytes) == packed_alpha_size(container));
        options.alpha = disc(70, 51, 4);
        CHECK(failure_of([&] { codec.encode(image, options); }).code == ErrorCode::invalid_argument);
    }
}

TEST_CASE("alpha of 16 bits comes back as it was, and costs no more than 8 where it is no more") {
    Codec codec(tiny_model(), 1);
    const Image image = noise_image(70, 50, 3, 1, 16);
    EncodeOptions options;
    options.alpha = with_depth(disc(70, 50, 4), 16);
    const EncodeResult raised = codec.encode(image, options);
    CHECK(decode_alpha(raised.bytes) == options.alpha);
    const Container container = parse_container(raised.bytes);
    REQUIRE(container.sections.size() == 2);
    CHECK(container.sections[1] == Section{kSectionAlphaLow, {}});
    CHECK(added_bytes(raised.bytes, codec.encode(image).bytes) == packed_alpha_size(container));

    options.alpha->samples<uint16_t>()[1234] ^= 5;
    const EncodeResult fine = codec.encode(image, options);
    CHECK(decode_alpha(fine.bytes) == options.alpha);
    options.alpha = noise_image(70, 50, 1, 2, 16);
    CHECK(decode_alpha(codec.encode(image, options).bytes) == options.alpha);
    options.alpha = disc(70, 50, 4);  // of another depth than the picture
    CHECK(failure_of([&] { codec.encode(image, options); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("the lower byte of alpha does not come alone, or with a picture of 8 bits") {
    Container container;
    container.header.width = 20;
    container.header.height = 10;
    container.header.depth = 16;
    container.sections = pack_alpha(noise_image(20, 10, 1, 1, 16));
    CHECK(unpack_alpha(container) == noise_image(20, 10, 1, 1, 16));
    Container shallow = container, alone = container, twice = container;
    shallow.header.depth = 8;
    alone.sections.erase(alone.sections.begin());
    twice.sections.push_back(twice.sections.back());
    for (const Container& wrong : {shallow, alone, twice}) CHECK(failure_of([&] { unpack_alpha(wrong); }).code == ErrorCode::corrupt);
}

TEST_CASE("alpha in a container: two sections, or one of another size, are corrupt") {
    Container container;
    container.header.width = 20;
    container.header.height = 10;
    CHECK(!unpack_alpha(container));
    CHECK(packed_alpha_size(container) == 0);
    container.sections = pack_alpha(disc(20, 10, 1));
    CHECK(unpack_alpha(container) == disc(20, 10, 1));
    container.header.height = 200;
    CHECK(failure_of([&] { unpack_alpha(container); }).code == ErrorCode::corrupt);
    container.header.height = 10;
    container.sections.push_back(container.sections.front());
    CHECK(failure_of([&] { unpack_alpha(container); }).code == ErrorCode::corrupt);
}
