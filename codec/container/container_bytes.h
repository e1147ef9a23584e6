// What the container's two layouts have in common: numbers, checksums, and what may be in a section and a header.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "codec/container/container.h"
#include "codec/error.h"

namespace decant::container {

inline constexpr std::array<uint8_t, 4> kSignature{0x8D, 'D', 'C', 'N'};

template <std::unsigned_integral T>
void append(std::vector<uint8_t>& bytes, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<uint8_t>(uint64_t{value} >> (8 * i)));
}

inline void append(std::vector<uint8_t>& bytes, std::span<const uint8_t> more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

template <std::unsigned_integral T>
T load(std::span<const uint8_t> bytes, std::size_t offset) {
    uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{bytes[offset + i]} << (8 * i);
    return static_cast<T>(value);
}

uint32_t crc_of(std::span<const uint8_t> bytes, uint32_t before = 0);

std::string name_of(const std::array<char, 4>& type);
bool is_section_type(const std::array<char, 4>& type);  // letters, digits and spaces, beginning with a letter
bool is_critical(const std::array<char, 4>& type);
bool is_known(const std::array<char, 4>& type);

[[noreturn]] void refuse_version(unsigned version);  // unsupported
// Throw Error: `code`, a field out of its range; limit.
void check_fields(const Header& header, ErrorCode code);
void check_pixels(const Header& header, uint64_t max_pixels);

// All that is before the tiles.
struct Head {
    Header header;
    std::vector<Section> sections;
    std::vector<uint32_t> tile_lengths;  // as many as the header implies
    uint32_t crc = 0;                    // that those of the tiles begin with
    std::size_t size = 0;                // in bytes, in the file
};

// Makes bytes of the file available before they are looked at: those from an offset on, as far as there are any.
using Fetch = std::function<void(std::size_t offset, std::size_t length)>;

inline constexpr std::size_t kFirstSectionOverhead = 12;  // bytes around a section's payload in versions 1 to 3: type, length and CRC

// Of a file of version 1 to 3, which has kSignature. Throws as parse_container().
Head parse_first_head(std::span<const uint8_t> file, const Fetch& fetch, uint64_t max_pixels);

}  // namespace decant::container
