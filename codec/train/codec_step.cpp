#include "codec/train/codec_step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>

#include "codec/entropy/symbol_costs.h"
#include "codec/entropy/table_builder.h"
#include "codec/error.h"
#include "codec/latents/latent_kernels.h"
#include "codec/latents/layout.h"
#include "codec/tensor/random.h"
#include "codec/train/logistic.h"

namespace decant {
namespace {

constexpr float kLn2 = 0.69314718f;
constexpr float kContextScale = float(1 << kActivationExponent);
constexpr float kContextClip = float(kContextLimit) / kContextScale;
constexpr float kMaxLog2Scale = 6.0f, kMinLog2Scale = -14.0f;  // of predicted scales, relative to a channel's unit
constexpr float kHyperClip = 255.0f;
constexpr float kLog2SmallestScale = -4.0588937f;  // kSmallestScale

// A run of latents that is coded in one step: `count` neighbouring channels of one position.
struct LatentRun {
    const float* symbol;  // y·gain
    const float* unit;    // quantisation steps a standard deviation
    const float* mean;    // predicted, in standard deviations
    const float* log2_scale;
    const float* base;    // of the mean, predicted from neighbours
    float* decoded;       // ŷ·gain
    float* symbol_gradient;
    float* unit_gradient;
    float* mean_gradient;
    float* log2_scale_gradient;
    float* base_gradient;
};

// bits: of each latent. Sums are left to the caller, since a running sum keeps a loop from being vectorised; and no two of a run's
// pointers overlap, which the compiler cannot know.
template <Quantisation Q>
DECANT_INLINE void code_run_as(const LatentRun& r, int count, uint32_t key, uint32_t counter, float weight, float* bits) {
#pragma GCC ivdep
    for (int c = 0; c < count; c++) {
        const float unit = r.unit[c], mean = r.mean[c] * unit + r.base[c];
        const float l = std::min(std::max(r.log2_scale[c], kMinLog2Scale), kMaxLog2Scale);
        const float free_scale = fast_exp2(l) * unit, scale = std::max(free_scale, kMinScale);
        const float deviation = r.symbol[c] - mean, rounded = std::floor(deviation + 0.5f);
        const float noise = uniform(key, counter + uint32_t(c)) - 0.5f;
        const float coded = Q == Quantisation::round ? rounded : deviation + noise;
        const BitsAndSlopes b = logistic_bits(coded, scale);
        bits[c] = b.bits;
        r.decoded[c] = Q == Quantisation::noise ? r.symbol[c] + noise : mean + rounded;
        const float by_value = b.by_value * weight;
        // A bounded scale still feels the pull upwards (Ballé 2018).
        const float by_log = free_scale >= kMinScale || b.by_scale < 0.0f ? b.by_scale * weight * scale : 0.0f;
        r.symbol_gradient[c] += by_value;
        r.mean_gradient[c] = -by_value * unit;
        r.base_gradient[c] = -by_value;
        r.log2_scale_gradient[c] = by_log * kLn2;
        r.unit_gradient[c] += by_log / unit - by_value * r.mean[c];
    }
}

DECANT_VECTORISED void code_run(const LatentRun& r, int count, uint32_t key, uint32_t counter, float weight, Quantisation q, float* bits) {
    switch (q) {
        case Quantisation::mixed: code_run_as<Quantisation::mixed>(r, count, key, counter, weight, bits); break;
        case Quantisation::noise: code_run_as<Quantisation::noise>(r, count, key, counter, weight, bits); break;
        case Quantisation::round: code_run_as<Quantisation::round>(r, count, key, counter, weight, bits); break;
    }
}

// compand() of layout.h on multiples of a standard deviation; its last step is left out where nothing is rounded.
struct Companded {
    float value, slope;
};
DECANT_INLINE Companded companded(float v, bool round) {
    const float size = std::fabs(v), above = std::max(size, 1.0f);
    uint32_t bits;
    std::memcpy(&bits, &above, 4);
    const float octave = float(int32_t(bits >> 23) - 127);
    bits = (bits & 0x7fffffu) | 0x3f800000u;
    float mantissa;  // 1 … 2
    std::memcpy(&mantissa, &bits, 4);
    const float part = round ? std::floor((mantissa - 1.0f) * 16.0f) * 0.0625f : mantissa - 1.0f;
    const float result = size <= 1.0f ? size : 1.0f + 0.5f * (octave + part);
    return {v < 0.0f ? -result : result, size <= 1.0f ? 1.0f : 0.5f * mantissa / above};
}

// What the context networks read of decoded latents.
template <class T>
DECANT_INLINE void context_inputs(const float* decoded, const float* inverse_unit, T* dst, int count, bool round) {
    for (int c = 0; c < count; c++) {
        const float v = decoded[c] * inverse_unit[c];
        const float rounded = std::floor(v * kContextScale + 0.5f) / kContextScale;
        dst[c] = from_float<T>(companded(round ? std::min(std::max(rounded, -kContextClip), kContextClip) : v, round).value);
    }
}
DECANT_VECTORISED void context_run(const float* decoded, const float* inverse_unit, float* dst, int count, bool round) {
    context_inputs(decoded, inverse_unit, dst, count, round);
}
DECANT_VECTORISED void context_run(const float* decoded, const float* inverse_unit, bf16* dst, int count, bool round) {
    context_inputs(decoded, inverse_unit, dst, count, round);
}

template <class T>
DECANT_INLINE void context_backward_as(const float* decoded, const float* inverse_unit, const T* gradient, float* decoded_gradient, float* unit_gradient,
                                       int count, bool round) {
    for (int c = 0; c < count; c++) {
        const float v = decoded[c] * inverse_unit[c];
        const float slope = !round || std::fabs(v) < kContextClip ? companded(v, round).slope : 0.0f;
        const float g = to_float(gradient[c]) * slope * inverse_unit[c];
        decoded_gradient[c] += g;
        unit_gradient[c] -= g * v;
    }
}
DECANT_VECTORISED void context_run_backward(const float* decoded, const float* inverse_unit, const float* gradient, float* decoded_gradient,
                                            float* unit_gradient, int count, bool round) {
    context_backward_as(decoded, inverse_unit, gradient, decoded_gradient, unit_gradient, count, round);
}
DECANT_VECTORISED void context_run_backward(const float* decoded, const float* inverse_unit, const bf16* gradient, float* decoded_gradient,
                                            float* unit_gradient, int count, bool round) {
    context_backward_as(decoded, inverse_unit, gradient, decoded_gradient, unit_gradient, count, round);
}

// Of latent_kernels::hyper_inputs.
DECANT_VECTORISED void hyper_inputs_backward(const float* symbol, const float* inverse_unit, const float* gradient, float* symbol_gradient,
                                             float* unit_gradient, int count) {
    for (int c = 0; c < count; c++) {
        const float slope = 0.5f / (kLn2 * (1.0f + std::fabs(symbol[c])));
        const float g = gradient[count + c] * inverse_unit[c];
        symbol_gradient[c] += gradient[c] * (symbol[c] < 0.0f ? -slope : slope) + g;
        unit_gradient[c] -= g * symbol[c] * inverse_unit[c];
    }
}

// dst = a·b, and slope += a·v: the gradients of v·b by v and by b, times a. 0 where the product was cut off at ±limit.
DECANT_VECTORISED void multiply_backward(const float* a, const float* b, const float* v, float* dst, float* slope, int count,
                                         float limit = std::numeric_limits<float>::infinity()) {
    for (int c = 0; c < count; c++) {
        const float felt = std::abs(v[c] * b[c]) <= limit ? a[c] : 0.0f;
        slope[c] += felt * v[c];
        dst[c] = felt * b[c];
    }
}

// What the synthesis reads is s16 in the decoder: beyond kLatentLimit a latent says no more. Were that not felt in training, a channel
// whose latents are cheap, such as that of brightness, would grow until white pictures came out gray.
constexpr float kLatentLimit = 32767.0f / float(1 << kLatentExponent);

DECANT_VECTORISED void cut_off(float* values, int count, float limit) {
    for (int c = 0; c < count; c++) values[c] = std::min(std::max(values[c], -limit), limit);
}

DECANT_VECTORISED void add_product(const float* a, const float* b, float* dst, int count) {
    for (int c = 0; c < count; c++) dst[c] += a[c] * b[c];
}

DECANT_VECTORISED void centre_pixels(const uint8_t* src, float* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = pixel_value(src[i]);
}
// gradient = (x̂ - x)·factor; returns Σ (x̂ - x)².
DECANT_VECTORISED float squared_error(const float* decoded, const float* original, float* gradient, size_t count, float factor) {
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float d = decoded[i] - original[i];
        gradient[i] = d * factor;
        sum += d * d;
    }
    return sum;
}

}  // namespace

double lambda_at(const Description& d, double quality) {
    const LevelMix m = mix_levels(float(quality), d.levels());
    return std::exp(std::log(d.lambda[size_t(m.level)]) * (1 - m.upper) + std::log(d.lambda[size_t(m.level) + 1]) * m.upper);
}

std::array<double, 2> trained_range(const Description& d) {
    constexpr double kBeyond = 0.25;
    return {std::max(0.0, d.first_level() - kBeyond), std::min<double>(d.levels() - 1, d.last_level() + kBeyond)};
}

struct CodecStep::State {
    const Description& description;
    CodecStepOptions options;
    int M, Hz, samples, h, w;
    int colours;  // of a pixel
    size_t positions;  // latent positions a sample
    std::unique_ptr<Graph> analysis, synthesis, hyper_analysis, hyper_synthesis;
    std::array<std::unique_ptr<Graph>, kContextSteps> context;
    int context_features;  // channels of the hyper-synthesis, in front of the latents in the contexts' input
    // [samples, channels]
    std::vector<float> gain, inverse_gain, unit, inverse_unit, gain_gradient, inverse_gain_gradient, unit_gradient;
    // [samples, positions, channels]
    std::vector<float> symbol, symbol_gradient, decoded, decoded_gradient, base_gradient, original;
    const ScaleTables tables = build_scale_tables();
    const SymbolCosts costs{tables};
    TrellisQuantiser trellis{costs};
    struct Waiting {
        float* decoded;
        int index;
    };
    std::vector<Waiting> waiting;  // latents that the trellis has, their means so far
    // Of a run of latents, for the trellis; at most M.
    std::vector<uint8_t> scale_index;
    std::vector<float> deviation, error_bits;

    State(const Description& d, CodecWeights& weights, const CodecStepOptions& o) : description(d), options(o) {
        M = d.latent_channels;
        Hz = d.hyper_channels;
        samples = o.samples;
        colours = picture_channels(d);
        if (o.height % kLatentStride != 0 || o.width % kLatentStride != 0) {
            throw Error(ErrorCode::invalid_argument, "crops must be a multiple of " + std::to_string(kLatentStride) + " pixels");
        }
        h = o.height / kLatentStride;
        w = o.width / kLatentStride;
        positions = size_t(h) * w;
        GraphOptions g;
        g.use = Convolution::Use::training;
        g.compute = o.compute;
        g.round = o.quantisation != Quantisation::noise;
        g.input_gradient = false;
        analysis = std::make_unique<Graph>(weights[kAnalysisNetwork], Shape{samples, o.height, o.width, colours}, g);
        g.input_gradient = true;
        synthesis = std::make_unique<Graph>(weights[kSynthesisNetwork], Shape{samples, h, w, M}, g);
        hyper_analysis = std::make_unique<Graph>(weights["hyper_analysis"], Shape{samples, h, w, 2 * M}, g);
        g.input_type = o.compute;
        const Shape z = hyper_analysis->output().shape;
        hyper_synthesis = std::make_unique<Graph>(weights["hyper_synthesis"], Shape{samples, z.h, z.w, 2 * Hz}, g);
        context_features = hyper_synthesis->output().shape.c;
        for (int k = 0; k < kContextSteps; k++) {
            context[size_t(k)] = std::make_unique<Graph>(weights["context" + std::to_string(k)], Shape{samples, h, w, context_features + (k == 0 ? 0 : M)}, g);
        }
        for (auto* v : {&gain, &inverse_gain, &unit, &inverse_unit, &gain_gradient, &inverse_gain_gradient, &unit_gradient}) v->resize(size_t(samples) * M);
        for (auto* v : {&symbol, &symbol_gradient, &decoded, &decoded_gradient, &base_gradient}) v->resize(samples * positions * size_t(M));
        scale_index.resize(size_t(M));
        deviation.resize(size_t(M));
        error_bits.assign(size_t(M), kErrorBits);
        original.resize(size_t(samples) * size_t(o.height) * size_t(o.width) * size_t(colours));
    }

    std::optional<uint32_t> dropout(const Batch& batch, uint64_t network) const {
        if (options.quantisation != Quantisation::mixed) return {};
        return random_key(batch.key, network);
    }
    bool rounds() const { return options.quantisation != Quantisation::noise; }

    // f(sample, position in the batch)
    template <class F>
    void each_position(F&& f) const {
        for (int n = 0; n < samples; n++) {
            for (size_t p = 0; p < positions; p++) f(size_t(n), size_t(n) * positions + p);
        }
    }

    void set_gains(const Batch& batch, const Parameters& parameters) {
        const auto std = parameters["latent_std"];
        for (size_t n = 0; n < size_t(samples); n++) {
            const auto g = gains_at(parameters["gain"], description.levels(), batch.quality[n]);
            const auto ig = gains_at(parameters["inverse_gain"], description.levels(), batch.quality[n]);
            for (size_t c = 0; c < size_t(M); c++) {
                const size_t i = n * M + c;
                gain[i] = g[c];
                inverse_gain[i] = ig[c];
                unit[i] = std[c] * gain[i];
                inverse_unit[i] = 1.0f / unit[i];
            }
        }
    }

    // z to the hyper-synthesis' input (positive and negative parts, in quarters), z's bits and, if wanted, its gradient.
    void code_hyper(const Batch& batch, const Parameters& parameters, StepResult& result, std::vector<float>& z_gradient, std::span<float> gradients) {
        const TensorRef z = hyper_analysis->output();
        const auto mean = parameters["hyper_mean"], log2_scale = parameters["hyper_log2_scale"];
        std::vector<float> mean_gradient(size_t(Hz), 0.0f), scale_gradient(size_t(Hz), 0.0f);
        const size_t per_sample = size_t(z.shape.h) * z.shape.w * Hz;
        const float pixels = float(options.height) * options.width;
        z_gradient.assign(z.shape.elements(), 0.0f);
        for (size_t i = 0; i < z.shape.elements(); i++) {
            const size_t n = i / per_sample, c = i % size_t(Hz);
            const float value = z.as<float>()[i], rounded = std::floor(value + 0.5f);
            const float noise = uniform(batch.key ^ 0x5bd1e995u, uint32_t(i)) - 0.5f;
            const float coded = options.quantisation == Quantisation::round ? rounded : value + noise;
            const float seen = options.quantisation == Quantisation::noise ? value + noise : rounded;
            const float scale = std::max(std::exp2(log2_scale[c]), kMinScale);
            const BitsAndSlopes b = logistic_bits(coded - mean[c], scale);
            result.bits_z[n] += b.bits / pixels;
            const float weight = batch.weight[n] * batch.hyper_rate / (pixels * float(samples));
            z_gradient[i] = b.by_value * weight;
            mean_gradient[c] -= b.by_value * weight;
            scale_gradient[c] += b.by_scale * weight * scale * kLn2;
            const size_t at = i / size_t(Hz) * 2 * size_t(Hz) + c;
            const auto put = [&](size_t j, float v) {
                v = (rounds() ? std::clamp(v, 0.0f, kHyperClip) : std::max(v, 0.0f)) * 0.25f;
                const TensorRef input = hyper_synthesis->input();
                if (input.type == DataType::bf16) {
                    input.as<bf16>()[j] = to_bf16(v);
                } else {
                    input.as<float>()[j] = v;
                }
            };
            put(at, seen);
            put(at + size_t(Hz), -seen);
        }
        if (gradients.empty()) return;
        std::copy(mean_gradient.begin(), mean_gradient.end(), gradients.begin() + std::ptrdiff_t(parameters.find("hyper_mean").offset));
        std::copy(scale_gradient.begin(), scale_gradient.end(), gradients.begin() + std::ptrdiff_t(parameters.find("hyper_log2_scale").offset));
    }

    template <class T>
    void fill_context(int step) {
        const T* features = hyper_synthesis->output().as<T>();
        // The features cover whole cells of z, the latents' plane may end inside one.
        const Shape f = hyper_synthesis->output().shape;
        T* dst = context[size_t(step)]->input().as<T>();
        const int channels = context[size_t(step)]->input().shape.c, group = M / kContextSteps;
        each_position([&](size_t n, size_t p) {
            const size_t y = p % positions / size_t(w), x = p % size_t(w);
            T* d = dst + p * size_t(channels);
            std::memcpy(d, features + ((n * size_t(f.h) + y) * size_t(f.w) + x) * size_t(f.c), size_t(f.c) * sizeof(T));
            if (step == 0) return;
            std::memset(static_cast<void*>(d + f.c), 0, size_t(M) * sizeof(T));
            for (int k = 0; k < step; k++) {
                const size_t at = size_t(context_group(k, int(y), int(x))) * size_t(group);
                context_run(decoded.data() + p * M + at, inverse_unit.data() + n * M + at, d + f.c + at, group, rounds());
            }
        });
    }

    template <class T>
    void context_gradient(int step) {
        const Shape f = hyper_synthesis->output().shape;
        T* feature_gradient = hyper_synthesis->output_gradient().as<T>();
        const T* src = context[size_t(step)]->input_gradient().as<T>();
        const int channels = context[size_t(step)]->input().shape.c, group = M / kContextSteps;
        each_position([&](size_t n, size_t p) {
            const size_t y = p % positions / size_t(w), x = p % size_t(w);
            const T* s = src + p * size_t(channels);
            T* d = feature_gradient + ((n * size_t(f.h) + y) * size_t(f.w) + x) * size_t(f.c);
            for (int c = 0; c < f.c; c++) d[c] = from_float<T>(to_float(d[c]) + to_float(s[c]));
            for (int k = 0; k < step; k++) {
                const size_t at = size_t(context_group(k, int(y), int(x))) * size_t(group);
                context_run_backward(decoded.data() + p * M + at, inverse_unit.data() + n * M + at, s + f.c + at, decoded_gradient.data() + p * M + at,
                                     unit_gradient.data() + n * M + at, group, rounds());
            }
        });
    }

    // f(tap's row in the table of weights, where the neighbour's channels begin in a plane of latents) for the latents that position p
    // of sample n codes in `step`.
    template <class F>
    void each_neighbour(int step, size_t n, size_t p, F&& f) const {
        const int y = int(p % positions / size_t(w)), x = int(p % size_t(w));
        const std::span<const Offset> offsets = prediction_offsets(step);
        for (size_t t = 0; t < offsets.size(); t++) {
            const int64_t from = prediction_position(step, offsets[t], y, x, h, w);
            if (from >= 0) f(size_t(first_prediction_tap(step)) + t, (n * positions + size_t(from)) * size_t(M));
        }
    }

    // Sets the gradient of the weights, adds to that of decoded latents.
    void prediction_gradients(const Parameters& parameters, std::span<float> gradients) {
        const Parameter& prediction = parameters.find("prediction");
        const float* weights = parameters["prediction"].data();
        float* slopes = gradients.data() + prediction.offset;
        std::fill_n(slopes, prediction.size, 0.0f);
        const size_t group = size_t(M / kContextSteps);
        each_position([&](size_t n, size_t p) {
            const size_t y = p % positions / size_t(w), x = p % size_t(w);
            for (int step = 0; step < kContextSteps; step++) {
                const size_t first = size_t(context_group(step, int(y), int(x))) * group;
                const float* g = base_gradient.data() + p * size_t(M) + first;
                each_neighbour(step, n, p, [&](size_t tap, size_t from) {
                    add_product(g, decoded.data() + from + first, slopes + tap * size_t(M) + first, int(group));
                    add_product(g, weights + tap * size_t(M) + first, decoded_gradient.data() + from + first, int(group));
                });
            }
        });
    }

    void code_latents(const Batch& batch, const Parameters& parameters, StepResult& result) {
        const float* weights = parameters["prediction"].data();
        const float pixels = float(options.height) * options.width;
        const int group = M / kContextSteps;
        std::vector<float> bits(size_t(group), 0.0f), base(size_t(group), 0.0f);
        int state = 0;
        for (int k = 0; k < kContextSteps; k++) {
            if (options.compute == DataType::bf16) {
                fill_context<bf16>(k);
            } else {
                fill_context<float>(k);
            }
            context[size_t(k)]->forward(batch.quality, dropout(batch, uint64_t(k)));
            const TensorRef prediction = context[size_t(k)]->output(), gradient = context[size_t(k)]->output_gradient();
            std::memset(gradient.data, 0, gradient.bytes());
            each_position([&](size_t n, size_t p) {
                const size_t y = p % positions / size_t(w), x = p % size_t(w);
                const size_t at = size_t(context_group(k, int(y), int(x))) * size_t(group);
                const size_t mean_at = p * 2 * M + at, latent_at = p * M + at, channel_at = n * M + at;
                std::fill(base.begin(), base.end(), 0.0f);
                each_neighbour(k, n, p, [&](size_t tap, size_t from) { add_product(weights + tap * size_t(M) + at, decoded.data() + from + at, base.data(), group); });
                const LatentRun r{symbol.data() + latent_at,
                                  unit.data() + channel_at,
                                  prediction.as<float>() + mean_at,
                                  prediction.as<float>() + mean_at + M,
                                  base.data(),
                                  decoded.data() + latent_at,
                                  symbol_gradient.data() + latent_at,
                                  unit_gradient.data() + channel_at,
                                  gradient.as<float>() + mean_at,
                                  gradient.as<float>() + mean_at + M,
                                  base_gradient.data() + latent_at};
                const float weight = batch.weight[n] / (pixels * float(samples));
                code_run(r, group, batch.key, uint32_t(latent_at), weight, options.quantisation, bits.data());
                if (options.quantiser == Quantiser::trellis && options.quantisation != Quantisation::noise) {
                    const bool is_last = k == 0 || x + 1 == size_t(w);  // of what the encoder decides on at once
                    if (p % positions == 0) state = 0;
                    const double spent = decide(r, group, is_last, state);
                    if (options.quantisation == Quantisation::round) {
                        result.bits_y[n] += spent / pixels;
                        return;
                    }
                }
                result.bits_y[n] += std::accumulate(bits.begin(), bits.end(), 0.0) / pixels;
            });
        }
    }

    // What is decoded of latents, as the encoder decides (codec/latents/trellis_quantiser.h), for those that wait for it if this run is the last of them.
    // Returns the bits of these.
    double decide(const LatentRun& r, int count, bool is_last, int& state) {
        for (int c = 0; c < count; c++) {
            const float mean = r.mean[c] * r.unit[c] + r.base[c];
            const float log2_scale = std::min(std::max(r.log2_scale[c], kMinLog2Scale), kMaxLog2Scale) + fast_log2(r.unit[c]);
            const int index = std::clamp(int(std::floor((log2_scale - kLog2SmallestScale) * float(kScalesPerOctave) + 0.5f)), 0, kScaleCount - 1);
            r.decoded[c] = mean;
            scale_index[size_t(c)] = uint8_t(index);
            deviation[size_t(c)] = r.symbol[c] - mean;
            if (index >= kFirstCodedScale) waiting.push_back({r.decoded + c, index});
        }
        trellis.add(std::span(scale_index).first(size_t(count)), deviation.data(), error_bits.data());
        if (!is_last) return 0.0;
        double bits = 0;
        int s = state;
        const std::span<const int32_t> symbols = trellis.symbols(state);
        for (size_t i = 0; i < symbols.size(); i++) {
            bits += double(costs.bits(waiting[i].index, symbols[i], symbol_kind(s)));
            *waiting[i].decoded += 0.5f * float(half_steps(symbols[i], has_offset(s)));
            s = Trellis::kNext[size_t(s)][symbols[i] & 1];
        }
        waiting.clear();
        return bits;
    }

    StepResult run(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
        const bool backward = !gradients.empty();
        StepResult result;
        result.bits_y.assign(size_t(samples), 0.0);
        result.bits_z.assign(size_t(samples), 0.0);
        result.mse.assign(size_t(samples), 0.0);
        for (auto* v : {&gain_gradient, &inverse_gain_gradient, &unit_gradient, &symbol_gradient, &decoded_gradient}) std::fill(v->begin(), v->end(), 0.0f);
        set_gains(batch, parameters);

        centre_pixels(batch.pixels.data(), original.data(), original.size());
        std::memcpy(analysis->input().data, original.data(), original.size() * sizeof(float));
        analysis->forward(batch.quality, dropout(batch, kContextSteps + 0));
        const float* y = analysis->output().as<float>();
        each_position([&](size_t n, size_t p) {
            latent_kernels::multiply(y + p * M, gain.data() + n * M, size_t(M), symbol.data() + p * M);
            latent_kernels::hyper_inputs(symbol.data() + p * M, inverse_unit.data() + n * M, size_t(M), hyper_analysis->input().as<float>() + p * 2 * M);
        });
        hyper_analysis->forward(batch.quality, dropout(batch, kContextSteps + 1));
        std::vector<float> z_gradient;
        code_hyper(batch, parameters, result, z_gradient, gradients);
        hyper_synthesis->forward(batch.quality, dropout(batch, kContextSteps + 2));
        code_latents(batch, parameters, result);

        each_position([&](size_t n, size_t p) {
            float* read = synthesis->input().as<float>() + p * M;
            latent_kernels::multiply(decoded.data() + p * M, inverse_gain.data() + n * M, size_t(M), read);
            cut_off(read, M, kLatentLimit);
        });
        synthesis->forward(batch.quality, dropout(batch, kContextSteps + 3));
        const size_t values = original.size() / size_t(samples);
        for (size_t n = 0; n < size_t(samples); n++) {
            const double lambda = lambda_at(description, batch.quality[n]) * 255.0 * 255.0;
            const float factor = float(2.0 * lambda * batch.weight[n] / (double(values) * samples * kPixelPeak2));
            for (size_t i = 0; i < values; i += 3072) {  // short sums keep their digits
                const size_t at = n * values + i;
                result.mse[n] += squared_error(synthesis->output().as<float>() + at, original.data() + at, synthesis->output_gradient().as<float>() + at,
                                               std::min<size_t>(3072, values - i), factor);
            }
            result.mse[n] /= double(values) * kPixelPeak2;
            result.loss += batch.weight[n] * (result.bits_y[n] + batch.hyper_rate * result.bits_z[n] + lambda * result.mse[n]) / samples;
        }
        if (backward) run_backward(batch, parameters, gradients, z_gradient);
        return result;
    }

    void run_backward(const Batch& batch, const Parameters& parameters, std::span<float> gradients, std::vector<float>& z_gradient) {
        synthesis->backward(parameters, gradients, batch.quality);
        const float* d = synthesis->input_gradient().as<float>();
        each_position([&](size_t n, size_t p) {
            multiply_backward(d + p * M, inverse_gain.data() + n * M, decoded.data() + p * M, decoded_gradient.data() + p * M,
                              inverse_gain_gradient.data() + n * M, M, kLatentLimit);
        });
        prediction_gradients(parameters, gradients);
        const TensorRef features = hyper_synthesis->output_gradient();
        std::memset(features.data, 0, features.bytes());
        for (int k = kContextSteps - 1; k >= 0; k--) {
            context[size_t(k)]->backward(parameters, gradients, batch.quality);
            if (options.compute == DataType::bf16) {
                context_gradient<bf16>(k);
            } else {
                context_gradient<float>(k);
            }
        }
        hyper_synthesis->backward(parameters, gradients, batch.quality);
        const TensorRef z = hyper_analysis->output(), z_out = hyper_analysis->output_gradient(), in = hyper_synthesis->input_gradient();
        const auto read = [&](size_t j) { return in.type == DataType::bf16 ? to_float(in.as<bf16>()[j]) : in.as<float>()[j]; };
        for (size_t i = 0; i < z.shape.elements(); i++) {
            const size_t at = i / size_t(Hz) * 2 * size_t(Hz) + i % size_t(Hz);
            // At zero, where most symbols are, both halves pass their part of the gradient.
            const float seen = rounds() ? std::floor(z.as<float>()[i] + 0.5f) : z.as<float>()[i] + uniform(batch.key ^ 0x5bd1e995u, uint32_t(i)) - 0.5f;
            const float positive = seen > 0.0f ? 1.0f : seen < 0.0f ? 0.0f : 0.5f;
            z_out.as<float>()[i] = z_gradient[i] + 0.25f * (positive * read(at) - (1.0f - positive) * read(at + size_t(Hz)));
        }
        hyper_analysis->backward(parameters, gradients, batch.quality);
        const float* hyper = hyper_analysis->input_gradient().as<float>();
        each_position([&](size_t n, size_t p) {
            float* s = symbol_gradient.data() + p * M;
            hyper_inputs_backward(symbol.data() + p * M, inverse_unit.data() + n * M, hyper + p * 2 * M, s, unit_gradient.data() + n * M, M);
            for (int c = 0; c < M; c++) s[c] += decoded_gradient[p * M + size_t(c)];  // straight through the rounding
            multiply_backward(s, gain.data() + n * M, analysis->output().as<float>() + p * M, analysis->output_gradient().as<float>() + p * M,
                              gain_gradient.data() + n * M, M);
        });
        analysis->backward(parameters, gradients, batch.quality);
        gain_gradients(batch, parameters, gradients);
    }

    void gain_gradients(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
        const auto std = parameters["latent_std"];
        const Parameter &g = parameters.find("gain"), &ig = parameters.find("inverse_gain");
        std::fill_n(gradients.data() + g.offset, g.size, 0.0f);
        std::fill_n(gradients.data() + ig.offset, ig.size, 0.0f);
        std::fill_n(gradients.data() + parameters.find("latent_std").offset, size_t(M), 0.0f);
        for (size_t n = 0; n < size_t(samples); n++) {
            const LevelMix m = mix_levels(batch.quality[n], description.levels());
            for (size_t c = 0; c < size_t(M); c++) {
                const size_t i = n * M + c, at = size_t(m.level) * M + c;
                const float d = (gain_gradient[i] + unit_gradient[i] * std[c]) * gain[i] * kLn2;
                const float di = inverse_gain_gradient[i] * inverse_gain[i] * kLn2;
                gradients[g.offset + at] += d * (1 - m.upper);
                gradients[g.offset + at + size_t(M)] += d * m.upper;
                gradients[ig.offset + at] += di * (1 - m.upper);
                gradients[ig.offset + at + size_t(M)] += di * m.upper;
            }
        }
    }
};

CodecStep::CodecStep(const Description& description, CodecWeights& weights, const CodecStepOptions& options)
    : state_(std::make_unique<State>(description, weights, options)) {}
CodecStep::~CodecStep() = default;

CodecStep::LatentStatistics CodecStep::latent_statistics() const {
    const std::vector<float>& latents = state_->decoded;
    std::vector<size_t> active(size_t(state_->M), 0);
    for (size_t i = 0; i < latents.size(); i++) active[i % active.size()] += std::fabs(latents[i]) >= 0.5f;
    const size_t sum = std::accumulate(active.begin(), active.end(), size_t{0});
    return {double(sum) / double(latents.size()), int(std::ranges::count_if(active, [](size_t count) { return count > 0; }))};
}

std::vector<uint8_t> CodecStep::decoded() const {
    const TensorRef output = state_->synthesis->output();
    std::vector<uint8_t> pixels(output.shape.elements());
    std::transform(output.as<float>(), output.as<float>() + pixels.size(), pixels.begin(), pixel_of);
    return pixels;
}

StepResult CodecStep::run(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
    return state_->run(batch, parameters, gradients);
}

}  // namespace decant
