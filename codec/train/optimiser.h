// What a gradient does to the weights: SGD, RMSprop, Adam, AdamW on flat vectors, weight decay, and the exponential average of the
// weights. Split into ranges so that threads share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant {

// g: the gradient, with weight_decay·w and l1·sign(w) added to it, for adamw the latter alone. η: the rate.
enum class Optimiser {
    adam,    // m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², both divided by 1 - βᵗ; w ← w - η·m/(√v + ε) (Kingma & Ba 2015)
    adamw,   // the same, and w ← w - η·weight_decay·w apart from it (Loshchilov & Hutter 2019)
    rmsprop, // v ← β₂v + (1-β₂)g²; w ← w - η·g/(√v + ε) (Tieleman & Hinton 2012)
    sgd      // m ← μm + g; w ← w - η·m, with nesterov w ← w - η·(g + μm) (Sutskever 2013)
};

struct OptimiserOptions {
    Optimiser kind = Optimiser::adam;
    double momentum = 0.9;   // μ
    bool nesterov = false;
    double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8;
    double weight_decay = 0;  // L2
    double l1 = 0;
};

struct OptimiserState {
    std::vector<float> first, second;  // m and v
    std::vector<float> average;        // of the weights
    std::vector<float> rate;           // factor on the learning rate of each weight
};

// sums[i] = Σ of all sources at i, for i in [begin, end); returns Σ sums².
double sum_gradients(std::span<const std::vector<float>> sources, std::span<float> sums, size_t begin, size_t end);

// Gradient centralisation (Yong 2020): takes the mean of each of `rows` rows away. Where inputs are activations, all positive, it is
// the gradient of one and the same shift of the result, by which weights would be moved together and noisily.
void centralise(std::span<float> gradient, size_t rows);

// One step on [begin, end). `gradient` is multiplied by `gradient_scale` first; step counts from 1. Weight decay acts on those weights
// that are in one of `decayed`, which are in order and apart: not on biases and gains, for which zero is no natural place. The
// average then moves by the share 1 - keep towards the new weights.
struct Range {
    size_t begin = 0, end = 0;
};
void optimiser_step(std::span<float> weights, std::span<const float> gradient, OptimiserState& state, size_t begin, size_t end, float rate,
                    float gradient_scale, int64_t step, float keep, const OptimiserOptions& options = {}, std::span<const Range> decayed = {});

}  // namespace decant
