// EXIF blocks and TIFF files as what both are: trees of directories of tags (TIFF 6.0; Exif 2.32). Not for callers: these use
// embedding.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "codec/metadata/metadata.h"

namespace decant {

// The tags that are looked at.
namespace tiff_tag {
constexpr std::uint16_t width = 256, height = 257, bits = 258, photometric = 262, strip_offsets = 273, orientation = 274,
                        channels = 277, strip_sizes = 279, x_resolution = 282, y_resolution = 283, planar = 284,
                        resolution_unit = 296, tile_offsets = 324, tile_sizes = 325, extra_samples = 338, sample_format = 339, xmp = 700, iptc = 33723, icc = 34675,
                        exif_directory = 34665, gps_directory = 34853, interoperability_directory = 40965;
}

struct TiffField {
    std::uint16_t type = 0;
    std::uint32_t count = 0;
    std::vector<std::uint8_t> values;  // count of them, little endian

    bool operator==(const TiffField&) const = default;
};

// Fields by tag. A tag that points to another directory is in `children` alone.
struct TiffTree {
    std::map<std::uint16_t, TiffField> fields;
    std::map<std::uint16_t, TiffTree> children;

    bool empty() const { return fields.empty() && children.empty(); }
};

// What the first directory says about the picture as a whole: descriptions, dates, orientation, and the directories of EXIF and GPS;
// nothing about how the pixels are stored. Throws Error(corrupt) for a block that is damaged, Error(limit) for one of more than
// kMaxMetadataBlock bytes.
TiffTree read_description(std::span<const std::uint8_t> tiff);

// A whole EXIF block, little endian; empty for an empty tree.
std::vector<std::uint8_t> make_exif(const TiffTree& tree);

// Puts the tree into the first directory of a TIFF file or an EXIF block, in the place of what was there under the same tags. The
// new directory and its values come to the end: nothing else moves, so offsets in the file, even in notes of camera makers, stay
// right. Throws Error: corrupt, unsupported where the file becomes larger than 32 bits can say.
void set_fields(std::vector<std::uint8_t>& tiff, const TiffTree& tree);

// The fields of a resolution, and back. Of a file that has none, or one that is not valid: none.
TiffTree resolution_fields(const Resolution& resolution);
std::optional<Resolution> read_resolution(std::span<const std::uint8_t> tiff);

// The same, none also where the block is damaged.
std::optional<Resolution> exif_resolution(std::span<const std::uint8_t> exif);

}  // namespace decant
