#include "codec/image/reader.h"

#include <utility>
#include <vector>

#include "codec/image/decoded.h"
#include "codec/image/format.h"
#include "codec/image/headers.h"
#include "codec/image/opencv_loader.h"
#include "codec/image/png.h"
#include "codec/image/pnm.h"

namespace decant {
namespace {

HeaderFacts read_header(const Source& source, ImageFormat format) {
    switch (format) {
        case ImageFormat::jpeg:
            return read_jpeg_header(source);
        case ImageFormat::webp:
            return read_webp_header(source);
        case ImageFormat::tiff:
            return read_tiff_header(source);
        default:
            return read_bmp_header(source);
    }
}

void check_depth(const Source& source, int bits) {
    if (bits != 8 && bits != 16)
        throw_unsupported(source, std::to_string(bits) + " bits a sample are not supported; convert to 8 or 16 bit");
}

// OpenCV turns a TIFF by its orientation tag whatever its flags say, so it gets a copy that says "as stored".
std::vector<std::uint8_t> without_orientation(const Source& source, std::size_t orientation_offset) {
    std::vector<std::uint8_t> copy(source.bytes.begin(), source.bytes.end());
    const bool little_endian = copy[0] == 'I';
    copy[orientation_offset] = little_endian ? 1 : 0;
    copy[orientation_offset + 1] = little_endian ? 0 : 1;
    return copy;
}

Image read_with_opencv(const Source& source, ImageFormat format, const ReadOptions& options, Remarks& remarks) {
    const HeaderFacts facts = read_header(source, format);
    check_depth(source, facts.depth);
    check_dimensions(source, facts.width, facts.height, facts.depth, options);
    // OpenCV's own limits, and an int for the size of the input.
    constexpr std::uint64_t side_limit = std::uint64_t{1} << 20, pixel_limit = std::uint64_t{1} << 30;
    if (facts.width > side_limit || facts.height > side_limit || facts.width * facts.height > pixel_limit ||
        source.bytes.size() > INT32_MAX)
        throw_unsupported(source, std::to_string(facts.width) + "x" + std::to_string(facts.height) + " in " +
                                      std::to_string(source.bytes.size()) + " bytes is too large for a " +
                                      std::string(format_name(format)) + " file here; convert it to PNG or PPM");

    std::vector<std::uint8_t> turned_back;
    if (facts.orientation_offset) turned_back = without_orientation(source, *facts.orientation_offset);
    OpencvModule::Picture picture =
        opencv_module().decode(turned_back.empty() ? source.bytes : std::span<const std::uint8_t>(turned_back), source.name);
    if (picture.depth == 0) throw_unsupported(source, "samples are not unsigned integers; convert to 8 or 16 bit");
    if (picture.width != facts.width || picture.height != facts.height || picture.depth != facts.depth)
        throw_corrupt(source, "damaged " + std::string(format_name(format)) + ": its header says " + std::to_string(facts.width) +
                                  "x" + std::to_string(facts.height) + " pixels of " + std::to_string(facts.depth) +
                                  " bits a sample, its data " + std::to_string(picture.width) + "x" +
                                  std::to_string(picture.height) + " of " + std::to_string(picture.depth));
    if (facts.is_cmyk) remarks.emplace_back(kCmykRemark);
    if (facts.has_palette && picture.channels >= 3) remarks.emplace_back(kPaletteRemark);
    return without_alpha(source, picture.width, picture.height, picture.channels, std::move(picture.samples));
}

ImageFormat format_of(const Source& source) {
    if (source.bytes.empty()) throw_corrupt(source, "is empty");
    const auto format = sniff_image_format(source.bytes);
    if (!format) throw_unsupported(source, "is no picture of a known kind (PNG, JPEG, WebP, TIFF, BMP, binary PPM or PGM)");
    return *format;
}

Image read_pixels(const Source& source, ImageFormat format, const ReadOptions& options, Remarks& remarks) {
    switch (format) {
        case ImageFormat::png:
            return read_png(source, options, remarks);
        case ImageFormat::pnm:
            return read_pnm(source, options);
        default:
            return read_with_opencv(source, format, options, remarks);
    }
}

}  // namespace

Image read_image(std::span<const std::uint8_t> bytes, const std::string& name, const ReadOptions& options) {
    const Source source{bytes, name};
    Remarks remarks;
    return read_pixels(source, format_of(source), options, remarks);
}

Picture read_picture(std::span<const std::uint8_t> bytes, const std::string& name, const ReadOptions& options) {
    const Source source{bytes, name};
    const ImageFormat format = format_of(source);
    Picture picture;
    picture.image = read_pixels(source, format, options, picture.remarks);
    picture.metadata = read_metadata(bytes, format, picture.remarks);
    if (!picture.metadata.icc.empty() && !icc_describes(picture.metadata.icc, picture.image.channels)) {
        picture.metadata.icc.clear();
        picture.remarks.emplace_back("the ICC profile is of another colour space than the pixels as they are read; it is left out");
    }
    return picture;
}

}  // namespace decant
