// Picture files as the verbs read them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "codec/error.h"
#include "codec/image/format.h"
#include "codec/image/image.h"
#include "codec/image/reader.h"
#include "codec/image/rows.h"
#include "tools/decant/options.h"
#include "tools/decant/report.h"

namespace decant::cli {

struct PictureFile : Picture {
    uint64_t bytes = 0;  // of the file
};

// Colours that cannot be seen, under alpha 0, are smooth continuations of those around.
// Throws what read_file and decant::read_picture throw, but Error(io) for a damaged picture: exit code 4 is for damaged .dcn files.
// make_room: that of ReadOptions.
PictureFile read_picture(const std::string& path, uint64_t max_pixels, const std::function<void(uint64_t, int)>& make_room = {});

// The same for verbs that look at pixels alone. Throws Error(unsupported) for a picture with transparency.
PictureFile read_opaque_picture(const std::string& path, uint64_t max_pixels,
                                const std::function<void(uint64_t, int)>& make_room = {});

struct PictureRowsFile : PictureRows {
    uint64_t bytes = 0;  // of the file
};

// A picture file whose rows can be read one after the other; none for others, which read_picture reads or refuses. Throws as that.
std::optional<PictureRowsFile> open_picture_rows(const std::string& path, uint64_t max_pixels);

// Calls f, in which a picture is read: Error(corrupt) becomes Error(io), see read_picture.
template <class F>
decltype(auto) in_picture(F&& f) {
    try {
        return f();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::corrupt) throw Error(ErrorCode::io, error.what());
        throw;
    }
}

// The format asked for with --format, or that of the name of --output, or PNG. Throws Error invalid_argument for a name that stands
// for no format, and for one that cannot hold the --depth asked for.
ImageFormat output_format(const Settings& settings);

// Bits a sample of the picture to be written, of one that is stored with `stored`: as stored, unless --depth says otherwise.
// Throws Error invalid_argument where `format` cannot hold them.
int output_depth(const Settings& settings, ImageFormat format, int stored);

// What --metadata asks for; the report gets a note where that turns the picture.
Metadata carried(Metadata metadata, const Settings& settings, FileReport& report);

// encode_picture, with what it remarks in the report.
std::vector<uint8_t> encode_picture(const Picture& picture, ImageFormat format, FileReport& report);

// Bits a pixel of a file of this size.
double bits_per_pixel(uint64_t bytes, const Image& image);

// MS-SSIM; NaN where the pictures are too small for it.
double ms_ssim_or_nan(const Image& a, const Image& b);

}  // namespace decant::cli
