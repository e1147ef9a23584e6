// Picture files as the verbs read them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "codec/image/format.h"
#include "codec/image/image.h"
#include "tools/decant/options.h"

namespace decant::cli {

struct PictureFile {
    Image image;
    uint64_t bytes = 0;  // of the file
};

// Throws what read_file and read_image throw, but Error(io) for a damaged picture: exit code 4 is for damaged .dcn files.
// make_room: that of ReadOptions.
PictureFile read_picture(const std::string& path, uint64_t max_pixels, const std::function<void(uint64_t, int)>& make_room = {});

// The format asked for with --format, or that of the name of --output, or PNG. Throws Error invalid_argument for a name that stands
// for no format, and for one that cannot hold the --depth asked for.
ImageFormat output_format(const Settings& settings);

// Bits a sample of the picture to be written, of one that is stored with `stored`: as stored, unless --depth says otherwise.
// Throws Error invalid_argument where `format` cannot hold them.
int output_depth(const Settings& settings, ImageFormat format, int stored);

// Bits a pixel of a file of this size.
double bits_per_pixel(uint64_t bytes, const Image& image);

// MS-SSIM; NaN where the pictures are too small for it.
double ms_ssim_or_nan(const Image& a, const Image& b);

}  // namespace decant::cli
