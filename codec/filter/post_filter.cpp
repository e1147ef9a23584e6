#include "codec/filter/post_filter.h"

#include <algorithm>

#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr size_t kChunk = kFilterRun;
constexpr size_t kBlocks = kChunk / kFilterBlock;
constexpr int kScale = kStepSum / kFilterUnit;  // planes' units to the synthesis'
constexpr int32_t kPlaneTop = 255 * kFilterUnit;  // of luma, which begins at 0, and of differences of colours either way

// v · tap, rounded: the instruction pmulhrsw.
DECANT_INLINE int16_t product(int16_t v, int16_t tap) { return int16_t((((int32_t{v} * tap) >> (kTapExponent - 1)) + 1) >> 1); }
DECANT_INLINE int16_t cut(int16_t v, int16_t limit) { return std::min(std::max(v, int16_t(-limit)), limit); }

// What a pair of neighbours a, b of p adds to the sum.
DECANT_INLINE int16_t pair_sum(int16_t p, int16_t a, int16_t b, const int16_t* taps, int16_t first, int16_t second) {
    const int16_t u = int16_t(a - p), v = int16_t(b - p);
    const int16_t one = product(int16_t(cut(u, first) + cut(v, first)), taps[0]);
    const int16_t two = product(int16_t(cut(u, second) + cut(v, second)), taps[kChunk]);
    return int16_t(one + two + product(int16_t(u + v), taps[2 * kChunk]));
}

// What two pairs, a and b, c and d, add to [kFilterBlock, kChunk] pixels from p on; taps: [2, kFilterClips, kChunk]. A function of its own, since only of its
// arguments the compiler knows that they do not overlap.
DECANT_VECTORISED void add_pairs(const int16_t* __restrict p, const int16_t* __restrict a, const int16_t* __restrict b, const int16_t* __restrict c,
                                 const int16_t* __restrict d, ptrdiff_t stride, const int16_t* __restrict taps, int16_t first, int16_t second, int16_t* __restrict sum) {
#pragma GCC unroll 1
    for (int y = 0; y < kFilterBlock; y++) {
        for (size_t x = 0; x < kChunk; x++) {
            sum[x] = int16_t(sum[x] + pair_sum(p[x], a[x], b[x], taps + x, first, second) + pair_sum(p[x], c[x], d[x], taps + kFilterClips * kChunk + x, first, second));
        }
        p += stride;
        a += stride;
        b += stride;
        c += stride;
        d += stride;
        sum += kChunk;
    }
}

// taps: [pairs, kFilterClips, kChunk], an even number of pairs; sum: [kFilterBlock, kChunk].
void add_corrections(const int16_t* p, ptrdiff_t stride, int pairs, const std::array<int16_t, 2>& clips, const int16_t* taps, int16_t* sum) {
    const auto offset = [&](int i) { return kFilterOffsets[size_t(i)].y * stride + kFilterOffsets[size_t(i)].x; };
    for (int i = 0; i < pairs; i += 2) {
        add_pairs(p, p + offset(i), p - offset(i), p + offset(i + 1), p - offset(i + 1), stride, taps + size_t(i) * kFilterClips * kChunk, clips[0], clips[1], sum);
    }
}

// Within the range of the plane, so that differences of its values are 16 bits.
DECANT_VECTORISED void add_rows(const int16_t* __restrict a, const int16_t* __restrict b, int16_t least, int16_t* __restrict sum, size_t count) {
    for (size_t x = 0; x < count; x++) sum[x] = int16_t(std::min(std::max(a[x] + b[x], int32_t{least}), kPlaneTop));
}

// To `change`: what is between them.
DECANT_VECTORISED void add_difference(const int16_t* __restrict before, const int16_t* __restrict after, int16_t* __restrict change, size_t count) {
    for (size_t x = 0; x < count; x++) change[x] = int16_t(change[x] + after[x] - before[x]);
}

DECANT_VECTORISED void add_to_gray(const int32_t* __restrict sums, const int16_t* __restrict luma, int32_t* __restrict result, size_t count) {
    for (size_t x = 0; x < count; x++) result[x] = std::clamp(sums[x], kLowestSum, kHighestSum) + kScale * luma[x];
}

DECANT_VECTORISED void add_to_colours(const int32_t* __restrict sums, const int16_t* __restrict luma, const int16_t* __restrict co, const int16_t* __restrict cg,
                                      int32_t* __restrict result, size_t count) {
    constexpr int kHalf = kScale / 2;
    static_assert(kHalf * 2 == kScale);
    for (size_t x = 0; x < count; x++) {
        const int32_t y = kScale * luma[x], o = kHalf * co[x], g = kHalf * cg[x];
        result[3 * x] = std::clamp(sums[3 * x], kLowestSum, kHighestSum) + y - g + o;
        result[3 * x + 1] = std::clamp(sums[3 * x + 1], kLowestSum, kHighestSum) + y + g;
        result[3 * x + 2] = std::clamp(sums[3 * x + 2], kLowestSum, kHighestSum) + y - g - o;
    }
}

}  // namespace

PostFilter::PostFilter(const FilterTables& tables, int quality_q8, int channels) : channels_(channels) {
    const FilterPoint point = interpolated(tables, quality_q8);
    for (size_t i = 0; i < stages_.size(); i++) {
        const FilterStage& from = point.stages[i];
        stages_[i] = {from.activity, from.clips, std::vector<std::array<int16_t, kFilterBlock>>(from.taps.size())};
        for (size_t t = 0; t < from.taps.size(); t++) stages_[i].taps[t].fill(from.taps[t]);
    }
}

PostFilter PostFilter::with(const FilterChanges& changes) const {
    PostFilter result = *this;
    if (!changes.taps.empty()) {
        auto& taps = result.stages_.back().taps;
        for (size_t t = 0; t < taps.size(); t++) taps[t].fill(int16_t(std::clamp(taps[t][0] + changes.taps[t % changes.taps.size()], -32768, 32767)));
    }
    result.cross_.clear();
    for (const int16_t tap : changes.cross) result.cross_.insert(result.cross_.end(), kChunk, tap);
    return result;
}

template <class Use>
void PostFilter::run(int number, const FilterPlanes& planes, Use&& use) const {
    const Stage& stage = stages_[size_t(number)];
    const size_t taps = filter_taps(number, planes.planes());
    const bool is_crossing = number == kFilterStages - 1 && !cross_.empty();
    alignas(64) std::array<int16_t, kFilterBlock> spread[filter_taps(0, 3)][kBlocks];  // taps of each pixel
    alignas(64) int16_t corrections[3][kFilterBlock][kChunk];
    for (int y = 0; y < planes.area().h; y += kFilterBlock) {
        for (int x = 0; x < planes.area().w; x += int(kChunk)) {
            const size_t count = std::min(kChunk, size_t(planes.area().w - x));
            for (size_t block = 0; block < kBlocks; block++) {
                const size_t inside = std::min(block, count / kFilterBlock - 1);  // the last one again where there are no more
                const int c = filter_class(planes.laplacians(y / kFilterBlock, x / kFilterBlock + int(inside)), stage.activity);
                const auto* from = stage.taps.data() + size_t(c) * taps;
                for (size_t t = 0; t < taps; t++) spread[t][block] = from[t];
            }
            size_t first = 0;
            for (int p = 0; p < planes.planes(); p++) {
                const int pairs = filter_pairs(number, p);
                std::fill_n(corrections[p][0], kFilterBlock * kChunk, int16_t(0));
                add_corrections(planes.at(p, y, x), planes.stride(), pairs, stage.clips[size_t(p)], spread[first][0].data(), corrections[p][0]);
                first += size_t(pairs) * kFilterClips;
            }
            for (int p = 1; is_crossing && p < planes.planes(); p++) {
                const int16_t* taps_of_plane = cross_.data() + size_t(p - 1) * kCrossPairs * kFilterClips * kChunk;
                add_corrections(planes.at(0, y, x), planes.stride(), kCrossPairs, stage.clips[0], taps_of_plane, corrections[p][0]);
            }
            for (int row = 0; row < kFilterBlock; row++) use(y + row, x, count, std::array{corrections[0][row], corrections[1][row], corrections[2][row]});
        }
    }
}

void PostFilter::apply(const int32_t* sums, int h, int w, const FilterArea& area, Workspace& workspace, int32_t* result) const {
    static_assert(kFilterStages == 2);
    FilterPlanes &before = workspace.before, &between = workspace.between;
    const int top = std::max(area.y - kFilterBlock, 0), left = std::max(area.x - kFilterBlock, 0);
    const FilterArea around{top, left, std::min(area.y + area.h + kFilterBlock, h) - top, std::min(area.x + area.w + kFilterBlock, w) - left};
    before.set(sums, h, w, channels_, around);
    between.begin(h, w, before.planes(), area);
    const FilterArea& known = between.known();
    run(0, before, [&](int y, int x, size_t count, const std::array<int16_t*, 3>& corrections) {
        const int row = around.y + y, first = std::max(around.x + x, known.x), end = std::min(around.x + x + int(count), known.x + known.w);
        if (row < known.y || row >= known.y + known.h || first >= end) return;
        const int skipped = first - around.x - x;
        for (int p = 0; p < before.planes(); p++)
            add_rows(before.at(p, y, x + skipped), corrections[size_t(p)] + skipped, int16_t(p == 0 ? 0 : -kPlaneTop), between.row(p, row - area.y) + (first - area.x), size_t(end - first));
    });
    between.end();
    run(1, between, [&](int y, int x, size_t count, const std::array<int16_t*, 3>& corrections) {
        for (int p = 0; p < before.planes(); p++)
            add_difference(before.at(p, area.y - around.y + y, area.x - around.x + x), between.at(p, y, x), corrections[size_t(p)], count);
        const int32_t* from = sums + (size_t(area.y + y) * size_t(w) + size_t(area.x + x)) * size_t(channels_);
        int32_t* to = result + (size_t(y) * size_t(area.w) + size_t(x)) * size_t(channels_);
        if (channels_ == 1) {
            add_to_gray(from, corrections[0], to, count);
        } else {
            add_to_colours(from, corrections[0], corrections[1], corrections[2], to, count);
        }
    });
}

}  // namespace decant
