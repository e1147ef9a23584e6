#include "codec/image/format.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "codec/error.h"

namespace decant {
namespace {

constexpr std::array<std::string_view, 10> extension_names = {".png",  ".ppm",  ".pgm", ".pnm",  ".jpg",
                                                              ".jpeg", ".webp", ".tif", ".tiff", ".bmp"};
constexpr std::array<ImageFormat, 10> extension_formats = {
    ImageFormat::png,  ImageFormat::pnm,  ImageFormat::pnm,  ImageFormat::pnm,  ImageFormat::jpeg,
    ImageFormat::jpeg, ImageFormat::webp, ImageFormat::tiff, ImageFormat::tiff, ImageFormat::bmp};

std::string lower_case(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::optional<ImageFormat> find_extension(const std::string& extension) {
    const auto found = std::find(extension_names.begin(), extension_names.end(), extension);
    if (found == extension_names.end()) return std::nullopt;
    return extension_formats[static_cast<std::size_t>(found - extension_names.begin())];
}

}  // namespace

ImageFormat parse_image_format(std::string_view name) {
    if (const auto format = find_extension(lower_case(std::string(".").append(name)))) return *format;
    std::string known;
    for (const std::string_view extension : extension_names) {
        if (!known.empty()) known += ", ";
        known += extension.substr(1);
    }
    throw Error(ErrorCode::invalid_argument, "image format \"" + std::string(name) + "\" is not known; use one of " + known);
}

std::optional<ImageFormat> format_from_extension(std::string_view path) {
    const std::string_view file_name = path.substr(path.find_last_of('/') + 1);
    const std::size_t dot = file_name.find_last_of('.');
    if (dot == std::string_view::npos || dot == 0) return std::nullopt;
    return find_extension(lower_case(file_name.substr(dot)));
}

std::optional<ImageFormat> sniff_image_format(std::span<const std::uint8_t> bytes) {
    const auto has = [&](std::size_t offset, std::string_view magic) {
        return bytes.size() >= offset + magic.size() && std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
    };
    if (has(0, "\x89PNG\r\n\x1a\n")) return ImageFormat::png;
    if (has(0, "\xff\xd8\xff")) return ImageFormat::jpeg;
    if (has(0, "RIFF") && has(8, "WEBP")) return ImageFormat::webp;
    if (has(0, {"II*\0", 4}) || has(0, {"MM\0*", 4})) return ImageFormat::tiff;
    if (has(0, "P5") || has(0, "P6")) return ImageFormat::pnm;
    if (has(0, "BM")) return ImageFormat::bmp;
    return std::nullopt;
}

std::string_view format_name(ImageFormat format) {
    switch (format) {
        case ImageFormat::png:
            return "PNG";
        case ImageFormat::pnm:
            return "PPM/PGM";
        case ImageFormat::jpeg:
            return "JPEG";
        case ImageFormat::webp:
            return "WebP";
        case ImageFormat::tiff:
            return "TIFF";
        case ImageFormat::bmp:
            return "BMP";
    }
    return "unknown";
}

int format_depth(ImageFormat format) {
    return format == ImageFormat::png || format == ImageFormat::pnm || format == ImageFormat::tiff ? 16 : 8;
}

std::string_view format_extension(ImageFormat format, int channels) {
    switch (format) {
        case ImageFormat::png:
            return ".png";
        case ImageFormat::pnm:
            return channels == 1 ? ".pgm" : ".ppm";
        case ImageFormat::jpeg:
            return ".jpg";
        case ImageFormat::webp:
            return ".webp";
        case ImageFormat::tiff:
            return ".tif";
        case ImageFormat::bmp:
            return ".bmp";
    }
    return "";
}

std::span<const std::string_view> image_extensions() { return extension_names; }

}  // namespace decant
