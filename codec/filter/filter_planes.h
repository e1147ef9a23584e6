// What the filter sees of a decoded picture: planes of luma and colour, and the class of each block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/filter/filter_tables.h"
#include "codec/network/description.h"
#include "codec/tensor/tensor.h"

namespace decant {

inline constexpr int kFilterBlock = 4;  // pixels a side that have a class in common
inline constexpr int kFilterRun = 64;   // pixels of a row that are filtered together
inline constexpr int kFilterReach = 3;  // pixels that a stage sees around a block
inline constexpr int kFilterMargin = (kFilterStages - 1) * kFilterBlock + kFilterReach;  // that the whole filter sees: the stages before the last do whole blocks

// What the synthesis gives, in multiples of 2^-kTransformExponent, for one step of 8 bits, and for 0 and 255 of them.
inline constexpr int32_t kStepSum = 1 << (kTransformExponent - kPixelExponent), kLowestSum = -kPixelZero * kStepSum, kHighestSum = (255 - kPixelZero) * kStepSum;

// A neighbour and, opposite, another one.
struct FilterOffset {
    int y, x;
};
// Of the two rings around a pixel, and six of the third; who has fewer (filter_pairs) has the first ones.
inline constexpr std::array<FilterOffset, 18> kFilterOffsets{{{0, -1},  {-1, 0},  {-1, -1}, {-1, 1}, {0, -2}, {-2, 0}, {-2, -2}, {-2, -1}, {-2, 1},
                                                             {-2, 2}, {-1, -2}, {-1, 2},  {0, -3}, {-3, 0}, {-1, -3}, {-3, -1}, {-3, 1},  {-1, 3}}};

// A rectangle of pixels.
struct FilterArea {
    int y = 0, x = 0, h = 0, w = 0;
};

class FilterPlanes {
public:
    // The area, in multiples of kFilterBlock, of a picture [h, w, channels] in multiples of 2^-kTransformExponent, as the synthesis gives it; beyond
    // its edges it goes on as its edge pixels do.
    void set(const int32_t* sums, int h, int w, int channels, const FilterArea& area);

    // The same with pixels that are made by hand, between these two: those of the area, and kFilterReach beyond it as far as the picture [h, w] has them.
    void begin(int h, int w, int planes, const FilterArea& area);
    void end();
    int16_t* row(int plane, int y) { return const_cast<int16_t*>(at(plane, y, 0)); }

    const FilterArea& area() const { return area_; }
    // What the picture has of it and of kFilterReach around it.
    const FilterArea& known() const { return known_; }
    int planes() const { return planes_; }
    // Pixel (y, x) of the area, and kFilterReach beyond it; at least kFilterRun may be read from there.
    const int16_t* at(int plane, int y, int x) const {
        return reinterpret_cast<const int16_t*>(memory_.data()) + (size_t(plane) * size_t(area_.h + 2 * kFilterReach) + size_t(y + kFilterReach)) * stride_ + size_t(x + kBorder);
    }
    ptrdiff_t stride() const { return ptrdiff_t(stride_); }

    // Sums of absolute second differences, in four directions, of luma over the 8×8 pixels around the block (by, bx): horizontal, vertical, and along the diagonals
    // that fall and rise. As for VVC's adaptive loop filter (H.266, 8.8.5.3), with every pixel in the place of every other one.
    using Laplacians = std::array<int32_t, 4>;
    Laplacians laplacians(int by, int bx) const;

private:
    static constexpr int kBorder = 4;

    FilterArea area_, known_;
    int planes_ = 0;
    size_t stride_ = 0;
    AlignedBuffer memory_, cells_, columns_;  // cells: Laplacians of 4×4 pixels, two pixels before the blocks, [area.h / 4 + 1, area.w / 4 + 1]
};

inline int32_t activity_of(const FilterPlanes::Laplacians& l) { return l[0] + l[1]; }
// 0 … kFilterClasses - 1.
int filter_class(const FilterPlanes::Laplacians& l, std::span<const int32_t, kFilterActivities - 1> activity);

}  // namespace decant
