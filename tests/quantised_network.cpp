// Networks of integer layers: what training calculates in floats is, bit for bit, what the decoder calculates in integers.
#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "codec/engine/graph.h"
#include "codec/engine/integer_graph.h"
#include "codec/engine/kernels.h"
#include "codec/error.h"
#include "tests/float_types.h"

using namespace decant;

namespace {

constexpr int kLevels = 4;

// Pictures here are too small to be worth more threads.
struct OneThread {
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before); }
    const int before = omp_get_max_threads();
};

const char* const kHyperSynthesis = R"(
    {"name": "conv1", "channels": 48, "arithmetic": "integer", "activation": "relu", "input_exponent": 2},
    {"name": "up1", "op": "shuffle", "factor": 2},
    {"name": "conv2", "channels": 40, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
    {"name": "up2", "op": "shuffle", "factor": 2})";
const char* const kContext = R"(
    {"name": "conv1", "channels": 33, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
    {"name": "conv2", "channels": 20, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
    {"name": "conv3", "channels": 50, "arithmetic": "integer", "quality_bias": true})";

Description with_network(int channels_in, const std::string& layers) {
    return parse_description(
        R"({"name": "m", "latent_channels": 4, "hyper_channels": 1, "lambda": [0.01, 0.1, 1, 2], "networks": {"net": {"channels_in": )" +
        std::to_string(channels_in) + R"(, "layers": [)" + layers + "]}}}");
}

// Rows of weights from very small to large, rows of zeros, and biases that move results around in their range. Biases are
// multiples of 1/4096: floats hold sums exactly while they have less than 24 bits on their row's grid.
Parameters random_parameters(const Description& d, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    Parameters parameters(d);
    for (const Parameter& p : parameters.list()) {
        const auto values = parameters[p.name];
        if (p.shape.size() != 4) {
            for (float& v : values) v = std::round(normal(random) * 4096.0f) / 4096.0f;
            continue;
        }
        const size_t per_output = p.size / size_t(p.shape[0]);
        for (int o = 0; o < p.shape[0]; o++) {
            const float scale = o % 7 == 3 ? 0.0f
                                           : std::exp2(-10.0f * std::uniform_real_distribution<float>()(random)) * 4.0f /
                                                 std::sqrt(float(per_output));
            for (size_t i = 0; i < per_output; i++) values[size_t(o) * per_output + i] = scale * normal(random);
        }
    }
    return parameters;
}

std::vector<uint8_t> random_bytes(size_t count, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<uint8_t> bytes(count);
    for (uint8_t& b : bytes) b = uint8_t(random() % 4 == 0 ? random() : random() % 32);
    return bytes;
}

// The network in integers; results as they are: u8 activations, or s32.
std::vector<int32_t> run_integers(const Network& network, const Parameters& parameters, Shape shape, const std::vector<uint8_t>& input,
                                  int quality_q8, int signed_from = 1 << 20) {
    IntegerWeights weights(network, parameters);
    IntegerGraphOptions options;
    options.signed_from = signed_from;
    IntegerGraph graph(weights, shape, options);
    std::memcpy(graph.input().data, input.data(), input.size());
    graph.forward(quality_q8);
    const TensorRef out = graph.output();
    std::vector<int32_t> result(out.shape.elements());
    for (size_t i = 0; i < result.size(); i++) result[i] = out.type == DataType::u8 ? out.as<uint8_t>()[i] : out.as<int32_t>()[i];
    return result;
}

// The network as training sees it, in the same units.
std::vector<int32_t> run_floats(NetworkWeights& weights, Shape shape, const std::vector<uint8_t>& input, float quality,
                                DataType compute, int input_exponent, int signed_from = 1 << 20) {
    GraphOptions options;
    options.use = Convolution::Use::training;
    options.compute = options.input_type = compute;
    Graph graph(weights, shape, options);
    for (size_t i = 0; i < input.size(); i++) {
        const int zero = int(i % size_t(shape.c)) >= signed_from ? kInputZero : 0;
        const float v = std::ldexp(float(input[i] - zero), -input_exponent);
        if (compute == DataType::bf16) {
            graph.input().as<bf16>()[i] = to_bf16(v);
        } else {
            graph.input().as<float>()[i] = v;
        }
    }
    graph.forward(std::vector<float>(size_t(shape.n), quality));
    const TensorRef out = graph.output();
    const bool activation = weights.network().layers.back().activation == Activation::relu ||
                            weights.network().layers.back().op != Operation::convolution;
    std::vector<int32_t> result(out.shape.elements());
    for (size_t i = 0; i < result.size(); i++) {
        const double v = out.type == DataType::bf16 ? to_float(out.as<bf16>()[i]) : out.as<float>()[i];
        const double scaled = std::ldexp(v, activation ? kActivationExponent : kParameterExponent);
        if (activation) REQUIRE(scaled == std::floor(scaled));
        result[i] = int32_t(std::floor(scaled + 0.5));
    }
    return result;
}

}  // namespace

TEST_CASE("training and decoding agree bit for bit") {
    const OneThread one_thread;
    for (const char* layers : {kHyperSynthesis, kContext}) {
        const bool context = layers == kContext;
        for (uint32_t seed = 1; seed <= 4; seed++) {
            const Description d = with_network(24, layers);
            const Parameters parameters = random_parameters(d, seed);
            NetworkWeights weights(d.network("net"), parameters);
            for (const Shape shape : {Shape{1, 1, 1, 24}, Shape{1, 5, 7, 24}, Shape{2, 8, 9, 24}}) {
                const auto input = random_bytes(shape.elements(), seed);
                for (int level = 0; level < (context ? kLevels : 1); level++) {
                    CAPTURE(context);
                    CAPTURE(seed);
                    CAPTURE(level);
                    const auto decoded = run_integers(d.network("net"), parameters, shape, input, level * 256);
                    for (const DataType type : test::float_types())
                        CHECK(decoded == run_floats(weights, shape, input, float(level), type, context ? 5 : 2));
                    // The comparison means something: results are neither all alike nor all clipped.
                    const auto inside =
                        std::count_if(decoded.begin(), decoded.end(), [&](int32_t v) { return v != 0 && (context || v != 255); });
                    CHECK(double(inside) > 0.2 * double(decoded.size()));
                }
            }
        }
    }
}

TEST_CASE("inputs around a zero point agree as well") {
    const OneThread one_thread;
    const int signed_from = 9;
    for (uint32_t seed = 1; seed <= 4; seed++) {
        const Description d = with_network(24, kContext);
        const Parameters parameters = random_parameters(d, seed);
        NetworkWeights weights(d.network("net"), parameters);
        const Shape shape{1, 5, 7, 24};
        std::mt19937 random(seed);
        std::vector<uint8_t> input(shape.elements());
        for (uint8_t& b : input) b = uint8_t(random());
        const auto decoded = run_integers(d.network("net"), parameters, shape, input, 256, signed_from);
        for (const DataType type : test::float_types()) CHECK(decoded == run_floats(weights, shape, input, 1.0f, type, 5, signed_from));
    }
    const Description wide = with_network(4, R"({"name": "a", "channels": 3, "kernel": 3, "arithmetic": "integer"})");
    CHECK_THROWS_WITH_AS(run_integers(wide.network("net"), Parameters(wide), {1, 3, 3, 4}, std::vector<uint8_t>(36), 0, 2), doctest::Contains("net"), Error);
}

TEST_CASE("between levels the integer bias is the rounded mixture") {
    const Description d = with_network(1, R"({"name": "a", "channels": 2, "arithmetic": "integer", "quality_bias": true})");
    Parameters parameters(d);
    // Without weights the result is the bias alone, in multiples of 1/1024.
    const std::vector<float> table{0, 1, 1, -1, 3, 0.5f, -2, 8};
    std::copy(table.begin(), table.end(), parameters["net.a.quality"].begin());
    for (int q = 0; q <= 256 * (kLevels - 1); q += 37) {
        const int level = std::min(q / 256, kLevels - 2);
        const double upper = double(q - 256 * level) / 256;
        const auto result = run_integers(d.network("net"), parameters, {1, 1, 1, 1}, {0}, q);
        for (size_t c = 0; c < 2; c++) {
            const double want = 1024 * (table[size_t(level) * 2 + c] * (1 - upper) + table[size_t(level) * 2 + 2 + c] * upper);
            CHECK(std::abs(result[c] - want) <= 0.5);
        }
    }
    CHECK(run_integers(d.network("net"), parameters, {1, 1, 1, 1}, {0}, 256 * (kLevels - 1)) == std::vector<int32_t>{-2048, 8192});

    // Large weights leave whole numbers for the bias: the mixture is rounded half up to one of them.
    const Description coarse =
        with_network(1, R"({"name": "a", "channels": 2, "arithmetic": "integer", "quality_bias": true, "input_exponent": 0})");
    Parameters whole(coarse);
    std::fill(whole["net.a.weight"].begin(), whole["net.a.weight"].end(), 63.0f);
    const std::vector<float> numbers{0, 1, 1, -2, 3, 5, -2, 8};
    std::copy(numbers.begin(), numbers.end(), whole["net.a.quality"].begin());
    for (int q = 0; q <= 256 * (kLevels - 1); q += 32) {
        const size_t level = size_t(std::min(q / 256, kLevels - 2));
        const double upper = double(q) / 256 - double(level);
        const auto result = run_integers(coarse.network("net"), whole, {1, 1, 1, 1}, {0}, q);
        for (size_t c = 0; c < 2; c++) {
            CHECK(result[c] ==
                  1024 * int(std::floor(numbers[level * 2 + c] * (1 - upper) + numbers[level * 2 + 2 + c] * upper + 0.5)));
        }
    }
}

TEST_CASE("weights are integers of six bits times a power of two a row") {
    const Description d = with_network(24, kContext);
    const Parameters parameters = random_parameters(d, 5);
    NetworkWeights weights(d.network("net"), parameters);
    int zero_rows = 0, smallest = 100, largest = 0;
    for (int l = 0; l < 3; l++) {
        auto& layer = weights.layer(l);
        const Parameter& p = parameters.find(layer.prefix + ".weight");
        const auto original = parameters[p.name];
        const auto rounded = rounded_values(layer.packed.rounded());
        const size_t per_output = p.size / size_t(p.shape[0]);
        REQUIRE(layer.packed.rounded().exponents.size() == size_t(p.shape[0]));
        REQUIRE(rounded.size() == p.size);
        for (size_t o = 0; o < size_t(p.shape[0]); o++) {
            const int e = layer.packed.rounded().exponents[o];
            float top = 0;
            for (size_t i = o * per_output; i < (o + 1) * per_output; i++) {
                const float integer = std::ldexp(rounded[i], e);
                REQUIRE(integer == std::nearbyint(integer));
                REQUIRE(std::abs(integer) <= 63.0f);
                REQUIRE(std::abs(rounded[i] - original[i]) <= std::ldexp(0.5f, -e));
                top = std::max(top, std::abs(original[i]));
            }
            if (top == 0) {
                zero_rows++;
                continue;
            }
            // No digit is given away: a row's largest weight uses the range.
            if (e < 20) CHECK(std::ldexp(top, e + 1) > 63.0f);
            CHECK(std::ldexp(top, e) <= 63.0f);
            smallest = std::min(smallest, e);
            largest = std::max(largest, e);
            const float bias = std::ldexp(layer.bias[o], e + 5);
            CHECK(bias == std::nearbyint(bias));
        }
    }
    CHECK(zero_rows > 5);
    CHECK(largest - smallest >= 8);
}

TEST_CASE("weights out of range are clipped, tiny ones vanish") {
    const Description d = with_network(2, R"({"name": "a", "channels": 3, "arithmetic": "integer"})");
    Parameters parameters(d);
    const std::vector<float> w{1000.0f, -100.0f, 1e-9f, -1e-9f, 63.0f, -62.6f};
    std::copy(w.begin(), w.end(), parameters["net.a.weight"].begin());
    NetworkWeights weights(d.network("net"), parameters);
    const auto rounded = rounded_values(weights.layer(0).packed.rounded());
    CHECK(std::vector<float>(rounded.begin(), rounded.end()) == std::vector<float>{63, -63, 0, 0, 63, -63});
    CHECK(weights.layer(0).packed.rounded().exponents == std::vector<int8_t>{0, 20, 0});
}

TEST_CASE("results do not depend on the number of threads") {
    const int before = omp_get_max_threads();
    for (const char* layers : {kHyperSynthesis, kContext}) {
        const Description d = with_network(24, layers);
        const Parameters parameters = random_parameters(d, 6);
        const Shape shape{1, 40, 37, 24};
        const auto input = random_bytes(shape.elements(), 6);
        std::vector<int32_t> alone;
        for (int threads : {1, 2, 3}) {
            omp_set_num_threads(threads);
            const auto result = run_integers(d.network("net"), parameters, shape, input, 300);
            if (threads == 1) alone = result;
            CHECK(result == alone);
        }
    }
    omp_set_num_threads(before);
}

TEST_CASE("the activation that training sees") {
    const std::vector<float> src{-1, -0.001f, 0, 0.0156f, 0.01562501f, 0.015625f, 0.5f, 1.01f, 7.9f, 7.96875f, 7.99f, 100};
    const std::vector<float> want{0, 0, 0, 0, 0.03125f, 0.03125f, 0.5f, 1, 7.90625f, 7.96875f, 7.96875f, 7.96875f};
    std::vector<float> dst(src.size());
    std::vector<bf16> low(src.size());
    kernels::quantised_relu(src.data(), dst.data(), src.size(), kActivationExponent);
    kernels::quantised_relu(src.data(), low.data(), src.size(), kActivationExponent);
    CHECK(dst == want);
    for (size_t i = 0; i < low.size(); i++) CHECK(to_float(low[i]) == want[i]);
    // Gradients pass inside the range only.
    std::vector<float> gradient(src.size(), 2.0f);
    kernels::quantised_relu_backward(dst.data(), gradient.data(), src.size(), kActivationExponent);
    for (size_t i = 0; i < src.size(); i++) CHECK(gradient[i] == (want[i] > 0 && want[i] < 7.96875f ? 2.0f : 0.0f));
}
