// A picture in memory: what every reader produces and every writer takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace decant {

struct Image {
    std::uint32_t width = 0;            // pixels, at least 1 in a picture that a reader made
    std::uint32_t height = 0;           // rows
    int channels = 0;                   // 1 gray, 3 RGB
    int depth = 8;                      // bits a sample; 8 is the only value so far
    std::vector<std::uint8_t> samples;  // height x width x channels, row by row, channels interleaved (R, G, B), 0..255

    Image() = default;
    // A black picture. Throws Error(invalid_argument) unless both sides are at least 1 and `channel_count` is 1 or 3.
    Image(std::uint32_t columns, std::uint32_t rows, int channel_count);

    std::size_t row_size() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels); }
    std::uint64_t pixel_count() const { return static_cast<std::uint64_t>(width) * height; }
    std::uint8_t* row(std::uint32_t y) { return samples.data() + y * row_size(); }
    const std::uint8_t* row(std::uint32_t y) const { return samples.data() + y * row_size(); }

    bool operator==(const Image&) const = default;
};

// "768x512, 3 channels, 8 bit": for messages.
std::string describe_shape(const Image& image);

// Throws Error(invalid_argument) unless sides, channels, depth and the number of samples agree with each other.
void check_image(const Image& image);

}  // namespace decant
