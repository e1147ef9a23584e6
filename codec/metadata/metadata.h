// What a picture file carries beside its pixels: ICC profile, EXIF, XMP and resolution. Blocks are bytes that are passed on as they
// are; nothing here knows pixels or the codec.
// Metadata, Resolution and Rational are declared in decant/decant.h.
//
// Orientation is a tag of EXIF (and of TIFF, where it comes to the same). It is carried like the pixels: both stay as they were, so
// that a viewer turns the copy just as it turned the original.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decant/decant.h"

namespace decant {

// The largest ICC profile, EXIF block or XMP packet that is taken, in bytes.
inline constexpr std::size_t kMaxMetadataBlock = std::size_t{1} << 24;

// Whether all four numbers are at least 1 and the unit is one of the three.
bool is_valid(const Resolution& resolution);

// Whether both say the same to within the rounding of formats that have whole numbers (PNG's 2835 a metre for 72 per inch).
bool is_same(const Resolution& a, const Resolution& b);

// Which of them are wanted. Orientation and resolution belong to EXIF.
struct MetadataKinds {
    bool icc = true, exif = true, xmp = true;

    bool operator==(const MetadataKinds&) const = default;
};

// "all", "none", or a list of "icc", "exif" and "xmp" with commas between. Throws Error(invalid_argument), listing these, otherwise.
MetadataKinds parse_metadata_kinds(std::string_view text);

Metadata select(Metadata metadata, const MetadataKinds& kinds);

// What is wrong with a block, for people, such as "is no ICC profile"; empty if nothing is. Of an ICC profile the header is looked
// at, of EXIF its first 8 bytes, of XMP nothing but its size.
std::string icc_problem(std::span<const std::uint8_t> icc);
std::string exif_problem(std::span<const std::uint8_t> exif);
std::string xmp_problem(std::span<const std::uint8_t> xmp);

// Whether a profile that has no problem describes samples of 1 channel (gray) or 3 (RGB). An RGB profile may describe gray, which is
// some of its colours.
bool icc_describes(std::span<const std::uint8_t> icc, int channels);

// Orientation by EXIF, 1 … 8; 1, which is as stored, also where there is none or it is not valid.
int orientation_of(const Metadata& metadata);

// "300 x 300 per inch": for people.
std::string describe(const Resolution& resolution);

}  // namespace decant
