// The loops of the latent coder that go over all latents, on runs of neighbouring channels. Exact integers, as latent_coder.h says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant::latent_kernels {

// v · 2^(log2_factor/1024) · 2^-shift as scale_by_exp2 calculates it, with a factor for each channel, ready for vector code:
// (v · multiplier · 2^left + half) >> right.
struct Scaling {
    std::vector<int32_t> multiplier;
    std::vector<int64_t> left, half, right;

    void set(std::span<const int> log2_factors, int sign, int shift);
};

// From the context network's results for `count` channels, from `channel` on: means in 1/64 step, the log2 of the scales in steps,
// indices of the scales' tables. unit: of those channels.
void predict(const int32_t* means, const int32_t* log_scales, const Scaling& scaling, size_t channel, const int* unit, size_t count, int32_t* mean,
             int16_t* log_scale, uint8_t* index);

// Adds the linear prediction of `count` channels to their means: Σ neighbours[t][c]·weights[t][c] in multiples of
// 2^-kPredictionExponent, rounded half up.
void add_prediction(std::span<const int32_t* const> neighbours, std::span<const int16_t* const> weights, size_t count, int32_t* mean);

// What context networks read of decoded latents.
void to_context(const int32_t* latents, const Scaling& scaling, size_t channel, size_t count, uint8_t* result);

// Decoded latents [positions, channels] to what the synthesis reads, saturated.
void dequantise(const int32_t* latents, const Scaling& scaling, size_t positions, int16_t* result);

// What the hyper-analysis reads of latents in quantisation steps: magnitudes, log2(1 + |y|) / 2, and behind them y in standard deviations.
void hyper_inputs(const float* latents, const float* inverse_unit, size_t count, float* result);

// Of latents from their means, in quantisation steps.
void deviations(const float* latents, const int32_t* means, size_t count, float* result);

// dst = src · factor.
void multiply(const float* src, const float* factor, size_t count, float* dst);

}  // namespace decant::latent_kernels
