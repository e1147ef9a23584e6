#include "codec/container/container.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>
#include <numeric>

#include "codec/container/container_bytes.h"
#include "codec/error.h"

namespace decant {

namespace container {

namespace {

constexpr uint64_t kMaxLength = std::numeric_limits<uint32_t>::max();
constexpr uint8_t kQuantiserMask = 3, kOneChannel = 4, kSixteenBits = 8;
constexpr std::size_t kLongestVarint = 5;

// By number, from 1 on: part of the file format.
constexpr std::array kSections{kSectionAlpha,       kSectionAlphaLow, kSectionResidual, kSectionFilter,
                               kSectionFilterCross, kSectionTurn,     kSectionMetadata, kSectionPreview};

// 0 if it has none.
uint8_t number_of(const std::array<char, 4>& type) {
    const auto found = std::ranges::find(kSections, type);
    return found == kSections.end() ? uint8_t{0} : uint8_t(found - kSections.begin() + 1);
}

// How a value is shown to people.
enum class Style { decimal, hexadecimal, fixed_point_8 };

// The one description of the header's numbers: name, value, smallest and largest value allowed, in the order of the file.
template <class Visitor>
void visit_fields(const Header& header, Visitor&& visit) {
    constexpr uint64_t any32 = 0xffffffff;
    constexpr uint64_t any16 = 0xffff;
    visit("model", header.model, uint64_t{0}, std::numeric_limits<uint64_t>::max(), Style::hexadecimal);
    visit("channels", header.channels, uint64_t{1}, uint64_t{3}, Style::decimal);
    visit("depth", header.depth, uint64_t{8}, uint64_t{16}, Style::decimal);
    visit("width", header.width, uint64_t{1}, any32, Style::decimal);
    visit("height", header.height, uint64_t{1}, any32, Style::decimal);
    visit("quality", header.quality, uint64_t{0}, any16, Style::fixed_point_8);
    visit("tile", header.tile, uint64_t{1}, any16, Style::decimal);
    visit("filter", header.filter, uint64_t{0}, uint64_t{kLargestFilter}, Style::decimal);
}

bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }  // not <cctype>, which depends on the locale
bool is_small(char c) { return c >= 'a' && c <= 'z'; }

void append_varint(std::vector<uint8_t>& bytes, uint32_t value) {
    for (; value >= 0x80; value >>= 7) bytes.push_back(uint8_t(value | 0x80));
    bytes.push_back(uint8_t(value));
}

std::size_t varint_size(uint64_t value) {
    std::size_t size = 1;
    while (value >>= 7) ++size;
    return size;
}

// Reads one thing after the other; throws Error corrupt where bytes end before it, or for a varint of other than the fewest bytes.
class Cursor {
public:
    explicit Cursor(std::span<const uint8_t> bytes) : rest_(bytes) {}

    std::span<const uint8_t> rest() const { return rest_; }
    std::span<const uint8_t> take(std::size_t count) {
        if (count > rest_.size())
            throw Error(ErrorCode::corrupt, "header: " + std::to_string(count) + " bytes announced where " + std::to_string(rest_.size()) + " are left");
        const auto taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    template <std::unsigned_integral T>
    T take() {
        return load<T>(take(sizeof(T)), 0);
    }
    uint32_t take_varint() {
        uint64_t value = 0;
        for (std::size_t i = 0; i < kLongestVarint; ++i) {
            const uint8_t byte = take<uint8_t>();
            value |= uint64_t{byte & 0x7fu} << (7 * i);
            if ((byte & 0x80) != 0) continue;
            if (varint_size(value) != i + 1 || value > kMaxLength) break;
            return uint32_t(value);
        }
        throw Error(ErrorCode::corrupt, "header: a number is not as one is written");
    }
    uint16_t take_varint16(const char* name) {
        const uint32_t value = take_varint();
        if (value > 0xffff) throw Error(ErrorCode::corrupt, std::string("header: ") + name + " is " + std::to_string(value) + ", less than 65536 is possible");
        return uint16_t(value);
    }

private:
    std::span<const uint8_t> rest_;
};

uint32_t crc_of_tile(uint32_t head_crc, std::size_t number, std::span<const uint8_t> data) {
    std::vector<uint8_t> prefix;
    append(prefix, head_crc);
    append(prefix, static_cast<uint32_t>(number));
    return crc_of(data, crc_of(prefix));
}

std::size_t size_of(const Section& section) {
    return 1 + (number_of(section.type) == 0 ? section.type.size() : 0) + varint_size(section.payload.size()) + section.payload.size();
}

void append_section(std::vector<uint8_t>& bytes, const Section& section) {
    if (!is_section_type(section.type) || (is_critical(section.type) && !is_known(section.type)))
        throw Error(ErrorCode::invalid_argument, "section " + name_of(section.type) + ": neither an ancillary type nor one that is known");
    if (bytes.size() + size_of(section) > kMaxLength)
        throw Error(ErrorCode::invalid_argument, "section " + name_of(section.type) + ": " + std::to_string(section.payload.size()) +
                                                     " bytes; all sections together are limited to " + std::to_string(kMaxLength));
    bytes.push_back(number_of(section.type));
    if (bytes.back() == 0) bytes.insert(bytes.end(), section.type.begin(), section.type.end());
    append_varint(bytes, uint32_t(section.payload.size()));
    append(bytes, section.payload);
}

Section take_section(Cursor& cursor) {
    Section section;
    const auto number = cursor.take<uint8_t>();
    if (number > kSections.size()) throw Error(ErrorCode::unsupported, "critical section " + std::to_string(number) + " is unknown");
    if (number > 0) {
        section.type = kSections[number - 1u];
    } else {
        std::ranges::copy(cursor.take(section.type.size()), section.type.begin());
        if (!is_section_type(section.type)) throw Error(ErrorCode::corrupt, "header: the type of a section is not made of letters, digits and spaces");
        if (is_known(section.type)) throw Error(ErrorCode::corrupt, "section " + name_of(section.type) + ": by its type, where it has a number");
        if (is_critical(section.type)) throw Error(ErrorCode::unsupported, "critical section " + name_of(section.type) + " is unknown");
    }
    const auto payload = cursor.take(cursor.take_varint());
    section.payload.assign(payload.begin(), payload.end());
    return section;
}

Head parse_head(std::span<const uint8_t> file, const Fetch& fetch, uint64_t max_pixels) {
    constexpr std::size_t kVersion = kSignature.size();
    fetch(kVersion, 1 + kLongestVarint);
    Cursor beginning(file.subspan(kVersion + 1));
    const uint32_t length = beginning.take_varint();
    const std::size_t begin = file.size() - beginning.rest().size();
    if (uint64_t{length} + sizeof(uint32_t) > beginning.rest().size())
        throw Error(ErrorCode::corrupt, "header of " + std::to_string(length) + " bytes announced where " + std::to_string(beginning.rest().size()) + " are left: truncated");
    fetch(begin, length + sizeof(uint32_t));
    Head head;
    head.size = begin + length + sizeof(uint32_t);
    head.crc = load<uint32_t>(file, begin + length);
    if (const uint32_t crc = crc_of(file.subspan(kVersion, begin + length - kVersion)); crc != head.crc)
        throw Error(ErrorCode::corrupt, "header: checksum is " + std::to_string(crc) + ", the file says " + std::to_string(head.crc));

    Cursor cursor(file.subspan(begin, length));
    Header& header = head.header;
    header.model = cursor.take<uint64_t>();
    const auto kind = cursor.take<uint8_t>();
    if ((kind & ~(kQuantiserMask | kOneChannel | kSixteenBits)) != 0) throw Error(ErrorCode::unsupported, "header: kind is " + std::to_string(kind));
    header.quantiser = Quantiser(kind & kQuantiserMask);
    header.channels = (kind & kOneChannel) != 0 ? 1 : 3;
    header.depth = (kind & kSixteenBits) != 0 ? 16 : 8;
    header.width = cursor.take_varint();
    header.height = cursor.take_varint();
    header.quality = cursor.take_varint16("quality");
    header.tile = cursor.take_varint16("tile");
    header.filter = cursor.take<uint16_t>();
    check_fields(header, ErrorCode::unsupported);
    check_pixels(header, max_pixels);
    const uint64_t tile_count = tile_grid(header).count();
    if (tile_count > cursor.rest().size())
        throw Error(ErrorCode::corrupt, "header: " + std::to_string(cursor.rest().size()) + " bytes of tile lengths, where the image has " + std::to_string(tile_count) + " tiles");
    head.tile_lengths.resize(tile_count);
    for (uint32_t& tile_length : head.tile_lengths) tile_length = cursor.take_varint();
    while (!cursor.rest().empty()) head.sections.push_back(take_section(cursor));
    return head;
}

}  // namespace

uint32_t crc_of(std::span<const uint8_t> bytes, uint32_t before) {
    // zlib takes a null pointer as the request for the start value.
    return bytes.empty() ? before : static_cast<uint32_t>(crc32_z(before, bytes.data(), bytes.size()));
}

std::string name_of(const std::array<char, 4>& type) { return '"' + std::string(type.begin(), type.end()) + '"'; }

bool is_section_type(const std::array<char, 4>& type) {
    return (is_capital(type[0]) || is_small(type[0])) && std::all_of(type.begin(), type.end(), [](char c) {
               return is_capital(c) || is_small(c) || (c >= '0' && c <= '9') || c == ' ';
           });
}

bool is_critical(const std::array<char, 4>& type) { return is_capital(type[0]); }

bool is_known(const std::array<char, 4>& type) { return number_of(type) != 0; }

void refuse_version(unsigned version) {
    throw Error(ErrorCode::unsupported, ".dcn version " + std::to_string(version) + "; this decoder supports versions 1 to " + std::to_string(kContainerVersion));
}

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

void check_pixels(const Header& header, uint64_t max_pixels) {
    if (const uint64_t pixels = uint64_t{header.width} * header.height; pixels > max_pixels)
        throw Error(ErrorCode::limit, "image of " + std::to_string(header.width) + " x " + std::to_string(header.height) +
                                          " pixels; the limit is " + std::to_string(max_pixels) + " pixels");
}

}  // namespace container

using namespace container;

TileGrid tile_grid(const Header& header) {
    if (header.tile == 0) throw Error(ErrorCode::invalid_argument, "header: tile is 0, at least 1 is needed");
    const auto ceil_divide = [](uint64_t value, uint64_t divisor) { return (value + divisor - 1) / divisor; };
    const auto tiles = [&](uint32_t pixels) {
        return static_cast<uint32_t>(ceil_divide(ceil_divide(pixels, kPixelsPerLatent), header.tile));
    };
    return {tiles(header.width), tiles(header.height)};
}

bool is_container(std::span<const uint8_t> bytes) {
    return bytes.size() >= kSignature.size() && std::equal(kSignature.begin(), kSignature.end(), bytes.begin());
}

std::vector<uint8_t> write_container(const Container& container) {
    const Header& header = container.header;
    check_fields(header, ErrorCode::invalid_argument);
    if (container.tiles.size() != tile_grid(header).count())
        throw Error(ErrorCode::invalid_argument, "container: " + std::to_string(container.tiles.size()) +
                                                     " tiles given, the header implies " +
                                                     std::to_string(tile_grid(header).count()));
    std::vector<uint8_t> head;
    append(head, header.model);
    head.push_back(uint8_t(unsigned(header.quantiser) | (header.channels == 1 ? kOneChannel : 0u) | (header.depth == 16 ? kSixteenBits : 0u)));
    append_varint(head, header.width);
    append_varint(head, header.height);
    append_varint(head, header.quality);
    append_varint(head, header.tile);
    append(head, header.filter);
    for (const std::span<const uint8_t> tile : container.tiles) {
        if (tile.size() > kMaxLength)
            throw Error(ErrorCode::invalid_argument, "container: a tile of " + std::to_string(tile.size()) + " bytes; " +
                                                         std::to_string(kMaxLength) + " are possible");
        append_varint(head, uint32_t(tile.size()));
    }
    for (const Section& section : container.sections) append_section(head, section);
    if (head.size() > kMaxLength)
        throw Error(ErrorCode::invalid_argument, "container: " + std::to_string(container.tiles.size()) + " tiles are too many");

    std::vector<uint8_t> bytes(kSignature.begin(), kSignature.end());
    bytes.push_back(uint8_t(kContainerVersion));
    append_varint(bytes, uint32_t(head.size()));
    append(bytes, head);
    const uint32_t head_crc = crc_of(std::span(bytes).subspan(kSignature.size()));
    append(bytes, head_crc);
    for (std::size_t number = 0; number < container.tiles.size(); ++number) {
        append(bytes, container.tiles[number]);
        append(bytes, crc_of_tile(head_crc, number, container.tiles[number]));
    }
    return bytes;
}

Container parse_container(std::span<const uint8_t> bytes, const ParseOptions& options) {
    const std::size_t file_size = bytes.size();
    const Fetch fetch = [&](std::size_t offset, std::size_t length) {
        if (options.fetch) options.fetch(offset, std::min(length, file_size - offset));
    };
    fetch(0, kSignature.size() + 1);
    if (!is_container(bytes)) throw Error(ErrorCode::unsupported, "not a .dcn file: the signature is missing");
    if (bytes.size() == kSignature.size()) throw Error(ErrorCode::corrupt, "truncated after the signature, before the version");
    const uint8_t version = bytes[kSignature.size()];
    Head head;
    if (version == kContainerVersion) {
        head = parse_head(bytes, fetch, options.max_pixels);
    } else if (version == '\r' || version == '\n') {
        head = parse_first_head(bytes, fetch, options.max_pixels);
    } else {
        refuse_version(version);
    }

    bytes = bytes.subspan(head.size);
    uint64_t announced = 0;  // below 2^32 terms of less than 2^32 + 4: no overflow
    for (const uint32_t length : head.tile_lengths) announced += uint64_t{length} + sizeof(uint32_t);
    if (announced != bytes.size())
        throw Error(ErrorCode::corrupt, "header announces tiles of " + std::to_string(announced) + " bytes, the file has " +
                                            std::to_string(bytes.size()) +
                                            (bytes.size() < announced ? ": truncated" : ": something was appended"));
    Container container{head.header, std::move(head.sections), {}};
    container.tiles.reserve(head.tile_lengths.size());
    for (std::size_t number = 0; number < head.tile_lengths.size(); ++number) {
        const std::size_t length = head.tile_lengths[number], offset = file_size - bytes.size();
        const std::span<const uint8_t> data = bytes.first(length);
        bytes = bytes.subspan(length + sizeof(uint32_t));
        if (options.is_wanted && !options.is_wanted(container, number)) {
            container.tiles.emplace_back();
            continue;
        }
        fetch(offset, length + sizeof(uint32_t));
        const uint32_t stored = load<uint32_t>({data.data() + length, sizeof(uint32_t)}, 0);
        if (const uint32_t crc = crc_of_tile(head.crc, number, data); crc != stored)
            throw Error(ErrorCode::corrupt, "tile " + std::to_string(number) + " at byte " + std::to_string(offset) + ": checksum is " +
                                                std::to_string(crc) + ", the file says " + std::to_string(stored));
        container.tiles.push_back(data);
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
    if (section == nullptr) return 0;
    return container.header.version == kContainerVersion ? size_of(*section) : section->payload.size() + kFirstSectionOverhead;
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
    const std::size_t states = next_states(container.header.quantiser).size();
    lines.emplace_back("trellis", states == 0 ? "none" : std::to_string(states) + " states");
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
