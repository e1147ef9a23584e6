// The .dcn format: round trips, and that nothing damaged, truncated, spliced or oversized is accepted.
#include "codec/container/container.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <random>
#include <string>

#include "codec/error.h"

using namespace decant;

namespace {

constexpr std::size_t kHead = 6;            // of version 4: signature, version and length, of one byte, before it
constexpr std::size_t kFirstPayload = 18;   // of versions 1 to 3: signature, version, type and length before HEAD's

std::vector<std::vector<uint8_t>> make_tiles(std::size_t tile_count, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::vector<uint8_t>> tiles(tile_count);
    for (std::size_t i = 0; i < tile_count; ++i) {
        tiles[i].resize(7 * i % 23);  // the first one is empty
        for (uint8_t& byte : tiles[i]) byte = static_cast<uint8_t>(random());
    }
    return tiles;
}

// 100 × 40 pixels are 7 × 3 latents, in tiles of 4: 2 × 1.
Header small_header() {
    Header header;
    header.model = 0x0123456789abcdef;
    header.width = 100;
    header.height = 40;
    header.quality = 896;
    header.tile = 4;
    return header;
}

std::vector<uint8_t> small_file(uint32_t seed = 1) {
    const std::vector<std::vector<uint8_t>> tiles = make_tiles(2, seed);
    return write_container({small_header(), {{kSectionMetadata, {1, 2, 3}}, {{'t', 'e', 's', 't'}, {}}}, {tiles.begin(), tiles.end()}});
}

uint32_t crc_of(std::span<const uint8_t> bytes, uint32_t before = 0) {
    return static_cast<uint32_t>(crc32(before, bytes.empty() ? reinterpret_cast<const Bytef*>("") : bytes.data(), static_cast<uInt>(bytes.size())));
}

void append32(std::vector<uint8_t>& bytes, uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

// The same as decant before 0.9 wrote it.
std::vector<uint8_t> first_file(uint16_t version, uint16_t flags = 1) {
    std::vector<uint8_t> bytes{0x8D, 'D', 'C', 'N', '\r', '\n', 0x1A, '\n', static_cast<uint8_t>(version), 0};
    const auto append_section = [&](const std::string& type, const std::vector<uint8_t>& payload, uint32_t before) {
        const std::size_t begin = bytes.size();
        bytes.insert(bytes.end(), type.begin(), type.end());
        append32(bytes, static_cast<uint32_t>(payload.size()));
        bytes.insert(bytes.end(), payload.begin(), payload.end());
        append32(bytes, crc_of(std::span(bytes).subspan(begin), before));
    };
    append_section("HEAD", {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,              // model
                            100, 0, 0, 0, 40, 0, 0, 0,                                   // width, height
                            3, 8, 0x80, 3, 4, 0, static_cast<uint8_t>(flags), static_cast<uint8_t>(flags >> 8),  // channels, depth, quality, tile, flags
                            27, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0},                        // ancillary, tile lengths
                   version == 1 ? 0 : crc_of(std::span(bytes).subspan(8, 2)));
    const std::vector<uint8_t> head_crc(bytes.end() - 4, bytes.end());
    append_section("meta", {1, 2, 3}, 0);
    append_section("test", {}, 0);
    uint32_t number = 0;
    for (const std::vector<uint8_t>& tile : make_tiles(2, 1)) {
        std::vector<uint8_t> before = head_crc;
        append32(before, number++);
        bytes.insert(bytes.end(), tile.begin(), tile.end());
        append32(bytes, crc_of(tile, crc_of(before)));
    }
    return bytes;
}

ErrorCode code_of(std::span<const uint8_t> bytes, const ParseOptions& options = {}) {
    // A copy of the exact size, so that a sanitizer sees a read past the end.
    const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
    try {
        parse_container(exact, options);
    } catch (const Error& error) {
        return error.code();
    }
    return ErrorCode::internal;  // accepted
}

bool refused(std::span<const uint8_t> bytes) {
    const ErrorCode code = code_of(bytes);
    return code == ErrorCode::corrupt || code == ErrorCode::unsupported;
}

void store32(std::vector<uint8_t>& bytes, std::size_t offset, uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t load32(const std::vector<uint8_t>& bytes, std::size_t offset) {
    uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value |= uint32_t{bytes[offset + i]} << (8 * i);
    return value;
}

// Makes a changed section of a first file at `offset` look intact.
void repair_section(std::vector<uint8_t>& bytes, std::size_t offset) {
    const std::size_t length = 8 + load32(bytes, offset + 4);
    const bool has_version = offset == 10 && bytes[8] != 1;
    store32(bytes, offset + length, crc_of(std::span(bytes).subspan(offset, length), has_version ? crc_of(std::span(bytes).subspan(8, 2)) : 0));
}

// With that head, and its length and checksum right; those of the tiles stay as they were.
std::vector<uint8_t> with_head(const std::vector<uint8_t>& file, const std::vector<uint8_t>& head) {
    REQUIRE(head.size() < 128);
    std::vector<uint8_t> bytes(file.begin(), file.begin() + 5);
    bytes.push_back(static_cast<uint8_t>(head.size()));
    bytes.insert(bytes.end(), head.begin(), head.end());
    append32(bytes, crc_of(std::span(bytes).subspan(4)));
    bytes.insert(bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(kHead + file[5] + 4u), file.end());
    return bytes;
}
std::vector<uint8_t> head_of(const std::vector<uint8_t>& file) { return {file.begin() + kHead, file.begin() + static_cast<std::ptrdiff_t>(kHead + file[5])}; }

}  // namespace

TEST_CASE("a container comes back") {
    const std::vector<std::vector<uint8_t>> tiles = make_tiles(2, 1);
    const std::vector<uint8_t> bytes = small_file();
    CHECK(is_container(bytes));
    const Container container = parse_container(bytes);
    CHECK(container.header == small_header());
    CHECK(container.sections == std::vector<Section>{{kSectionMetadata, {1, 2, 3}}, {{'t', 'e', 's', 't'}, {}}});
    REQUIRE(container.tiles.size() == 2);
    for (std::size_t i = 0; i < 2; ++i)
        CHECK(std::equal(container.tiles[i].begin(), container.tiles[i].end(), tiles[i].begin(), tiles[i].end()));
    CHECK(write_container(container) == bytes);
}

TEST_CASE("the header lies in the file as specified") {
    const std::vector<uint8_t> expected{0x8D, 'D',  'C',  'N',  4,    29,                      // signature, version, length
                                        0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,        // model
                                        0,    100,  40,   0x80, 7,    4,    0,    0,           // kind, width, height, quality, tile, filter
                                        0,    7,                                               // tile lengths
                                        7,    3,    1,    2,    3,                             // metadata
                                        0,    't',  'e',  's',  't',  0};                      // another section
    const std::vector<uint8_t> bytes = small_file();
    REQUIRE(bytes.size() == expected.size() + 4 + 4 + 7 + 4);
    CHECK(std::equal(expected.begin(), expected.end(), bytes.begin()));
    CHECK(load32(bytes, expected.size()) == crc_of(std::span(bytes).subspan(4, expected.size() - 4)));
}

TEST_CASE("all values of a header come back") {
    const std::vector<uint8_t> a(200);
    for (const Quantiser quantiser : {Quantiser::scalar, Quantiser::first_trellis, Quantiser::trellis, Quantiser::large_trellis}) {
        for (const uint8_t channels : {1, 3}) {
            for (const uint8_t depth : {8, 16}) {
                for (const uint32_t side : {1u, 127u, 128u, 16383u, 16384u, 1048560u}) {
                    Header header;
                    header.model = ~uint64_t{0};
                    header.width = header.height = side;
                    header.channels = channels;
                    header.depth = depth;
                    header.quality = uint16_t(side % 65536);
                    header.tile = 65535;
                    header.quantiser = quantiser;
                    header.filter = kLargestFilter;
                    const Container container{header, {}, {a}};
                    const Container back = parse_container(write_container(container), {UINT64_MAX});
                    CHECK(back.header == header);
                    CHECK(back.tiles[0].size() == a.size());
                }
            }
        }
    }
}

TEST_CASE("a small file has little overhead") {
    Header header = small_header();
    header.width = header.height = 1024;
    header.tile = 64;
    const std::vector<uint8_t> tile(20000);
    const Container plain{header, {}, {tile}};
    CHECK(write_container(plain).size() == 35 + tile.size());
    Container turned = plain;
    turned.sections.push_back({kSectionTurn, {7}});
    CHECK(write_container(turned).size() == write_container(plain).size() + kSectionOverhead + 1);
    CHECK(section_size(turned, kSectionTurn) == kSectionOverhead + 1);
    for (const std::size_t size : {0, 127, 128, 16384}) {
        Container larger = plain;
        larger.sections = {{{'m', 'o', 'r', 'e'}, std::vector<uint8_t>(size)}};
        CHECK(section_size(larger, larger.sections[0].type) == write_container(larger).size() - write_container(plain).size() - (size > 90 ? 1 : 0) - (size > 16000 ? 1 : 0));
    }
}

TEST_CASE("each changed byte is detected") {
    for (const std::vector<uint8_t>& bytes : {small_file(), first_file(1), first_file(2), first_file(3)}) {
        for (std::size_t i = 0; i < bytes.size(); ++i)
            for (int change = 1; change < 256; ++change) {
                std::vector<uint8_t> damaged = bytes;
                damaged[i] ^= static_cast<uint8_t>(change);
                CAPTURE(bytes[4]);
                CAPTURE(i);
                REQUIRE(refused(damaged));
            }
    }
}

TEST_CASE("files of the first versions are read, and written as of the last one") {
    for (const uint16_t version : {1, 2, 3}) {
        const std::vector<uint8_t> bytes = first_file(version);
        const Container container = parse_container(bytes);
        Header expected = small_header();
        expected.version = version;
        expected.quantiser = version == 1 ? Quantiser::first_trellis : version == 2 ? Quantiser::trellis : Quantiser::large_trellis;
        CHECK(container.header == expected);
        CHECK(section_size(container, kSectionMetadata) == 15);
        const std::vector<uint8_t> written = write_container(container);
        const Container again = parse_container(written);
        CHECK(section_size(again, kSectionMetadata) == 5);
        expected.version = kContainerVersion;
        CHECK(again.header == expected);
        CHECK(again.sections == container.sections);
        REQUIRE(again.tiles.size() == 2);
        CHECK(std::ranges::equal(again.tiles[1], container.tiles[1]));
        CHECK(parse_container(first_file(version, 0xfffe)).header.quantiser == Quantiser::scalar);
        CHECK(parse_container(first_file(version, 0xfffe)).header.filter == kLargestFilter);
    }
    for (const uint16_t version : {0, 4, 7}) CHECK_THROWS_WITH_AS(parse_container(first_file(version)), doctest::Contains("version"), Error);
}

TEST_CASE("truncation and appended bytes are detected") {
    for (std::vector<uint8_t> bytes : {small_file(), first_file(1), first_file(3)}) {
        for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(refused(std::span(bytes).first(size)));
        bytes.push_back(0);
        CHECK(code_of(bytes) == ErrorCode::corrupt);
        CHECK_THROWS_WITH_AS(parse_container(std::span(bytes).first(bytes.size() - 2)), doctest::Contains("truncated"), Error);
    }
}

TEST_CASE("a tile of another file or of another place is detected") {
    const std::vector<uint8_t> one = small_file(1), other = small_file(2);
    REQUIRE(one.size() == other.size());
    for (std::size_t cut = 1; cut < one.size(); ++cut) {
        std::vector<uint8_t> spliced(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(cut));
        spliced.insert(spliced.end(), other.begin() + static_cast<std::ptrdiff_t>(cut), other.end());
        CHECK((spliced == one || spliced == other || refused(spliced)));
    }
    // The same header but for the model, with the tiles of the first.
    const Container container = parse_container(one);
    Container changed = container;
    changed.header.model += 1;
    std::vector<uint8_t> spliced = write_container(changed);
    const std::size_t head_end = kHead + one[5] + 4u;
    std::copy(one.begin() + head_end, one.end(), spliced.begin() + head_end);
    CHECK(code_of(spliced) == ErrorCode::corrupt);

    // Two tiles of the same size, exchanged with their checksums.
    const std::vector<uint8_t> a{1, 2, 3}, b{4, 5, 6};
    std::vector<uint8_t> exchanged = write_container({small_header(), {}, {a, b}});
    std::swap_ranges(exchanged.end() - 14, exchanged.end() - 7, exchanged.end() - 7);
    CHECK(code_of(exchanged) == ErrorCode::corrupt);
}

TEST_CASE("random bytes are refused") {
    std::mt19937 random(3);
    const std::vector<uint8_t> good = small_file();
    for (int repeat = 0; repeat < 5000; ++repeat) {
        std::vector<uint8_t> bytes(random() % 100);
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
        const auto kept = static_cast<std::ptrdiff_t>(random() % good.size());  // of a good beginning
        bytes.insert(bytes.begin(), good.begin(), good.begin() + kept);
        CHECK(refused(bytes));
    }
}

TEST_CASE("random bytes in a head whose checksum is right are refused") {
    std::mt19937 random(4);
    const std::vector<uint8_t> good = small_file(), head = head_of(good);
    for (int repeat = 0; repeat < 20000; ++repeat) {
        std::vector<uint8_t> changed = head;
        for (uint32_t i = 0; i <= random() % 3; ++i) changed[random() % changed.size()] = static_cast<uint8_t>(random());
        if (random() % 2 == 0) changed.resize(random() % (changed.size() + 1));
        if (changed == head) continue;
        const ErrorCode code = code_of(with_head(good, changed));  // the tiles know their head
        CHECK((code == ErrorCode::corrupt || code == ErrorCode::unsupported || code == ErrorCode::limit));
    }
}

TEST_CASE("sizes that the file cannot hold are refused before anything is allocated") {
    const std::vector<uint8_t> bytes = small_file(), head = head_of(bytes);
    // The bytes from `offset` on, `count` of them, replaced.
    const auto code_with = [&](std::size_t offset, std::size_t count, const std::vector<uint8_t>& value, const ParseOptions& options = {}) {
        std::vector<uint8_t> changed(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(offset));
        changed.insert(changed.end(), value.begin(), value.end());
        changed.insert(changed.end(), head.begin() + static_cast<std::ptrdiff_t>(offset + count), head.end());
        return code_of(with_head(bytes, changed), options);
    };
    const std::vector<uint8_t> largest{0xff, 0xff, 0xff, 0xff, 0x0f};
    CHECK(code_with(8, 1, {16}) == ErrorCode::unsupported);  // kind
    CHECK(code_with(8, 1, {1}) == ErrorCode::corrupt);       // a quantiser: all values are possible, but the tiles know their head
    CHECK(code_with(9, 1, {101}) == ErrorCode::corrupt);     // as many tiles
    CHECK(code_with(9, 1, largest) == ErrorCode::limit);
    CHECK(code_with(9, 1, largest, {UINT64_MAX}) == ErrorCode::corrupt);
    CHECK(code_with(9, 1, {0}) == ErrorCode::unsupported);
    CHECK(code_with(9, 1, {0xff, 0xff, 0xff, 0xff, 0x1f}) == ErrorCode::corrupt);        // 33 bits
    CHECK(code_with(9, 1, {0xff, 0xff, 0xff, 0xff, 0x8f, 0x00}) == ErrorCode::corrupt);  // too long
    CHECK(code_with(9, 1, {0xe4, 0x00}) == ErrorCode::corrupt);                          // 100 in more bytes than it needs
    CHECK(code_with(10, 1, {0}) == ErrorCode::unsupported);
    CHECK(code_with(10, 1, {0xe6, 0xcc, 0x99, 0x03}) == ErrorCode::limit);  // 6710886: 100 × this is one row too many
    CHECK(code_with(10, 1, {41}) == ErrorCode::corrupt);
    CHECK(code_with(10, 1, {65}) == ErrorCode::unsupported);             // 5 rows of latents: 4 tiles, and something else where sections begin
    CHECK(code_with(11, 2, {0x80, 0x80, 0x04}) == ErrorCode::corrupt);   // quality 65536
    CHECK(code_with(13, 1, {0}) == ErrorCode::unsupported);              // tiles of nothing
    CHECK(code_with(13, 1, {0x80, 0x80, 0x04}) == ErrorCode::corrupt);   // 65536
    CHECK(code_with(14, 2, {0, 0x80}) == ErrorCode::unsupported);        // a filter beyond 15 bits
    CHECK(code_with(14, 2, {1, 0}) == ErrorCode::corrupt);
    CHECK(code_with(17, 1, largest) == ErrorCode::corrupt);              // length of a tile
    CHECK(code_with(17, 1, {6}) == ErrorCode::corrupt);
    CHECK(code_with(19, 1, largest) == ErrorCode::corrupt);              // of a section
    CHECK(code_with(18, 1, {9}) == ErrorCode::unsupported);              // its number
    CHECK(code_with(18, 1, {8}) == ErrorCode::corrupt);
    CHECK(code_of(with_head(bytes, {})) == ErrorCode::corrupt);
    std::vector<uint8_t> changed = bytes;
    changed[5] = 127;  // length of the head
    CHECK(code_of(changed) == ErrorCode::corrupt);
    changed.erase(changed.begin() + 5);
    changed.insert(changed.begin() + 5, largest.begin(), largest.end());
    CHECK(code_of(changed) == ErrorCode::corrupt);

    ParseOptions exact;
    exact.max_pixels = 4000;
    CHECK_NOTHROW(parse_container(bytes, exact));
    exact.max_pixels = 3999;
    CHECK(code_of(bytes, exact) == ErrorCode::limit);
}

TEST_CASE("sizes that a file of a first version cannot hold are refused before anything is allocated") {
    const std::vector<uint8_t> bytes = first_file(3);
    const auto code_with = [&](std::size_t offset, uint32_t value, const ParseOptions& options = {}) {
        std::vector<uint8_t> changed = bytes;
        store32(changed, kFirstPayload + offset, value);
        repair_section(changed, 10);
        return code_of(changed, options);
    };
    CHECK(code_with(8, 101) == ErrorCode::corrupt);  // as many tiles, but they know their header by its checksum
    CHECK(code_with(8, 0xffffffff) == ErrorCode::limit);
    CHECK(code_with(8, 0xffffffff, {UINT64_MAX}) == ErrorCode::corrupt);
    CHECK(code_with(8, 0) == ErrorCode::unsupported);
    CHECK(code_with(12, 0) == ErrorCode::unsupported);
    CHECK(code_with(12, 6710886) == ErrorCode::limit);  // 100 × this is one row too many
    CHECK(code_with(12, 41) == ErrorCode::corrupt);
    CHECK(code_with(12, 65) == ErrorCode::corrupt);              // 5 rows of latents: 4 tiles
    CHECK(code_with(16, 0x03800802) == ErrorCode::unsupported);  // channels 2
    CHECK(code_with(16, 0x03800903) == ErrorCode::unsupported);  // depth 9
    CHECK(code_with(16, 0x03801103) == ErrorCode::unsupported);  // depth 17
    CHECK(code_with(20, 0) == ErrorCode::unsupported);           // tiles of nothing
    CHECK(code_with(20, 0x00020004) == ErrorCode::corrupt);      // a filter: all values are possible, but the tiles know their header
    CHECK(code_with(24, 0xffffffff) == ErrorCode::corrupt);      // ancillary
    CHECK(code_with(24, 26) == ErrorCode::corrupt);
    CHECK(code_with(28, 0xffffffff) == ErrorCode::corrupt);  // length of a tile
    std::vector<uint8_t> changed = bytes;
    store32(changed, 14, 0xffffffff);  // length of the header
    CHECK(code_of(changed) == ErrorCode::corrupt);
}

TEST_CASE("versions and signatures are named") {
    std::vector<uint8_t> bytes = small_file();
    bytes[4] = 7;
    CHECK_THROWS_WITH_AS(parse_container(bytes), ".dcn version 7; this decoder supports versions 1 to 4", Error);
    bytes = first_file(3);
    bytes.erase(bytes.begin() + 4);  // CR LF became LF
    CHECK_THROWS_WITH_AS(parse_container(bytes), doctest::Contains("transferred as text"), Error);
    CHECK(code_of(bytes) == ErrorCode::corrupt);
    bytes[0] = 0x89;
    CHECK(code_of(bytes) == ErrorCode::unsupported);
    CHECK_FALSE(is_container(bytes));
    CHECK_FALSE(is_container({}));
}

TEST_CASE("unknown sections are skipped or refused by their first letter") {
    const std::vector<uint8_t> a{1}, b{2};
    const Container container{small_header(), {{{'z', 'z', 'z', '9'}, {5}}}, {a, b}};
    const std::vector<uint8_t> bytes = write_container(container);
    CHECK(parse_container(bytes).sections == container.sections);
    const auto with_type = [&](const std::string& type) {
        std::vector<uint8_t> head = head_of(bytes);
        std::copy(type.begin(), type.end(), head.end() - 6);
        return with_head(bytes, head);
    };
    CHECK_THROWS_WITH_AS(parse_container(with_type("Zzz9")), doctest::Contains("\"Zzz9\""), Error);
    CHECK(code_of(with_type("Zzz9")) == ErrorCode::unsupported);
    CHECK(code_of(with_type("\nzz9")) == ErrorCode::corrupt);
    CHECK_THROWS_WITH_AS(parse_container(with_type("meta")), doctest::Contains("has a number"), Error);

    std::vector<uint8_t> first = first_file(2);
    const std::size_t section = kFirstPayload + 36 + 4;
    first[section] = 'Z';
    repair_section(first, section);
    CHECK_THROWS_WITH_AS(parse_container(first), doctest::Contains("\"Zeta\""), Error);
    CHECK(code_of(first) == ErrorCode::unsupported);
    first[section] = '\n';
    repair_section(first, section);
    CHECK(code_of(first) == ErrorCode::corrupt);
}

TEST_CASE("all sections come back by their number") {
    const std::vector<uint8_t> a{1}, b{2};
    Container container{small_header(), {}, {a, b}};
    for (const auto& type : {kSectionAlpha, kSectionAlphaLow, kSectionResidual, kSectionFilter, kSectionFilterCross, kSectionTurn, kSectionMetadata, kSectionPreview})
        container.sections.push_back({type, {uint8_t(container.sections.size()), 1}});
    const std::vector<uint8_t> bytes = write_container(container);
    CHECK(parse_container(bytes).sections == container.sections);
    const std::size_t sections = kHead + 8 + 8 + 2;
    for (std::size_t i = 0; i < 8; ++i) CHECK(bytes[sections + 4 * i] == i + 1);
}

TEST_CASE("what cannot be written is refused") {
    const std::vector<uint8_t> a{1}, b{2};
    const auto refuses = [](const Container& container) {
        try {
            write_container(container);
        } catch (const Error& error) {
            return error.code() == ErrorCode::invalid_argument;
        }
        return false;
    };
    CHECK(refuses({small_header(), {}, {a}}));
    CHECK(refuses({small_header(), {}, {a, b, a}}));
    CHECK(refuses({small_header(), {{{'I', 'C', 'C', ' '}, {}}}, {a, b}}));
    CHECK(refuses({small_header(), {{{'i', 'c', 'c', '\0'}, {}}}, {a, b}}));
    for (auto change : {+[](Header& header) { header.width = 0; }, +[](Header& header) { header.height = 0; },
                        +[](Header& header) { header.channels = 2; }, +[](Header& header) { header.depth = 12; },
                        +[](Header& header) { header.tile = 0; }, +[](Header& header) { header.filter = kLargestFilter + 1; }}) {
        Header header = small_header();
        change(header);
        CHECK(refuses({header, {}, {a, b}}));
    }
}

TEST_CASE("tile counts at the edges") {
    Header header = small_header();
    const auto count = [&](uint32_t width, uint32_t height, uint16_t tile) {
        header.width = width;
        header.height = height;
        header.tile = tile;
        return tile_grid(header).count();
    };
    CHECK(count(1, 1, 1) == 1);
    CHECK(count(16, 16, 1) == 1);
    CHECK(count(17, 16, 1) == 2);
    CHECK(count(512, 512, 32) == 1);
    CHECK(count(513, 512, 32) == 2);
    CHECK(count(UINT32_MAX, UINT32_MAX, 1) == uint64_t{1} << 56);
    CHECK(count(UINT32_MAX, 1, UINT16_MAX) == 4097);
    CHECK_THROWS_AS(count(1, 1, 0), Error);
}

TEST_CASE("a container describes itself") {
    const std::vector<uint8_t> bytes = small_file();
    const auto lines = describe_container(parse_container(bytes));
    const auto value = [&](const std::string& name) {
        const auto line = std::find_if(lines.begin(), lines.end(), [&](const auto& entry) { return entry.first == name; });
        return line == lines.end() ? "missing" : line->second;
    };
    CHECK(value("model") == "0123456789abcdef");
    CHECK(value("width") == "100");
    CHECK(value("quality") == "3.5");
    CHECK(value("trellis") == "none");
    CHECK(value("tiles") == "2 x 1");
    CHECK(value("tile bytes") == "7");
    CHECK(value("section \"meta\"") == "3 bytes");
}
