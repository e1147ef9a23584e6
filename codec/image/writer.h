// From pixels to the bytes of a picture file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/image/format.h"
#include "codec/image/image.h"
#include "codec/image/reader.h"

namespace decant {

struct WriteOptions {
    int png_level = 2;      // zlib level, 1 (fastest) .. 9 (smallest)
    int jpeg_quality = 95;  // 1 .. 100
};

// Throws Error(invalid_argument) if the format cannot hold that many bits a sample; says what to do instead.
void check_format_depth(ImageFormat format, int depth);

// PNG, PPM/PGM, WebP, TIFF and BMP are lossless; JPEG is not. Gray is stored as gray, except in WebP, which has no gray
// and gets three equal channels.
//
// Throws Error: invalid_argument (an image whose parts disagree, 16 bits a sample for JPEG, WebP or BMP, an option out of its
// range), unsupported (larger than
// the format can hold, or the OpenCV module is missing).
std::vector<std::uint8_t> encode_image(const Image& image, ImageFormat format, const WriteOptions& options = {});

struct EncodedPicture {
    std::vector<std::uint8_t> bytes;
    std::vector<std::string> remarks;  // what was left out, and why, for people
};

// The same with alpha and metadata, as far as the format can hold them (codec/metadata/embedding.h). PNG, WebP and TIFF hold alpha, in
// TIFF of gray as RGB; in the others the picture stands in front of white. The picture's own remarks are not looked at.
EncodedPicture encode_picture(const Picture& picture, ImageFormat format, const WriteOptions& options = {});

}  // namespace decant
