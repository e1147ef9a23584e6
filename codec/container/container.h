// The .dcn file format, versions 1 to 3.
//
// All numbers are unsigned and little endian. A CRC is the CRC-32 of zlib and PNG (polynomial 0xEDB88320). A file is
//
//   8 bytes      signature: 8D 44 43 4E 0D 0A 1A 0A. As in PNG: not text, "DCN", and line ends that a transfer as text would
//                damage
//   u16          version: 2 or, since decant 0.8, 3, whose dependent symbols have a trellis of more states (codec/entropy/trellis.h); 1 in files of decant before 0.5,
//                whose symbols have another trellis and other tables (codec/entropy/scale_tables.h)
//   HEAD         the header section, see below
//   sections     any number of others; together exactly as long as the header says
//   tiles        as many as the header implies; the file ends right after the last one
//
// Each byte is covered by a CRC, or has only one value that is accepted.
//
// A section is
//   4 bytes      type: ASCII letters, digits and spaces, beginning with a letter
//   u32          length of the payload in bytes
//   length bytes payload
//   u32          CRC of type, length and payload; that of HEAD, from version 2 on, of the version before them
// A type with a capital first letter is critical: a decoder that does not know it refuses the file. Others are ancillary: a decoder
// may skip them.
//
// "ALPH" is alpha, at most once, critical: a plane of 8 bits, 255 for opaque, coded without loss as codec/alpha/plane_coder.h says; of a picture
// of 16 bits the upper byte of alpha, 65535 for opaque. The colours are not multiplied with it; those of pixels with alpha 0 mean nothing,
// unless there is a residual. A file without it is opaque.
//
// "ALPL" is the lower byte of alpha of a picture of 16 bits that has an "ALPH", at most once, critical: coded likewise, or empty where it is the
// same as the upper one everywhere. It is the same, too, in a file without it.
//
// "RESI" is a residual, at most once, critical: what the picture that is decoded from the tiles lacks, as codec/residual/residual_coder.h
// says. With it no sample is farther from the original than a bound, which may be 0.
//
// "FILT" changes the filter that HEAD names, at most once, critical: as codec/filter/filter_changes.h says. It is not in a file that names none. Decoders before 0.6
// do not know it. "FILX" adds to what the filter does to colours, with differences of luma, likewise: decoders before 0.7 do not know it.
//
// "TURN" says that the picture was turned before it was coded, at most once, critical: a byte, 1 … 7, the sum of 4 if its rows and columns were exchanged, then
// 2 if it was put upside down, and 1 if it was mirrored. Tiles are then those of the turned picture; everything else in the file, width, height and other sections, is of
// the picture as it is. Decoders before 0.7 do not know it.
//
// "meta" is metadata, at most once:
//   one Zstandard frame (RFC 8878) that says the size of its content and has its checksum (XXH64). The content, at most 64 MiB, is
//   a list of items:
//     4 bytes      kind: "icc " an ICC profile, "exif" an EXIF block (from its TIFF header on), "xmp " an XMP packet, "res " the
//                  resolution; each at most once. Other kinds are to be skipped
//     u32          length of the data in bytes
//     length bytes data. Of "res ", 17 bytes: u8 unit, 1 none, 2 inch, 3 centimetre; then pixels a unit as fractions: u32 numerator
//                  and u32 denominator along the width, the same along the height, none of them 0
//   Orientation is a tag of EXIF; pixels are stored as they were, so that it stays true.
//
// "prev" is a preview, at most once: another .dcn file, of the same picture at less resolution, without sections of its own. It has
// 8 bits a sample, and its sides are in proportion, rounded, at least 1.
//
// The payload of HEAD, 28 bytes and 4 per tile:
//   u64          model: XXH3-64 hash of the weights with which the file is to be decoded (codec/network/safetensors.h)
//   u32          width in pixels, at least 1
//   u32          height in pixels, at least 1
//   u8           channels: 1 or 3
//   u8           depth: bits per sample, 8 or 16: of the picture that was encoded, and of what a decoder gives unless asked otherwise
//   u16          quality: the rate point of the model, in 1/256
//   u16          tile: edge of a tile in latents, at least 1; a decoder may refuse more than 256
//   u16          flags: bit 0 is set if the latents are quantised dependently (codec/latents/latent_coder.h); the other bits are 0, or name the filter of
//                the model that the decoded picture goes through (codec/filter/post_filter.h): FilterTables::check
//   u32          ancillary: length in bytes of the sections between HEAD and the tiles
//   u32 × tiles  length in bytes of each tile's data
// A latent stands for 16 × 16 pixels. The latents of an image are ceil(width/16) columns and ceil(height/16) rows; the tiles are
// squares of `tile` latents, in rows from left to right and top to bottom, cut off at the right and bottom edges. Where a tile
// lies in the file follows from HEAD alone.
//
// A tile is
//   length bytes data: one entropy-coded stream (codec/entropy/rans.h) of symbols (codec/entropy/scale_tables.h); which symbols,
//                in which order and with which tables is up to the model
//   u32          CRC of the CRC of HEAD (4 bytes), the tile's number from 0 (u32) and the data, so that a tile of another file,
//                or of another place, is not accepted
//
// A file of one tile and no other section is 58 bytes longer than the data of the tile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace decant {

inline constexpr uint16_t kContainerVersion = 3;
inline constexpr uint32_t kPixelsPerLatent = 16;  // along each edge

inline constexpr uint16_t kFlagDependent = 1;
inline constexpr int kFilterShift = 1;  // of its name in the flags

struct Header {
    uint16_t version = kContainerVersion;  // 1 …
    uint64_t model = 0;      // identity of the weights
    uint32_t width = 0;      // pixels, 1 …
    uint32_t height = 0;     // pixels, 1 …
    uint8_t channels = 3;    // 1 or 3
    uint8_t depth = 8;       // bits per sample, 8 or 16
    uint16_t quality = 0;    // rate point in 1/256
    uint16_t tile = 0;       // edge of a tile in latents, 1 …
    uint16_t flags = 0;      // kFlagDependent or 0, and the filter
    uint32_t ancillary = 0;  // bytes of the sections behind HEAD; write_container() computes it

    constexpr bool is_dependent() const { return (flags & kFlagDependent) != 0; }
    uint16_t filter() const { return uint16_t(flags >> kFilterShift); }  // 0: none
    bool operator==(const Header&) const = default;
};

struct TileGrid {
    uint32_t columns, rows;
    uint64_t count() const { return uint64_t{columns} * rows; }
};

// The tiles of an image, from width, height and tile. Throws Error invalid_argument if the tile's edge is 0.
TileGrid tile_grid(const Header& header);

inline constexpr std::size_t kSectionOverhead = 12;  // bytes of type, length and CRC

struct Section {
    std::array<char, 4> type;
    std::vector<uint8_t> payload;

    bool operator==(const Section&) const = default;
};

inline constexpr std::array<char, 4> kSectionAlpha{'A', 'L', 'P', 'H'};
inline constexpr std::array<char, 4> kSectionAlphaLow{'A', 'L', 'P', 'L'};
inline constexpr std::array<char, 4> kSectionResidual{'R', 'E', 'S', 'I'};
inline constexpr std::array<char, 4> kSectionFilter{'F', 'I', 'L', 'T'};
inline constexpr std::array<char, 4> kSectionFilterCross{'F', 'I', 'L', 'X'};
inline constexpr std::array<char, 4> kSectionTurn{'T', 'U', 'R', 'N'};
inline constexpr std::array<char, 4> kSectionMetadata{'m', 'e', 't', 'a'};
inline constexpr std::array<char, 4> kSectionPreview{'p', 'r', 'e', 'v'};

// A file taken apart. The tiles are views: of the bytes that were parsed, or of the encoder's streams.
struct Container {
    Header header;
    std::vector<Section> sections;  // between HEAD and the tiles
    std::vector<std::span<const uint8_t>> tiles;
};

struct ParseOptions {
    uint64_t max_pixels = uint64_t{1} << 28;
    // For bytes that are still to come, of a file of which only a part is read: called with offset and length of each part before it
    // is looked at.
    std::function<void(std::size_t offset, std::size_t length)> fetch = {};
    // Tiles for which it gives false are neither fetched nor checked, and stay empty; by default all are wanted. It is asked when header and sections are known.
    std::function<bool(const Container&, std::size_t tile)> is_wanted = {};
};

// Whether the bytes begin with the signature; for telling file formats apart.
bool is_container(std::span<const uint8_t> bytes);

// Throws Error invalid_argument if a header field or the version is out of its range, the number of tiles does not fit the header, a section's
// type is neither ancillary nor a critical one from above, or a length exceeds 32 bits.
std::vector<uint8_t> write_container(const Container& container);

// The result refers to `bytes`. All checksums, but for tiles that are not wanted, are verified, and all sizes are compared with the size of the file and the limits
// before anything is allocated. Throws Error
//   unsupported  not a .dcn file, another version, a critical section or a header value that this version does not know
//   corrupt      anything damaged, truncated or left over
//   limit        more than max_pixels
Container parse_container(std::span<const uint8_t> bytes, const ParseOptions& options = {});

// The section of that type; null if there is none. Throws Error(corrupt) if there are two.
const Section* find_section(const Container& container, const std::array<char, 4>& type);

// Bytes that it takes in the file, with type, length and CRC; 0 if there is none.
std::size_t section_size(const Container& container, const std::array<char, 4>& type);

// Names and values for people: the header's fields in the order of the file, then the numbers and sizes of tiles and sections.
std::vector<std::pair<std::string, std::string>> describe_container(const Container& container);

}  // namespace decant
