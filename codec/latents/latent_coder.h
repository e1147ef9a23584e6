// Latents of one tile to bits and back: the hyperprior and the context networks in exact integers, the symbols through rANS.
//
// A stream holds, in this order,
//   z     [zh, zw, Hz], zh = ceil(ceil(h/2)/2): position by position, with the table of each channel;
//   y     in four steps (codec/latents/layout.h); in a step position by position, each a group of M/4 channels in rising order.
// From z: positive and negative parts, at most 255 each, are the u8 input [zh, zw, 2·Hz] of hyper_synthesis, whose result is cut to
// h × w positions: the features. In step k the network context<k> (its last layer is 1×1) reads the features and (k > 0) for each channel
// the decoded latent in multiples of 1/32 standard deviation, companded (layout.h), plus 128 (128 where it is not decoded yet). Of its result
// [h, w, 2·M], in multiples of 1/1024, channel c is the mean of latent c in standard deviations and M + c the log2 of its scale likewise. With
// U = 2^(unit/1024) quantisation steps a standard deviation (interpolated between rate points, fixed_point.h):
//   mean   = mean·U in multiples of 1/64 step, plus the sum of decoded latents at neighbouring positions (layout.h) times their weights
//   index  = (1024·log2 scale, within -14 … 6 octaves, + unit + 4156 + 64) >> 7, within 0 … kScaleCount - 1   (4156 = -1024·log2 0.06)
//   latent = symbol·64 + mean, in multiples of 1/64 step
// where symbol is coded with the table of that index. In a dependent stream (codec/entropy/trellis.h) symbols of y that are coded, index ≥
// kFirstCodedScale, go through the states of the trellis, beginning anew with state 0 in each step, and latent = 32·half_steps(symbol) + mean.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/entropy/trellis.h"
#include "codec/latents/latent_weights.h"

namespace decant {

class LatentCoder {
public:
    // For tiles of h × w positions. Both must outlive the coder; `memory` is used while a function runs.
    LatentCoder(LatentWeights& weights, SharedMemory& memory, int h, int w);
    ~LatentCoder();

    struct Settings {
        // scalar: to the nearest integer, or one nearer to the mean where that saves more than it costs. Not first_trellis.
        Quantiser quantiser = Quantiser::trellis;
        std::span<const float> error_bits = {};  // [M] what a squared error of one step is worth; empty: kErrorBits for all
        std::span<const int32_t> hyper = {};     // z, as hyper() gives it; empty: what the hyper-analysis makes of y
    };

    // y: [h, w, M], times gain: in quantisation steps. Adds what the model's probabilities predict to *model_bits if it is not null.
    std::vector<uint8_t> encode(std::span<const float> y, int quality_q8, double* model_bits, const Settings& settings);
    std::vector<uint8_t> encode(std::span<const float> y, int quality_q8, double* model_bits) { return encode(y, quality_q8, model_bits, Settings()); }

    // The same choice of symbols without a stream: the bits that it would take.
    double quantise(std::span<const float> y, int quality_q8, const Settings& settings);

    // Throws Error corrupt if the stream does not decode to its very end.
    void decode(std::span<const uint8_t> stream, int quality_q8, Quantiser quantiser);

    // After encode, quantise or decode: [h, w, M] in multiples of 1/64 quantisation step.
    std::span<const int32_t> latents() const;
    // And z, [zh, zw, Hz].
    std::span<const int32_t> hyper() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace decant
