// Samples of 8 or 16 bits that somebody else owns, read as floats on the 8-bit scale, 0 … 255.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "codec/error.h"
#include "codec/image/image.h"

namespace decant {

class SampleView {
public:
    explicit SampleView(const Image& image)
        : SampleView(image.visit(
              [&](const auto& samples) { return SampleView(image.width, image.height, image.channels, std::span(samples)); })) {}
    // Row by row, channels interleaved. Throw Error invalid_argument unless the numbers agree.
    SampleView(uint32_t width, uint32_t height, int channels, std::span<const uint8_t> samples)
        : width_(width), height_(height), channels_(channels), bytes_(samples.data()) {
        check(samples.size());
    }
    SampleView(uint32_t width, uint32_t height, int channels, std::span<const uint16_t> samples)
        : width_(width), height_(height), channels_(channels), words_(samples.data()) {
        check(samples.size());
    }

    int width() const { return int(width_); }
    int height() const { return int(height_); }
    int channels() const { return channels_; }

    // `count` pixels of row y from column x on.
    void read(int y, int x, int count, float* dst) const {
        const size_t from = (size_t(y) * width_ + size_t(x)) * size_t(channels_), values = size_t(count) * size_t(channels_);
        if (bytes_ != nullptr) {
            for (size_t i = 0; i < values; i++) dst[i] = float(bytes_[from + i]);
        } else {
            for (size_t i = 0; i < values; i++) dst[i] = float(words_[from + i]) * (1.0f / 257.0f);
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

    uint32_t width_, height_;
    int channels_;
    const uint8_t* bytes_ = nullptr;
    const uint16_t* words_ = nullptr;
};

}  // namespace decant
