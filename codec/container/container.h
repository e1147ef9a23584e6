// The .dcn file format, version 4, and how versions 1 to 3 differ from it.
//
// All numbers are unsigned and little endian. A varint is a number below 2^32 in groups of 7 bits, the lowest first, each a byte whose highest bit says that another
// one follows (LEB128); in no more bytes than it needs. A CRC is the CRC-32 of zlib and PNG (polynomial 0xEDB88320). A file is
//
//   4 bytes      signature: 8D 44 43 4E: not text, "DCN"
//   u8           version: 4. 10 and 13 are never used: line ends, which files of the first versions have there
//   varint       length of the head in bytes
//   head
//   u32          CRC of version, length and head
//   tiles        as many as the head implies; the file ends right after the last one
//
// Each byte is covered by a CRC, or has only one value that is accepted.
//
// The head:
//   u64          model: XXH3-64 hash of the weights with which the file is to be decoded (codec/network/safetensors.h)
//   u8           kind: the quantiser of the latents (codec/entropy/trellis.h) in its lowest two bits, plus 4 if the picture that was encoded has one channel
//                rather than three, plus 8 if it has 16 bits a sample rather than 8; a decoder gives as many unless asked otherwise
//   varint       width in pixels, at least 1
//   varint       height in pixels, at least 1
//   varint       quality: the rate point of the model, in 1/256, below 2^16
//   varint       tile: edge of a tile in latents, 1 … 2^16 - 1; a decoder may refuse more than 256
//   u16          filter: of the filters of the model, the one that the decoded picture goes through (codec/filter/filter_tables.h: FilterTables::check), below 2^15;
//                0: none
//   varint × tiles  length in bytes of each tile's data
//   sections     up to the end of the head
// A latent stands for 16 × 16 pixels. The latents of an image are ceil(width/16) columns and ceil(height/16) rows; the tiles are
// squares of `tile` latents, in rows from left to right and top to bottom, cut off at the right and bottom edges. Where a tile
// lies in the file follows from the head alone.
//
// A section is
//   u8           its number, for one of those below; 0 for others
//   4 bytes      of others only, the type: ASCII letters, digits and spaces, beginning with a letter
//   varint       length of the payload in bytes
//   length bytes payload
// A type with a capital first letter is critical: a decoder that does not know it refuses the file. Others are ancillary: a decoder
// may skip them. A number that it does not know is of a critical one.
//
// 1 "ALPH" is alpha, at most once, critical: a plane of 8 bits, 255 for opaque, coded without loss as codec/alpha/plane_coder.h says; of a picture
// of 16 bits the upper byte of alpha, 65535 for opaque. The colours are not multiplied with it; those of pixels with alpha 0 mean nothing,
// unless there is a residual. A file without it is opaque.
//
// 2 "ALPL" is the lower byte of alpha of a picture of 16 bits that has an "ALPH", at most once, critical: coded likewise, or empty where it is the
// same as the upper one everywhere. It is the same, too, in a file without it.
//
// 3 "RESI" is a residual, at most once, critical: what the picture that is decoded from the tiles lacks, as codec/residual/residual_coder.h
// says. With it no sample is farther from the original than a bound, which may be 0.
//
// 4 "FILT" changes the filter that the head names, at most once, critical: as codec/filter/filter_changes.h says. It is not in a file that names none.
// 5 "FILX" adds to what the filter does to colours, with differences of luma, likewise.
//
// 6 "TURN" says that the picture was turned before it was coded, at most once, critical: a byte, 1 … 7, the sum of 4 if its rows and columns were exchanged, then
// 2 if it was put upside down, and 1 if it was mirrored. Tiles are then those of the turned picture; everything else in the file, width, height and other sections, is of
// the picture as it is.
//
// 7 "meta" is metadata, at most once:
//   one Zstandard frame (RFC 8878) that says the size of its content and has its checksum (XXH64). The content, at most 64 MiB, is
//   a list of items:
//     4 bytes      kind: "icc " an ICC profile, "exif" an EXIF block (from its TIFF header on), "xmp " an XMP packet, "res " the
//                  resolution; each at most once. Other kinds are to be skipped
//     u32          length of the data in bytes
//     length bytes data. Of "res ", 17 bytes: u8 unit, 1 none, 2 inch, 3 centimetre; then pixels a unit as fractions: u32 numerator
//                  and u32 denominator along the width, the same along the height, none of them 0
//   Orientation is a tag of EXIF; pixels are stored as they were, so that it stays true.
//
// 8 "prev" is a preview, at most once: another .dcn file, of the same picture at less resolution, without sections of its own. It has
// 8 bits a sample, and its sides are in proportion, rounded, at least 1.
//
// A tile is
//   length bytes data: one entropy-coded stream (codec/entropy/rans.h) of symbols (codec/entropy/scale_tables.h); which symbols,
//                in which order and with which tables is up to the model
//   u32          CRC of the CRC of the head (4 bytes), the tile's number from 0 (u32) and the data, so that a tile of another file,
//                or of another place, is not accepted
//
// A picture of up to 1024 × 1024 pixels, without sections, takes 35 bytes more than the data of its tile at most.
//
// Versions 1 to 3, of decant before 0.9, have the signature 8D 44 43 4E 0D 0A 1A 0A, then
//   u16          version
//   HEAD         a section
//   sections     any number of others; together exactly as long as HEAD says
//   tiles        likewise
// with sections of 4 bytes type, u32 length, payload, and u32 CRC of type, length and payload; that of HEAD, from version 2 on, of the version before them. HEAD's payload:
//   u64 model, u32 width, u32 height, u8 channels (1 or 3), u8 depth (8 or 16), u16 quality, u16 tile; u16 flags: bit 0 is set if the latents are quantised dependently,
//   with the trellis of 8 states in version 1, of 64 in version 2 and of 4096 in version 3; the other bits are the filter; u32 length in bytes of the sections between HEAD and
//   the tiles; u32 × tiles their lengths
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "codec/entropy/trellis.h"

namespace decant {

inline constexpr uint16_t kContainerVersion = 4;
inline constexpr uint32_t kPixelsPerLatent = 16;  // along each edge
inline constexpr uint16_t kLargestFilter = 0x7fff;

struct Header {
    uint16_t version = kContainerVersion;  // of the file that was read
    uint64_t model = 0;      // identity of the weights
    uint32_t width = 0;      // pixels, 1 …
    uint32_t height = 0;     // pixels, 1 …
    uint8_t channels = 3;    // 1 or 3
    uint8_t depth = 8;       // bits per sample, 8 or 16
    uint16_t quality = 0;    // rate point in 1/256
    uint16_t tile = 0;       // edge of a tile in latents, 1 …
    Quantiser quantiser = Quantiser::scalar;
    uint16_t filter = 0;     // 0: none; up to kLargestFilter

    bool operator==(const Header&) const = default;
};

struct TileGrid {
    uint32_t columns, rows;
    uint64_t count() const { return uint64_t{columns} * rows; }
};

// The tiles of an image, from width, height and tile. Throws Error invalid_argument if the tile's edge is 0.
TileGrid tile_grid(const Header& header);

// Bytes of number and length of a section of less than 128 bytes that is one of those below; for the encoder's decisions.
inline constexpr std::size_t kSectionOverhead = 2;

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
    std::vector<Section> sections;  // between the header and the tiles
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

// A file of version 4. Throws Error invalid_argument if a header field is out of its range, the number of tiles does not fit the header, a section's
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

// Bytes that it takes in the file, with what stands around it; 0 if there is none.
std::size_t section_size(const Container& container, const std::array<char, 4>& type);

// Names and values for people: the header's fields in the order of the file, then the numbers and sizes of tiles and sections.
std::vector<std::pair<std::string, std::string>> describe_container(const Container& container);

}  // namespace decant
