// Latents to bits and back: against a second decoder, written from the format's description with plain loops, and against itself
// at all sizes, rate points and numbers of threads.
#include "codec/latents/latent_coder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "codec/engine/codec_weights.h"
#include "codec/entropy/table_builder.h"
#include "codec/error.h"
#include "codec/latents/fixed_point.h"
#include "codec/latents/trellis_quantiser.h"
#include "codec/network/rounding.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

constexpr int kTop = 512;  // the last of three rate points

// A model with its networks; coders refer to both.
struct Workshop {
    ModelContents model;
    CodecWeights weights{model.description, model.parameters};
    LatentWeights latent_weights{model, weights};
    SharedMemory memory;
    size_t channels = size_t(model.description.latent_channels);

    explicit Workshop(ModelContents contents) : model(std::move(contents)) {}
};

Workshop& workshop() {
    static Workshop instance(tiny_contents());
    return instance;
}

std::vector<float> random_latents(size_t count, float scale, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> y(count);
    for (float& v : y) v = scale * normal(random);
    return y;
}

std::vector<int32_t> copy_latents(const LatentCoder& coder) { return {coder.latents().begin(), coder.latents().end()}; }

constexpr Quantiser kQuantisers[] = {Quantiser::scalar, Quantiser::trellis, Quantiser::large_trellis};
LatentCoder::Settings with(Quantiser quantiser) { return {.quantiser = quantiser}; }

std::optional<ErrorCode> decode_error(LatentCoder& coder, std::span<const uint8_t> stream, int quality_q8) {
    // A copy of the exact size, so that a sanitizer sees a read past the end.
    const std::vector<uint8_t> exact(stream.begin(), stream.end());
    try {
        coder.decode(exact, quality_q8, Quantiser::trellis);
    } catch (const Error& error) {
        return error.code();
    }
    return std::nullopt;
}

// The decoder once more, by the comments of latent_coder.h, layout.h and description.h.
namespace reference {

struct Plane {
    int h = 0, w = 0, c = 0;
    std::vector<int64_t> v;

    Plane(int rows, int columns, int channels)
        : h(rows), w(columns), c(channels), v(size_t(rows) * size_t(columns) * size_t(channels)) {}
    int64_t& at(int y, int x, int channel) { return v[(size_t(y) * size_t(w) + size_t(x)) * size_t(c) + size_t(channel)]; }
    int64_t at(int y, int x, int channel) const { return const_cast<Plane*>(this)->at(y, x, channel); }
};

int64_t shift_rounded(int64_t v, int right) {
    return right > 0 ? (v + (int64_t(1) << (right - 1))) >> right : v * (int64_t(1) << -right);
}

// Biases are integers on the grid of the row: weight exponent + input exponent.
int64_t on_grid(float v, int grid) { return int64_t(std::nearbyint(std::ldexp(double(v), grid))); }

// Inputs are integers (signed where they are latents), multiples of 2^-input_exponent.
Plane run(const ModelContents& model, const std::string& name, Plane value, int quality_q8) {
    const int levels = model.description.levels(), level = std::min(quality_q8 >> 8, levels - 2),
              upper = quality_q8 - 256 * level;
    for (const Layer& layer : model.description.network(name).layers) {
        if (layer.op == Operation::shuffle) {
            const int f = layer.factor, c = value.c / (f * f);
            Plane out(value.h * f, value.w * f, c);
            for (int y = 0; y < out.h; y++) {
                for (int x = 0; x < out.w; x++) {
                    for (int i = 0; i < c; i++) out.at(y, x, i) = value.at(y / f, x / f, (y % f * f + x % f) * c + i);
                }
            }
            value = std::move(out);
            continue;
        }
        const std::string prefix = name + "." + layer.name;
        const RoundedWeights weights = round_weights(model.parameters[prefix + ".weight"], layer.channels);
        const bool predicts = layer.activation == Activation::none;
        const int k = layer.kernel, pad = k / 2;
        Plane out(value.h, value.w, layer.channels);
        for (int o = 0; o < layer.channels; o++) {
            const int grid = weights.exponents[size_t(o)] + layer.input_exponent;
            int64_t bias = on_grid(model.parameters[prefix + ".bias"][size_t(o)], grid);
            if (layer.quality_bias) {
                const auto table = model.parameters[prefix + ".quality"];
                const auto of = [&](int l) { return on_grid(table[size_t(l * layer.channels + o)], grid); };
                bias += (of(level) * (256 - upper) + of(level + 1) * upper + 128) >> 8;
            }
            for (int y = 0; y < value.h; y++) {
                for (int x = 0; x < value.w; x++) {
                    int64_t sum = bias;
                    for (int i = 0; i < value.c; i++) {
                        for (int dy = 0; dy < k; dy++) {
                            for (int dx = 0; dx < k; dx++) {
                                const int sy = y + dy - pad, sx = x + dx - pad;
                                if (sy < 0 || sy >= value.h || sx < 0 || sx >= value.w) continue;
                                sum += value.at(sy, sx, i) * weights.integers[size_t(((o * value.c + i) * k + dy) * k + dx)];
                            }
                        }
                    }
                    const int64_t result = shift_rounded(sum, grid - (predicts ? 10 : 5));
                    out.at(y, x, o) = predicts ? result : std::clamp<int64_t>(result, 0, 255);
                }
            }
        }
        value = std::move(out);
    }
    return value;
}

// Of the mean of channel c at (y, x): in the first step from two positions left, up, up left and up right, in the later ones from those
// of the eight neighbours that earlier steps have coded, which are `coded`.
int64_t neighbours(const ModelContents& model, Plane& latents, Plane& coded, int step, int y, int x, int c) {
    const int offsets[12][2] = {{0, -2},  {-2, 0}, {-2, -2}, {-2, 2}, {-1, 0},  {0, -1}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
    int64_t sum = 0;
    for (int t = step == 0 ? 0 : 4; t < (step == 0 ? 4 : 12); t++) {
        int ty = y + offsets[t][0], tx = x + offsets[t][1];
        if (step > 0) {
            if (ty < 0) ty = 1;
            if (ty == latents.h) ty = latents.h - 2;
            if (tx < 0) tx = 1;
            if (tx == latents.w) tx = latents.w - 2;
            if (ty < 0 || ty >= latents.h || tx < 0 || tx >= latents.w || coded.at(ty, tx, c) == 0 || coded.at(ty, tx, c) > step) continue;
        } else if (ty < 0 || tx < 0 || tx >= latents.w) {
            if (y < 2 && x < 2) continue;
            ty = y >= 2 ? y - 2 : y;
            tx = y >= 2 ? x : x - 2;
        }
        const int row = step == 0 ? t : 8 * step - 4 + t - 4;
        sum += latents.at(ty, tx, c) * model.prediction[size_t(row * model.description.latent_channels + c)];
    }
    return shift_rounded(sum, 12);
}

std::vector<int32_t> decode(const ModelContents& model, std::span<const uint8_t> stream, int h, int w, int quality_q8, Quantiser quantiser) {
    const int channels = model.description.latent_channels, group = channels / 4, hyper = model.description.hyper_channels;
    const auto half = [](int v) { return (v + 1) / 2; };
    RansDecoder decoder(stream);
    Plane z(half(half(h)), half(half(w)), 2 * hyper);
    for (int y = 0; y < z.h; y++) {
        for (int x = 0; x < z.w; x++) {
            for (int c = 0; c < hyper; c++) {
                const int v = model.hyper.decode_symbol(decoder, size_t(c));
                z.at(y, x, c) = std::clamp(v, 0, 255);
                z.at(y, x, hyper + c) = std::clamp(-v, 0, 255);
            }
        }
    }
    const Plane features = run(model, "hyper_synthesis", std::move(z), quality_q8);
    std::vector<int> unit;
    for (int c = 0; c < channels; c++)
        unit.push_back(mix_fixed(model.unit.data(), model.description.levels(), channels, c, quality_q8));
    Plane latents(h, w, channels), known(h, w, channels), coded(h, w, channels);  // coded: 1 + the step
    const int first_group[2][2] = {{0, 2}, {3, 1}};
    // Of dependent symbols: a register of 6 or 12 bits, fed back into all of them, and by odd symbols into some; odd states have an offset.
    const int all = quantiser == Quantiser::trellis ? 0b111111 : 0b111111111111, some = quantiser == Quantiser::trellis ? 0b010011 : 0b010010100111;
    const auto next = [&](int state, int64_t symbol) { return state / 2 ^ (state % 2 == 1 ? all : 0) ^ (symbol % 2 != 0 ? some : 0); };
    for (int step = 0; step < 4; step++) {
        int state = 0;
        Plane input(h, w, features.c + (step == 0 ? 0 : channels));
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                for (int c = 0; c < features.c; c++) input.at(y, x, c) = features.at(y, x, c);
                for (int c = 0; c < channels && step > 0; c++) input.at(y, x, features.c + c) = known.at(y, x, c);
            }
        }
        const Plane result = run(model, "context" + std::to_string(step), std::move(input), quality_q8);
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                const int begin = (first_group[y % 2][x % 2] + 4 - step) % 4 * group;
                for (int c = begin; c < begin + group; c++) {
                    int64_t mean =
                        std::clamp<int64_t>(scale_by_exp2(result.at(y, x, c), unit[size_t(c)], 4), -(1 << 24), 1 << 24);
                    mean = std::clamp<int64_t>(mean + neighbours(model, latents, coded, step, y, x, c), -(1 << 24), 1 << 24);
                    const int64_t log_scale =
                        std::clamp<int64_t>(result.at(y, x, channels + c), -14 * 1024, 6 * 1024) + unit[size_t(c)];
                    const int index = int(std::clamp<int64_t>((log_scale + 4156 + 64) >> 7, 0, kScaleCount - 1));
                    if (quantiser != Quantiser::scalar && index > 0) {
                        const bool offset = state % 2 == 1;
                        const int64_t symbol = model.scales.decode_symbol(decoder, index, offset ? SymbolKind::offset : SymbolKind::centred);
                        const int64_t value = offset && symbol != 0 ? 64 * symbol + (symbol < 0 ? 32 : -32) : 64 * symbol;
                        latents.at(y, x, c) = value + mean;
                        state = next(state, symbol);
                    } else {
                        latents.at(y, x, c) = 64 * int64_t(model.scales.decode_symbol(decoder, index)) + mean;
                    }
                    coded.at(y, x, c) = step + 1;
                    // Companded: linear to 32, then 16 numbers an octave.
                    int64_t size = std::min<int64_t>(std::abs(std::clamp<int64_t>(scale_by_exp2(latents.at(y, x, c), -unit[size_t(c)], 1), -2047, 2047)), 2047);
                    if (size > 32) {
                        const int octave = int(std::bit_width(uint64_t(size))) - 6;
                        size = 32 + 16 * octave + size * 16 / (32 << octave) - 16;
                    }
                    known.at(y, x, c) = scale_by_exp2(latents.at(y, x, c), -unit[size_t(c)], 1) < 0 ? -size : size;
                }
            }
        }
    }
    decoder.finish();
    return {latents.v.begin(), latents.v.end()};
}

}  // namespace reference

}  // namespace

TEST_CASE("every size and rate point comes back") {
    const ThreadCount one(1);
    Workshop& shop = workshop();
    size_t bytes = 0;
    for (const auto& [h, w] : {std::pair{1, 1}, {1, 2}, {2, 1}, {3, 5}, {8, 8}, {17, 9}}) {
        LatentCoder writer(shop.latent_weights, shop.memory, h, w), reader(shop.latent_weights, shop.memory, h, w);
        for (const int quality : {0, 1, 100, 256, 300, 511, kTop}) {
            for (const Quantiser quantiser : kQuantisers) {
                CAPTURE(h);
                CAPTURE(w);
                CAPTURE(quality);
                const auto y = random_latents(size_t(h * w) * shop.channels, 3, uint32_t(h * w + quality));
                const auto stream = writer.encode(y, quality, nullptr, with(quantiser));
                const auto written = copy_latents(writer);
                reader.decode(stream, quality, quantiser);
                REQUIRE(copy_latents(reader) == written);
                // Latents are within half a step of y, unless their scale is so small that nothing is coded.
                size_t far = 0;
                for (size_t i = 0; i < y.size(); i++) far += std::abs(double(written[i]) / 64 - double(y[i])) > 0.5 + 1e-3 ? 1 : 0;
                CHECK(far < y.size() / 2);
                bytes += stream.size();
            }
        }
    }
    CHECK(bytes > 1000);
}

TEST_CASE("streams are what the format's description says") {
    const ThreadCount one(1);
    Workshop& shop = workshop();
    for (const auto& [h, w] : {std::pair{1, 1}, {3, 5}, {6, 4}}) {
        LatentCoder coder(shop.latent_weights, shop.memory, h, w);
        for (const int quality : {0, 77, 256, 400, kTop}) {
            for (const float scale : {0.3f, 5.0f, 400.0f}) {
                CAPTURE(h);
                CAPTURE(quality);
                CAPTURE(scale);
                const auto y = random_latents(size_t(h * w) * shop.channels, scale, uint32_t(quality + h));
                for (const Quantiser quantiser : kQuantisers) {
                    const auto stream = coder.encode(y, quality, nullptr, with(quantiser));
                    CHECK(reference::decode(shop.model, stream, h, w, quality, quantiser) == copy_latents(coder));
                }
            }
        }
    }
}

TEST_CASE("extreme latents come back") {
    const ThreadCount one(1);
    Workshop& shop = workshop();
    const int h = 6, w = 5;
    LatentCoder writer(shop.latent_weights, shop.memory, h, w), reader(shop.latent_weights, shop.memory, h, w);
    const size_t count = size_t(h * w) * shop.channels;
    for (const float extreme : {0.0f, 1e6f, -1e6f, 1e9f, -1e30f}) {
        for (const int quality : {0, kTop}) {
            for (const bool mixed : {false, true}) {
                CAPTURE(extreme);
                CAPTURE(quality);
                std::vector<float> y(count, extreme);
                for (size_t i = 0; mixed && i < count; i += 2) y[i] = -y[i] / 3;
                for (const Quantiser quantiser : kQuantisers) {
                    const auto stream = writer.encode(y, quality, nullptr, with(quantiser));
                    reader.decode(stream, quality, quantiser);
                    CHECK(copy_latents(reader) == copy_latents(writer));
                }
            }
        }
    }
}

TEST_CASE("latents that are no numbers are an error or come back, and the coder stays usable") {
    const ThreadCount one(1);
    Workshop& shop = workshop();
    const int h = 3, w = 4;
    LatentCoder writer(shop.latent_weights, shop.memory, h, w), reader(shop.latent_weights, shop.memory, h, w);
    const auto good = random_latents(size_t(h * w) * shop.channels, 2, 1);
    const auto expected = writer.encode(good, 256, nullptr);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
        for (size_t at : {size_t(0), good.size() / 2, good.size() - 1}) {
            auto y = good;
            y[at] = bad;
            try {
                reader.decode(writer.encode(y, 256, nullptr), 256, Quantiser::trellis);
                CHECK(copy_latents(reader) == copy_latents(writer));
            } catch (const Error& error) {
                CHECK(error.code() == ErrorCode::invalid_argument);
            }
            CHECK(writer.encode(good, 256, nullptr) == expected);
        }
    }
}

TEST_CASE("streams and latents do not depend on the number of threads") {
    for (const auto& [h, w] : {std::pair{17, 9}, {2, 3}}) {
        const auto count = size_t(h * w) * workshop().channels;
        const auto y = random_latents(count, 4, 9);
        std::vector<uint8_t> stream;
        std::vector<int32_t> latents;
        for (const int threads : {1, 2, 3}) {
            const ThreadCount thread_count(threads);
            Workshop shop(tiny_contents());
            LatentCoder coder(shop.latent_weights, shop.memory, h, w);
            const auto encoded = coder.encode(y, 333, nullptr);
            if (threads == 1) {
                stream = encoded;
                latents = copy_latents(coder);
            }
            CHECK(encoded == stream);
            LatentCoder reader(shop.latent_weights, shop.memory, h, w);
            reader.decode(stream, 333, Quantiser::trellis);
            CHECK(copy_latents(reader) == latents);
        }
    }
}

TEST_CASE("a coder carries nothing over from one tile to the next") {
    const ThreadCount one(1);
    Workshop& shop = workshop();
    const int h = 5, w = 6;
    LatentCoder used(shop.latent_weights, shop.memory, h, w);
    for (uint32_t seed = 1; seed <= 3; seed++) {
        const auto y = random_latents(size_t(h * w) * shop.channels, 3, seed);
        const int quality = int(seed) * 150;
        LatentCoder fresh(shop.latent_weights, shop.memory, h, w);
        CHECK(used.encode(y, quality, nullptr) == fresh.encode(y, quality, nullptr));
        CHECK(copy_latents(used) == copy_latents(fresh));
    }
}

TEST_CASE("files are as large as the model's probabilities say") {
    const ThreadCount one(1);
    // Without weights in the last layer means and scales are constants, so latents can be drawn from the very distribution.
    ModelContents contents = tiny_contents();
    Parameters& parameters = contents.parameters;
    for (int step = 0; step < kContextSteps; step++) {
        for (const char* part : {".conv3.weight", ".conv3.quality"}) {
            const auto values = parameters["context" + std::to_string(step) + part];
            std::fill(values.begin(), values.end(), 0.0f);
        }
        const auto bias = parameters["context" + std::to_string(step) + ".conv3.bias"], first = parameters["context0.conv3.bias"];
        std::copy(first.begin(), first.end(), bias.begin());
    }
    for (const char* name : {"hyper_analysis.conv3.weight", "hyper_analysis.conv3.bias"}) {
        const auto values = parameters[name];
        std::fill(values.begin(), values.end(), 0.0f);  // z = 0
    }
    std::fill(contents.prediction.begin(), contents.prediction.end(), int16_t(0));
    const Workshop start(std::move(contents));
    for (const int quality : {0, 300, kTop}) {
        Workshop shop(start.model);
        const auto bias = shop.model.parameters["context0.conv3.bias"];
        const int h = 48, w = 40;
        std::mt19937 random(3);
        // Of variance 1.
        const auto logistic = [](std::mt19937& source) {
            const double u = std::uniform_real_distribution<double>(1e-12, 1 - 1e-12)(source);
            return std::sqrt(3.0) / std::acos(-1.0) * std::log(u / (1 - u));
        };
        std::vector<float> y(size_t(h * w) * shop.channels);
        for (size_t i = 0; i < y.size(); i++) {
            const size_t c = i % shop.channels;
            const double unit = std::exp2(
                mix_fixed(shop.model.unit.data(), shop.model.description.levels(), int(shop.channels), int(c), quality) / 1024.0);
            y[i] = float(unit * (double(bias[c]) + std::exp2(double(bias[c + shop.channels])) * logistic(random)));
        }
        LatentCoder coder(shop.latent_weights, shop.memory, h, w);
        double bits = 100;
        // To the nearest integers: no saving is worth an error.
        const std::vector<float> much(shop.channels, 1e9f);
        const LatentCoder::Settings nearest{.quantiser = Quantiser::scalar, .error_bits = much};
        const auto stream = coder.encode(y, quality, &bits, nearest);
        bits -= 100;  // it is added to
        CAPTURE(quality);
        CAPTURE(bits);
        CHECK(bits > 20000);
        CHECK(std::abs(8 * double(stream.size()) - bits) < 0.01 * bits + 8 * 20);
        // And as large as the entropy of those distributions, by numbers of this test's own.
        double entropy = 0;
        for (size_t c = 0; c < shop.channels; c++) {
            const double unit = std::exp2(
                mix_fixed(shop.model.unit.data(), shop.model.description.levels(), int(shop.channels), int(c), quality) / 1024.0);
            const double sigma = std::exp2(double(bias[c + shop.channels])) * unit;
            if (sigma < 0.06) continue;
            for (int s = -int(16 * sigma) - 2; s <= int(16 * sigma) + 2; s++) {
                const double p = logistic_probability(0, sigma, s);
                if (p > 0) entropy -= p * std::log2(p) * h * w;
            }
        }
        for (size_t c = 0; c < size_t(shop.model.description.hyper_channels); c++) {
            const double sigma = std::exp2(double(shop.model.parameters["hyper_log2_scale"][c]));
            entropy -=
                std::log2(logistic_probability(double(shop.model.parameters["hyper_mean"][c]), sigma, 0)) * (h / 4) * (w / 4);
        }
        CAPTURE(entropy);
        CHECK(std::abs(bits - entropy) < 0.01 * entropy);
        CHECK(coder.encode(y, quality, nullptr, with(Quantiser::scalar)).size() < stream.size());  // by rate–distortion optimised quantisation
        // By the best path still less, of bits and errors together.
        std::vector<double> cost;
        for (const Quantiser quantiser : kQuantisers) {
            double dependent_bits = 0, error = 0;
            const auto coded = coder.encode(y, quality, &dependent_bits, with(quantiser));
            CHECK(std::abs(8 * double(coded.size()) - dependent_bits) < 0.02 * dependent_bits + 8 * 20);
            CHECK(coder.quantise(y, quality, with(quantiser)) == doctest::Approx(8.0 * double(coded.size())).epsilon(0.02));
            for (size_t i = 0; i < y.size(); i++) error += std::pow(double(coder.latents()[i]) / 64 - double(y[i]), 2);
            cost.push_back(8.0 * double(coded.size()) + double(kErrorBits) * error);
        }
        CAPTURE(cost[0]);
        CHECK(cost[1] < 0.98 * cost[0]);
        CHECK(cost[2] < 0.999 * cost[1]);  // little, since rows of this model are short
        // Means are used: shifted latents cost more.
        std::vector<float> shifted = y;
        for (float& v : shifted) v += 3;
        CHECK(double(coder.encode(shifted, quality, nullptr, nearest).size()) > 1.05 * double(stream.size()));
    }
}

TEST_CASE("a stream that is cut, continued or of another rate point does not decode") {
    const ThreadCount one(1);
    Workshop& shop = workshop();
    const int h = 3, w = 3;
    LatentCoder coder(shop.latent_weights, shop.memory, h, w);
    const auto stream = coder.encode(random_latents(size_t(h * w) * shop.channels, 3, 4), 256, nullptr);
    const auto latents = copy_latents(coder);
    REQUIRE(stream.size() > 50);
    for (size_t size = 0; size < stream.size(); size++) {
        CAPTURE(size);
        CHECK(decode_error(coder, std::span(stream).first(size), 256) == ErrorCode::corrupt);
        CHECK(decode_error(coder, std::span(stream).subspan(stream.size() - size), 256) == ErrorCode::corrupt);
    }
    for (const size_t more : {1, 2, 3, 4, 100}) {
        auto longer = stream;
        longer.resize(stream.size() + more);
        CHECK(decode_error(coder, longer, 256) == ErrorCode::corrupt);
    }
    for (const int quality : {0, 128, kTop}) CHECK(decode_error(coder, stream, quality) == ErrorCode::corrupt);
    LatentCoder wide(shop.latent_weights, shop.memory, h, w + 1), narrow(shop.latent_weights, shop.memory, h, w - 1);
    CHECK(decode_error(wide, stream, 256) == ErrorCode::corrupt);
    CHECK(decode_error(narrow, stream, 256) == ErrorCode::corrupt);
    CHECK(decode_error(coder, stream, 256) == std::nullopt);
    CHECK(copy_latents(coder) == latents);
}

TEST_CASE("networks that do not fit together are refused by name") {
    const auto refused = [](const char* network, const char* layer, int channels) {
        ModelContents contents = tiny_contents();
        for (Network& n : contents.description.networks) {
            for (Layer& l : n.layers) {
                if (n.name == network && l.name == layer) l.channels = channels;
            }
        }
        contents.parameters = tiny_parameters(contents.description);
        try {
            Workshop shop(std::move(contents));
            LatentCoder coder(shop.latent_weights, shop.memory, 2, 2);
            coder.encode(std::vector<float>(4 * shop.channels), 0, nullptr);
        } catch (const Error& error) {
            return error.code() == ErrorCode::model_mismatch && std::string(error.what()).find(network) != std::string::npos;
        }
        return false;
    };
    CHECK(refused("context2", "conv3", 28));
    CHECK(refused("hyper_analysis", "conv3", 9));
}
