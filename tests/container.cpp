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

constexpr std::size_t kHeadPayload = 18;  // signature, version, type and length before it

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

std::vector<uint8_t> small_file(uint32_t seed = 1, uint16_t version = kContainerVersion) {
    const std::vector<std::vector<uint8_t>> tiles = make_tiles(2, seed);
    Header header = small_header();
    header.version = version;
    return write_container({header, {{kSectionMetadata, {1, 2, 3}}, {{'t', 'e', 's', 't'}, {}}}, {tiles.begin(), tiles.end()}});
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

// Makes a changed section at `offset` look intact.
void repair_section(std::vector<uint8_t>& bytes, std::size_t offset) {
    const std::size_t length = 8 + load32(bytes, offset + 4);
    const bool has_version = offset == 10 && bytes[8] != 1;
    store32(bytes, offset + length, static_cast<uint32_t>(crc32(has_version ? crc32(0, bytes.data() + 8, 2) : 0, bytes.data() + offset, static_cast<uInt>(length))));
}

}  // namespace

TEST_CASE("a container comes back") {
    const std::vector<std::vector<uint8_t>> tiles = make_tiles(2, 1);
    const std::vector<uint8_t> bytes = small_file();
    CHECK(is_container(bytes));
    const Container container = parse_container(bytes);
    Header expected = small_header();
    expected.ancillary = 12 + 3 + 12;
    CHECK(container.header == expected);
    CHECK(container.sections == std::vector<Section>{{kSectionMetadata, {1, 2, 3}}, {{'t', 'e', 's', 't'}, {}}});
    REQUIRE(container.tiles.size() == 2);
    for (std::size_t i = 0; i < 2; ++i)
        CHECK(std::equal(container.tiles[i].begin(), container.tiles[i].end(), tiles[i].begin(), tiles[i].end()));
    CHECK(write_container(container) == bytes);
}

TEST_CASE("the header lies in the file as specified") {
    const std::vector<uint8_t> expected{0x8D, 'D',  'C',  'N',  '\r', '\n', 0x1A, '\n', 3, 0,  // signature, version
                                        'H',  'E',  'A',  'D',  36,   0,    0,    0,           // type, length
                                        0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,        // model
                                        100,  0,    0,    0,    40,   0,    0,    0,           // width, height
                                        3,    8,    0x80, 3,    4,    0,    0,    0,  // channels, depth, quality, tile, flags
                                        27,   0,    0,    0,    0,    0,    0,    0,    7, 0, 0, 0};  // ancillary, tile lengths
    const std::vector<uint8_t> bytes = small_file();
    REQUIRE(bytes.size() > expected.size());
    CHECK(std::equal(expected.begin(), expected.end(), bytes.begin()));
}

TEST_CASE("a small file has little overhead") {
    Header header = small_header();
    header.tile = 16;
    const std::vector<uint8_t> tile(10);
    CHECK(write_container({header, {}, {tile}}).size() == 58 + tile.size());
}

TEST_CASE("each changed byte is detected") {
    for (const uint16_t version : {1, 2, 3}) {
        const std::vector<uint8_t> bytes = small_file(1, version);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            for (int change = 1; change < 256; ++change) {
                std::vector<uint8_t> damaged = bytes;
                damaged[i] ^= static_cast<uint8_t>(change);
                CAPTURE(version);
                CAPTURE(i);
                REQUIRE(refused(damaged));
            }
    }
}

TEST_CASE("files come back as of their version") {
    for (const uint16_t version : {1, 2, 3}) {
        const std::vector<uint8_t> bytes = small_file(1, version);
        CHECK(bytes[8] == version);
        const Container container = parse_container(bytes);
        CHECK(container.header.version == version);
        CHECK(write_container(container) == bytes);
    }
    const std::vector<uint8_t> first = small_file(1, 1);
    CHECK(load32(first, 10 + 8 + 36) == crc32(0, first.data() + 10, 8 + 36));
    for (const uint16_t version : {0, 4}) CHECK_THROWS_WITH_AS(small_file(1, version), doctest::Contains("version"), Error);
}

TEST_CASE("truncation and appended bytes are detected") {
    std::vector<uint8_t> bytes = small_file();
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(refused(std::span(bytes).first(size)));
    bytes.push_back(0);
    CHECK(code_of(bytes) == ErrorCode::corrupt);
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
    const std::size_t head_end = kHeadPayload + 36 + 4;
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
        const auto kept = static_cast<std::ptrdiff_t>(random() % 60);  // of a good beginning
        bytes.insert(bytes.begin(), good.begin(), good.begin() + kept);
        CHECK(refused(bytes));
    }
}

TEST_CASE("sizes that the file cannot hold are refused before anything is allocated") {
    const std::vector<uint8_t> bytes = small_file();
    const auto code_with = [&](std::size_t offset, uint32_t value, const ParseOptions& options = {}) {
        std::vector<uint8_t> changed = bytes;
        store32(changed, kHeadPayload + offset, value);
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

    ParseOptions exact;
    exact.max_pixels = 4000;
    CHECK_NOTHROW(parse_container(bytes, exact));
    exact.max_pixels = 3999;
    CHECK(code_of(bytes, exact) == ErrorCode::limit);
}

TEST_CASE("versions and signatures are named") {
    std::vector<uint8_t> bytes = small_file();
    bytes[8] = 7;
    CHECK_THROWS_WITH_AS(parse_container(bytes), ".dcn version 7; this decoder supports versions 1 to 3", Error);
    bytes = small_file();
    bytes.erase(bytes.begin() + 4);  // CR LF became LF
    CHECK(code_of(bytes) == ErrorCode::corrupt);
    bytes[0] = 0x89;
    CHECK(code_of(bytes) == ErrorCode::unsupported);
    CHECK_FALSE(is_container(bytes));
    CHECK_FALSE(is_container({}));
}

TEST_CASE("unknown sections are skipped or refused by their first letter") {
    const std::vector<uint8_t> a{1}, b{2};
    const Container container{small_header(), {{{'z', 'z', 'z', '9'}, {5}}}, {a, b}};
    std::vector<uint8_t> bytes = write_container(container);
    CHECK(parse_container(bytes).sections == container.sections);
    const std::size_t section = kHeadPayload + 36 + 4;
    bytes[section] = 'Z';
    repair_section(bytes, section);
    CHECK_THROWS_WITH_AS(parse_container(bytes), doctest::Contains("\"Zzz9\""), Error);
    CHECK(code_of(bytes) == ErrorCode::unsupported);
    bytes[section] = '\n';
    repair_section(bytes, section);
    CHECK(code_of(bytes) == ErrorCode::corrupt);
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
                        +[](Header& header) { header.tile = 0; }}) {
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
    CHECK(value("tiles") == "2 x 1");
    CHECK(value("tile bytes") == "7");
    CHECK(value("section \"meta\"") == "3 bytes");
}
