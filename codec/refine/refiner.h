// Fits the latents of a picture to it, through the synthesis transform as it is and the filter behind it (the idea: Campos 2019, "Content adaptive
// optimization for neural image compression"); the decoder knows nothing of it.
//
// Each round takes the latents as they would be coded and the gradient of the squared error there. A step against it, as long as the
// error's curvature says, gives real numbers that the quantiser decides on anew, each against its own bits: a proximal gradient
// method, whose every point is a picture as a decoder sees it, so that the best one is known and kept. Steps that grow smaller, and
// noise before rounding that fades, keep it from ending at the first rounding that no single change improves (compare Yang 2020,
// "Improving inference for neural image compression").
//
// Around an area it needs to know ErrorGradient::margin() positions more.
//
// What the context networks make of changed latents is not part of the gradient: it was tried, and gave nothing.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "codec/latents/latent_coder.h"
#include "codec/refine/error_gradient.h"

namespace decant {

// What a squared error of a sample, in steps of 8 bits, is worth in bits of the file.
double bits_per_square(const Description& description, int quality_q8, int channels);

class Refiner {
public:
    // Everything must outlive the refiner.
    Refiner(const ModelContents& model, CodecWeights& weights) : model_(model), error_(model, weights) {}

    // y: [h, w, M] of the area, in quantisation steps: replaced. Not with a scalar quantiser. Returns the settings with which the coder turns y into the symbols that
    // were found; both are valid until the next call. check is called in each round, and may throw.
    LatentCoder::Settings refine(LatentCoder& coder, const Surroundings& surroundings, int quality_q8, int rounds, Quantiser quantiser, std::span<float> y,
                                 const std::function<void()>& check);

private:
    const ModelContents& model_;
    ErrorGradient error_;
    std::vector<float> error_bits_;
};

}  // namespace decant
