#include "codec/train/denoise_step.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "codec/denoise/network_input.h"
#include "codec/error.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr float kStep = 1.0f / float(1 << kPixelExponent);  // of 8 bits, in the network's values

// Σ √(d² + ε²) of d = residual - wanted, and its slopes times `factor`.
DECANT_VECTORISED float charbonnier(const float* residual, const float* wanted, float* gradient, size_t count, float factor, float epsilon) {
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float d = residual[i] - wanted[i], root = std::sqrt(d * d + epsilon * epsilon);
        gradient[i] = factor * d / root;
        sum += root;
    }
    return sum;
}

// Σ d² of d = residual - (clean - noisy).
DECANT_VECTORISED float squares_of(const float* residual, const uint8_t* noisy, const uint8_t* clean, size_t count) {
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float d = residual[i] - (float(clean[i]) - float(noisy[i])) * kStep;
        sum += d * d;
    }
    return sum;
}

}  // namespace

struct DenoiseStep::State {
    DenoiseStepOptions options;
    int channels;
    Graph graph;
    std::vector<uint8_t> noisy;  // of the last run

    State(const Description& d, CodecWeights& weights, const DenoiseStepOptions& o)
        : options(o),
          channels(picture_channels(d)),
          graph(weights[kDenoiseNetwork], {o.samples, o.height, o.width, channels + 1}, graph_options(o)) {}

    static GraphOptions graph_options(const DenoiseStepOptions& o) {
        GraphOptions g;
        g.use = Convolution::Use::training;
        g.compute = o.compute;
        g.input_gradient = false;
        return g;
    }

    // The residuals of `wanted.size()` samples from `at` on that are learned.
    void want(const Batch& batch, size_t at, std::span<float> wanted) const {
        for (size_t i = 0; i < wanted.size(); i++) wanted[i] = (float(batch.clean[at + i]) - float(batch.noisy[at + i])) * kStep;
        if (batch.taught.empty()) return;
        for (size_t i = 0; i < wanted.size(); i++) wanted[i] += options.teacher_share * (float(batch.taught[at + i]) - float(batch.clean[at + i])) * kStep;
    }

    DenoiseStepResult run(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
        const size_t samples = size_t(options.samples), pixels = size_t(options.height) * size_t(options.width),
                     values = pixels * size_t(channels);
        if (batch.noisy.size() != samples * values || batch.clean.size() != samples * values || batch.sigma.size() != samples ||
            batch.taught.size() != (options.teacher_share > 0 ? samples * values : 0)) {
            throw Error(ErrorCode::internal, "a batch of another size than the step was made for");
        }
        noisy.assign(batch.noisy.begin(), batch.noisy.end());
        for (size_t n = 0; n < samples; n++)
            write_input(batch.noisy.subspan(n * values, values), channels, batch.sigma[n], graph.input().as<float>() + n * pixels * size_t(channels + 1));
        graph.forward({}, batch.dropout);
        DenoiseStepResult result;
        const double scale = std::sqrt(kPixelPeak2);  // of the network's values where 1 is the peak
        const float epsilon = options.epsilon / 255.0f * float(scale), factor = float(1.0 / (double(values) * double(samples) * scale));
        for (size_t n = 0; n < samples; n++) {
            constexpr size_t kRun = 256;  // short sums keep their digits
            const auto each_run = [&](auto&& f) {
                double sum = 0;
                for (size_t i = 0; i < values; i += kRun) sum += f(n * values + i, std::min(kRun, values - i));
                return sum;
            };
            const float* residual = graph.output().as<float>();
            float* gradient = graph.output_gradient().as<float>();
            const double mean = each_run([&](size_t at, size_t count) { return squares_of(residual + at, batch.noisy.data() + at, batch.clean.data() + at, count); }) / double(values);
            std::array<float, kRun> wanted;
            if (options.logarithmic) {
                const double least = double(epsilon) * epsilon;
                result.loss += 0.5 * epsilon / scale * std::log1p(mean / least) / double(samples);
                const float slope = float(epsilon / (mean + least)) * factor;
                each_run([&](size_t at, size_t count) {
                    want(batch, at, std::span(wanted).first(count));
                    for (size_t i = 0; i < count; i++) gradient[at + i] = slope * (residual[at + i] - wanted[i]);
                    return 0.0;
                });
            } else {
                result.loss += factor * each_run([&](size_t at, size_t count) {
                    want(batch, at, std::span(wanted).first(count));
                    return charbonnier(residual + at, wanted.data(), gradient + at, count, factor, epsilon);
                });
            }
            result.mse.push_back(mean / kPixelPeak2);
        }
        if (!gradients.empty()) graph.backward(parameters, gradients);
        return result;
    }
};

DenoiseStep::DenoiseStep(const Description& description, CodecWeights& weights, const DenoiseStepOptions& options)
    : state_(std::make_unique<State>(description, weights, options)) {}
DenoiseStep::~DenoiseStep() = default;

int DenoiseStep::channels() const { return state_->channels; }

std::vector<uint8_t> DenoiseStep::denoised() const {
    const float* residual = state_->graph.output().as<float>();
    std::vector<uint8_t> pixels(state_->noisy.size());
    for (size_t i = 0; i < pixels.size(); i++) pixels[i] = pixel_of(pixel_value(state_->noisy[i]) + residual[i]);
    return pixels;
}

DenoiseStepResult DenoiseStep::run(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
    return state_->run(batch, parameters, gradients);
}

}  // namespace decant
