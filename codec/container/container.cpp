#include "codec/container/container.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>
#include <numeric>

#include "codec/error.h"

namespace decant {

namespace {

constexpr std::array<uint8_t, 8> kSignature{0x8D, 'D', 'C', 'N', '\r', '\n', 0x1A, '\n'};
constexpr std::array<char, 4> kSectionHead{'H', 'E', 'A', 'D'};
constexpr uint64_t kMaxLength = std::numeric_limits<uint32_t>::max();

// How a value is shown to people.
enum class Style { decimal, hexadecimal, fixed_point_8 };

// The one description of the header: name, value, smallest and largest value allowed. Order and types are those of the file.
// H is Header or const Header.
template <class H, class Visitor>
constexpr void visit_fields(H& header, Visitor&& visit) {
    constexpr uint64_t any32 = 0xffffffff;
    constexpr uint64_t any16 = 0xffff;
    visit("model", header.model, uint64_t{0}, std::numeric_limits<uint64_t>::max(), Style::hexadecimal);
    visit("width", header.width, uint64_t{1}, any32, Style::decimal);
    visit("height", header.height, uint64_t{1}, any32, Style::decimal);
    visit("channels", header.channels, uint64_t{1}, uint64_t{3}, Style::decimal);
    visit("depth", header.depth, uint64_t{8}, uint64_t{16}, Style::decimal);
    visit("quality", header.quality, uint64_t{0}, any16, Style::fixed_point_8);
    visit("tile", header.tile, uint64_t{1}, any16, Style::decimal);
    visit("flags", header.flags, uint64_t{0}, any16, Style::decimal);
    visit("ancillary", header.ancillary, uint64_t{0}, any32, Style::decimal);
}

constexpr std::size_t kHeaderFieldBytes = [] {
    Header header;
    std::size_t size = 0;
    visit_fields(header, [&](const char*, auto value, uint64_t, uint64_t, Style) { size += sizeof value; });
    return size;
}();

void check_fields(const Header& header, ErrorCode code) {
    visit_fields(header, [&](const char* name, uint64_t value, uint64_t low, uint64_t high, Style) {
        if (value < low || value > high)
            throw Error(code, std::string("header: ") + name + " is " + std::to_string(value) + ", from " + std::to_string(low) +
                                  " to " + std::to_string(high) + " is possible");
    });
    if (header.channels == 2) throw Error(code, "header: channels is 2, 1 or 3 is possible");
    if (header.depth != 8 && header.depth != 16)
        throw Error(code, "header: depth is " + std::to_string(header.depth) + ", 8 or 16 is possible");
}

bool is_known_critical(const std::array<char, 4>& type) {
    constexpr std::array kKnown{kSectionAlpha, kSectionAlphaLow, kSectionResidual, kSectionFilter, kSectionFilterCross, kSectionTurn};
    return std::ranges::find(kKnown, type) != kKnown.end();
}

uint64_t ceil_divide(uint64_t value, uint64_t divisor) { return (value + divisor - 1) / divisor; }

template <std::unsigned_integral T>
void append(std::vector<uint8_t>& bytes, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<uint8_t>(uint64_t{value} >> (8 * i)));
}

void append(std::vector<uint8_t>& bytes, std::span<const uint8_t> more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

template <class T>
T load(std::span<const uint8_t> bytes, std::size_t offset) {
    uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{bytes[offset + i]} << (8 * i);
    return static_cast<T>(value);
}

uint32_t crc_of(std::span<const uint8_t> bytes, uint32_t before = 0) { return static_cast<uint32_t>(crc32_z(before, bytes.data(), bytes.size())); }

bool is_known(uint16_t version) { return version >= 1 && version <= kContainerVersion; }

// What the CRC of HEAD begins with.
uint32_t crc_of_version(uint16_t version) {
    std::vector<uint8_t> bytes;
    append(bytes, version);
    return version == 1 ? 0 : crc_of(bytes);
}

uint32_t crc_of_tile(uint32_t head_crc, std::size_t number, std::span<const uint8_t> data) {
    std::vector<uint8_t> prefix;
    append(prefix, head_crc);
    append(prefix, static_cast<uint32_t>(number));
    // zlib takes a null pointer as the request for the start value, so an empty tile must not reach it.
    if (data.empty()) return crc_of(prefix);
    return static_cast<uint32_t>(crc32_z(crc_of(prefix), data.data(), data.size()));
}

std::string name_of(const std::array<char, 4>& type) { return '"' + std::string(type.begin(), type.end()) + '"'; }

// Not <cctype>, which depends on the locale.
bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
bool is_small(char c) { return c >= 'a' && c <= 'z'; }
bool is_section_type(const std::array<char, 4>& type) {
    return (is_capital(type[0]) || is_small(type[0])) && std::all_of(type.begin(), type.end(), [](char c) {
               return is_capital(c) || is_small(c) || (c >= '0' && c <= '9') || c == ' ';
           });
}

// Returns the section's CRC, which begins with one of what is before it.
uint32_t append_section(std::vector<uint8_t>& bytes, const std::array<char, 4>& type, std::span<const uint8_t> payload, uint32_t before = 0) {
    const std::size_t begin = bytes.size();
    bytes.insert(bytes.end(), type.begin(), type.end());
    append(bytes, static_cast<uint32_t>(payload.size()));
    append(bytes, payload);
    const uint32_t crc = crc_of(std::span(bytes).subspan(begin), before);
    append(bytes, crc);
    return crc;
}

struct SectionView {
    std::array<char, 4> type;
    std::span<const uint8_t> payload;
    uint32_t crc;
};

// The section at the beginning of `bytes`, which is shortened by it; `offset` is its position in the file, for messages.
SectionView take_section(std::span<const uint8_t>& bytes, std::size_t offset, uint32_t before = 0) {
    const std::string where = "section at byte " + std::to_string(offset) + ": ";
    if (bytes.size() < kSectionOverhead)
        throw Error(ErrorCode::corrupt, where + "truncated, " + std::to_string(bytes.size()) + " bytes left");
    const std::size_t length = load<uint32_t>(bytes, 4);
    if (length > bytes.size() - kSectionOverhead)
        throw Error(ErrorCode::corrupt, where + "truncated, it announces " + std::to_string(length) + " bytes and " +
                                            std::to_string(bytes.size() - kSectionOverhead) + " are left");
    SectionView section;
    std::copy_n(bytes.begin(), 4, section.type.begin());
    section.payload = bytes.subspan(8, length);
    section.crc = load<uint32_t>(bytes, 8 + length);
    if (const uint32_t crc = crc_of(bytes.first(8 + length), before); crc != section.crc)
        throw Error(ErrorCode::corrupt,
                    where + "checksum is " + std::to_string(crc) + ", the file says " + std::to_string(section.crc));
    if (!is_section_type(section.type))
        throw Error(ErrorCode::corrupt, where + "its type is not made of letters, digits and spaces");
    bytes = bytes.subspan(kSectionOverhead + length);
    return section;
}

}  // namespace

TileGrid tile_grid(const Header& header) {
    if (header.tile == 0) throw Error(ErrorCode::invalid_argument, "header: tile is 0, at least 1 is needed");
    const auto tiles = [&](uint32_t pixels) {
        return static_cast<uint32_t>(ceil_divide(ceil_divide(pixels, kPixelsPerLatent), header.tile));
    };
    return {tiles(header.width), tiles(header.height)};
}

bool is_container(std::span<const uint8_t> bytes) {
    return bytes.size() >= kSignature.size() && std::equal(kSignature.begin(), kSignature.end(), bytes.begin());
}

std::vector<uint8_t> write_container(const Container& container) {
    std::vector<uint8_t> sections;
    for (const Section& section : container.sections) {
        if (!is_section_type(section.type) || !(is_small(section.type[0]) || is_known_critical(section.type)))
            throw Error(ErrorCode::invalid_argument,
                        "section " + name_of(section.type) + ": neither an ancillary type nor one that is known");
        if (section.payload.size() > kMaxLength - kSectionOverhead ||
            sections.size() > kMaxLength - kSectionOverhead - section.payload.size())
            throw Error(ErrorCode::invalid_argument,
                        "section " + name_of(section.type) + ": " + std::to_string(section.payload.size()) +
                            " bytes; all sections together are limited to " + std::to_string(kMaxLength));
        append_section(sections, section.type, section.payload);
    }
    Header header = container.header;
    header.ancillary = static_cast<uint32_t>(sections.size());
    if (!is_known(header.version)) throw Error(ErrorCode::invalid_argument, "container: version " + std::to_string(header.version));
    check_fields(header, ErrorCode::invalid_argument);
    if (container.tiles.size() != tile_grid(header).count())
        throw Error(ErrorCode::invalid_argument, "container: " + std::to_string(container.tiles.size()) +
                                                     " tiles given, the header implies " +
                                                     std::to_string(tile_grid(header).count()));

    std::vector<uint8_t> head;
    visit_fields(header, [&](const char*, auto value, uint64_t, uint64_t, Style) { append(head, value); });
    for (const std::span<const uint8_t> tile : container.tiles) {
        if (tile.size() > kMaxLength)
            throw Error(ErrorCode::invalid_argument, "container: a tile of " + std::to_string(tile.size()) + " bytes; " +
                                                         std::to_string(kMaxLength) + " are possible");
        append(head, static_cast<uint32_t>(tile.size()));
    }
    if (head.size() > kMaxLength)
        throw Error(ErrorCode::invalid_argument, "container: " + std::to_string(container.tiles.size()) + " tiles are too many");

    std::vector<uint8_t> bytes(kSignature.begin(), kSignature.end());
    append(bytes, header.version);
    const uint32_t head_crc = append_section(bytes, kSectionHead, head, crc_of_version(header.version));
    append(bytes, sections);
    for (std::size_t number = 0; number < container.tiles.size(); ++number) {
        append(bytes, container.tiles[number]);
        append(bytes, crc_of_tile(head_crc, number, container.tiles[number]));
    }
    return bytes;
}

Container parse_container(std::span<const uint8_t> bytes, const ParseOptions& options) {
    const std::size_t file_size = bytes.size();
    const auto fetch = [&](std::size_t length) {  // of what is left
        if (options.fetch) options.fetch(file_size - bytes.size(), std::min(length, bytes.size()));
    };
    fetch(kSignature.size() + 2 + kSectionOverhead);
    if (!is_container(bytes)) {
        // The first four bytes alone: a .dcn file all the same, which something has cut off or converted.
        if (bytes.size() >= 4 && std::equal(bytes.begin(), bytes.begin() + 4, kSignature.begin()))
            throw Error(ErrorCode::corrupt, "signature of a .dcn file is damaged: truncated, or transferred as text");
        throw Error(ErrorCode::unsupported, "not a .dcn file: the signature is missing");
    }
    bytes = bytes.subspan(kSignature.size());
    if (bytes.size() < 2) throw Error(ErrorCode::corrupt, "truncated after the signature, before the version");
    const auto version = load<uint16_t>(bytes, 0);
    if (!is_known(version))
        throw Error(ErrorCode::unsupported, ".dcn version " + std::to_string(version) + "; this decoder supports versions 1 to " +
                                                std::to_string(kContainerVersion));
    bytes = bytes.subspan(2);

    if (bytes.size() >= kSectionOverhead) fetch(kSectionOverhead + load<uint32_t>(bytes, 4));
    const SectionView head = take_section(bytes, file_size - bytes.size(), crc_of_version(version));
    if (head.type != kSectionHead) throw Error(ErrorCode::corrupt, "section " + name_of(head.type) + " where \"HEAD\" must be");
    if (head.payload.size() < kHeaderFieldBytes)
        throw Error(ErrorCode::corrupt, "header: " + std::to_string(head.payload.size()) + " bytes, at least " +
                                            std::to_string(kHeaderFieldBytes) + " are needed");
    Container container;
    Header& header = container.header;
    header.version = version;
    std::size_t position = 0;
    visit_fields(header, [&]<class T>(const char*, T& value, uint64_t, uint64_t, Style) {
        value = load<T>(head.payload, position);
        position += sizeof(T);
    });
    check_fields(header, ErrorCode::unsupported);
    if (const uint64_t pixels = uint64_t{header.width} * header.height; pixels > options.max_pixels)
        throw Error(ErrorCode::limit, "image of " + std::to_string(header.width) + " x " + std::to_string(header.height) +
                                          " pixels; the limit is " + std::to_string(options.max_pixels) + " pixels");

    // Tiles are fewer than pixels, but a caller may have lifted that limit: no product that can overflow.
    const uint64_t tile_count = tile_grid(header).count();
    const uint64_t lengths_size = head.payload.size() - kHeaderFieldBytes;
    if (lengths_size % 4 != 0 || lengths_size / 4 != tile_count)
        throw Error(ErrorCode::corrupt, "header: " + std::to_string(lengths_size) +
                                            " bytes of tile lengths, where the image has " + std::to_string(tile_count) +
                                            " tiles");
    uint64_t announced = header.ancillary;  // below 2^32 terms of less than 2^32 + 4: no overflow
    for (std::size_t i = 0; i < tile_count; ++i)
        announced += uint64_t{load<uint32_t>(head.payload, kHeaderFieldBytes + 4 * i)} + 4;
    if (announced != bytes.size())
        throw Error(ErrorCode::corrupt, "header announces " + std::to_string(announced) + " bytes after it, the file has " +
                                            std::to_string(bytes.size()) +
                                            (bytes.size() < announced ? ": truncated" : ": something was appended"));

    fetch(header.ancillary);
    std::span<const uint8_t> sections = bytes.first(header.ancillary);
    bytes = bytes.subspan(header.ancillary);
    while (!sections.empty()) {
        const std::size_t offset = file_size - bytes.size() - sections.size();
        const SectionView section = take_section(sections, offset);
        if (is_capital(section.type[0]) && !is_known_critical(section.type))
            throw Error(ErrorCode::unsupported, "critical section " + name_of(section.type) + " at byte " +
                                                    std::to_string(offset) + " is unknown to .dcn version " +
                                                    std::to_string(kContainerVersion));
        container.sections.push_back({section.type, {section.payload.begin(), section.payload.end()}});
    }
    container.tiles.reserve(tile_count);
    for (std::size_t number = 0; number < tile_count; ++number) {
        const std::size_t length = load<uint32_t>(head.payload, kHeaderFieldBytes + 4 * number);
        if (options.is_wanted && !options.is_wanted(container, number)) {
            container.tiles.emplace_back();
            bytes = bytes.subspan(length + 4);
            continue;
        }
        fetch(length + 4);
        const std::span<const uint8_t> data = bytes.first(length);
        const uint32_t stored = load<uint32_t>(bytes, length);
        if (const uint32_t crc = crc_of_tile(head.crc, number, data); crc != stored)
            throw Error(ErrorCode::corrupt, "tile " + std::to_string(number) + " at byte " +
                                                std::to_string(file_size - bytes.size()) + ": checksum is " +
                                                std::to_string(crc) + ", the file says " + std::to_string(stored));
        container.tiles.push_back(data);
        bytes = bytes.subspan(length + 4);
    }
    return container;
}

const Section* find_section(const Container& container, const std::array<char, 4>& type) {
    const auto is_wanted = [&](const Section& section) { return section.type == type; };
    const auto found = std::find_if(container.sections.begin(), container.sections.end(), is_wanted);
    if (found == container.sections.end()) return nullptr;
    if (std::any_of(found + 1, container.sections.end(), is_wanted))
        throw Error(ErrorCode::corrupt, "two sections " + name_of(type) + "; there is one at most");
    return &*found;
}

std::size_t section_size(const Container& container, const std::array<char, 4>& type) {
    const Section* section = find_section(container, type);
    return section == nullptr ? 0 : section->payload.size() + kSectionOverhead;
}

std::vector<std::pair<std::string, std::string>> describe_container(const Container& container) {
    std::vector<std::pair<std::string, std::string>> lines;
    lines.emplace_back("version", std::to_string(container.header.version));
    visit_fields(container.header, [&](const char* name, uint64_t value, uint64_t, uint64_t, Style style) {
        std::array<char, 32> digits;
        char* end = digits.data() + digits.size();
        if (style == Style::fixed_point_8)
            end = std::to_chars(digits.data(), end, static_cast<double>(value) / 256).ptr;
        else
            end = std::to_chars(digits.data(), end, value, style == Style::hexadecimal ? 16 : 10).ptr;
        std::string text(digits.data(), end);
        if (style == Style::hexadecimal) text.insert(0, 16 - text.size(), '0');
        lines.emplace_back(name, std::move(text));
    });
    const TileGrid grid = tile_grid(container.header);
    lines.emplace_back("tiles", std::to_string(grid.columns) + " x " + std::to_string(grid.rows));
    const std::size_t tile_bytes =
        std::accumulate(container.tiles.begin(), container.tiles.end(), std::size_t{0},
                        [](std::size_t sum, std::span<const uint8_t> tile) { return sum + tile.size(); });
    lines.emplace_back("tile bytes", std::to_string(tile_bytes));
    for (const Section& section : container.sections)
        lines.emplace_back("section " + name_of(section.type), std::to_string(section.payload.size()) + " bytes");
    return lines;
}

}  // namespace decant
