// A picture in memory: what every reader produces and every writer takes.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace decant {

// What a sample can be: 8 bits, 0 … 255, or 16 bits, 0 … 65535.
template <class T>
concept Sample = std::same_as<T, std::uint8_t> || std::same_as<T, std::uint16_t>;

// Bits a sample.
template <Sample T>
inline constexpr int depth_of = 8 * static_cast<int>(sizeof(T));

using Samples = std::variant<std::vector<std::uint8_t>, std::vector<std::uint16_t>>;

// That many zeros. Throws Error(invalid_argument) unless depth is 8 or 16.
Samples make_samples(std::size_t count, int depth);

class Image {
public:
    std::uint32_t width = 0;   // pixels, at least 1 in a picture that a reader made
    std::uint32_t height = 0;  // rows
    int channels = 0;          // 1 gray, 3 RGB

    Image() = default;
    // A black picture. Throws Error(invalid_argument) unless both sides are at least 1, `channel_count` is 1 or 3 and `depth` 8
    // or 16.
    Image(std::uint32_t columns, std::uint32_t rows, int channel_count, int depth = 8);
    // A picture of samples that are there already. Throws as check_image does.
    Image(std::uint32_t columns, std::uint32_t rows, int channel_count, Samples samples);

    // Bits a sample: those of the type in which the samples are kept.
    int depth() const { return samples_.index() == 0 ? depth_of<std::uint8_t> : depth_of<std::uint16_t>; }

    // height x width x channels, row by row, channels interleaved (R, G, B). Code for 8 bits leaves T out.
    // Throw Error(invalid_argument) when the picture has samples of the other depth.
    template <Sample T = std::uint8_t>
    std::vector<T>& samples() {
        return checked(std::get_if<std::vector<T>>(&samples_), depth_of<T>);
    }
    template <Sample T = std::uint8_t>
    const std::vector<T>& samples() const {
        return checked(std::get_if<std::vector<T>>(&samples_), depth_of<T>);
    }
    template <Sample T = std::uint8_t>
    T* row(std::uint32_t y) {
        return samples<T>().data() + y * row_size();
    }
    template <Sample T = std::uint8_t>
    const T* row(std::uint32_t y) const {
        return samples<T>().data() + y * row_size();
    }

    // work(samples), with a vector of the picture's own kind: for code that serves both depths.
    template <class Work>
    decltype(auto) visit(Work&& work) {
        return std::visit(std::forward<Work>(work), samples_);
    }
    template <class Work>
    decltype(auto) visit(Work&& work) const {
        return std::visit(std::forward<Work>(work), samples_);
    }

    // The samples as they lie in memory, in the machine's byte order.
    std::span<const std::uint8_t> bytes() const;

    std::size_t row_size() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels); }  // samples
    std::uint64_t pixel_count() const { return static_cast<std::uint64_t>(width) * height; }

    bool operator==(const Image&) const = default;

private:
    template <class Vector>
    Vector& checked(Vector* found, int depth) const {
        if (found == nullptr) throw_other_depth(depth);
        return *found;
    }
    [[noreturn]] void throw_other_depth(int asked) const;

    Samples samples_;
};

// A rectangle of pixels.
struct Region {
    uint32_t x = 0, y = 0, width = 0, height = 0;

    uint64_t right() const { return uint64_t{x} + width; }
    uint64_t bottom() const { return uint64_t{y} + height; }
    bool operator==(const Region&) const = default;
};

// The pixels of a region. Throws Error(invalid_argument) where it reaches beyond the picture.
Image cropped(const Image& image, const Region& region);

// "768x512, 3 channels, 8 bit": for messages.
std::string describe_shape(const Image& image);

// Throws Error(invalid_argument) unless sides, channels and the number of samples agree with each other.
void check_image(const Image& image);

// Throws Error(invalid_argument) unless `alpha` is a picture of 1 channel with the size and depth of `image`.
void check_alpha(const Image& image, const Image& alpha);

inline std::uint16_t raised(std::uint8_t sample) { return static_cast<std::uint16_t>(sample * 257); }
inline std::uint8_t lowered(std::uint16_t sample) { return static_cast<std::uint8_t>((sample + 128) / 257); }

// The same picture at 8 or 16 bits a sample: v · 257 upwards, v / 257 rounded downwards, which gives back what was raised.
// Throws Error(invalid_argument) for any other depth.
Image with_depth(Image image, int depth);

}  // namespace decant
