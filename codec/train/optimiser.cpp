#include "codec/train/optimiser.h"

#include <algorithm>
#include <cmath>

#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

struct Vectors {
    float* weights;
    const float* gradient;
    float* first;
    float* second;
    float* average;
    const float* rate;
};

// Of one range, in the kernels' numbers.
struct Step {
    float rate, gradient_scale, keep;
    float beta1, beta2, epsilon;
    float correction;  // of v: 1 / (1 - β₂ᵗ)
    float l2, l1;      // added to the gradient
    float decay;       // apart from it
    float momentum;
    bool nesterov;
};

DECANT_INLINE float with_decay(float gradient, float weight, const Step& s) {
    const float sign = weight > 0.0f ? s.l1 : weight < 0.0f ? -s.l1 : 0.0f;
    return gradient * s.gradient_scale + s.l2 * weight + sign;
}

DECANT_VECTORISED void adam_range(const Vectors& r, size_t count, const Step& s) {
#pragma GCC ivdep
    for (size_t i = 0; i < count; i++) {
        const float g = with_decay(r.gradient[i], r.weights[i], s);
        const float m = s.beta1 * r.first[i] + (1.0f - s.beta1) * g;
        const float v = s.beta2 * r.second[i] + (1.0f - s.beta2) * g * g;
        const float rate = s.rate * r.rate[i];
        const float w = r.weights[i] - rate * m / (std::sqrt(v * s.correction) + s.epsilon) - s.decay * r.rate[i] * r.weights[i];
        r.first[i] = m;
        r.second[i] = v;
        r.weights[i] = w;
        r.average[i] += (w - r.average[i]) * (1.0f - s.keep);
    }
}

DECANT_VECTORISED void rmsprop_range(const Vectors& r, size_t count, const Step& s) {
#pragma GCC ivdep
    for (size_t i = 0; i < count; i++) {
        const float g = with_decay(r.gradient[i], r.weights[i], s);
        const float v = s.beta2 * r.second[i] + (1.0f - s.beta2) * g * g;
        const float w = r.weights[i] - s.rate * r.rate[i] * g / (std::sqrt(v) + s.epsilon);
        r.second[i] = v;
        r.weights[i] = w;
        r.average[i] += (w - r.average[i]) * (1.0f - s.keep);
    }
}

DECANT_VECTORISED void sgd_range(const Vectors& r, size_t count, const Step& s) {
    const float ahead = s.nesterov ? 1.0f : 0.0f, along = s.nesterov ? s.momentum : 1.0f;
#pragma GCC ivdep
    for (size_t i = 0; i < count; i++) {
        const float g = with_decay(r.gradient[i], r.weights[i], s);
        const float m = s.momentum * r.first[i] + g;
        const float w = r.weights[i] - s.rate * r.rate[i] * (ahead * g + along * m);
        r.first[i] = m;
        r.weights[i] = w;
        r.average[i] += (w - r.average[i]) * (1.0f - s.keep);
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

void optimiser_step(std::span<float> weights, std::span<const float> gradient, OptimiserState& state, size_t begin, size_t end, float rate,
                    float gradient_scale, int64_t step, float keep, const OptimiserOptions& o, std::span<const Range> decayed) {
    Step s{};
    s.rate = rate;
    s.gradient_scale = gradient_scale;
    s.keep = keep;
    s.beta1 = float(o.beta1);
    s.beta2 = float(o.beta2);
    s.epsilon = float(o.epsilon);
    s.momentum = float(o.momentum);
    s.nesterov = o.nesterov;
    const bool is_adam = o.kind == Optimiser::adam || o.kind == Optimiser::adamw;
    if (is_adam) {
        s.rate /= 1.0f - std::pow(s.beta1, float(step));
        s.correction = 1.0f / (1.0f - std::pow(s.beta2, float(step)));
    }
    const auto run = [&](size_t from, size_t to, bool decays) {
        if (from >= to) return;
        s.l2 = decays && o.kind != Optimiser::adamw ? float(o.weight_decay) : 0.0f;
        s.l1 = decays ? float(o.l1) : 0.0f;
        s.decay = decays && o.kind == Optimiser::adamw ? rate * float(o.weight_decay) : 0.0f;
        const Vectors v{weights.data() + from,       gradient.data() + from,      state.first.data() + from,
                        state.second.data() + from, state.average.data() + from, state.rate.data() + from};
        const auto range = is_adam ? adam_range : o.kind == Optimiser::rmsprop ? rmsprop_range : sgd_range;
        range(v, to - from, s);
    };
    if (o.weight_decay == 0 && o.l1 == 0) decayed = {};
    size_t at = begin;
    for (const Range& range : decayed) {
        const size_t from = std::clamp(range.begin, at, end), to = std::clamp(range.end, from, end);
        run(at, from, false);
        run(from, to, true);
        at = to;
    }
    run(at, end, false);
}

}  // namespace decant
