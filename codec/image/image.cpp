#include "codec/image/image.h"

#include "codec/error.h"

namespace decant {

Image::Image(std::uint32_t columns, std::uint32_t rows, int channel_count)
    : width(columns), height(rows), channels(channel_count) {
    if (columns == 0 || rows == 0 || (channel_count != 1 && channel_count != 3))
        throw Error(ErrorCode::invalid_argument,
                    "image of " + describe_shape(*this) + ": needs at least one pixel and 1 or 3 channels");
    samples.resize(row_size() * rows);
}

std::string describe_shape(const Image& image) {
    return std::to_string(image.width) + "x" + std::to_string(image.height) + ", " + std::to_string(image.channels) +
           (image.channels == 1 ? " channel, " : " channels, ") + std::to_string(image.depth) + " bit";
}

void check_image(const Image& image) {
    const bool known_kind = (image.channels == 1 || image.channels == 3) && image.depth == 8;
    if (!known_kind || image.width == 0 || image.height == 0)
        throw Error(ErrorCode::invalid_argument,
                    "image of " + describe_shape(image) + ": needs at least one pixel, 1 or 3 channels and 8 bits a sample");
    const std::uint64_t expected = image.pixel_count() * static_cast<std::uint64_t>(image.channels);
    if (image.samples.size() != expected)
        throw Error(ErrorCode::invalid_argument, "image of " + describe_shape(image) + ": holds " +
                                                     std::to_string(image.samples.size()) + " samples instead of " +
                                                     std::to_string(expected));
}

}  // namespace decant
