// Metadata in the .dcn file: there and back, what is skipped, and what is refused before memory is taken for it.
#include "codec/container/metadata_section.h"

#include <doctest/doctest.h>
#include <zstd.h>

#include "codec/decant.h"
#include "codec/error.h"
#include "codec/metadata/fields.h"
#include "tests/metadata_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

using Bytes = std::vector<uint8_t>;

Container container_of(const Bytes& payload) {
    Container container;
    container.sections.push_back({kSectionMetadata, payload});
    return container;
}

// A frame as the encoder makes it, of any content.
Bytes frame_of(const Bytes& content) {
    Bytes frame(ZSTD_compressBound(content.size()));
    frame.resize(ZSTD_compress(frame.data(), frame.size(), content.data(), content.size(), 3));
    return frame;
}

void append_item(Bytes& content, const std::string& kind, const Bytes& data) {
    content.insert(content.end(), kind.begin(), kind.end());
    append_number(content, data.size(), 4, ByteOrder::little);
    content.insert(content.end(), data.begin(), data.end());
}

std::optional<ErrorCode> code_of(const Bytes& payload) {
    const Failure failure = failure_of([&] { unpack_metadata(container_of(Bytes(payload.begin(), payload.end()))); });
    return failure.failed ? std::optional(failure.code) : std::nullopt;
}

}  // namespace

TEST_CASE("metadata come back from a section") {
    const Metadata all = all_metadata();
    for (const Metadata& metadata : {all, Metadata{}, Metadata{all.icc, {}, {}, {}}, Metadata{{}, {}, {}, all.resolution}}) {
        const Section section = pack_metadata(metadata);
        CHECK(section.type == kSectionMetadata);
        CHECK(unpack_metadata(container_of(section.payload)) == metadata);
        CHECK(packed_metadata_size(container_of(section.payload)) == section.payload.size() + (section.payload.size() < 128 ? 2 : 3));
    }
    CHECK(unpack_metadata({}).empty());
    CHECK(packed_metadata_size({}) == 0);
    Metadata large{{}, {}, make_xmp(kMaxMetadataBlock), {}};
    CHECK(unpack_metadata(container_of(pack_metadata(large).payload)) == large);
    large.xmp.push_back(' ');
    CHECK(failure_of([&] { pack_metadata(large); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { pack_metadata({{}, {}, {}, Resolution{{1, 0}, {1, 1}, Resolution::Unit::inch}}); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("kinds that are not known are skipped, kinds that come twice refused") {
    Bytes content;
    append_item(content, "iptc", Bytes(300, 7));
    append_item(content, "xmp ", {1, 2});
    append_item(content, "zzzz", {});
    CHECK(unpack_metadata(container_of(frame_of(content))) == Metadata{{}, {}, {1, 2}, {}});
    append_item(content, "xmp ", {1, 2});
    CHECK(code_of(frame_of(content)) == ErrorCode::corrupt);
    Container twice = container_of(pack_metadata(all_metadata()).payload);
    twice.sections.push_back(twice.sections.front());
    CHECK(failure_of([&] { unpack_metadata(twice); }).code == ErrorCode::corrupt);
}

TEST_CASE("items that do not fit are corrupt") {
    for (const Bytes& content : {Bytes{'i'}, Bytes{'x', 'm', 'p', ' ', 1, 0, 0}, Bytes{'x', 'm', 'p', ' ', 1, 0, 0, 0},
                                 Bytes{'x', 'm', 'p', ' ', 0xFF, 0xFF, 0xFF, 0xFF, 1}})
        CHECK(code_of(frame_of(content)) == ErrorCode::corrupt);
    for (Bytes data : {Bytes(16, 1), Bytes(18, 1), Bytes(17, 0)}) {
        Bytes content;
        append_item(content, "res ", data);
        CHECK(code_of(frame_of(content)) == ErrorCode::corrupt);
    }
}

TEST_CASE("a frame that claims much is refused before memory is taken for it") {
    // Magic number, a header of 8 bytes of content size, and nothing.
    const auto claim = [](uint64_t size, size_t length) {
        Bytes frame = {0x28, 0xB5, 0x2F, 0xFD, 0xE0};
        append_number(frame, size, 8, ByteOrder::little);
        frame.resize(frame.size() + length);
        return frame;
    };
    CHECK(code_of(claim(uint64_t{1} << 30, 0)) == ErrorCode::limit);
    CHECK(code_of(claim(UINT64_MAX, 0)).has_value());
    CHECK(code_of(claim(uint64_t{1} << 26, 0)) == ErrorCode::corrupt);
    CHECK(code_of(claim(uint64_t{1} << 26, 3000)) == ErrorCode::corrupt);
    CHECK(code_of(frame_of(Bytes((size_t{1} << 26) + 1))) == ErrorCode::limit);
    // A frame does not have to say its size, and then it is not taken.
    CHECK(code_of({0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58, 0x01, 0x00, 0x00}) == ErrorCode::corrupt);
    CHECK(code_of({}) == ErrorCode::corrupt);
    CHECK(code_of({1, 2, 3}) == ErrorCode::corrupt);
}

TEST_CASE("damage that the section's checksum would let pass is seen by the frame's") {
    const Bytes good = pack_metadata(all_metadata()).payload;
    for (size_t size = 0; size < good.size(); ++size) CHECK(code_of(Bytes(good.begin(), good.begin() + std::ptrdiff_t(size))).has_value());
    // Some bits of the compressed blocks and of the frame's header change nothing; what comes out is never wrong.
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
        Bytes damaged = good;
        damaged[bit / 8] ^= uint8_t(1u << bit % 8);
        if (code_of(damaged))
            ++refused;
        else
            CHECK(unpack_metadata(container_of(damaged)) == all_metadata());
    }
    CHECK(refused > 8 * good.size() * 99 / 100);
}

TEST_CASE("a codec carries metadata, counts them in a target, and does not let them change the pixels") {
    Codec codec(tiny_model(), 1);
    const Image image = mixed_image(64, 48, 3);
    EncodeOptions options;
    const EncodeResult plain = codec.encode(image, options);
    options.metadata = all_metadata();
    const EncodeResult carrying = codec.encode(image, options);
    CHECK(decode_metadata(carrying.bytes) == all_metadata());
    CHECK(decode_metadata(plain.bytes).empty());
    CHECK(codec.decode(carrying.bytes) == codec.decode(plain.bytes));
    const size_t packed = packed_metadata_size(parse_container(carrying.bytes));
    CHECK(packed > 128);
    CHECK(carrying.bytes.size() == plain.bytes.size() + packed + 1);  // the head's length takes a byte more
}
