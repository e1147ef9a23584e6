// What the readers of the single formats share. Not for callers: these use reader.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "codec/image/image.h"
#include "codec/image/reader.h"
#include "codec/metadata/embedding.h"

namespace decant {

// The bytes of a file together with the name that messages call it by.
struct Source {
    std::span<const std::uint8_t> bytes;
    const std::string& name;
};

[[noreturn]] void throw_corrupt(const Source& source, const std::string& what);
[[noreturn]] void throw_unsupported(const Source& source, const std::string& what);

// A word about colours that do not come as they are stored.
inline constexpr const char* kPaletteRemark = "the palette was converted to RGB";
inline constexpr const char* kPremultipliedRemark = "colours that were multiplied with alpha were divided by it";
inline constexpr const char* kCmykRemark = "CMYK was converted to RGB, without colour management";

// Throws Error(corrupt) for a side of 0 and Error(limit) for more pixels than allowed; then makes room for pixels of `depth` bits a
// sample. To be called once.
void check_dimensions(const Source& source, std::uint64_t width, std::uint64_t height, int depth, const ReadOptions& options);

struct Pixels {
    Image image;
    std::optional<Image> alpha;  // 1 channel of the same depth; none: opaque
};

// Pixels with the alpha channel that some formats have: channels 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. Alpha that is the
// largest value everywhere is dropped.
Pixels separate_alpha(std::uint32_t width, std::uint32_t height, int channels, Samples samples);

// The samples of a picture with alpha as the last channel, as files store them. Both have the same size and depth.
template <Sample T>
void interleave_row(const Image& image, const Image& alpha, std::uint32_t y, T* dst) {
    const T *pixel = image.row<T>(y), *opacity = alpha.row<T>(y);
    for (std::uint32_t x = 0; x < image.width; ++x) {
        for (int c = 0; c < image.channels; ++c) *dst++ = *pixel++;
        *dst++ = *opacity++;
    }
}

}  // namespace decant
