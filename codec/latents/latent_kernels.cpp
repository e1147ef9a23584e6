#include "codec/latents/latent_kernels.h"

#include <algorithm>

#include "codec/engine/integer_graph.h"
#include "codec/entropy/scale_tables.h"
#include "codec/latents/fixed_point.h"
#include "codec/latents/layout.h"
#include "codec/tensor/vectorised.h"

namespace decant::latent_kernels {
namespace {

constexpr int kScaleBias = 3261 + 64;  // -1024·log2(0.11), and half a table's width for rounding
constexpr int kScaleShift = 7;         // 1024 / kScalesPerOctave
static_assert(kScalesPerOctave << kScaleShift == 1 << kLogExponent);
constexpr int kMinLogScale = -14 * (1 << kLogExponent), kMaxLogScale = 6 * (1 << kLogExponent);
constexpr int64_t kMeanLimit = int64_t(1) << 24;  // of means in 1/64 steps; symbols are far below it

DECANT_INLINE int64_t clamped(int64_t v, int64_t low, int64_t high) {
    v = v < low ? low : v;
    return v > high ? high : v;
}

}  // namespace

void Scaling::set(std::span<const int> log2_factors, int sign, int shift) {
    const size_t count = log2_factors.size();
    multiplier.resize(count);
    left.resize(count);
    half.resize(count);
    right.resize(count);
    for (size_t c = 0; c < count; c++) {
        const int factor = sign * log2_factors[c], by = 15 + shift - (factor >> kLogExponent);
        multiplier[c] = detail::kExp2[size_t(factor & ((1 << kLogExponent) - 1))];
        left[c] = by > 0 ? 0 : -by;
        right[c] = by > 0 ? by : 0;
        half[c] = by > 0 ? int64_t(1) << (by - 1) : 0;
    }
}

DECANT_VECTORISED void predict(const int32_t* means, const int32_t* log_scales, const Scaling& scaling, size_t channel, const int* unit, size_t count,
                               int32_t* mean, int16_t* log_scale, uint8_t* index) {
    const int32_t* multiplier = scaling.multiplier.data() + channel;
    const int64_t *left = scaling.left.data() + channel, *half = scaling.half.data() + channel, *right = scaling.right.data() + channel;
    for (size_t c = 0; c < count; c++) {
        const int64_t product = int64_t(means[c]) * multiplier[c];
        mean[c] = int32_t(clamped(((product << left[c]) + half[c]) >> right[c], -kMeanLimit, kMeanLimit));
    }
    for (size_t c = 0; c < count; c++) {
        const int l = std::min(std::max(log_scales[c], kMinLogScale), kMaxLogScale) + unit[c];
        log_scale[c] = int16_t(l);
        index[c] = uint8_t(std::min(std::max((int(int16_t(l)) + kScaleBias) >> kScaleShift, 0), kScaleCount - 1));
    }
}

DECANT_VECTORISED void to_context(const int32_t* latents, const Scaling& scaling, size_t channel, size_t count, uint8_t* result) {
    const int32_t* multiplier = scaling.multiplier.data() + channel;
    const int64_t *left = scaling.left.data() + channel, *half = scaling.half.data() + channel, *right = scaling.right.data() + channel;
    for (size_t c = 0; c < count; c++) {
        const int64_t product = int64_t(latents[c]) * multiplier[c];
        result[c] = uint8_t(kInputZero + clamped(((product << left[c]) + half[c]) >> right[c], -kContextLimit, kContextLimit));
    }
}

DECANT_VECTORISED void multiply(const float* src, const float* factor, size_t count, float* dst) {
    for (size_t c = 0; c < count; c++) dst[c] = src[c] * factor[c];
}

}  // namespace decant::latent_kernels
