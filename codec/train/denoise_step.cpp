#include "codec/train/denoise_step.h"

#include <algorithm>
#include <cmath>

#include "codec/denoise/network_input.h"
#include "codec/error.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

// Σ √(d² + ε²) of d = noisy + residual - clean, and its slopes times `factor`; squares: Σ d².
DECANT_VECTORISED float charbonnier(const float* residual, const uint8_t* noisy, const uint8_t* clean, float* gradient,
                                    size_t count, float factor, float epsilon, float& squares) {
    float sum = 0.0f, square = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float d = residual[i] + (float(noisy[i]) - float(clean[i])) * (1.0f / float(1 << kPixelExponent));
        const float root = std::sqrt(d * d + epsilon * epsilon);
        gradient[i] = factor * d / root;
        sum += root;
        square += d * d;
    }
    squares = square;
    return sum;
}

// d itself, and Σ d².
DECANT_VECTORISED float differences(const float* residual, const uint8_t* noisy, const uint8_t* clean, float* gradient, size_t count) {
    float square = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float d = residual[i] + (float(noisy[i]) - float(clean[i])) * (1.0f / float(1 << kPixelExponent));
        gradient[i] = d;
        square += d * d;
    }
    return square;
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

    DenoiseStepResult run(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
        const size_t samples = size_t(options.samples), pixels = size_t(options.height) * size_t(options.width),
                     values = pixels * size_t(channels);
        if (batch.noisy.size() != samples * values || batch.clean.size() != samples * values || batch.sigma.size() != samples) {
            throw Error(ErrorCode::internal, "a batch of another size than the step was made for");
        }
        noisy.assign(batch.noisy.begin(), batch.noisy.end());
        float* input = graph.input().as<float>();
        for (size_t n = 0; n < samples; n++) {
            const uint8_t* pixel = batch.noisy.data() + n * values;
            float* dst = input + n * pixels * size_t(channels + 1);
            for (size_t i = 0; i < pixels; i++, pixel += channels, dst += channels + 1) {
                for (int c = 0; c < channels; c++) dst[c] = pixel_value(pixel[c]);
                dst[channels] = level_value(batch.sigma[n]);
            }
        }
        graph.forward({}, batch.dropout);
        DenoiseStepResult result;
        const double scale = std::sqrt(kPixelPeak2);  // of the network's values where 1 is the peak
        const float epsilon = options.epsilon / 255.0f * float(scale), factor = float(1.0 / (double(values) * double(samples) * scale));
        for (size_t n = 0; n < samples; n++) {
            double sum = 0, squares = 0;
            constexpr size_t kRun = 256;  // short sums keep their digits
            for (size_t i = 0; i < values; i += kRun) {
                const size_t at = n * values + i;
                float run_squares = 0;
                if (options.logarithmic) {
                    squares += differences(graph.output().as<float>() + at, batch.noisy.data() + at, batch.clean.data() + at, graph.output_gradient().as<float>() + at,
                                           std::min(kRun, values - i));
                    continue;
                }
                sum += charbonnier(graph.output().as<float>() + at, batch.noisy.data() + at, batch.clean.data() + at,
                                   graph.output_gradient().as<float>() + at, std::min(kRun, values - i), factor, epsilon,
                                   run_squares);
                squares += run_squares;
            }
            if (options.logarithmic) {
                const double least = double(epsilon) * epsilon, mean = squares / double(values);
                result.loss += 0.5 * epsilon / scale * std::log1p(mean / least) / double(samples);
                float* gradient = graph.output_gradient().as<float>() + n * values;
                const float slope = float(epsilon / (mean + least)) * factor;
                for (size_t i = 0; i < values; i++) gradient[i] *= slope;
            }
            result.loss += sum * factor;
            result.mse.push_back(squares / (double(values) * kPixelPeak2));
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
