// Metadata out of the bytes of picture files, and into them. The pixels are left as they are.
//
//          ICC profile          EXIF               XMP                     resolution
//   PNG    iCCP                 eXIf               iTXt XML:com.adobe.xmp  pHYs                PNG 1.2, extensions 1.5
//   JPEG   APP2, many segments  APP1               APP1                    JFIF's APP0         ICC.1 annex B.4, Exif 2.32, XMP part 3
//   WebP   ICCP                 EXIF               XMP                     in EXIF             WebP container
//   TIFF   tag 34675            tags, directories  tag 700                 tags 282, 283, 296  TIFF 6.0
//   PPM/PGM, BMP: none
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/image/format.h"
#include "codec/metadata/metadata.h"

namespace decant {

// What was left out and why, for people: "ICC profile is truncated: …", to go behind the name of the file.
using Remarks = std::vector<std::string>;

// Never throws for what a file contains: a block that is damaged, or larger than kMaxMetadataBlock, is left out with a remark, and
// nothing is allocated on the word of a file. Of several blocks of a kind the first counts. Of XMP in a JPEG the standard packet is
// read; its extension (what exceeds 64 KiB) is not, which a remark says. A TIFF's EXIF is made of its tags, in an order of ours.
Metadata read_metadata(std::span<const std::uint8_t> file, ImageFormat format, Remarks& remarks);

// Into a file that has none of what is given, as encode_image makes it. What the format cannot hold is left out with a remark: in
// JPEG an EXIF block or XMP packet of more than a segment, 64 KiB, in PPM, PGM and BMP everything. `channels`: of the picture that
// was stored. Throws Error(corrupt) if the file is not of that format, or damaged.
void embed_metadata(std::vector<std::uint8_t>& file, ImageFormat format, const Metadata& metadata, int channels,
                    Remarks& remarks);

}  // namespace decant
