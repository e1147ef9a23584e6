#include "codec/autoencoder/bottleneck.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "codec/tensor/random.h"

namespace decant {
namespace {

using Kind = Bottleneck::Kind;
using Sparsity = Bottleneck::Sparsity;

constexpr float kLogVariance = 10.0f;  // most of a variational code, either way

float clamp_log_variance(float v) { return std::clamp(v, -kLogVariance, kLogVariance); }
bool in_range(float log_variance) { return std::abs(log_variance) < kLogVariance; }

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

// The squared distances decide; of equal ones the first.
int nearest(const float* vector, std::span<const float> codebook, size_t channels) {
    int best = 0;
    float least = INFINITY;
    for (size_t k = 0; k * channels < codebook.size(); k++) {
        float distance = 0;
        for (size_t c = 0; c < channels; c++) {
            const float d = vector[c] - codebook[k * channels + c];
            distance += d * d;
        }
        if (distance < least) {
            least = distance;
            best = int(k);
        }
    }
    return best;
}

Shape latent_of(const Bottleneck& b, Shape code, bool training) {
    if (b.kind == Kind::variational) code.c /= 2;
    if (b.kind == Kind::contractive && training) code.n /= 2;
    return code;
}

}  // namespace

BottleneckPass::BottleneckPass(const Bottleneck& bottleneck, const Shape& code, bool training)
    : bottleneck_(bottleneck), code_(code), latent_(latent_of(bottleneck, code, training)), training_(training) {}

size_t BottleneckPass::units() const {
    switch (bottleneck_.kind) {
        case Kind::sparse: return size_t(latent_.c);
        case Kind::quantised: return size_t(bottleneck_.codes);
        default: return 0;
    }
}

BottleneckPass::Result BottleneckPass::forward(std::span<const float> code, std::span<float> latent, std::span<const float> codebook, std::optional<uint32_t> key,
                                               size_t values, float weight) {
    weight_ = weight;
    values_ = values;
    Result result;
    result.activity.assign(units(), 0.0f);
    const size_t channels = size_t(latent_.c), positions = latent_.pixels(), samples = size_t(latent_.n), count = latent_.elements();
    const float share = 1.0f / float(positions);
    switch (bottleneck_.kind) {
        case Kind::plain: std::copy_n(code.begin(), count, latent.begin()); break;
        case Kind::contractive: {
            std::copy_n(code.begin(), count, latent.begin());
            if (!training_) break;
            double sum = 0;
            for (size_t i = 0; i < count; i++) sum += std::pow(double(code[count + i]) - double(code[i]), 2);
            result.penalty = double(weight) * sum / (double(kJitter) * double(kJitter)) / double(count);
            break;
        }
        case Kind::sparse: {
            std::copy_n(code.begin(), count, latent.begin());
            double sum = 0;
            if (bottleneck_.sparsity == Sparsity::kl) {
                for (float& v : latent) v = sigmoid(v);
                mean_activity_.assign(channels, 0.0f);
                for (size_t i = 0; i < count; i++) mean_activity_[i % channels] += latent[i] * share;
                for (float& a : mean_activity_) {
                    a = std::clamp(a, 1e-6f, 1.0f - 1e-6f);
                    const double p = double(bottleneck_.target), q = double(a);
                    sum += p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q));
                }
                result.penalty = double(weight) * sum;
            } else if (bottleneck_.sparsity == Sparsity::top_k) {
                std::vector<size_t> order(channels);
                for (size_t p = 0; p < positions; p++) {
                    float* v = latent.data() + p * channels;
                    std::iota(order.begin(), order.end(), size_t{0});
                    std::nth_element(order.begin(), order.begin() + bottleneck_.active - 1, order.end(), [v](size_t a, size_t b) { return v[a] != v[b] ? v[a] > v[b] : a < b; });
                    for (size_t i = size_t(bottleneck_.active); i < channels; i++) v[order[i]] = 0.0f;
                }
            } else {
                for (const float v : latent) sum += bottleneck_.sparsity == Sparsity::l1 ? double(std::abs(v)) : double(v != 0.0f);
                result.penalty = double(weight) * sum / double(count);
            }
            // A sigmoid is never 0: its value is how active it is.
            for (size_t i = 0; i < count; i++) result.activity[i % channels] += share * (bottleneck_.sparsity == Sparsity::kl ? latent[i] : float(latent[i] != 0.0f));
            break;
        }
        case Kind::variational: {
            noise_.assign(count, 0.0f);
            if (key) {
                RandomStream random{*key};
                for (float& v : noise_) v = random.normal();
            }
            const size_t a_sample = count / samples;
            for (size_t n = 0; n < samples; n++) {
                double divergence = 0;
                for (size_t i = n * a_sample; i < (n + 1) * a_sample; i++) {
                    const float* position = code.data() + i / channels * 2 * channels;
                    const float mean = position[i % channels], log_variance = clamp_log_variance(position[channels + i % channels]);
                    latent[i] = mean + std::exp(0.5f * log_variance) * noise_[i];
                    divergence += 0.5 * (double(mean) * double(mean) + std::exp(double(log_variance)) - 1 - double(log_variance));
                }
                result.bits.push_back(divergence / std::log(2.0));
                result.penalty += double(weight) * divergence / double(values) / double(samples);
            }
            break;
        }
        case Kind::quantised: {
            chosen_.resize(positions);
            double sum = 0;
            for (size_t p = 0; p < positions; p++) {
                const float* vector = code.data() + p * channels;
                const int k = nearest(vector, codebook, channels);
                chosen_[p] = k;
                result.activity[size_t(k)] += share;
                for (size_t c = 0; c < channels; c++) {
                    const float e = codebook[size_t(k) * channels + c];
                    latent[p * channels + c] = e;
                    sum += double(vector[c] - e) * double(vector[c] - e);
                }
            }
            // Once for the vectors, which follow the code, and by its weight for the code, which is to stay with them.
            result.penalty = (1.0 + double(weight)) * sum / double(count);
            result.bits.assign(samples, std::log2(double(bottleneck_.codes)) * double(positions / samples));
            break;
        }
    }
    return result;
}

void BottleneckPass::backward(std::span<const float> code, std::span<const float> latent, std::span<const float> latent_gradient, std::span<float> code_gradient,
                              std::span<const float> codebook, std::span<float> codebook_gradient) {
    const size_t channels = size_t(latent_.c), positions = latent_.pixels(), samples = size_t(latent_.n), count = latent_.elements();
    if (bottleneck_.kind != Kind::variational) std::copy_n(latent_gradient.begin(), count, code_gradient.begin());
    switch (bottleneck_.kind) {
        case Kind::plain: break;
        case Kind::contractive:
            if (!training_) break;
            for (size_t i = 0; i < count; i++) {
                const float slope = 2.0f * weight_ * (code[count + i] - code[i]) / (kJitter * kJitter * float(count));
                code_gradient[i] -= slope;
                code_gradient[count + i] = slope;
            }
            break;
        case Kind::sparse:
            for (size_t i = 0; i < count; i++) {
                float& g = code_gradient[i];
                if (bottleneck_.sparsity == Sparsity::l1) {
                    g += weight_ / float(count) * float((code[i] > 0.0f) - (code[i] < 0.0f));
                } else if (bottleneck_.sparsity == Sparsity::top_k) {
                    if (latent[i] == 0.0f) g = 0.0f;
                } else if (bottleneck_.sparsity == Sparsity::kl) {
                    const float q = mean_activity_[i % channels], p = bottleneck_.target;
                    g += weight_ * ((1 - p) / (1 - q) - p / q) / float(positions);
                    g *= latent[i] * (1.0f - latent[i]);
                }
                // l0: the gradient goes to the thresholds, see Graph.
            }
            break;
        case Kind::variational: {
            const float factor = weight_ / (float(values_) * float(samples));
            for (size_t i = 0; i < count; i++) {
                const size_t at = i / channels * 2 * channels + i % channels;
                const float mean = code[at], log_variance = clamp_log_variance(code[at + channels]);
                code_gradient[at] = latent_gradient[i] + factor * mean;
                const float slope = latent_gradient[i] * noise_[i] * 0.5f * std::exp(0.5f * log_variance) + factor * 0.5f * (std::exp(log_variance) - 1.0f);
                code_gradient[at + channels] = in_range(code[at + channels]) ? slope : 0.0f;
            }
            break;
        }
        case Kind::quantised: {
            std::ranges::fill(codebook_gradient, 0.0f);
            const float factor = 2.0f / float(count);
            for (size_t i = 0; i < count; i++) {
                const size_t entry = size_t(chosen_[i / channels]) * channels + i % channels;
                const float d = code[i] - codebook[entry];
                code_gradient[i] += weight_ * factor * d;  // the rest is handed straight through
                if (!codebook_gradient.empty()) codebook_gradient[entry] -= factor * d;
            }
            break;
        }
    }
}

}  // namespace decant
