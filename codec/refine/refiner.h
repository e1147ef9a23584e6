// Fits the latents of a picture to it, through the synthesis transform as it is and the filter behind it (the idea: Campos 2019, "Content adaptive
// optimization for neural image compression"); the decoder knows nothing of it.
//
// Each round takes the latents as they would be coded and the gradient of the squared error there. A step against it, as long as the
// error's curvature says, gives real numbers that the quantiser decides on anew, each against its own bits: a proximal gradient
// method, whose every point is a picture as a decoder sees it, so that the best one is known and kept. Steps that grow smaller, and
// noise before rounding that fades, keep it from ending at the first rounding that no single change improves (compare Yang 2020,
// "Improving inference for neural image compression").
//
// Rounds may be done in several calls, so that what is between them can depend on all areas of a picture: a filter behind the synthesis, fitted anew to what the
// latents have become, is another one than that of unrefined latents, which the refinement would go after in vain.
//
// Around an area it needs to know ErrorGradient::margin() positions more.
//
// What the context networks make of changed latents is not part of the gradient: it was tried, and gave nothing.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "codec/latents/latent_coder.h"
#include "codec/refine/error_gradient.h"

namespace decant {

// What a squared error of a sample, in steps of 8 bits, is worth in bits of the file.
double bits_per_square(const Description& description, int quality_q8, int channels);

// What is kept of an area from one call of Refiner to the next.
struct Refinement {
    int round = 0;  // the next one
    std::vector<int32_t> hyper;           // z, of the latents that came from the analysis
    std::vector<float> error_bits, step;  // [M] for the quantiser; a gradient of the squared error times step is a way in quantisation steps
    std::vector<float> best;              // [h, w, M] what was quantised in the best round
    double best_loss = std::numeric_limits<double>::infinity();

    // With which the coder turns the best into the symbols that were found. Valid as long as this is.
    LatentCoder::Settings settings(Quantiser quantiser) const { return {quantiser, error_bits, hyper}; }
};

class Refiner {
public:
    // Everything must outlive the refiner.
    Refiner(const ModelContents& model, CodecWeights& weights) : model_(model), error_(model, weights) {}

    // Does the rounds from the next one up to `until`, of the number that there will be in all. y: [h, w, M] of the area, in quantisation steps, as the analysis gives it
    // and then as the call before left it. Not with a scalar quantiser. check is called in each round, and may throw.
    void refine(LatentCoder& coder, const Surroundings& surroundings, int quality_q8, Quantiser quantiser, int rounds, int until, std::span<float> y, Refinement& state,
                const std::function<void()>& check);

    // Of so many rounds, the first from which on the noise is small enough for a filter to be fitted to what they make.
    static int first_fit(int rounds);

    // Of the area as its last round left it, through a filter: what to change of `filter`, by each `step`-th row of pixels.
    ChangesFit fit(const PostFilter& filter, int step) { return error_.fit(filter, step); }

private:
    void begin(LatentCoder& coder, int quality_q8, double bits_per_square, std::span<const float> y, Refinement& state);

    const ModelContents& model_;
    ErrorGradient error_;
    std::vector<float> gradient_, noisy_;
};

}  // namespace decant
