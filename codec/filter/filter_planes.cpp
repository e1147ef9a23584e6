#include "codec/filter/filter_planes.h"

#include <algorithm>
#include <cstdlib>

#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr int kShift = kTransformExponent - kPixelExponent - 5;  // from the synthesis' unit to that of planes
static_assert(kFilterUnit == 1 << 5);
constexpr size_t kChunk = kFilterRun;

DECANT_INLINE int32_t sample_of(int32_t sum) { return (std::clamp(sum, kLowestSum, kHighestSum) - kLowestSum) >> kShift; }

DECANT_VECTORISED void split_colours(const int32_t* __restrict sums, size_t count, int16_t* __restrict luma, int16_t* __restrict co, int16_t* __restrict cg) {
    for (size_t x = 0; x < count; x++) {
        const int32_t r = sample_of(sums[3 * x]), g = sample_of(sums[3 * x + 1]), b = sample_of(sums[3 * x + 2]);
        luma[x] = int16_t((r + 2 * g + b + 2) >> 2);
        co[x] = int16_t(r - b);
        cg[x] = int16_t((2 * g - r - b) >> 1);
    }
}

DECANT_VECTORISED void copy_gray(const int32_t* __restrict sums, size_t count, int16_t* __restrict luma) {
    for (size_t x = 0; x < count; x++) luma[x] = int16_t(sample_of(sums[x]));
}

// Second differences of a row of luma, added to [4, stride] sums of columns.
DECANT_VECTORISED void add_laplacians(const int16_t* __restrict row, ptrdiff_t stride, size_t count, int32_t* __restrict sums, size_t sums_stride) {
    const int16_t *above = row - stride, *below = row + stride;
    int32_t *h = sums, *v = sums + sums_stride, *falling = sums + 2 * sums_stride, *rising = sums + 3 * sums_stride;
    for (size_t x = 0; x < count; x++) {
        const int32_t c = 2 * row[x];
        h[x] += std::abs(c - row[x - 1] - row[x + 1]);
        v[x] += std::abs(c - above[x] - below[x]);
        falling[x] += std::abs(c - above[x - 1] - below[x + 1]);
        rising[x] += std::abs(c - above[x + 1] - below[x - 1]);
    }
}

}  // namespace

void FilterPlanes::begin(int h, int w, int planes, const FilterArea& area) {
    area_ = area;
    known_.y = std::max(area.y - kFilterReach, 0);
    known_.x = std::max(area.x - kFilterReach, 0);
    known_.h = std::min(area.y + area.h + kFilterReach, h) - known_.y;
    known_.w = std::min(area.x + area.w + kFilterReach, w) - known_.x;
    planes_ = planes;
    stride_ = (size_t(area.w) + kChunk - 1) / kChunk * kChunk + kChunk;
    const size_t values = size_t(planes_) * size_t(area.h + 2 * kFilterReach) * stride_ + 2 * kChunk;
    if (memory_.size() < values * sizeof(int16_t)) {
        memory_.grow(values * sizeof(int16_t));
        std::fill_n(reinterpret_cast<int16_t*>(memory_.data()), values, int16_t(0));  // what is read beyond the area is not used, but it is something
    }
}

void FilterPlanes::set(const int32_t* sums, int h, int w, int channels, const FilterArea& area) {
    begin(h, w, filter_planes(channels), area);
    for (int y = 0; y < known_.h; y++) {
        const int32_t* from = sums + (size_t(known_.y + y) * size_t(w) + size_t(known_.x)) * size_t(channels);
        const int to = known_.y - area.y + y;
        const ptrdiff_t first = known_.x - area.x;
        if (channels == 1) {
            copy_gray(from, size_t(known_.w), row(0, to) + first);
        } else {
            split_colours(from, size_t(known_.w), row(0, to) + first, row(1, to) + first, row(2, to) + first);
        }
    }
    end();
}

void FilterPlanes::end() {
    const FilterArea& area = area_;
    const int top = known_.y - area.y, first = known_.x - area.x;
    for (int p = 0; p < planes_; p++) {
        for (int y = top; y < top + known_.h; y++) {
            int16_t* r = row(p, y);
            for (int x = -kFilterReach; x < first; x++) r[x] = r[first];
            for (int x = first + known_.w; x < area.w + kFilterReach; x++) r[x] = r[first + known_.w - 1];
        }
        const auto copy_row = [&](int from, int to) { std::copy_n(row(p, from) - kFilterReach, size_t(area.w + 2 * kFilterReach), row(p, to) - kFilterReach); };
        for (int y = -kFilterReach; y < top; y++) copy_row(top, y);
        for (int y = top + known_.h; y < area.h + kFilterReach; y++) copy_row(top + known_.h - 1, y);
    }
    const size_t across = size_t(area.w / kFilterBlock + 1), columns = across * kFilterBlock;
    cells_.grow(across * size_t(area.h / kFilterBlock + 1) * sizeof(Laplacians));
    columns_.grow(4 * columns * sizeof(int32_t));
    auto* cell = reinterpret_cast<Laplacians*>(cells_.data());
    auto* column = reinterpret_cast<int32_t*>(columns_.data());
    for (int by = 0; by <= area.h / kFilterBlock; by++) {
        std::fill_n(column, 4 * columns, 0);
        for (int y = by * kFilterBlock - 2; y < by * kFilterBlock + 2; y++) add_laplacians(at(0, y, -2), stride(), columns, column, columns);
        for (size_t bx = 0; bx < across; bx++, cell++) {
            for (size_t d = 0; d < 4; d++) {
                const int32_t* from = column + d * columns + bx * kFilterBlock;
                (*cell)[d] = from[0] + from[1] + from[2] + from[3];
            }
        }
    }
}

FilterPlanes::Laplacians FilterPlanes::laplacians(int by, int bx) const {
    const size_t across = size_t(area_.w / kFilterBlock + 1);
    const Laplacians* cell = reinterpret_cast<const Laplacians*>(cells_.data()) + size_t(by) * across + size_t(bx);
    Laplacians result;
    for (size_t d = 0; d < 4; d++) result[d] = cell[0][d] + cell[1][d] + cell[across][d] + cell[across + 1][d];
    return result;
}

int filter_class(const FilterPlanes::Laplacians& l, std::span<const int32_t, kFilterActivities - 1> activity) {
    constexpr int64_t kNoise = 64 * kFilterUnit * 3 / 10;  // 0.3 steps a pixel: so little has no direction
    const int32_t a = activity_of(l);
    int level = 0;
    for (const int32_t least : activity) level += a >= least;
    const int64_t straight = std::max(l[0], l[1]), straight_least = std::min(l[0], l[1]) + kNoise;
    const int64_t diagonal = std::max(l[2], l[3]), diagonal_least = std::min(l[2], l[3]) + kNoise;
    const bool is_straight = straight * diagonal_least >= diagonal * straight_least;
    const int64_t most = is_straight ? straight : diagonal, least = is_straight ? straight_least : diagonal_least;
    int direction = 0;
    if (20 * most >= 27 * least) direction = (is_straight ? l[0] > l[1] ? 1 : 2 : l[2] > l[3] ? 3 : 4) + (5 * most >= 11 * least ? 4 : 0);
    return level * kFilterDirections + direction;
}

}  // namespace decant
