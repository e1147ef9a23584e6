#include "codec/train/optimiser.h"

#include <cmath>

#include "codec/engine/vectorised.h"

namespace decant {
namespace {

struct AdamRange {
    float* weights;
    const float* gradient;
    float* first;
    float* second;
    float* average;
    const float* rate;
};

DECANT_VECTORISED void adam_range(const AdamRange& r, size_t count, float rate, float gradient_scale, float correction2, float keep, const AdamOptions& o) {
    for (size_t i = 0; i < count; i++) {
        const float g = r.gradient[i] * gradient_scale;
        const float m = o.beta1 * r.first[i] + (1.0f - o.beta1) * g;
        const float v = o.beta2 * r.second[i] + (1.0f - o.beta2) * g * g;
        const float w = r.weights[i] - rate * r.rate[i] * m / (std::sqrt(v * correction2) + o.epsilon);
        r.first[i] = m;
        r.second[i] = v;
        r.weights[i] = w;
        r.average[i] += (w - r.average[i]) * (1.0f - keep);
    }
}

DECANT_VECTORISED void add_range(const float* src, float* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] += src[i];
}

}  // namespace

double sum_gradients(std::span<const std::vector<float>> sources, std::span<float> sums, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) sums[i] = sources[0][i];
    for (size_t s = 1; s < sources.size(); s++) add_range(sources[s].data() + begin, sums.data() + begin, end - begin);
    double total = 0;
    for (size_t i = begin; i < end; i++) total += double(sums[i]) * sums[i];
    return total;
}

void adam_step(std::span<float> weights, std::span<const float> gradient, OptimiserState& state, size_t begin, size_t end, float rate, float gradient_scale,
               int64_t step, float keep, const AdamOptions& options) {
    const float correction1 = 1.0f - std::pow(options.beta1, float(step)), correction2 = 1.0f / (1.0f - std::pow(options.beta2, float(step)));
    adam_range({weights.data() + begin, gradient.data() + begin, state.first.data() + begin, state.second.data() + begin, state.average.data() + begin,
                state.rate.data() + begin},
               end - begin, rate / correction1, gradient_scale, correction2, keep, options);
}

}  // namespace decant
