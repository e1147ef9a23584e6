#include "codec/latents/latent_coder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include "codec/entropy/table_builder.h"
#include "codec/error.h"
#include "codec/latents/fixed_point.h"
#include "codec/latents/latent_kernels.h"
#include "codec/latents/layout.h"

namespace decant {
namespace {

static_assert(kLogExponent == kUnitExponent && kLogExponent == kParameterExponent);

constexpr int32_t kHyperLimit = 255;

int ceil_half(int v) { return (v + 1) / 2; }

// What the network's probabilities predict, before scales are rounded to table indices. For symbols that are rarer than tables can
// say, the escape code is the model: they take what it takes.
double predicted_bits(double mean, double sigma, int symbol, double coded_bits) {
    const double p = logistic_probability(mean, std::max(sigma, kSmallestScale), symbol);
    return p < 1.0 / kProbabilityScale ? coded_bits : -std::log2(p);
}

constexpr double kErrorBits = 20.0;  // worth of a squared error of one step; the best of 12, 20 and 40 on training pictures

int32_t choose_symbol(const LatentWeights& weights, int index, float deviation, Quantiser quantiser, double error_bits) {
    constexpr float kLimit = float(1 << 20);
    const auto nearest = int32_t(std::floor(std::clamp(deviation, -kLimit, kLimit) + 0.5f));
    if (nearest == 0 || quantiser == Quantiser::nearest) return nearest;
    const int32_t lower = nearest > 0 ? nearest - 1 : nearest + 1;
    const auto cost = [&](int32_t symbol) {
        const double error = double(deviation) - symbol;
        return weights.cost_bits(index, symbol) + error_bits * error * error;
    };
    return cost(lower) < cost(nearest) ? lower : nearest;
}

}  // namespace

struct LatentCoder::State {
    // The positions of the same place in their 2×2 cell code the same group of channels in a step.
    static constexpr int kPlaces = 4;
    static constexpr int place_y(int place) { return place >> 1; }
    static constexpr int place_x(int place) { return place & 1; }

    struct Step {
        std::unique_ptr<IntegerGraph> trunk;
        std::array<std::unique_ptr<IntegerGraph>, kPlaces> head;  // null where a tile has no such positions
    };

    LatentWeights& weights;
    const ModelContents& model;
    SharedMemory& memory;
    int h, w, M, Hz, zh, zw, feature_count;
    size_t group;  // channels of a group
    IntegerGraph hyper_synthesis;
    std::unique_ptr<Graph> hyper_analysis;  // of the encoder
    std::array<Step, kContextSteps> steps;
    std::vector<int> unit;  // [M] at the current quality, log2 in 1/1024
    latent_kernels::Scaling to_steps, to_deviations;  // of means, and of latents for the context
    std::vector<int32_t> hyper;      // z
    std::vector<uint8_t> features;   // of the hyper-synthesis, [h, w, feature_count]
    std::vector<int32_t> mean;       // of a step: [h, w, M/4]
    std::vector<int16_t> log_scale;  // of a step: log2 of the scale in steps, in 1/1024
    std::vector<uint8_t> index;      // of a step: the scale's table
    std::vector<int32_t> latents;    // [h, w, M]
    std::vector<uint8_t> known;      // latents as the context sees them, [h, w, M]

    State(LatentWeights& shared, SharedMemory& lent, int height, int width)
        : weights(shared),
          model(shared.model()),
          memory(lent),
          h(height),
          w(width),
          M(model.description.latent_channels),
          Hz(model.description.hyper_channels),
          zh(ceil_half(ceil_half(height))),
          zw(ceil_half(ceil_half(width))),
          group(size_t(M / kContextSteps)),
          hyper_synthesis(shared.hyper_synthesis(), {1, zh, zw, 2 * Hz}, integer_options()) {
        feature_count = hyper_synthesis.output().shape.c;
        const Shape f = hyper_synthesis.output().shape;
        if (f.h != kHyperStride * zh || f.w != kHyperStride * zw || hyper_synthesis.output().type != DataType::u8) {
            throw Error(ErrorCode::model_mismatch, "hyper_synthesis: the result must be four times as large as its input and of 8 bits");
        }
        for (int k = 0; k < kContextSteps; k++) prepare_step(k);
        unit.resize(size_t(M));
        hyper.resize(size_t(zh) * zw * Hz);
        features.resize(size_t(h) * w * feature_count);
        mean.resize(size_t(h) * w * group);
        log_scale.resize(mean.size());
        index.resize(mean.size());
        latents.resize(size_t(h) * w * M);
        known.resize(latents.size());
    }

    static IntegerGraphOptions integer_options() {
        IntegerGraphOptions o;
        o.borrows_memory = true;
        return o;
    }

    void prepare_step(int k) {
        const IntegerGraphOptions o = integer_options();
        IntegerGraphOptions trunk_options = o;
        trunk_options.signed_from = feature_count;
        Step& step = steps[size_t(k)];
        step.trunk = std::make_unique<IntegerGraph>(weights.context_trunk(k), Shape{1, h, w, feature_count + (k == 0 ? 0 : M)}, trunk_options);
        const TensorRef middle = step.trunk->output();
        if (middle.shape.h != h || middle.shape.w != w || middle.type != DataType::u8) {
            throw Error(ErrorCode::model_mismatch, "context" + std::to_string(k) + ": all layers but the last must keep the resolution and give 8 bits");
        }
        for (int place = 0; place < kPlaces; place++) {
            const int rows = (h - place_y(place) + 1) / 2, columns = (w - place_x(place) + 1) / 2;
            if (rows == 0 || columns == 0) continue;
            const int coded = context_group(k, place_y(place), place_x(place));
            step.head[size_t(place)] = std::make_unique<IntegerGraph>(weights.context_head(k, coded), Shape{1, rows, columns, middle.shape.c}, o);
        }
    }

    void set_quality(int quality_q8) {
        for (int c = 0; c < M; c++) unit[size_t(c)] = mix_fixed(model.unit.data(), model.description.levels(), M, c, quality_q8);
        to_steps.set(unit, 1, kParameterExponent - kSymbolExponent);
        to_deviations.set(unit, -1, kSymbolExponent - kActivationExponent);
    }

    void run_hyper_synthesis(int quality_q8) {
        hyper_synthesis.bind(memory.activations.grow(hyper_synthesis.memory()));
        auto* input = hyper_synthesis.input().as<uint8_t>();
        for (size_t i = 0; i < hyper.size(); i++) {
            const size_t at = i / size_t(Hz) * 2 * size_t(Hz) + i % size_t(Hz);
            input[at] = uint8_t(std::clamp(hyper[i], 0, kHyperLimit));
            input[at + size_t(Hz)] = uint8_t(std::clamp(-hyper[i], 0, kHyperLimit));
        }
        hyper_synthesis.forward(quality_q8);
        // Cut to the tile, and kept: the memory goes on to the context networks.
        const TensorRef f = hyper_synthesis.output();
        for (size_t y = 0; y < size_t(h); y++) {
            const size_t row = size_t(w) * size_t(f.shape.c);
            std::memcpy(features.data() + y * row, f.as<uint8_t>() + y * size_t(f.shape.w) * size_t(f.shape.c), row);
        }
    }

    // What the context network of `step` reads, from the latents of the steps before.
    void fill_context(int step) {
        auto* to = steps[size_t(step)].trunk->input().as<uint8_t>();
        for (size_t y = 0; y < size_t(h); y++) {
            for (size_t x = 0; x < size_t(w); x++) {
                const size_t p = y * size_t(w) + x;
                std::memcpy(to, features.data() + p * size_t(feature_count), size_t(feature_count));
                to += feature_count;
                if (step == 0) continue;
                const size_t c = size_t(context_group(step - 1, int(y), int(x))) * group;
                latent_kernels::to_context(latents.data() + p * size_t(M) + c, to_deviations, c, group, known.data() + p * size_t(M) + c);
                std::memcpy(to, known.data() + p * size_t(M), size_t(M));
                to += M;
            }
        }
    }

    // Means and scales of the latents that `step` codes.
    void predict(int step, int quality_q8) {
        Step& s = steps[size_t(step)];
        size_t head_memory = 0;
        for (const auto& head : s.head) head_memory = std::max(head_memory, head != nullptr ? head->memory() : 0);
        std::byte* lent = memory.activations.grow(s.trunk->memory() + head_memory);
        s.trunk->bind(lent);
        fill_context(step);
        s.trunk->forward(quality_q8);
        const auto* middle = s.trunk->output().as<uint8_t>();
        const size_t channels = size_t(s.trunk->output().shape.c);
        for (int place = 0; place < kPlaces; place++) {
            if (s.head[size_t(place)] == nullptr) continue;
            IntegerGraph& head = *s.head[size_t(place)];
            head.bind(lent + s.trunk->memory());
            auto* input = head.input().as<uint8_t>();
            each_position(place, [&](size_t p) {
                std::memcpy(input, middle + p * channels, channels);
                input += channels;
            });
            head.forward(quality_q8);
            const auto* result = head.output().as<int32_t>();
            const size_t first = size_t(context_group(step, place_y(place), place_x(place))) * group;
            each_position(place, [&](size_t p) {
                latent_kernels::predict(result, result + group, to_steps, first, unit.data() + first, group, mean.data() + p * group,
                                        log_scale.data() + p * group, index.data() + p * group);
                result += 2 * group;
            });
        }
    }

    void predict_from_neighbours(int step, int y, int x) {
        const std::span<const Offset> offsets = prediction_offsets(step);
        std::array<const int32_t*, kMostPredictionOffsets> neighbours;
        std::array<const int16_t*, kMostPredictionOffsets> taps;
        size_t count = 0;
        const size_t first = size_t(context_group(step, y, x)) * group;
        for (size_t t = 0; t < offsets.size(); t++) {
            const int64_t from = prediction_position(step, offsets[t], y, x, h, w);
            if (from < 0) continue;
            neighbours[count] = latents.data() + size_t(from) * size_t(M) + first;
            taps[count++] = model.prediction.data() + (size_t(first_prediction_tap(step)) + t) * size_t(M) + first;
        }
        latent_kernels::add_prediction(std::span(neighbours).first(count), std::span(taps).first(count), group,
                                       mean.data() + (size_t(y) * size_t(w) + size_t(x)) * group);
    }

    template <class F>
    void each_position(int place, F&& f) const {
        for (int y = place_y(place); y < h; y += 2) {
            for (int x = place_x(place); x < w; x += 2) f(size_t(y) * size_t(w) + size_t(x));
        }
    }

    // The one order of symbols, for both directions. code(a latent's place, its place in the step, mean) returns the symbol.
    template <class Code>
    void each_latent(int quality_q8, Code&& code) {
        std::memset(known.data(), kInputZero, known.size());
        for (int step = 0; step < kContextSteps; step++) {
            predict(step, quality_q8);
            for (size_t y = 0; y < size_t(h); y++) {
                for (size_t x = 0; x < size_t(w); x++) {
                    const size_t p = y * size_t(w) + x, at = p * size_t(M) + size_t(context_group(step, int(y), int(x))) * group;
                    predict_from_neighbours(step, int(y), int(x));
                    for (size_t c = 0; c < group; c++) {
                        const size_t i = p * group + c;
                        const int32_t symbol = index[i] < kFirstCodedScale ? 0 : code(at + c, i, mean[i]);
                        latents[at + c] = symbol * (1 << kSymbolExponent) + mean[i];
                    }
                }
            }
        }
    }

    void analyse_hyper(std::span<const float> y, int quality_q8) {
        if (hyper_analysis == nullptr) {
            GraphOptions o;
            o.borrows_memory = true;
            o.scratch = &memory.scratch;
            o.compute = has_fast_bf16() ? DataType::bf16 : DataType::f32;
            hyper_analysis = std::make_unique<Graph>(weights.hyper_analysis(), Shape{1, h, w, 2 * M}, o);
            if (hyper_analysis->output().shape != Shape{1, zh, zw, Hz}) throw Error(ErrorCode::model_mismatch, "hyper_analysis: the result must be z");
        }
        hyper_analysis->bind(memory.activations.grow(hyper_analysis->memory()));
        auto* input = hyper_analysis->input().as<float>();
        std::vector<float> deviations(size_t(M), 0.0f);
        for (size_t c = 0; c < size_t(M); c++) deviations[c] = std::exp2(-float(unit[c]) / float(1 << kLogExponent));
        for (size_t p = 0; p < size_t(h) * size_t(w); p++) {
            const float* from = y.data() + p * size_t(M);
            for (size_t c = 0; c < size_t(M); c++) *input++ = 0.5f * std::log2(1.0f + std::fabs(from[c]));
            latent_kernels::multiply(from, deviations.data(), size_t(M), input);
            input += M;
        }
        const float quality = float(quality_q8) / 256.0f;
        hyper_analysis->forward({&quality, 1});
        const auto* z = hyper_analysis->output().as<float>();
        for (size_t i = 0; i < hyper.size(); i++) hyper[i] = int32_t(std::clamp(std::floor(z[i] + 0.5f), -float(kHyperLimit), float(kHyperLimit)));
    }

    // Chooses all symbols: hyper_symbol(channel, symbol) hears of each of z, latent_symbol(its place in the step, symbol) of each of y.
    template <class Hyper, class Latent>
    void choose(std::span<const float> y, int quality_q8, const Settings& settings, Hyper&& hyper_symbol, Latent&& latent_symbol) {
        set_quality(quality_q8);
        if (!settings.keep_hyper) analyse_hyper(y, quality_q8);
        for (size_t i = 0; i < hyper.size(); i++) hyper_symbol(i % size_t(Hz), hyper[i]);
        run_hyper_synthesis(quality_q8);
        each_latent(quality_q8, [&](size_t at, size_t i, int32_t m) {
            const double error_bits = settings.error_bits.empty() ? kErrorBits : double(settings.error_bits[at % size_t(M)]);
            const int32_t symbol = choose_symbol(weights, index[i], y[at] - float(m) / float(1 << kSymbolExponent), settings.quantiser, error_bits);
            latent_symbol(i, symbol);
            return symbol;
        });
    }
};

LatentCoder::LatentCoder(LatentWeights& weights, SharedMemory& memory, int h, int w) : state_(std::make_unique<State>(weights, memory, h, w)) {}
LatentCoder::~LatentCoder() = default;

std::span<const int32_t> LatentCoder::latents() const { return state_->latents; }

std::vector<uint8_t> LatentCoder::encode(std::span<const float> y, int quality_q8, double* model_bits, const Settings& settings) {
    State& s = *state_;
    const auto hyper_mean = s.model.parameters["hyper_mean"], hyper_scale = s.model.parameters["hyper_log2_scale"];
    RansEncoder encoder;
    double bits = 0;
    s.choose(
        y, quality_q8, settings,
        [&](size_t channel, int32_t symbol) {
            s.model.hyper.encode_symbol(encoder, channel, symbol);
            if (model_bits == nullptr) return;
            bits += predicted_bits(hyper_mean[channel], std::exp2(hyper_scale[channel]), symbol, s.model.hyper.cost_bits(channel, symbol));
        },
        [&](size_t i, int32_t symbol) {
            const int index = s.index[i];
            s.model.scales.encode_symbol(encoder, index, symbol);
            if (model_bits == nullptr) return;
            bits += predicted_bits(0.0, std::exp2(double(s.log_scale[i]) / (1 << kLogExponent)), symbol, s.model.scales.cost_bits(index, symbol));
        });
    if (model_bits != nullptr) *model_bits += bits;
    return encoder.finish();
}

double LatentCoder::quantise(std::span<const float> y, int quality_q8, const Settings& settings) {
    State& s = *state_;
    double bits = 0;
    s.choose(
        y, quality_q8, settings, [&](size_t channel, int32_t symbol) { bits += s.model.hyper.cost_bits(channel, symbol); },
        [&](size_t i, int32_t symbol) { bits += s.weights.cost_bits(s.index[i], symbol); });
    return bits;
}

void LatentCoder::decode(std::span<const uint8_t> stream, int quality_q8) {
    State& s = *state_;
    s.set_quality(quality_q8);
    RansDecoder decoder(stream);
    for (size_t i = 0; i < s.hyper.size(); i++) s.hyper[i] = s.model.hyper.decode_symbol(decoder, i % size_t(s.Hz));
    s.run_hyper_synthesis(quality_q8);
    s.each_latent(quality_q8, [&](size_t, size_t i, int32_t) { return s.model.scales.decode_symbol(decoder, s.index[i]); });
    decoder.finish();
}

}  // namespace decant
