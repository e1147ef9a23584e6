// One evaluation of the codec's loss and its gradient on a batch of crops, on one thread.
//
//   x ─ analysis ─ y ─ gain ─ round ─ inverse gain ─ synthesis ─ x̂            D = MSE(x, x̂), values in 0 … 1
//                  │            │ mean, scale                                 R = bits of y and z, a pixel
//                  │            context0 … 3 ── earlier steps' latents        L = R + λ·255²·D
//                  hyper_analysis ─ z ─ round ─ hyper_synthesis ┘
//
// Quantisation in training is mixed (Minnen & Singh 2020): additive uniform noise for the rate, straight-through rounding for
// everything that reads the latents. With Quantiser::trellis they read what the encoder's own search finds.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/engine/codec_weights.h"
#include "codec/latents/trellis_quantiser.h"

namespace decant {

enum class Quantisation {
    mixed,  // training
    noise,  // noise everywhere and unrounded integer networks: differentiable, to check gradients
    round   // as coded: for validation
};

struct CodecStepOptions {
    int samples = 1, height = 64, width = 64;  // multiples of 16
    DataType compute = DataType::f32;
    Quantisation quantisation = Quantisation::mixed;
    Quantiser quantiser = Quantiser::scalar;  // where latents are rounded; scalar: to the nearest integer
};

struct StepResult {
    double loss = 0;                   // as optimised, mean over samples
    std::vector<double> bits_y, bits_z;  // per pixel, each sample
    std::vector<double> mse;           // of values in 0 … 1, each sample
};

class CodecStep {
public:
    CodecStep(const Description& description, CodecWeights& weights, const CodecStepOptions& options);
    ~CodecStep();

    struct Batch {
        std::span<const uint8_t> pixels;  // [samples, height, width, channels]: as many as the analysis transform reads
        std::span<const float> quality;   // rate point of each sample, 0 … levels - 1
        std::span<const float> weight;    // of each sample's loss
        uint32_t key = 0;                 // of the noise
        float hyper_rate = 1.0f;          // factor on z's bits
    };
    // gradients: as long as parameters.values(), or empty for the loss alone; divided by the number of samples.
    StepResult run(const Batch& batch, const Parameters& parameters, std::span<float> gradients);

    // Of the latents of the last run, as decoded: the share of those that are at least half a quantisation step from 0, and the channels
    // that have any.
    struct LatentStatistics {
        double active = 0;
        int channels = 0;
    };
    LatentStatistics latent_statistics() const;
    std::vector<uint8_t> decoded() const;  // the pictures of the last run as they come out, [samples, height, width, channels]

private:
    struct State;
    std::unique_ptr<State> state_;
};

// λ at a continuous rate point: geometric between the description's.
double lambda_at(const Description& description, double quality);

// The first and the last rate point that steps are drawn from: those that the model serves, and a quarter of one beyond each end where another
// model goes on. At the end of its range a set of weights would be pulled to one side only.
std::array<double, 2> trained_range(const Description& description);

}  // namespace decant
