// What the headers of JPEG, WebP, TIFF and BMP files say, read before their decoder sees the file: a decoder allocates
// what the header claims, and some of them take a truncated file for a whole one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/image/decoded.h"
#include "codec/image/format.h"

namespace decant {

struct HeaderFacts {
    std::uint64_t width = 0;
    std::uint64_t height = 0;
    int depth = 8;  // bits a sample, as stored
    bool has_palette = false, is_cmyk = false;  // colours that are converted to gray or RGB
    // TIFF only: where the file stores an orientation other than "as stored" (2 bytes, in the file's byte order).
    std::optional<std::size_t> orientation_offset;
    bool is_premultiplied = false;  // colours are stored multiplied with alpha
    // TIFF only: where the file says that they are not (2 bytes, in the file's byte order).
    std::optional<std::size_t> alpha_kind_offset;
};

// Throws Error: corrupt for a damaged header or a file that ends before its own structure does; unsupported for kinds
// that OpenCV would decode wrongly or only in part (animation, CMYK TIFF, gray with alpha in TIFF, 16-bit TIFF other than
// gray with black at 0 and interleaved RGB, BMP of 16 bits a pixel).
HeaderFacts read_jpeg_header(const Source& source);
HeaderFacts read_webp_header(const Source& source);
HeaderFacts read_tiff_header(const Source& source);
HeaderFacts read_bmp_header(const Source& source);

}  // namespace decant
