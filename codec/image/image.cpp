#include "codec/image/image.h"

#include <algorithm>

#include "codec/error.h"

namespace decant {
namespace {

void check_depth(int depth) {
    if (depth != depth_of<std::uint8_t> && depth != depth_of<std::uint16_t>)
        throw Error(ErrorCode::invalid_argument, std::to_string(depth) + " bits a sample: pictures have 8 or 16");
}

void check_kind(const Image& image) {
    if (image.width == 0 || image.height == 0 || (image.channels != 1 && image.channels != 3))
        throw Error(ErrorCode::invalid_argument,
                    "image of " + describe_shape(image) + ": needs at least one pixel and 1 or 3 channels");
}

}  // namespace

Samples make_samples(std::size_t count, int depth) {
    check_depth(depth);
    if (depth == depth_of<std::uint8_t>) return std::vector<std::uint8_t>(count);
    return std::vector<std::uint16_t>(count);
}

Image::Image(std::uint32_t columns, std::uint32_t rows, int channel_count, int depth)
    : width(columns), height(rows), channels(channel_count) {
    check_kind(*this);
    samples_ = make_samples(row_size() * rows, depth);
}

Image::Image(std::uint32_t columns, std::uint32_t rows, int channel_count, Samples samples)
    : width(columns), height(rows), channels(channel_count), samples_(std::move(samples)) {
    check_image(*this);
}

std::span<const std::uint8_t> Image::bytes() const {
    return visit([](const auto& samples) {
        const auto raw = std::as_bytes(std::span(samples));
        return std::span(reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size());
    });
}

void Image::throw_other_depth(int asked) const {
    throw Error(ErrorCode::invalid_argument,
                "image of " + describe_shape(*this) + ": is used as one of " + std::to_string(asked) + " bit; convert it first");
}

std::string describe_shape(const Image& image) {
    return std::to_string(image.width) + "x" + std::to_string(image.height) + ", " + std::to_string(image.channels) +
           (image.channels == 1 ? " channel, " : " channels, ") + std::to_string(image.depth()) + " bit";
}

void check_image(const Image& image) {
    check_kind(image);
    const std::uint64_t expected = image.pixel_count() * static_cast<std::uint64_t>(image.channels);
    const std::size_t count = image.visit([](const auto& samples) { return samples.size(); });
    if (count != expected)
        throw Error(ErrorCode::invalid_argument, "image of " + describe_shape(image) + ": holds " + std::to_string(count) +
                                                     " samples instead of " + std::to_string(expected));
}

void check_alpha(const Image& image, const Image& alpha) {
    check_image(image);
    check_image(alpha);
    if (alpha.channels != 1 || alpha.width != image.width || alpha.height != image.height || alpha.depth() != image.depth())
        throw Error(ErrorCode::invalid_argument,
                    "alpha of " + describe_shape(alpha) + " does not belong to a picture of " + describe_shape(image));
}

Image cropped(const Image& image, const Region& region) {
    if (region.right() > image.width || region.bottom() > image.height)
        throw Error(ErrorCode::invalid_argument, "a region that reaches beyond a picture of " + describe_shape(image));
    Image result(region.width, region.height, image.channels, image.depth());
    image.visit([&]<Sample T>(const std::vector<T>&) {
        for (std::uint32_t y = 0; y < region.height; ++y)
            std::copy_n(image.row<T>(region.y + y) + std::size_t{region.x} * static_cast<std::size_t>(image.channels), result.row_size(), result.row<T>(y));
    });
    return result;
}

Image with_depth(Image image, int depth) {
    check_depth(depth);
    if (image.depth() == depth) return image;
    check_image(image);
    Image result(image.width, image.height, image.channels, depth);
    image.visit([&]<Sample From>(const std::vector<From>& src) {
        using To = std::conditional_t<std::same_as<From, std::uint8_t>, std::uint16_t, std::uint8_t>;
        std::transform(src.begin(), src.end(), result.samples<To>().begin(), [](From sample) {
            if constexpr (sizeof(To) > sizeof(From))
                return raised(sample);
            else
                return lowered(sample);
        });
    });
    return result;
}

}  // namespace decant
