#include "codec/latents/latent_coder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include "codec/engine/parallel.h"
#include "codec/entropy/gaussian_builder.h"
#include "codec/error.h"
#include "codec/latents/fixed_point.h"
#include "codec/latents/layout.h"

namespace decant {
namespace {

static_assert(kLogExponent == kUnitExponent && kLogExponent == kParameterExponent);

constexpr int kScaleBias = 3261 + 64;  // -1024·log2(0.11), and half a table's width for rounding
constexpr int kScaleShift = 7;         // 1024 / kScalesPerOctave
static_assert(kScalesPerOctave << kScaleShift == 1 << kLogExponent);
constexpr int kMinLogScale = -14 * (1 << kLogExponent), kMaxLogScale = 6 * (1 << kLogExponent);
constexpr int64_t kMeanLimit = int64_t(1) << 24;  // of means in 1/64 steps; symbols are far below it
constexpr int32_t kHyperLimit = 255;

int ceil_half(int v) { return (v + 1) / 2; }

int scale_index(int log_scale) { return std::clamp((log_scale + kScaleBias) >> kScaleShift, 0, kScaleCount - 1); }

// What the network's probabilities predict, before scales are rounded to table indices. For symbols that are rarer than tables can
// say, the escape code is the model: they take what it takes.
double predicted_bits(double mean, double sigma, int symbol, double coded_bits) {
    const double p = gaussian_probability(mean, std::max(sigma, 0.11), symbol);
    return p < 1.0 / kProbabilityScale ? coded_bits : -std::log2(p);
}

int32_t choose_symbol(const GaussianTables& tables, int index, float deviation, Quantiser quantiser) {
    constexpr double kErrorBits = 20.0;  // worth of a squared error of one step; the best of 12, 20 and 40 on training pictures
    constexpr float kLimit = float(1 << 20);
    const auto nearest = int32_t(std::floor(std::clamp(deviation, -kLimit, kLimit) + 0.5f));
    if (nearest == 0 || quantiser == Quantiser::nearest) return nearest;
    const int32_t lower = nearest > 0 ? nearest - 1 : nearest + 1;
    const auto cost = [&](int32_t symbol) {
        const double error = double(deviation) - symbol;
        return tables.cost_bits(index, symbol) + kErrorBits * error * error;
    };
    return cost(lower) < cost(nearest) ? lower : nearest;
}

}  // namespace

struct LatentCoder::State {
    const ModelContents& model;
    CodecWeights& weights;
    int h, w, M, Hz, zh, zw, features;
    IntegerGraph hyper_synthesis;
    std::unique_ptr<Graph> hyper_analysis;  // of the encoder
    std::array<std::unique_ptr<IntegerGraph>, kContextSteps> context;
    AlignedBuffer context_memory;    // for one step at a time
    std::vector<int> unit;           // [M] at the current quality, log2 in 1/1024
    std::vector<int32_t> hyper;      // z
    std::vector<int32_t> mean;       // of a step: [h, w, M/4]
    std::vector<int16_t> log_scale;  // of a step: log2 of the scale in steps, in 1/1024
    std::vector<int32_t> latents;

    State(const ModelContents& m, CodecWeights& cw, int height, int width)
        : model(m),
          weights(cw),
          h(height),
          w(width),
          M(m.description.latent_channels),
          Hz(m.description.hyper_channels),
          zh(ceil_half(ceil_half(height))),
          zw(ceil_half(ceil_half(width))),
          hyper_synthesis(cw.integers("hyper_synthesis"), {1, zh, zw, 2 * Hz}, {}) {
        features = hyper_synthesis.output().shape.c;
        const Shape f = hyper_synthesis.output().shape;
        if (f.h != kHyperStride * zh || f.w != kHyperStride * zw || hyper_synthesis.output().type != DataType::u8) {
            throw Error(ErrorCode::model_mismatch, "hyper_synthesis: the result must be four times as large as its input and of 8 bits");
        }
        for (int k = 0; k < kContextSteps; k++) {
            IntegerGraphOptions o;
            o.signed_from = features;
            o.borrows_memory = true;
            auto& graph = context[size_t(k)];
            graph = std::make_unique<IntegerGraph>(cw.integers("context" + std::to_string(k)), Shape{1, h, w, features + (k == 0 ? 0 : M)}, o);
            if (graph->output().shape != Shape{1, h, w, 2 * M} || graph->output().type != DataType::s32) {
                throw Error(ErrorCode::model_mismatch, "context" + std::to_string(k) + ": the result must have " + std::to_string(2 * M) + " channels and no activation");
            }
        }
        unit.resize(size_t(M));
        hyper.resize(size_t(zh) * zw * Hz);
        mean.resize(size_t(h) * w * (M / kContextSteps));
        log_scale.resize(mean.size());
        latents.resize(size_t(h) * w * M);
    }

    void set_quality(int quality_q8) {
        for (int c = 0; c < M; c++) unit[size_t(c)] = mix_fixed(model.unit.data(), model.description.levels(), M, c, quality_q8);
    }

    void run_hyper_synthesis(int quality_q8) {
        auto* input = hyper_synthesis.input().as<uint8_t>();
        for (size_t i = 0; i < hyper.size(); i++) {
            const size_t at = i / size_t(Hz) * 2 * size_t(Hz) + i % size_t(Hz);
            input[at] = uint8_t(std::clamp(hyper[i], 0, kHyperLimit));
            input[at + size_t(Hz)] = uint8_t(std::clamp(-hyper[i], 0, kHyperLimit));
        }
        hyper_synthesis.forward(quality_q8);
    }

    // Channels of the context's input that position (y, x) knows before `step`, from decoded latents.
    void fill_context(int step) {
        const Shape f = hyper_synthesis.output().shape;
        const auto* from = hyper_synthesis.output().as<uint8_t>();
        const TensorRef input = context[size_t(step)]->input();
        const int group = M / kContextSteps;
        parallel_for(size_t(h), 1, [&](size_t begin, size_t end) {
            for (size_t y = begin; y < end; y++) {
                for (size_t x = 0; x < size_t(w); x++) {
                    auto* d = input.as<uint8_t>() + (y * size_t(w) + x) * size_t(input.shape.c);
                    std::memcpy(d, from + (y * size_t(f.w) + x) * size_t(f.c), size_t(f.c));
                    if (step == 0) continue;
                    std::memset(d + f.c, kInputZero, size_t(M));
                    for (int k = 0; k < step; k++) {
                        const size_t at = size_t(context_group(k, int(y), int(x))) * size_t(group);
                        const int32_t* latent = latents.data() + (y * size_t(w) + x) * size_t(M);
                        for (size_t c = at; c < at + size_t(group); c++) {
                            const int64_t v = scale_by_exp2(latent[c], -unit[c], kSymbolExponent - kActivationExponent);
                            d[size_t(f.c) + c] = uint8_t(kInputZero + std::clamp<int64_t>(v, -kContextLimit, kContextLimit));
                        }
                    }
                }
            }
        });
    }

    // Means and scale indices of the latents that `step` codes.
    void predict(int step, int quality_q8) {
        context[size_t(step)]->bind(context_memory.grow(context[size_t(step)]->memory()));
        fill_context(step);
        context[size_t(step)]->forward(quality_q8);
        const auto* result = context[size_t(step)]->output().as<int32_t>();
        const size_t group = size_t(M / kContextSteps);
        parallel_for(size_t(h), 1, [&](size_t begin, size_t end) {
            for (size_t y = begin; y < end; y++) {
                for (size_t x = 0; x < size_t(w); x++) {
                    const size_t p = y * size_t(w) + x, at = size_t(context_group(step, int(y), int(x))) * group;
                    const int32_t *means = result + p * 2 * size_t(M) + at, *scales = means + M;
                    for (size_t c = 0; c < group; c++) {
                        const int64_t m = scale_by_exp2(means[c], unit[at + c], kParameterExponent - kSymbolExponent);
                        const int l = std::clamp(scales[c], kMinLogScale, kMaxLogScale) + unit[at + c];
                        mean[p * group + c] = int32_t(std::clamp(m, -kMeanLimit, kMeanLimit));
                        log_scale[p * group + c] = int16_t(l);
                    }
                }
            }
        });
    }

    // The one order of symbols, for both directions. code(latent's place, mean, log2 of the scale) returns the symbol.
    template <class Code>
    void each_latent(int quality_q8, Code&& code) {
        const size_t group = size_t(M / kContextSteps);
        for (int step = 0; step < kContextSteps; step++) {
            predict(step, quality_q8);
            for (size_t p = 0; p < size_t(h) * size_t(w); p++) {
                const size_t at = p * size_t(M) + size_t(context_group(step, int(p / size_t(w)), int(p % size_t(w)))) * group;
                for (size_t c = 0; c < group; c++) {
                    const int32_t m = mean[p * group + c];
                    latents[at + c] = code(at + c, m, int(log_scale[p * group + c])) * (1 << kSymbolExponent) + m;
                }
            }
        }
    }

    void analyse_hyper(std::span<const float> y, int quality_q8) {
        if (hyper_analysis == nullptr) {
            GraphOptions o;
            o.compute = has_fast_bf16() ? DataType::bf16 : DataType::f32;
            hyper_analysis = std::make_unique<Graph>(weights["hyper_analysis"], Shape{1, h, w, 2 * M}, o);
            if (hyper_analysis->output().shape != Shape{1, zh, zw, Hz}) throw Error(ErrorCode::model_mismatch, "hyper_analysis: the result must be z");
        }
        auto* input = hyper_analysis->input().as<float>();
        parallel_for(size_t(h) * size_t(w), 16, [&](size_t begin, size_t end) {
            for (size_t p = begin; p < end; p++) {
                for (size_t c = 0; c < size_t(M); c++) {
                    const float v = y[p * size_t(M) + c];
                    input[p * 2 * size_t(M) + c] = 0.5f * std::log2(1.0f + std::fabs(v));
                    input[p * 2 * size_t(M) + size_t(M) + c] = v * std::exp2(-float(unit[c]) / float(1 << kLogExponent));
                }
            }
        });
        const float quality = float(quality_q8) / 256.0f;
        hyper_analysis->forward({&quality, 1});
        const auto* z = hyper_analysis->output().as<float>();
        for (size_t i = 0; i < hyper.size(); i++) hyper[i] = int32_t(std::clamp(std::floor(z[i] + 0.5f), -float(kHyperLimit), float(kHyperLimit)));
    }
};

LatentCoder::LatentCoder(const ModelContents& model, CodecWeights& weights, int h, int w) : state_(std::make_unique<State>(model, weights, h, w)) {}
LatentCoder::~LatentCoder() = default;

std::span<const int32_t> LatentCoder::latents() const { return state_->latents; }

std::vector<uint8_t> LatentCoder::encode(std::span<const float> y, int quality_q8, double* model_bits, Quantiser quantiser) {
    State& s = *state_;
    s.set_quality(quality_q8);
    s.analyse_hyper(y, quality_q8);
    const auto hyper_mean = s.model.parameters["hyper_mean"], hyper_scale = s.model.parameters["hyper_log2_scale"];
    RansEncoder encoder;
    double bits = 0;
    for (size_t i = 0; i < s.hyper.size(); i++) {
        s.model.hyper.encode_symbol(encoder, i % size_t(s.Hz), s.hyper[i]);
        if (model_bits == nullptr) continue;
        const size_t c = i % size_t(s.Hz);
        bits += predicted_bits(hyper_mean[c], std::exp2(hyper_scale[c]), s.hyper[i], s.model.hyper.cost_bits(c, s.hyper[i]));
    }
    s.run_hyper_synthesis(quality_q8);
    s.each_latent(quality_q8, [&](size_t at, int32_t mean, int log_scale) {
        const int index = scale_index(log_scale);
        if (index < kFirstCodedScale) return 0;
        const int32_t symbol = choose_symbol(s.model.gaussian, index, y[at] - float(mean) / float(1 << kSymbolExponent), quantiser);
        s.model.gaussian.encode_symbol(encoder, index, symbol);
        if (model_bits != nullptr) {
            bits += predicted_bits(0.0, std::exp2(double(log_scale) / (1 << kLogExponent)), symbol, s.model.gaussian.cost_bits(index, symbol));
        }
        return symbol;
    });
    if (model_bits != nullptr) *model_bits += bits;
    return encoder.finish();
}

void LatentCoder::decode(std::span<const uint8_t> stream, int quality_q8) {
    State& s = *state_;
    s.set_quality(quality_q8);
    RansDecoder decoder(stream);
    for (size_t i = 0; i < s.hyper.size(); i++) s.hyper[i] = s.model.hyper.decode_symbol(decoder, i % size_t(s.Hz));
    s.run_hyper_synthesis(quality_q8);
    s.each_latent(quality_q8, [&](size_t, int32_t, int log_scale) { return s.model.gaussian.decode_symbol(decoder, scale_index(log_scale)); });
    decoder.finish();
}

}  // namespace decant
