#include "codec/image/reader.h"

#include <algorithm>
#include <limits>
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

// OpenCV turns a TIFF by its orientation tag, and multiplies its colours with alpha, whatever its flags say; so it gets a copy that
// says "as stored" and "multiplied already".
std::vector<std::uint8_t> as_it_lies(const Source& source, const HeaderFacts& facts) {
    std::vector<std::uint8_t> copy;
    for (const auto& offset : {facts.orientation_offset, facts.alpha_kind_offset}) {
        if (!offset) continue;
        if (copy.empty()) copy.assign(source.bytes.begin(), source.bytes.end());
        const bool little_endian = copy[0] == 'I';
        copy[*offset] = little_endian ? 1 : 0;
        copy[*offset + 1] = little_endian ? 0 : 1;
    }
    return copy;
}

void divide_by_alpha(Pixels& pixels) {
    pixels.image.visit([&]<Sample T>(std::vector<T>& samples) {
        const std::vector<T>& alpha = pixels.alpha->samples<T>();
        constexpr std::uint64_t most = std::numeric_limits<T>::max();
        const auto channels = static_cast<std::size_t>(pixels.image.channels);
        for (std::size_t i = 0; i < samples.size(); ++i)
            if (const std::uint64_t a = alpha[i / channels]; a != 0)
                samples[i] = static_cast<T>(std::min(most, (samples[i] * most + a / 2) / a));
    });
}

Pixels read_with_opencv(const Source& source, ImageFormat format, const ReadOptions& options, Remarks& remarks) {
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

    const std::vector<std::uint8_t> changed = as_it_lies(source, facts);
    OpencvModule::Picture picture =
        opencv_module().decode(changed.empty() ? source.bytes : std::span<const std::uint8_t>(changed), source.name);
    if (picture.depth == 0) throw_unsupported(source, "samples are not unsigned integers; convert to 8 or 16 bit");
    if (picture.width != facts.width || picture.height != facts.height || picture.depth != facts.depth)
        throw_corrupt(source, "damaged " + std::string(format_name(format)) + ": its header says " + std::to_string(facts.width) +
                                  "x" + std::to_string(facts.height) + " pixels of " + std::to_string(facts.depth) +
                                  " bits a sample, its data " + std::to_string(picture.width) + "x" +
                                  std::to_string(picture.height) + " of " + std::to_string(picture.depth));
    if (facts.is_cmyk) remarks.emplace_back(kCmykRemark);
    if (facts.has_palette && picture.channels >= 3) remarks.emplace_back(kPaletteRemark);
    Pixels pixels = separate_alpha(picture.width, picture.height, picture.channels, std::move(picture.samples));
    if (facts.is_premultiplied && pixels.alpha) {
        divide_by_alpha(pixels);
        remarks.emplace_back(kPremultipliedRemark);
    }
    return pixels;
}

ImageFormat format_of(const Source& source) {
    if (source.bytes.empty()) throw_corrupt(source, "is empty");
    const auto format = sniff_image_format(source.bytes);
    if (!format) throw_unsupported(source, "is no picture of a known kind (PNG, JPEG, WebP, TIFF, BMP, binary PPM or PGM)");
    return *format;
}

Pixels read_pixels(const Source& source, ImageFormat format, const ReadOptions& options, Remarks& remarks) {
    switch (format) {
        case ImageFormat::png:
            return read_png(source, options, remarks);
        case ImageFormat::pnm:
            return {read_pnm(source, options), {}};
        default:
            return read_with_opencv(source, format, options, remarks);
    }
}

}  // namespace

Image read_image(std::span<const std::uint8_t> bytes, const std::string& name, const ReadOptions& options) {
    const Source source{bytes, name};
    Remarks remarks;
    Pixels pixels = read_pixels(source, format_of(source), options, remarks);
    if (pixels.alpha)
        throw_unsupported(source, "has transparent pixels, which are not supported here; flatten the picture onto a background first");
    return std::move(pixels.image);
}

Picture read_picture(std::span<const std::uint8_t> bytes, const std::string& name, const ReadOptions& options) {
    const Source source{bytes, name};
    const ImageFormat format = format_of(source);
    Picture picture;
    Pixels pixels = read_pixels(source, format, options, picture.remarks);
    picture.image = std::move(pixels.image);
    picture.alpha = std::move(pixels.alpha);
    picture.metadata = read_picture_metadata(bytes, format, picture.image.channels, picture.remarks);
    return picture;
}

Metadata read_picture_metadata(std::span<const std::uint8_t> bytes, ImageFormat format, int channels, std::vector<std::string>& remarks) {
    Metadata metadata = read_metadata(bytes, format, remarks);
    if (!metadata.icc.empty() && !icc_describes(metadata.icc, channels)) {
        metadata.icc.clear();
        remarks.emplace_back("the ICC profile is of another colour space than the pixels as they are read; it is left out");
    }
    return metadata;
}

}  // namespace decant
