// Samples of 8 or 16 bits that somebody else owns: of a whole picture, of a band of its rows while it passes, or of a part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "codec/error.h"
#include "codec/image/image.h"

namespace decant {

// To be read. Rows are named by their place in the whole picture.
class SampleView {
public:
    SampleView(const Image& image)
        : SampleView(image.visit(
              [&](const auto& samples) { return SampleView(image.width, image.height, image.channels, std::span(samples)); })) {}
    // Row by row, channels interleaved. Throw Error invalid_argument unless the numbers agree.
    SampleView(uint32_t width, uint32_t height, int channels, std::span<const uint8_t> samples)
        : SampleView(width, height, channels, 8, samples.data(), height) {
        check(samples.size());
    }
    SampleView(uint32_t width, uint32_t height, int channels, std::span<const uint16_t> samples)
        : SampleView(width, height, channels, 16, samples.data(), height) {
        check(samples.size());
    }
    // A band: memory for `held` rows, in which row y stands at y mod held. Which rows are there is up to the owner.
    SampleView(uint32_t width, uint32_t height, int channels, int depth, const void* rows, uint32_t held)
        : width_(width), height_(height), held_(held), channels_(channels), depth_(depth), rows_(rows) {}

    int width() const { return int(width_); }
    int height() const { return int(height_); }
    int channels() const { return channels_; }
    int depth() const { return depth_; }  // bits a sample

    // T: of the view's depth.
    template <Sample T = uint8_t>
    const T* row(int64_t y) const {
        return static_cast<const T*>(rows_) + size_t(uint64_t(y) % held_) * width_ * size_t(channels_);
    }

    // `count` pixels of row y from column x on, as floats on the 8-bit scale, 0 … 255.
    void read(int y, int x, int count, float* dst) const {
        const size_t from = size_t(x) * size_t(channels_), values = size_t(count) * size_t(channels_);
        if (depth_ == 8) {
            const uint8_t* src = row(y) + from;
            for (size_t i = 0; i < values; i++) dst[i] = float(src[i]);
        } else {
            const uint16_t* src = row<uint16_t>(y) + from;
            for (size_t i = 0; i < values; i++) dst[i] = float(src[i]) * (1.0f / 257.0f);
        }
    }

private:
    void check(size_t samples) const {
        const bool good = width_ >= 1 && height_ >= 1 && width_ <= INT32_MAX && height_ <= INT32_MAX &&
                          (channels_ == 1 || channels_ == 3) && samples == size_t(width_) * size_t(height_) * size_t(channels_);
        if (!good) {
            throw Error(ErrorCode::invalid_argument, "picture of " + std::to_string(width_) + "x" + std::to_string(height_) +
                                                         " pixels, " + std::to_string(channels_) + " channels and " +
                                                         std::to_string(samples) + " samples");
        }
    }

    uint32_t width_, height_, held_;
    int channels_, depth_;
    const void* rows_;
};

// To be written: a region of a picture, or a band of its rows.
class SampleTarget {
public:
    // All of a picture.
    SampleTarget(Image& image) : SampleTarget(image, {0, 0, image.width, image.height}) {}
    // `image` is the region of a larger picture. Throws Error invalid_argument unless they have the same size.
    SampleTarget(Image& image, const Region& region)
        : SampleTarget(region, image.channels, image.depth(), image.visit([](auto& s) -> void* { return s.data(); }), image.height) {
        if (image.width != region.width || image.height != region.height)
            throw Error(ErrorCode::invalid_argument, "a region of another size than its picture");
    }
    // Memory for `held` rows of the region, in which its row y stands at y mod held.
    SampleTarget(const Region& region, int channels, int depth, void* rows, uint32_t held)
        : region_(region), held_(held), channels_(channels), depth_(depth), rows_(rows) {}

    const Region& region() const { return region_; }
    int channels() const { return channels_; }
    int depth() const { return depth_; }

    // Pixel (x, y) of the whole picture and what follows in its row. T: of the target's depth.
    template <Sample T = uint8_t>
    T* at(int64_t y, int64_t x) const {
        const uint64_t row = uint64_t(y - int64_t{region_.y}) % held_;
        return static_cast<T*>(rows_) + (row * region_.width + uint64_t(x - int64_t{region_.x})) * uint64_t(channels_);
    }

private:
    Region region_;
    uint32_t held_;
    int channels_, depth_;
    void* rows_;
};

}  // namespace decant
