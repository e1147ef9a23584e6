#include "codec/latents/latent_kernels.h"

#include <algorithm>
#include <cmath>

#include "codec/engine/integer_graph.h"
#include "codec/entropy/scale_tables.h"
#include "codec/latents/fixed_point.h"
#include "codec/latents/layout.h"
#include "codec/network/model_file.h"
#include "codec/tensor/fast_math.h"
#include "codec/tensor/vectorised.h"

namespace decant::latent_kernels {
namespace {

constexpr int kScaleBias = 4156 + 64;  // -1024·log2(kSmallestScale), and half a table's width for rounding
constexpr int kScaleShift = 7;         // 1024 / kScalesPerOctave
static_assert(kScalesPerOctave << kScaleShift == 1 << kLogExponent);
constexpr int kMinLogScale = -14 * (1 << kLogExponent), kMaxLogScale = 6 * (1 << kLogExponent);
constexpr int64_t kMeanLimit = int64_t(1) << 24;  // of means in 1/64 steps; symbols are far below it

// A Scaling from one channel on; in local variables, since a compiler cannot know that results do not change vectors.
struct ScalingRun {
    const int32_t* multiplier;
    const int64_t *left, *half, *right;

    DECANT_INLINE ScalingRun(const Scaling& s, size_t channel)
        : multiplier(s.multiplier.data() + channel), left(s.left.data() + channel), half(s.half.data() + channel), right(s.right.data() + channel) {}

    DECANT_INLINE int64_t scaled(int32_t value, size_t c, int64_t low, int64_t high) const {
        const int64_t v = ((int64_t(value) * multiplier[c] << left[c]) + half[c]) >> right[c];
        const int64_t raised = v < low ? low : v;
        return raised > high ? high : raised;
    }
};

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
    const ScalingRun run(scaling, channel);
    for (size_t c = 0; c < count; c++) mean[c] = int32_t(run.scaled(means[c], c, -kMeanLimit, kMeanLimit));
    for (size_t c = 0; c < count; c++) {
        const int l = std::min(std::max(log_scales[c], kMinLogScale), kMaxLogScale) + unit[c];
        log_scale[c] = int16_t(l);
        index[c] = uint8_t(std::min(std::max((int(int16_t(l)) + kScaleBias) >> kScaleShift, 0), kScaleCount - 1));
    }
}

DECANT_VECTORISED void add_prediction(std::span<const int32_t* const> neighbours, std::span<const int16_t* const> weights, size_t count, int32_t* mean) {
    constexpr size_t kRun = 16;
    for (size_t first = 0; first < count; first += kRun) {
        const size_t run = std::min(kRun, count - first);
        int64_t sums[kRun] = {};
        for (size_t t = 0; t < neighbours.size(); t++) {
            const int32_t* n = neighbours[t] + first;
            const int16_t* w = weights[t] + first;
            for (size_t c = 0; c < run; c++) sums[c] += int64_t(n[c]) * w[c];
        }
        for (size_t c = 0; c < run; c++) {
            const int64_t sum = mean[first + c] + ((sums[c] + (int64_t(1) << (kPredictionExponent - 1))) >> kPredictionExponent);
            mean[first + c] = int32_t(std::min(std::max(sum, -kMeanLimit), kMeanLimit));
        }
    }
}

DECANT_VECTORISED void to_context(const int32_t* latents, const Scaling& scaling, size_t channel, size_t count, uint8_t* result) {
    const ScalingRun run(scaling, channel);
    for (size_t c = 0; c < count; c++) result[c] = uint8_t(kInputZero + compand(int32_t(run.scaled(latents[c], c, -kContextLimit, kContextLimit))));
}

DECANT_VECTORISED void dequantise(const int32_t* latents, const Scaling& scaling, size_t positions, int16_t* result) {
    const ScalingRun run(scaling, 0);
    const size_t channels = scaling.multiplier.size();
    for (size_t p = 0; p < positions; p++) {
#pragma GCC ivdep
        for (size_t c = 0; c < channels; c++) result[p * channels + c] = int16_t(run.scaled(latents[p * channels + c], c, -32768, 32767));
    }
}

DECANT_VECTORISED void hyper_inputs(const float* latents, const float* inverse_unit, size_t count, float* result) {
    for (size_t c = 0; c < count; c++) {
        result[c] = 0.5f * fast_log2(1.0f + std::fabs(latents[c]));
        result[count + c] = latents[c] * inverse_unit[c];
    }
}

DECANT_VECTORISED void deviations(const float* latents, const int32_t* means, size_t count, float* result) {
    for (size_t c = 0; c < count; c++) result[c] = latents[c] - float(means[c]) / float(1 << kSymbolExponent);
}

DECANT_VECTORISED void multiply(const float* src, const float* factor, size_t count, float* dst) {
    for (size_t c = 0; c < count; c++) dst[c] = src[c] * factor[c];
}

}  // namespace decant::latent_kernels
