#include "codec/image/writer.h"

#include <string>

#include "codec/alpha/hidden_colours.h"
#include "codec/error.h"
#include "codec/image/opencv_loader.h"
#include "codec/image/png.h"
#include "codec/image/pnm.h"
#include "codec/metadata/embedding.h"
#include "codec/metadata/exif.h"

namespace decant {
namespace {

void check_range(const char* what, int value, int low, int high) {
    if (value < low || value > high)
        throw Error(ErrorCode::invalid_argument, std::string(what) + " " + std::to_string(value) + " is out of range; use " +
                                                     std::to_string(low) + " to " + std::to_string(high));
}

// The longest side that a format's header, or OpenCV's writer, can express.
std::uint32_t side_limit(ImageFormat format) {
    switch (format) {
        case ImageFormat::jpeg:
            return 65500;
        case ImageFormat::webp:
            return 16383;
        case ImageFormat::tiff:
        case ImageFormat::bmp:
            return 1U << 20;
        default:
            return INT32_MAX;
    }
}

bool holds_alpha(ImageFormat format) {
    return format == ImageFormat::png || format == ImageFormat::webp || format == ImageFormat::tiff;
}

// `alpha`: null, or what the format holds.
std::vector<std::uint8_t> encode_pixels(const Image& image, const Image* alpha, ImageFormat format, const WriteOptions& options) {
    check_image(image);
    check_format_depth(format, image.depth());
    check_range("PNG level", options.png_level, 1, 9);
    check_range("JPEG quality", options.jpeg_quality, 1, 100);
    const std::uint32_t limit = side_limit(format);
    if (image.width > limit || image.height > limit)
        throw Error(ErrorCode::unsupported, "image of " + describe_shape(image) + ": " + std::string(format_name(format)) +
                                                " holds at most " + std::to_string(limit) + " pixels a side; use PNG");
    switch (format) {
        case ImageFormat::png:
            return write_png(image, alpha, options.png_level);
        case ImageFormat::pnm:
            return write_pnm(image);
        default:
            break;
    }
    const int quality = format == ImageFormat::webp ? OpencvModule::webp_lossless : options.jpeg_quality;
    std::vector<std::uint8_t> bytes =
        opencv_module().encode(image, std::string(format_extension(format, image.channels)), quality, alpha);
    if (format == ImageFormat::tiff && alpha != nullptr) {
        // OpenCV does not say what the fourth sample is.
        constexpr std::uint16_t type_short = 3, unassociated = 2;
        TiffTree kind;
        kind.fields[tiff_tag::extra_samples] = {type_short, 1, {unassociated, 0}};
        set_fields(bytes, kind);
    }
    return bytes;
}

}  // namespace

void check_format_depth(ImageFormat format, int depth) {
    const int most = format_depth(format);
    if (depth > most)
        throw Error(ErrorCode::invalid_argument, std::string(format_name(format)) + " holds " + std::to_string(most) +
                                                     " bits a sample, not " + std::to_string(depth) + "; use " +
                                                     "PNG, TIFF or PPM, or ask for 8 bits (--depth 8)");
}

std::vector<std::uint8_t> encode_image(const Image& image, ImageFormat format, const WriteOptions& options) {
    return encode_pixels(image, nullptr, format, options);
}

EncodedPicture encode_picture(const Picture& picture, ImageFormat format, const WriteOptions& options) {
    EncodedPicture result;
    if (!picture.alpha) {
        result.bytes = encode_image(picture.image, format, options);
    } else if (holds_alpha(format)) {
        check_alpha(picture.image, *picture.alpha);
        result.bytes = encode_pixels(picture.image, &*picture.alpha, format, options);
    } else {
        result.bytes = encode_image(in_front_of_white(picture.image, *picture.alpha), format, options);
        result.remarks.push_back(std::string(format_name(format)) + " holds no transparency: the picture was put in front of white");
    }
    embed_metadata(result.bytes, format, picture.metadata, picture.image.channels, result.remarks);
    return result;
}

}  // namespace decant
