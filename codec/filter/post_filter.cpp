#include "codec/filter/post_filter.h"

#include <algorithm>

#include "codec/network/description.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr size_t kChunk = 64;  // pixels of a row that are filtered together
constexpr size_t kBlocks = kChunk / kFilterBlock;
constexpr int kScale = (1 << (kTransformExponent - kPixelExponent)) / kFilterUnit;  // planes' units to the synthesis'
constexpr int32_t kLowest = -kPixelZero * (1 << (kTransformExponent - kPixelExponent)), kHighest = (255 - kPixelZero) * (1 << (kTransformExponent - kPixelExponent));

// v · tap, rounded: the instruction pmulhrsw.
DECANT_INLINE int16_t product(int16_t v, int16_t tap) { return int16_t((((int32_t{v} * tap) >> (kTapExponent - 1)) + 1) >> 1); }
DECANT_INLINE int16_t cut(int16_t v, int16_t limit) { return std::min(std::max(v, int16_t(-limit)), limit); }

// What a pair of neighbours adds to each of kChunk pixels p; taps: [kFilterClips, kChunk]. A function of its own, since only of its arguments the compiler
// knows that they do not overlap.
DECANT_VECTORISED void add_pair(const int16_t* __restrict p, const int16_t* __restrict a, const int16_t* __restrict b, const int16_t* __restrict taps, int16_t first,
                                int16_t second, int16_t* __restrict sum) {
    for (size_t x = 0; x < kChunk; x++) {
        const int16_t u = int16_t(a[x] - p[x]), v = int16_t(b[x] - p[x]);
        const int16_t one = product(int16_t(cut(u, first) + cut(v, first)), taps[x]);
        const int16_t two = product(int16_t(cut(u, second) + cut(v, second)), taps[kChunk + x]);
        sum[x] = int16_t(sum[x] + one + two + product(int16_t(u + v), taps[2 * kChunk + x]));
    }
}

// taps: [pairs, kFilterClips, kChunk].
void correct(const int16_t* p, ptrdiff_t stride, int pairs, const std::array<int16_t, 2>& clips, const int16_t* taps, int16_t* sum) {
    std::fill_n(sum, kChunk, int16_t(0));
    for (int i = 0; i < pairs; i++) {
        const ptrdiff_t offset = kFilterOffsets[size_t(i)].y * stride + kFilterOffsets[size_t(i)].x;
        add_pair(p, p + offset, p - offset, taps + size_t(i) * kFilterClips * kChunk, clips[0], clips[1], sum);
    }
}

DECANT_VECTORISED void add_to_gray(const int16_t* __restrict luma, int32_t* __restrict sums, size_t count) {
    for (size_t x = 0; x < count; x++) sums[x] = std::min(std::max(sums[x], kLowest), kHighest) + kScale * luma[x];
}

DECANT_VECTORISED void add_to_colours(const int16_t* __restrict luma, const int16_t* __restrict co, const int16_t* __restrict cg, int32_t* __restrict sums, size_t count) {
    constexpr int kHalf = kScale / 2;
    static_assert(kHalf * 2 == kScale);
    for (size_t x = 0; x < count; x++) {
        const int32_t y = kScale * luma[x], o = kHalf * co[x], g = kHalf * cg[x];
        sums[3 * x] = std::min(std::max(sums[3 * x], kLowest), kHighest) + y - g + o;
        sums[3 * x + 1] = std::min(std::max(sums[3 * x + 1], kLowest), kHighest) + y + g;
        sums[3 * x + 2] = std::min(std::max(sums[3 * x + 2], kLowest), kHighest) + y - g - o;
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

void PostFilter::apply(int32_t* sums, int h, int w, const FilterArea& area, FilterPlanes& planes) const {
    for (int i = 0; i < kFilterStages; i++) {
        const int margin = (kFilterStages - 1 - i) * kFilterBlock;  // what later stages see
        const int y = std::max(area.y - margin, 0), x = std::max(area.x - margin, 0);
        apply(stages_[size_t(i)], sums, h, w, {y, x, std::min(area.y + area.h + margin, h) - y, std::min(area.x + area.w + margin, w) - x}, planes);
    }
}

void PostFilter::apply(const Stage& stage, int32_t* sums, int h, int w, const FilterArea& area, FilterPlanes& planes) const {
    planes.set(sums, h, w, channels_, area);
    const size_t taps = filter_taps(planes.planes());
    alignas(64) std::array<int16_t, kFilterBlock> spread[filter_taps(3)][kBlocks];  // taps of each pixel
    alignas(64) int16_t corrections[3][kChunk];
    for (int y = 0; y < area.h; y += kFilterBlock) {
        for (int x = 0; x < area.w; x += int(kChunk)) {
            const size_t count = std::min(kChunk, size_t(area.w - x));
            for (size_t block = 0; block < kBlocks; block++) {
                const size_t inside = std::min(block, count / kFilterBlock - 1);  // the last one again where there are no more
                const int c = filter_class(planes.laplacians(y / kFilterBlock, x / kFilterBlock + int(inside)), stage.activity);
                const auto* from = stage.taps.data() + size_t(c) * taps;
                for (size_t t = 0; t < taps; t++) spread[t][block] = from[t];
            }
            for (int row = y; row < y + kFilterBlock; row++) {
                size_t first = 0;
                for (int p = 0; p < planes.planes(); p++) {
                    correct(planes.at(p, row, x), planes.stride(), filter_pairs(p), stage.clips[size_t(p)], spread[first][0].data(), corrections[p]);
                    first += size_t(filter_pairs(p)) * kFilterClips;
                }
                int32_t* target = sums + (size_t(area.y + row) * size_t(w) + size_t(area.x + x)) * size_t(channels_);
                if (channels_ == 1) {
                    add_to_gray(corrections[0], target, count);
                } else {
                    add_to_colours(corrections[0], corrections[1], corrections[2], target, count);
                }
            }
        }
    }
}

}  // namespace decant
