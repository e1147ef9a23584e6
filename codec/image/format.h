// The picture formats: their names, file name extensions and first bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace decant {

enum class ImageFormat { png, pnm, jpeg, webp, tiff, bmp };  // pnm: binary PPM (P6, RGB) and PGM (P5, gray)

// The format with that name: png, ppm, pgm, pnm, jpg, jpeg, webp, tif, tiff, bmp; upper or lower case.
// Throws Error(invalid_argument), listing the names, for any other.
ImageFormat parse_image_format(std::string_view name);

// The format that a path's extension stands for; none for an unknown extension or no extension.
// Only for choosing an output format and for picking files in a folder: a reader goes by content.
std::optional<ImageFormat> format_from_extension(std::string_view path);

// The format that the first bytes announce; none when they announce no picture that can be read.
std::optional<ImageFormat> sniff_image_format(std::span<const std::uint8_t> bytes);

// "PNG", "PPM/PGM", "JPEG", ...: for messages.
std::string_view format_name(ImageFormat format);

// The most bits a sample that the format can hold: 8 or 16.
int format_depth(ImageFormat format);

// The extension that a new file gets, with its dot. PNM is ".pgm" for 1 channel, ".ppm" otherwise.
std::string_view format_extension(ImageFormat format, int channels = 3);

// Every extension that is known, lower case, with its dot.
std::span<const std::string_view> image_extensions();

}  // namespace decant
