// Networks in integers: bit for bit what a plain evaluation gives, and close to what training calculates.
#include "codec/engine/integer_graph.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "codec/engine/graph.h"
#include "codec/engine/kernels.h"
#include "codec/error.h"
#include "codec/network/rounding.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

constexpr int kLevels = 3;

Description with_network(int channels_in, const std::string& layers) {
    return parse_description(
        R"({"name": "m", "latent_channels": 4, "hyper_channels": 1, "lambda": [0.01, 0.1, 1], "networks": {"net": {"channels_in": )" +
        std::to_string(channels_in) + R"(, "layers": [)" + layers + "]}}}");
}

// Rows from small to large weights; `size` of a result, where inputs are about 1.
Parameters random_parameters(const Description& d, uint32_t seed, float size = 1.0f) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    Parameters parameters(d);
    for (const Parameter& p : parameters.list()) {
        const auto values = parameters[p.name];
        const size_t per_output = p.shape.size() == 4 ? p.size / size_t(p.shape[0]) : 1;
        for (size_t i = 0; i < p.size; i++) {
            const size_t o = i / per_output;
            values[i] = normal(random) * (per_output == 1 ? 0.3f : size * std::exp2(-float(o % 5)) * (o % 11 == 7 ? 0 : 1) / std::sqrt(float(per_output)));
        }
    }
    return parameters;
}

int64_t floor_shift(int64_t v, int shift) { return shift >= 0 ? v >> shift : v * (int64_t(1) << -shift); }
int64_t rounded_shift(int64_t v, int shift) { return floor_shift(v + (shift > 0 ? int64_t(1) << (shift - 1) : 0), shift); }

// Values as whole numbers times 2^-exponent.
struct Numbers {
    std::vector<int64_t> values;
    int exponent = 0;
    bool is_signed = false;
};

int64_t mixed(const std::vector<int64_t>& table, size_t outputs, size_t o, int quality_q8) {
    const int level = std::min(quality_q8 >> 8, kLevels - 2);
    const int64_t upper = quality_q8 - level * 256;
    return (table[size_t(level) * outputs + o] * (256 - upper) + table[size_t(level + 1) * outputs + o] * upper + 128) >> 8;
}

// One convolution, position by position, product by product.
Numbers convolve(const PlannedLayer& p, const Parameters& parameters, const std::string& name, const Numbers& src, const Numbers* addend,
                 int quality_q8, bool last, int output_exponent, bool one_byte) {
    const Layer& layer = *p.layer;
    const Shape s = p.src_shape, d = p.dst_shape;
    const bool wide = layer.arithmetic == Arithmetic::wide, relu = layer.activation != Activation::none;
    const auto weight = parameters[name + ".weight"];
    std::vector<int64_t> w(weight.size());
    std::vector<int8_t> exponents;
    if (wide) {
        const WideWeights r = round_wide_weights(weight, layer.channels);
        std::copy(r.integers.begin(), r.integers.end(), w.begin());
        exponents = r.exponents;
    } else {
        const RoundedWeights r = round_weights(weight, layer.channels);
        std::copy(r.integers.begin(), r.integers.end(), w.begin());
        exponents = r.exponents;
    }
    // Two-byte values: the products of the low byte with the low digit are rounded to a grid 64 times as coarse, which the bias is on.
    const bool two_bytes = wide && !one_byte;
    const int in_exponent = wide ? src.exponent : layer.input_exponent;
    const auto grid = [&](size_t o) { return exponents[o] + in_exponent - (two_bytes ? 6 : 0); };
    const auto on_grid = [&](float v, size_t o) { return int64_t(std::nearbyint(std::ldexp(double(v), grid(o)))); };
    const size_t outputs = size_t(d.c);
    std::vector<int64_t> quality;
    if (layer.quality_bias) {
        const auto table = parameters[name + ".quality"];
        for (size_t i = 0; i < table.size(); i++) quality.push_back(on_grid(table[i], i % outputs));
    }
    Numbers dst{std::vector<int64_t>(d.elements()), relu ? 5 : last ? output_exponent : kTrunkExponent, !relu};
    const int k = layer.kernel, pad = (k - 1) / 2;
    size_t i = 0;
    for (int n = 0; n < d.n; n++) {
        for (int y = 0; y < d.h; y++) {
            for (int x = 0; x < d.w; x++) {
                for (size_t o = 0; o < outputs; o++, i++) {
                    int64_t sum = 0, low = 0;
                    for (int dy = 0; dy < k; dy++) {
                        for (int dx = 0; dx < k; dx++) {
                            const int sy = y * layer.stride + dy - pad, sx = x * layer.stride + dx - pad;
                            if (sy < 0 || sy >= s.h || sx < 0 || sx >= s.w) continue;
                            for (int c = 0; c < s.c; c++) {
                                int64_t v = src.values[((size_t(n) * s.h + sy) * s.w + sx) * s.c + c];
                                if (!wide && src.is_signed) v = std::clamp<int64_t>(rounded_shift(v, src.exponent - in_exponent), -128, 127);
                                const int64_t weight_here = w[((o * s.c + c) * k + dy) * k + dx];
                                const int64_t low_digit = weight_here - ((weight_here + 32) >> 6) * 64;
                                if (two_bytes) low += (v & 255) * low_digit;
                                sum += v * weight_here;
                            }
                        }
                    }
                    if (two_bytes) sum = (sum - low) / 64 + rounded_shift(low, 6);  // the first is a multiple of 64
                    sum += on_grid(parameters[name + ".bias"][o], o) + (quality.empty() ? 0 : mixed(quality, outputs, o, quality_q8));
                    int64_t v = rounded_shift(sum, grid(o) - dst.exponent);
                    if (relu) {
                        v = std::clamp<int64_t>(v, 0, 255);
                    } else if (last) {
                        v = std::clamp<int64_t>(v, -(1 << 30), 1 << 30);
                    } else {
                        v = std::clamp<int64_t>(v + (addend != nullptr ? addend->values[i] : 0), -32768, 32767);
                    }
                    dst.values[i] = v;
                }
            }
        }
    }
    return dst;
}

Numbers shuffle(const Shape& low, int factor, const Numbers& src, bool down) {
    Numbers dst = src;
    const int channels = low.c / (factor * factor);
    for (int n = 0; n < low.n; n++) {
        for (int y = 0; y < low.h * factor; y++) {
            for (int x = 0; x < low.w * factor; x++) {
                for (int c = 0; c < channels; c++) {
                    const size_t high_at = ((size_t(n) * low.h * factor + y) * low.w * factor + x) * channels + c;
                    const size_t channel = (size_t(y % factor) * factor + x % factor) * channels + c;
                    const size_t low_at = ((size_t(n) * low.h + y / factor) * low.w + x / factor) * low.c + channel;
                    (down ? dst.values[low_at] : dst.values[high_at]) = down ? src.values[high_at] : src.values[low_at];
                }
            }
        }
    }
    return dst;
}

// options: input type and exponents. The input is signed if it is s16, or bytes around 128 from channel 0 on.
Numbers evaluate(const Network& network, const Parameters& parameters, Shape shape, const Numbers& input, const IntegerGraphOptions& options, int quality_q8) {
    const auto layers = plan(network, shape);
    int last = int(layers.size()) - 1;
    while (layers[size_t(last)].layer->op != Operation::convolution) last = layers[size_t(last)].src;
    std::vector<Numbers> results;
    const auto of = [&](int index) -> const Numbers& { return index < 0 ? input : results[size_t(index)]; };
    for (size_t i = 0; i < layers.size(); i++) {
        const PlannedLayer& p = layers[i];
        if (p.layer->op != Operation::convolution) {
            const bool down = p.layer->op == Operation::unshuffle;
            results.push_back(shuffle(down ? p.dst_shape : p.src_shape, p.layer->factor, of(p.src), down));
            continue;
        }
        int from = p.src;
        while (from >= 0 && layers[size_t(from)].layer->op != Operation::convolution) from = layers[size_t(from)].src;
        const bool one_byte = from < 0 ? options.input_type == DataType::u8 : layers[size_t(from)].layer->activation != Activation::none;
        results.push_back(convolve(p, parameters, network.name + "." + p.layer->name, of(p.src), p.add == -2 ? nullptr : &of(p.add), quality_q8, int(i) == last,
                                   options.output_exponent, one_byte));
    }
    return results.back();
}

struct Run {
    std::vector<int64_t> got, want;
};

Run run(const Network& network, const Parameters& parameters, Shape shape, const IntegerGraphOptions& options, uint32_t seed, int quality_q8, int spread) {
    IntegerWeights weights(network, parameters);
    IntegerGraph graph(weights, shape, options);
    std::mt19937 random(seed);
    Numbers input{std::vector<int64_t>(shape.elements()), options.input_exponent, options.signed_from <= 0};
    std::normal_distribution<double> normal(0.0, spread);
    for (size_t i = 0; i < input.values.size(); i++) {
        const double v = std::nearbyint(normal(random));
        if (options.input_type == DataType::u8) {
            const int zero = options.signed_from <= 0 ? 128 : 0;
            graph.input().as<uint8_t>()[i] = uint8_t(std::clamp(v + zero, 0.0, 255.0));
            input.values[i] = graph.input().as<uint8_t>()[i] - zero;
        } else {
            graph.input().as<int16_t>()[i] = int16_t(std::clamp(v, -32768.0, 32767.0));
            input.values[i] = graph.input().as<int16_t>()[i];
        }
    }
    graph.forward(quality_q8);
    graph.forward(quality_q8);  // the input is still there, and nothing is left over from the first time
    Run r;
    const TensorRef out = graph.output();
    for (size_t i = 0; i < out.shape.elements(); i++) r.got.push_back(out.type == DataType::u8 ? out.as<uint8_t>()[i] : out.as<int32_t>()[i]);
    r.want = evaluate(network, parameters, shape, input, options, quality_q8).values;
    return r;
}

IntegerGraphOptions pixels() {
    IntegerGraphOptions o;
    o.signed_from = 0;
    o.input_exponent = kPixelExponent;
    o.output_exponent = kTransformExponent;
    return o;
}

IntegerGraphOptions latents() {
    IntegerGraphOptions o = pixels();
    o.input_type = DataType::s16;
    o.input_exponent = kLatentExponent;
    return o;
}

const char* const kAnalysis = R"(
    {"name": "pixels", "op": "unshuffle", "factor": 4}, {"name": "klt1", "channels": 20, "arithmetic": "wide"},
    {"name": "a1", "channels": 12, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
    {"name": "b1", "channels": 20, "kernel": 3, "arithmetic": "integer", "add": "klt1"},
    {"name": "a2", "channels": 48, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
    {"name": "b2", "channels": 20, "kernel": 3, "arithmetic": "integer", "add": "b1"},
    {"name": "down", "op": "unshuffle", "factor": 2}, {"name": "klt2", "channels": 37, "arithmetic": "wide", "quality_bias": true},
    {"name": "latents", "channels": 16, "arithmetic": "wide"})";
const char* const kSynthesis = R"(
    {"name": "latents", "channels": 24, "arithmetic": "wide", "quality_bias": true},
    {"name": "a2", "channels": 16, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
    {"name": "b2", "channels": 24, "kernel": 3, "arithmetic": "integer", "add": "latents"},
    {"name": "klt2", "channels": 48, "arithmetic": "wide"}, {"name": "up", "op": "shuffle", "factor": 2},
    {"name": "a1", "channels": 8, "kernel": 3, "arithmetic": "integer", "input_exponent": 3, "activation": "relu"},
    {"name": "b1", "channels": 12, "kernel": 3, "arithmetic": "integer", "add": "up"},
    {"name": "klt1", "channels": 48, "arithmetic": "wide"}, {"name": "pixels", "op": "shuffle", "factor": 4})";

void check_exact(const std::string& layers, Shape shape, const IntegerGraphOptions& options, int spread, float size = 1.0f) {
    CAPTURE(layers);
    const Description d = with_network(shape.c, layers);
    for (uint32_t seed = 1; seed <= 3; seed++) {
        const Parameters parameters = random_parameters(d, seed, size);
        for (const int quality_q8 : {0, 100, 256, 511, 512}) {
            const Run r = run(d.network("net"), parameters, shape, options, seed, quality_q8, spread);
            REQUIRE(r.got == r.want);
            const auto inside = std::count_if(r.got.begin(), r.got.end(), [](int64_t v) { return v != 0 && v != 255; });
            CHECK(double(inside) > 0.2 * double(r.got.size()));  // the comparison means something
        }
    }
}

}  // namespace

TEST_CASE("transforms in integers are what a plain evaluation gives") {
    for (const int threads : {1, 3}) {
        const ThreadCount count(threads);
        check_exact(kAnalysis, {1, 24, 40, 3}, pixels(), 50, 4);
        check_exact(kAnalysis, {2, 8, 8, 3}, pixels(), 50, 4);
        check_exact(kSynthesis, {1, 5, 7, 20}, latents(), 1500, 2);
        check_exact(kSynthesis, {2, 1, 1, 20}, latents(), 1500, 2);
    }
}

TEST_CASE("layers of all kinds in integers") {
    const ThreadCount one(1);
    IntegerGraphOptions bytes;  // not negative
    bytes.input_exponent = 5;
    check_exact(R"({"name": "a", "channels": 33, "kernel": 3, "stride": 2, "arithmetic": "integer", "activation": "relu"},
                   {"name": "b", "channels": 7, "kernel": 5, "arithmetic": "integer"})",
                {2, 9, 6, 5}, bytes, 60, 2);
    // A wide layer reads a ReLU's result; several layers read one value, with and without a border; shuffles that nobody does in passing.
    check_exact(R"({"name": "a", "channels": 16, "arithmetic": "integer", "activation": "relu"}, {"name": "w", "channels": 8, "arithmetic": "wide"},
                   {"name": "b", "channels": 8, "kernel": 3, "arithmetic": "integer", "input": "a", "add": "w"},
                   {"name": "c", "channels": 12, "kernel": 3, "arithmetic": "integer", "input": "b", "input_exponent": 4, "activation": "relu"},
                   {"name": "d", "channels": 8, "arithmetic": "integer", "input": "b", "input_exponent": 6, "add": "b"},
                   {"name": "e", "channels": 8, "kernel": 3, "arithmetic": "integer", "input": "c", "add": "d"},
                   {"name": "down", "op": "unshuffle", "factor": 2}, {"name": "up", "op": "shuffle", "factor": 2},
                   {"name": "f", "channels": 6, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
                   {"name": "g", "channels": 8, "kernel": 3, "arithmetic": "integer", "add": "up"}, {"name": "h", "channels": 8, "arithmetic": "wide"},
                   {"name": "last", "op": "unshuffle", "factor": 2})",
                {1, 6, 8, 5}, bytes, 60, 2);
    check_exact(R"({"name": "a", "channels": 16, "kernel": 3, "arithmetic": "integer", "activation": "relu"}, {"name": "down", "op": "unshuffle", "factor": 2},
                   {"name": "b", "channels": 12, "kernel": 3, "arithmetic": "integer", "activation": "relu"}, {"name": "up", "op": "shuffle", "factor": 2})",
                {1, 6, 8, 5}, bytes, 60, 2);
}

TEST_CASE("strips of rows do not show") {
    // Sums of more than the size of a strip: several strips, and one that is left over.
    const ThreadCount one(1);
    const Description d = with_network(4, R"({"name": "w", "channels": 96, "arithmetic": "wide"},
        {"name": "a", "channels": 96, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
        {"name": "b", "channels": 96, "kernel": 3, "arithmetic": "integer", "add": "w"}, {"name": "v", "channels": 2, "arithmetic": "wide"})");
    const Parameters parameters = random_parameters(d, 1, 2);
    const Run r = run(d.network("net"), parameters, {1, 61, 67, 4}, latents(), 1, 0, 1500);
    CHECK(r.got == r.want);
}

TEST_CASE("sums that saturate") {
    const ThreadCount one(1);
    // Weights and values as large as they can be: both signs saturate and nothing wraps around.
    for (const float weight : {4063.0f, 100.0f, 60.0f, 1.0f}) {
        const Description d = with_network(512, R"({"name": "w", "channels": 32, "arithmetic": "wide"},
            {"name": "b", "channels": 32, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "add": "w"}, {"name": "v", "channels": 8, "arithmetic": "wide"})");
        Parameters parameters(d);
        for (const char* name : {"net.w.weight", "net.b.weight", "net.v.weight"}) {
            const auto w = parameters[name];
            const size_t row = w.size() / size_t(parameters.find(name).shape[0]);
            for (size_t i = 0; i < w.size(); i++) w[i] = (i / row % 2 == 0 ? weight : -weight) * (i / row % 4 < 2 || i % 2 == 0 ? 1.0f : -1.0f);
        }
        for (const char* name : {"net.w.bias", "net.b.bias", "net.v.bias"}) {
            for (size_t i = 0; i < parameters[name].size(); i++) parameters[name][i] = i % 8 == 0 ? 1000.0f : i % 8 == 1 ? -1000.0f : 3.0f;
        }
        for (const int spread : {100000, 300}) {
            const Run r = run(d.network("net"), parameters, {1, 3, 4, 512}, latents(), 1, 0, spread);
            CHECK(r.got == r.want);
        }
    }
}

TEST_CASE("integers are what training calculates, but for the rounding of sums") {
    const ThreadCount one(1);
    for (const bool synthesis : {false, true}) {
        const Shape shape = synthesis ? Shape{1, 6, 9, 20} : Shape{1, 48, 32, 3};
        const Description d = with_network(shape.c, synthesis ? kSynthesis : kAnalysis);
        const Parameters parameters = random_parameters(d, 5);
        const IntegerGraphOptions options = synthesis ? latents() : pixels();
        const Run r = run(d.network("net"), parameters, shape, options, 3, 300, synthesis ? 1500 : 50);

        NetworkWeights weights(d.network("net"), parameters);
        GraphOptions training;
        training.use = Convolution::Use::training;
        Graph graph(weights, shape, training);
        std::mt19937 random(3);
        std::normal_distribution<double> normal(0.0, synthesis ? 1500 : 50);
        for (size_t i = 0; i < shape.elements(); i++) {
            const double v = std::nearbyint(normal(random)), low = synthesis ? -32768 : -128, high = synthesis ? 32767 : 127;
            graph.input().as<float>()[i] = float(std::ldexp(std::clamp(v, low, high), synthesis ? -10 : -8));
        }
        graph.forward(std::vector<float>{300.0f / 256});
        double error = 0, power = 0;
        for (size_t i = 0; i < r.got.size(); i++) {
            const double want = graph.output().as<float>()[i], difference = std::ldexp(double(r.got[i]), -16) - want;
            error += difference * difference;
            power += want * want;
        }
        CAPTURE(synthesis);
        // Sums are rounded to 1/256, and now and then that tips the rounding of what an integer layer reads, to 1/16.
        const double count = double(r.got.size());
        CHECK(std::sqrt(error / count) < 2.0 / 256);
        CHECK(std::sqrt(power / count) > 0.1);
    }
}

TEST_CASE("networks that do not run in integers are refused by name") {
    const auto refused = [](const std::string& layers, const IntegerGraphOptions& options, const char* name) {
        const Description d = with_network(4, layers);
        IntegerWeights weights(d.network("net"), Parameters(d));
        CAPTURE(layers);
        CHECK_THROWS_WITH_AS(IntegerGraph(weights, {1, 4, 4, 4}, options), doctest::Contains(name), Error);
    };
    refused(R"({"name": "a", "channels": 4})", pixels(), "net.a");
    refused(R"({"name": "a", "channels": 4, "kernel": 3, "arithmetic": "wide"})", pixels(), "net.a");
    refused(R"({"name": "a", "channels": 4, "arithmetic": "wide", "activation": "relu"})", pixels(), "net.a");
    refused(R"({"name": "a", "channels": 4, "arithmetic": "integer"})", latents(), "net.a");
    refused(R"({"name": "a", "channels": 4, "arithmetic": "wide", "add": "input"})", latents(), "net.a");
    refused(R"({"name": "a", "channels": 4, "arithmetic": "wide"}, {"name": "b", "channels": 4, "arithmetic": "wide", "add": "a"})", latents(), "net.b");
    refused(R"({"name": "a", "channels": 4, "kernel": 3, "arithmetic": "integer"})", pixels(), "net.a");
    CHECK_FALSE(is_integer(with_network(4, R"({"name": "a", "channels": 4})").network("net")));
    CHECK_FALSE(is_integer(with_network(4, R"({"name": "a", "channels": 4, "kernel": 3, "arithmetic": "wide"})").network("net")));
    CHECK(is_integer(tiny_description().network("analysis")));
    CHECK_FALSE(is_integer(tiny_description().network("hyper_analysis")));
}

TEST_CASE("sums to results: rounded half up, clipped") {
    const std::vector<int32_t> sums{100, 5, 6, -5, 300, -300, 1 << 20, 3, -6, 22, 7, 130};
    std::vector<int32_t> low{2, 10, -6, 0}, high(4, 0), right{2, 0, 1, 0}, left{0, 0, 0, 3};
    const std::vector<int32_t> bias{0, 10, -7, 0};
    const kernels::SumView view{sums.data(), 4, 0, 0};
    const kernels::Requantisation r{high.data(), low.data(), right.data(), left.data()};
    std::vector<uint8_t> bytes(12), views(12);
    std::vector<int16_t> trunk(12), addend{1, -1, 2, -32768, 32767, 0, 5, 0, 0, 0, 0, 3};
    std::vector<int32_t> fixed(12);
    kernels::to_unsigned(view, r, bytes.data(), 3, 4);
    kernels::to_trunk(view, r, addend.data(), trunk.data(), views.data(), 4, 3, 4);
    kernels::to_fixed(view, r, fixed.data(), 4, 3, 4);
    for (size_t i = 0; i < sums.size(); i++) {
        const int32_t want = int32_t(std::floor(std::ldexp(double(sums[i] + bias[i % 4]), left[i % 4] - right[i % 4]) + 0.5));
        const int32_t sum = std::clamp(want + addend[i], -32768, 32767);
        CHECK(bytes[i] == std::clamp(want, 0, 255));
        CHECK(trunk[i] == sum);
        CHECK(int(views[i]) == std::clamp(int(std::floor(double(sum) / 16 + 0.5)), -128, 127) + 128);
        CHECK(fixed[i] == want);
    }
}

TEST_CASE("values share memory") {
    const Description d = with_network(20, kSynthesis);
    const Parameters parameters(d);
    IntegerWeights weights(d.network("net"), parameters);
    IntegerGraphOptions options = latents();
    options.borrows_memory = true;
    IntegerGraph graph(weights, {1, 16, 16, 20}, options);
    const size_t positions = 16 * 16;
    CHECK(graph.memory() < positions * (20 * 2 + 24 * 2 + 24 + 48 * 2 + 48 + 48 * 16 * 4) * 2);
    std::vector<std::byte> memory(graph.memory() + AlignedBuffer::kAlignment);
    auto* aligned = memory.data() + (AlignedBuffer::kAlignment - reinterpret_cast<uintptr_t>(memory.data()) % AlignedBuffer::kAlignment);
    graph.bind(aligned);
    CHECK(graph.input().data >= static_cast<void*>(aligned));
    CHECK(graph.output().as<std::byte>() + graph.output().bytes() <= memory.data() + memory.size());
}
