// One evaluation of an autoencoder's loss and its gradient on a batch of crops, on one thread.
//
//   corrupted picture ─ encoder ─ bottleneck ─ decoder ─ x̂        L = losses(x̂, picture) + the bottleneck's penalty
//
// The decoder gives values of 0 … 1 where it ends in a sigmoid, and else their difference to 1/2.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/engine/codec_weights.h"

namespace decant {

struct AutoencoderStepOptions {
    int samples = 1, height = 64, width = 64;  // multiples of what the encoder divides by
    DataType compute = DataType::f32;
    bool training = true;  // with the noise of a variational bottleneck, and the penalty of a contractive one
};

struct AutoencoderStepResult {
    double loss = 0, penalty = 0;  // mean over the samples; the penalty is part of the loss
    std::vector<double> mse;       // of values in 0 … 1, each sample
    std::vector<double> bits;      // a pixel, each sample; 0 where the bottleneck does not say
};

class AutoencoderStep {
public:
    AutoencoderStep(const Description& description, CodecWeights& weights, const AutoencoderStepOptions& options);
    ~AutoencoderStep();

    int channels() const;  // of the pictures: 1 or 3

    struct Batch {
        std::span<const uint8_t> pictures;   // [samples, height, width, channels]
        std::span<const uint8_t> corrupted;  // what the encoder sees
        std::optional<uint32_t> key;         // of what is random in a training step; none: nothing is
        float weight = 1.0f;                 // factor on the bottleneck's weight
    };
    // gradients: as long as parameters.values(), or empty for the loss alone; mean over the samples. Statistics are those of the batch.
    AutoencoderStepResult run(const Batch& batch, const Parameters& parameters, std::span<float> gradients);
    std::span<const float> reconstruction() const;  // of the last run, [samples, height, width, channels], in 0 … 1

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace decant
