// What a decoded picture lacks, so that no sample is off by more than a bound, or none at all: lossless and near-lossless coding on top of a
// lossy picture (compare JPEG XT, ISO/IEC 18477-8). It takes decoded pixels to be the same on every machine, as those of this codec are.
//
// The payload is
//   u16          bound N, little endian: of the samples of the picture's depth
//   bands        of 64 rows, the last one may have fewer, each
//     u32          length in bytes, little endian
//     length bytes one rANS stream of decisions and raw fields (codec/entropy/rans.h); all estimates begin anew with it
// With x a sample of the decoded picture, the result is x + (2N + 1)·k, cut to 0 … 2^depth - 1. A band is coded pixel by pixel, in rows; a
// pixel channel by channel: gray, or green, red, blue. Of each channel but the first a band begins with a raw field of 2 bits, for its weight w: 0, 2, 3 or 4. Then
//   k = d + (w·p) >> 2 of red, with p the k of green, and of blue, with p the sum of those of green and red, halved, rounded down
// (k = d of gray and green). Of d around it in its channel, 0 outside the band, M = 2|W| + 2|N| + |NW| + |NE|, of which the context is
//   c = how many of 1, 2, 3, 5, 8, 12, 18, 28, 48, 96, 256, 1024 it reaches
// d is
//   decision     it is 0; context c
//   decision     it is negative; context: the signs of W and N, three each
//   decisions    |d| ≥ 2, 4, 8, …, 2^18, up to the first that is not so; context c and which
//   decision     the bit behind the highest of |d|, if there is one; context: the number of bits behind the highest
//   raw fields   the others: the upper ones beyond 15 bits, if there are any, then the lower ones, at most 15
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "codec/image/image.h"
#include "codec/image/rows.h"

namespace decant {

// Runs f(0) … f(count - 1), in any order or at once.
using ForEach = std::function<void(size_t count, const std::function<void(size_t)>& f)>;

// Pictures of one shape, 1 or 3 channels. Throws Error invalid_argument for others.
std::vector<uint8_t> encode_residual(const Image& original, const Image& decoded, uint16_t bound, const ForEach& for_each);

// The bound. Throws Error corrupt.
uint16_t residual_bound(std::span<const uint8_t> bytes);

// Adds it to `image`, the pixels from (x, y) on of a decoded picture of `width` × `height`; reads the bands that these lie in. Throws
// Error corrupt.
void add_residual(std::span<const uint8_t> bytes, uint32_t width, uint32_t height, uint32_t x, uint32_t y, Image& image, const ForEach& for_each);

// The same of pictures that pass row by row, a band at a time.

// Takes the decoded picture, and reads the original beside it.
class ResidualMaker : public RowWriter {
public:
    ResidualMaker(RowReader& original, uint16_t bound);

    void begin(const PictureShape& shape) override;  // Throws Error invalid_argument unless it is the original's.
    void write(const void* row) override;            // Throws what the original does, too.
    std::vector<uint8_t> finish() { return std::move(bytes_); }  // after the last row

private:
    RowReader& reader_;
    const int32_t step_;
    PictureShape shape_;
    Image original_, decoded_;  // of a band
    uint32_t y_ = 0;
    std::vector<uint8_t> bytes_;
};

// Takes a region of the decoded picture, and passes it on complete.
class ResidualAdder : public RowWriter {
public:
    // bytes must outlive this. Throws Error corrupt.
    ResidualAdder(std::span<const uint8_t> bytes, uint32_t width, uint32_t height, const Region& region, RowWriter& rows);

    void begin(const PictureShape& shape) override;
    void write(const void* row) override;  // Throws Error corrupt.

private:
    const int32_t step_;
    const std::vector<std::span<const uint8_t>> bands_;
    const uint32_t width_, height_;
    const Region region_;
    RowWriter& rows_;
    PictureShape shape_;
    Image band_;
    uint32_t y_ = 0, first_ = 0;  // the next row of the region, and the first one in band_
};

}  // namespace decant
