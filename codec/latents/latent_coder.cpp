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
#include "codec/latents/trellis_quantiser.h"

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

int32_t choose_symbol(const SymbolCosts& costs, int index, float deviation, float error_bits) {
    constexpr float kLimit = float(1 << 20);
    const auto nearest = int32_t(std::floor(std::clamp(deviation, -kLimit, kLimit) + 0.5f));
    if (nearest == 0) return 0;
    const int32_t lower = nearest > 0 ? nearest - 1 : nearest + 1;
    const auto cost = [&](int32_t symbol) {
        const float error = deviation - float(symbol);
        return costs.bits(index, symbol, SymbolKind::independent) + error_bits * error * error;
    };
    return cost(lower) < cost(nearest) ? lower : nearest;
}

int32_t dependent_value(int32_t symbol, int state) { return half_steps(symbol, has_offset(state)) * (1 << (kSymbolExponent - 1)); }

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
    int quality = 0;        // the current one, in 1/256
    std::vector<int> unit;  // [M] at that quality, log2 in 1/1024
    latent_kernels::Scaling to_steps, to_deviations;  // of means, and of latents for the context
    std::vector<int32_t> hyper;      // z
    LargeVector<uint8_t> features;   // of the hyper-synthesis, [h, w, feature_count]
    LargeVector<int32_t> mean;       // of a step: [h, w, M/4]
    LargeVector<int16_t> log_scale;  // of a step: log2 of the scale in steps, in 1/1024
    LargeVector<uint8_t> index;      // of a step: the scale's table
    LargeVector<int32_t> latents;    // [h, w, M]
    LargeVector<uint8_t> known;      // latents as the context sees them, [h, w, M]
    // Of the encoder.
    TrellisQuantiser trellis;
    RansEncoder encoder;            // kept for its memory
    std::vector<float> error_bits;  // [M]
    std::vector<float> deviation;   // from the means, of a group

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
          hyper_synthesis(shared.hyper_synthesis(), {1, zh, zw, 2 * Hz}, integer_options()),
          trellis(shared.costs()) {
        feature_count = hyper_synthesis.output().shape.c;
        const Shape f = hyper_synthesis.output().shape;
        if (f.h != kHyperStride * zh || f.w != kHyperStride * zw || hyper_synthesis.output().type != DataType::u8) {
            throw Error(ErrorCode::model_mismatch, "hyper_synthesis: the result must be four times as large as its input and of 8 bits");
        }
        for (int k = 0; k < kContextSteps; k++) prepare_step(k);
        unit.resize(size_t(M));
        deviation.resize(group);
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
        quality = quality_q8;
        for (int c = 0; c < M; c++) unit[size_t(c)] = mix_fixed(model.unit.data(), model.description.levels(), M, c, quality_q8);
        to_steps.set(unit, 1, kParameterExponent - kSymbolExponent);
        to_deviations.set(unit, -1, kSymbolExponent - kActivationExponent);
    }

    void run_hyper_synthesis() {
        hyper_synthesis.bind(memory.activations.grow(hyper_synthesis.memory()));
        auto* input = hyper_synthesis.input().as<uint8_t>();
        for (size_t i = 0; i < hyper.size(); i++) {
            const size_t at = i / size_t(Hz) * 2 * size_t(Hz) + i % size_t(Hz);
            input[at] = uint8_t(std::clamp(hyper[i], 0, kHyperLimit));
            input[at + size_t(Hz)] = uint8_t(std::clamp(-hyper[i], 0, kHyperLimit));
        }
        hyper_synthesis.forward(quality);
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
    void predict(int step) {
        Step& s = steps[size_t(step)];
        size_t head_memory = 0;
        for (const auto& head : s.head) head_memory = std::max(head_memory, head != nullptr ? head->memory() : 0);
        std::byte* lent = memory.activations.grow(s.trunk->memory() + head_memory);
        s.trunk->bind(lent);
        fill_context(step);
        s.trunk->forward(quality);
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
            head.forward(quality);
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

    // Neighbouring positions of a row, none of which is predicted from another of them.
    struct Run {
        int step, y, x, count;
    };

    // f(the place of a group's first latent, its place in the step), position by position.
    template <class F>
    void each_group(const Run& run, F&& f) const {
        for (int x = run.x; x < run.x + run.count; x++) {
            const size_t p = size_t(run.y) * size_t(w) + size_t(x);
            f(p * size_t(M) + size_t(context_group(run.step, run.y, x)) * group, p * group);
        }
    }

    // The one order of symbols, for both directions. code(run) makes latents of means.
    template <class Code>
    void each_run(Code&& code) {
        std::memset(known.data(), kInputZero, known.size());
        for (int step = 0; step < kContextSteps; step++) {
            predict(step);
            const int length = step == 0 ? 1 : w;
            for (int y = 0; y < h; y++) {
                for (int x = 0; x < w; x += length) {
                    for (int i = x; i < x + length; i++) predict_from_neighbours(step, y, i);
                    code(Run{step, y, x, length});
                }
            }
        }
    }

    bool is_coded(size_t i) const { return index[i] >= kFirstCodedScale; }

    void analyse_hyper(std::span<const float> y) {
        if (hyper_analysis == nullptr) {
            GraphOptions o;
            o.borrows_memory = true;
            o.scratch = &memory.scratch;
            o.compute = fastest_float();
            hyper_analysis = std::make_unique<Graph>(weights.hyper_analysis(), Shape{1, h, w, 2 * M}, o);
            if (hyper_analysis->output().shape != Shape{1, zh, zw, Hz}) throw Error(ErrorCode::model_mismatch, "hyper_analysis: the result must be z");
        }
        hyper_analysis->bind(memory.activations.grow(hyper_analysis->memory()));
        auto* input = hyper_analysis->input().as<float>();
        std::vector<float> inverse_unit(size_t(M), 0.0f);
        for (size_t c = 0; c < size_t(M); c++) inverse_unit[c] = std::exp2(-float(unit[c]) / float(1 << kLogExponent));
        for (size_t p = 0; p < size_t(h) * size_t(w); p++) {
            latent_kernels::hyper_inputs(y.data() + p * size_t(M), inverse_unit.data(), size_t(M), input + p * 2 * size_t(M));
        }
        const float rate_point = float(quality) / 256.0f;
        hyper_analysis->forward({&rate_point, 1});
        const auto* z = hyper_analysis->output().as<float>();
        for (size_t i = 0; i < hyper.size(); i++) hyper[i] = int32_t(std::clamp(std::floor(z[i] + 0.5f), -float(kHyperLimit), float(kHyperLimit)));
    }

    // Chooses all symbols: hyper_symbol(channel, symbol) hears of each of z, latent_symbol(its place in the step, symbol, kind) of each of y.
    template <class Hyper, class Latent>
    void choose(std::span<const float> y, int quality_q8, const Settings& settings, Hyper&& hyper_symbol, Latent&& latent_symbol) {
        set_quality(quality_q8);
        if (settings.error_bits.empty()) {
            error_bits.assign(size_t(M), kErrorBits);
        } else {
            error_bits.assign(settings.error_bits.begin(), settings.error_bits.end());
        }
        if (settings.hyper.empty()) {
            analyse_hyper(y);
        } else {
            std::copy(settings.hyper.begin(), settings.hyper.end(), hyper.begin());
        }
        for (size_t i = 0; i < hyper.size(); i++) hyper_symbol(i % size_t(Hz), hyper[i]);
        run_hyper_synthesis();
        const std::span<const NextState> next = next_states(settings.quantiser);
        trellis.use(settings.quantiser);
        int state = 0;
        each_run([&](const Run& run) {
            if (run.y == 0 && run.x == 0) state = 0;
            if (next.empty()) {
                each_group(run, [&](size_t at, size_t i) {
                    latent_kernels::deviations(y.data() + at, mean.data() + i, group, deviation.data());
                    for (size_t c = 0; c < group; c++, at++, i++) {
                        const int32_t symbol = is_coded(i) ? choose_symbol(weights.costs(), index[i], deviation[c], error_bits[at % size_t(M)]) : 0;
                        latents[at] = symbol * (1 << kSymbolExponent) + mean[i];
                        latent_symbol(i, symbol, SymbolKind::independent);
                    }
                });
                return;
            }
            each_group(run, [&](size_t at, size_t i) {
                latent_kernels::deviations(y.data() + at, mean.data() + i, group, deviation.data());
                trellis.add({index.data() + i, group}, deviation.data(), error_bits.data() + at % size_t(M));
            });
            int before = state;
            const int32_t* symbol = trellis.symbols(state).data();
            each_group(run, [&](size_t at, size_t i) {
                for (size_t c = 0; c < group; c++, at++, i++) {
                    latents[at] = mean[i];
                    if (!is_coded(i)) continue;
                    latents[at] += dependent_value(*symbol, before);
                    latent_symbol(i, *symbol, symbol_kind(before));
                    before = next[size_t(before)][*symbol++ & 1];
                }
            });
        });
    }
};

LatentCoder::LatentCoder(LatentWeights& weights, SharedMemory& memory, int h, int w) : state_(std::make_unique<State>(weights, memory, h, w)) {}
LatentCoder::~LatentCoder() = default;

std::span<const int32_t> LatentCoder::latents() const { return state_->latents; }
std::span<const int32_t> LatentCoder::hyper() const { return state_->hyper; }

std::vector<uint8_t> LatentCoder::encode(std::span<const float> y, int quality_q8, double* model_bits, const Settings& settings) {
    State& s = *state_;
    const auto hyper_mean = s.model.parameters["hyper_mean"], hyper_scale = s.model.parameters["hyper_log2_scale"];
    s.encoder.clear();  // of a tile that failed
    double bits = 0;
    s.choose(
        y, quality_q8, settings,
        [&](size_t channel, int32_t symbol) {
            s.model.hyper.encode_symbol(s.encoder, channel, symbol);
            if (model_bits == nullptr) return;
            bits += predicted_bits(hyper_mean[channel], std::exp2(hyper_scale[channel]), symbol, s.model.hyper.cost_bits(channel, symbol));
        },
        [&](size_t i, int32_t symbol, SymbolKind kind) {
            const int index = s.index[i];
            s.model.scales.encode_symbol(s.encoder, index, symbol, kind);
            if (model_bits == nullptr) return;
            const double cost = s.model.scales.cost_bits(index, symbol, kind);
            // Of dependent symbols the model knows no better than the tables.
            bits += kind == SymbolKind::independent ? predicted_bits(0.0, std::exp2(double(s.log_scale[i]) / (1 << kLogExponent)), symbol, cost) : cost;
        });
    if (model_bits != nullptr) *model_bits += bits;
    return s.encoder.finish();
}

double LatentCoder::quantise(std::span<const float> y, int quality_q8, const Settings& settings) {
    State& s = *state_;
    double bits = 0;
    s.choose(
        y, quality_q8, settings, [&](size_t channel, int32_t symbol) { bits += s.model.hyper.cost_bits(channel, symbol); },
        [&](size_t i, int32_t symbol, SymbolKind kind) { bits += double(s.weights.costs().bits(s.index[i], symbol, kind)); });
    return bits;
}

void LatentCoder::decode(std::span<const uint8_t> stream, int quality_q8, Quantiser quantiser) {
    State& s = *state_;
    s.set_quality(quality_q8);
    RansDecoder decoder(stream);
    for (size_t i = 0; i < s.hyper.size(); i++) s.hyper[i] = s.model.hyper.decode_symbol(decoder, i % size_t(s.Hz));
    s.run_hyper_synthesis();
    const bool is_first = quantiser == Quantiser::first_trellis;
    const std::span<const NextState> next = next_states(quantiser);
    const std::array<SymbolKind, 2> kinds{is_first ? SymbolKind::first_centred : SymbolKind::centred, is_first ? SymbolKind::first_offset : SymbolKind::offset};
    int state = 0;
    s.each_run([&](const State::Run& run) {
        if (run.y == 0 && run.x == 0) state = 0;
        s.each_group(run, [&](size_t at, size_t i) {
            for (size_t c = 0; c < s.group; c++, at++, i++) {
                s.latents[at] = s.mean[i];
                if (!s.is_coded(i)) continue;
                if (!next.empty()) {
                    const int32_t symbol = s.model.scales.decode_symbol(decoder, s.index[i], kinds[has_offset(state)]);
                    s.latents[at] += dependent_value(symbol, state);
                    state = next[size_t(state)][symbol & 1];
                } else {
                    s.latents[at] += s.model.scales.decode_symbol(decoder, s.index[i]) * (1 << kSymbolExponent);
                }
            }
        });
    });
    decoder.finish();
}

}  // namespace decant
