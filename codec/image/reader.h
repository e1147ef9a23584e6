// From the bytes of a picture file to pixels.
//
// PNG goes through libpng and PPM/PGM through a parser of its own; JPEG, WebP, TIFF and BMP go through OpenCV, which is
// loaded when the first of them is read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/image/format.h"
#include "codec/image/image.h"
#include "codec/metadata/metadata.h"

namespace decant {

struct ReadOptions {
    std::uint64_t max_pixels = std::uint64_t{1} << 28;  // width x height above this is refused from the header alone
    // Called once the size is known, before pixels are allocated. `depth`: bits a sample, 8 or 16.
    std::function<void(std::uint64_t pixels, int depth)> make_room = {};
};

// Decodes one picture. The format is told by the content, never by a file name; `name` only appears in messages.
//
// The pixels come as they are stored: 16 bits a sample stay 16, fewer than 8 become 8; no colour conversion beyond palette
// or CMYK to RGB, no gamma, and no rotation by EXIF or TIFF orientation tags. Gray stays 1 channel, except in WebP, which has no gray.
// Alpha that is opaque everywhere is dropped. Of a file that holds several pictures (TIFF, PPM) the first is read.
//
// Throws Error: corrupt (damaged, truncated, empty), limit (more pixels than `max_pixels`), unsupported (not a known
// format, samples that are not unsigned integers of up to 8 or of 16 bits, transparency, animation, or the OpenCV module is
// missing).
Image read_image(std::span<const std::uint8_t> bytes, const std::string& name, const ReadOptions& options = {});

struct Picture {
    Image image;
    std::optional<Image> alpha;  // 1 channel, size and depth of the image; none: opaque. Colours are not multiplied with it
    Metadata metadata;
    std::vector<std::string> remarks;  // what was converted or left out, and why, for people; `name` is not in them
};

// The same with its metadata, and with alpha where there is transparency. A profile that does not describe the pixels as they come out, such as that of a CMYK picture, is left
// out. Metadata that are damaged are no error: they are left out with a remark (codec/metadata/embedding.h).
Picture read_picture(std::span<const std::uint8_t> bytes, const std::string& name, const ReadOptions& options = {});

// The metadata of the bytes of a file, of which `channels` come as pixels, as read_picture gives them. Of a PNG the pixels may be missing.
Metadata read_picture_metadata(std::span<const std::uint8_t> bytes, ImageFormat format, int channels, std::vector<std::string>& remarks);

}  // namespace decant
