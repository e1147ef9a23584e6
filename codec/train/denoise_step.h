// One evaluation of a denoiser's loss and its gradient on a batch of crops, on one thread.
//
//   noisy, σ ─ denoise ─ r          x̂ = noisy + r          L = mean of √((x̂ - clean)² + ε²), values in 0 … 1 (Charbonnier 1994)
//
// Near |x̂ - clean| = ε it turns from squares to magnitudes: a small one keeps crops of much noise from outweighing those of little, a large
// one asks for means, which is what PSNR measures, where a small one asks for medians.
//
// Or, `logarithmic`, L = mean of ε/2 · ln(1 + m / ε²) over the crops, m being a crop's mean of squares: what PSNR is made of, but for crops that are nearer than ε
// already. Means again, and each crop counts alike, whatever its noise (the loss of Chen 2021, "HINet").
//
// A teacher is a denoiser whose results are learned from as well (distillation; Hinton 2015): clean is then (1 - share) · clean + share · taught. Of the same network in
// floats a network in integers so learns what rounding has changed, and nothing else; most of the error against the clean picture is what no denoiser can tell,
// noise to such gradients. The logarithmic loss still weighs crops by their errors against what is clean, which is what `loss` says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/engine/codec_weights.h"

namespace decant {

struct DenoiseStepOptions {
    int samples = 1, height = 64, width = 64;  // multiples of what the network divides by
    DataType compute = DataType::f32;
    float epsilon = 0.5f;  // in steps of 8 bits
    bool logarithmic = false;
    float teacher_share = 0.0f;  // 0 … 1: of the teacher in what is learned
};

struct DenoiseStepResult {
    double loss = 0;          // mean over the samples
    std::vector<double> mse;  // of values in 0 … 1, each sample; not rounded or clipped
};

class DenoiseStep {
public:
    DenoiseStep(const Description& description, CodecWeights& weights, const DenoiseStepOptions& options);
    ~DenoiseStep();

    int channels() const;  // of the pictures: 1 or 3

    struct Batch {
        std::span<const uint8_t> noisy, clean;  // [samples, height, width, channels]
        std::span<const uint8_t> taught;        // what the teacher makes of noisy; empty if it has no share
        std::span<const float> sigma;           // noise level that the network is told, of each sample, on the 8-bit scale
        std::optional<uint32_t> dropout = {};   // key of what dropout leaves out; none: nothing, as in use
    };
    // gradients: as long as parameters.values(), or empty for the loss alone; divided by the number of samples.
    DenoiseStepResult run(const Batch& batch, const Parameters& parameters, std::span<float> gradients);

    std::vector<uint8_t> denoised() const;  // the pictures of the last run as they come out, [samples, height, width, channels]

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace decant
