#include "codec/train/optimiser.h"

#include <cmath>

#include "codec/tensor/vectorised.h"

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

// sums = a + b (b may be null); returns Σ sums², in lanes so that it is vectorised.
DECANT_VECTORISED double add_range(const float* a, const float* b, float* sums, size_t count) {
    constexpr size_t kLanes = 16;
    double lanes[kLanes] = {};
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
#pragma GCC ivdep
        for (size_t l = 0; l < kLanes; l++) {
            const float v = b == nullptr ? a[i + l] : a[i + l] + b[i + l];
            sums[i + l] = v;
            lanes[l] += double(v) * double(v);
        }
    }
    double total = 0;
    for (double lane : lanes) total += lane;
    for (; i < count; i++) {
        sums[i] = b == nullptr ? a[i] : a[i] + b[i];
        total += double(sums[i]) * double(sums[i]);
    }
    return total;
}

DECANT_VECTORISED void centralise_row(float* row, size_t count) {
    constexpr size_t kLanes = 16;
    float lanes[kLanes] = {};
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (size_t l = 0; l < kLanes; l++) lanes[l] += row[i + l];
    }
    float sum = 0.0f;
    for (float lane : lanes) sum += lane;
    for (; i < count; i++) sum += row[i];
    const float mean = sum / float(count);
    for (i = 0; i < count; i++) row[i] -= mean;
}

}  // namespace

void centralise(std::span<float> gradient, size_t rows) {
    const size_t count = gradient.size() / rows;
    for (size_t r = 0; r < rows; r++) centralise_row(gradient.data() + r * count, count);
}

double sum_gradients(std::span<const std::vector<float>> sources, std::span<float> sums, size_t begin, size_t end) {
    const size_t count = end - begin;
    const float* second = sources.size() > 1 ? sources[1].data() + begin : nullptr;
    double total = add_range(sources[0].data() + begin, second, sums.data() + begin, count);
    for (size_t s = 2; s < sources.size(); s++) total = add_range(sums.data() + begin, sources[s].data() + begin, sums.data() + begin, count);
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
