// Adam (Kingma & Ba 2015) on flat vectors, and the exponential average of the weights. Split into ranges so that threads share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant {

struct AdamOptions {
    float beta1 = 0.9f, beta2 = 0.99f, epsilon = 1e-8f;
};

struct OptimiserState {
    std::vector<float> first, second;  // moments of the gradient
    std::vector<float> average;        // of the weights
    std::vector<float> rate;           // factor on the learning rate of each weight
};

// sums[i] = Σ of all sources at i, for i in [begin, end); returns Σ sums².
double sum_gradients(std::span<const std::vector<float>> sources, std::span<float> sums, size_t begin, size_t end);

// Gradient centralisation (Yong 2020): takes the mean of each of `rows` rows away. Where inputs are activations, all positive, it is
// the gradient of one and the same shift of the result, by which weights would be moved together and noisily.
void centralise(std::span<float> gradient, size_t rows);

// One step on [begin, end). `gradient` is multiplied by `gradient_scale` first; step counts from 1. The average then moves by the
// share 1 - keep towards the new weights.
void adam_step(std::span<float> weights, std::span<const float> gradient, OptimiserState& state, size_t begin, size_t end, float rate, float gradient_scale,
               int64_t step, float keep, const AdamOptions& options = {});

}  // namespace decant
