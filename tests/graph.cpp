// Whole networks, forward: against a plain evaluation in double precision, and inference against training.
#include "codec/engine/graph.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "codec/tensor/vectorised.h"
#include "codec/error.h"
#include "tests/float_types.h"

using namespace decant;

namespace {

constexpr int kLevels = 3;

// A codec description that holds one network, "net".
Description with_network(int channels_in, const std::string& layers) {
    return parse_description(
        R"({"name": "m", "latent_channels": 4, "hyper_channels": 1, "lambda": [0.01, 0.1, 1], "networks": {"net": {"channels_in": )" +
        std::to_string(channels_in) + R"(, "layers": [)" + layers + "]}}}");
}

void randomise(Parameters& parameters, std::mt19937& random) {
    std::normal_distribution<float> normal;
    for (const Parameter& p : parameters.list()) {
        const float scale = p.shape.size() == 4 ? std::sqrt(1.0f / float(p.size / size_t(p.shape[0]))) : 0.5f;
        for (float& v : parameters[p.name]) v = scale * normal(random);
    }
}

void randomise(const TensorRef& t, std::mt19937& random) {
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < t.shape.elements(); i++) {
        if (t.type == DataType::bf16) {
            t.as<bf16>()[i] = to_bf16(normal(random));
        } else {
            t.as<float>()[i] = normal(random);
        }
    }
}

std::vector<double> values(const TensorRef& t) {
    std::vector<double> v(t.shape.elements());
    for (size_t i = 0; i < v.size(); i++) v[i] = t.type == DataType::bf16 ? to_float(t.as<bf16>()[i]) : t.as<float>()[i];
    return v;
}

std::vector<double> evaluate_convolution(const PlannedLayer& p, const Parameters& parameters, const std::string& name,
                                         const std::vector<double>& src, const std::vector<double>* addend,
                                         const std::vector<float>& quality) {
    const Shape s = p.src_shape, d = p.dst_shape;
    const Layer& layer = *p.layer;
    const auto weight = parameters[name + ".weight"], bias = parameters[name + ".bias"];
    const int k = layer.kernel, pad = (k - 1) / 2;
    std::vector<double> dst(d.elements());
    size_t i = 0;
    for (int n = 0; n < d.n; n++) {
        for (int y = 0; y < d.h; y++) {
            for (int x = 0; x < d.w; x++) {
                for (int o = 0; o < d.c; o++, i++) {
                    double sum = bias[size_t(o)];
                    for (int dy = 0; dy < k; dy++) {
                        for (int dx = 0; dx < k; dx++) {
                            const int sy = y * layer.stride + dy - pad, sx = x * layer.stride + dx - pad;
                            if (sy < 0 || sy >= s.h || sx < 0 || sx >= s.w) continue;
                            for (int c = 0; c < s.c; c++) {
                                sum += src[((size_t(n) * s.h + sy) * s.w + sx) * s.c + c] *
                                       weight[((size_t(o) * s.c + c) * k + dy) * k + dx];
                            }
                        }
                    }
                    if (addend != nullptr) sum += (*addend)[i];
                    if (layer.quality_bias) {
                        const auto table = parameters[name + ".quality"];
                        const double q = quality[size_t(n)];
                        const int lower = std::min(int(q), kLevels - 2);
                        sum +=
                            table[size_t(lower * d.c + o)] * (lower + 1 - q) + table[size_t((lower + 1) * d.c + o)] * (q - lower);
                    }
                    if (layer.activation == Activation::relu) sum = std::max(sum, 0.0);
                    if (layer.activation == Activation::leaky_relu && sum < 0) sum *= layer.slope;
                    dst[i] = sum;
                }
            }
        }
    }
    return dst;
}

// Channels of a low-resolution pixel: row of the block, column of the block, channel.
std::vector<double> evaluate_shuffle(const Shape& low, int factor, const std::vector<double>& src, bool down) {
    std::vector<double> dst(src.size());
    const int channels = low.c / (factor * factor);
    for (int n = 0; n < low.n; n++) {
        for (int y = 0; y < low.h * factor; y++) {
            for (int x = 0; x < low.w * factor; x++) {
                for (int c = 0; c < channels; c++) {
                    const size_t high_at = ((size_t(n) * low.h * factor + y) * low.w * factor + x) * channels + c;
                    const size_t channel = (size_t(y % factor) * factor + x % factor) * channels + c;
                    const size_t low_at = ((size_t(n) * low.h + y / factor) * low.w + x / factor) * low.c + channel;
                    if (down) {
                        dst[low_at] = src[high_at];
                    } else {
                        dst[high_at] = src[low_at];
                    }
                }
            }
        }
    }
    return dst;
}

std::vector<double> evaluate(const Network& network, const Parameters& parameters, Shape shape, const std::vector<double>& input,
                             const std::vector<float>& quality) {
    std::vector<std::vector<double>> results;
    const auto of = [&](int index) -> const std::vector<double>& { return index < 0 ? input : results[size_t(index)]; };
    for (const PlannedLayer& p : plan(network, shape)) {
        switch (p.layer->op) {
            case Operation::convolution:
                results.push_back(evaluate_convolution(p, parameters, network.name + "." + p.layer->name, of(p.src),
                                                       p.add == -2 ? nullptr : &of(p.add), quality));
                break;
            case Operation::unshuffle:
                results.push_back(evaluate_shuffle(p.dst_shape, p.layer->factor, of(p.src), true));
                break;
            case Operation::shuffle:
                results.push_back(evaluate_shuffle(p.src_shape, p.layer->factor, of(p.src), false));
                break;
            case Operation::crop:
                results.push_back(of(p.src));
                break;
        }
    }
    return results.back();
}

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
    REQUIRE(got.size() == want.size());
    double error = 0, largest = 0;
    for (size_t i = 0; i < got.size(); i++) {
        error = std::max(error, std::abs(got[i] - want[i]));
        largest = std::max(largest, std::abs(want[i]));
    }
    return error / largest;
}

// Forward in inference and in training, in f32 and bf16, twice each, against the plain evaluation.
void check_network(const std::string& layers, Shape input, DataType input_type, Layout layout) {
    CAPTURE(layers);
    CAPTURE(layout);
    const Description d = with_network(input.c, layers);
    std::mt19937 random(1);
    Parameters parameters(d);
    randomise(parameters, random);
    NetworkWeights weights(d.network("net"), parameters);
    std::vector<float> quality;
    for (int n = 0; n < input.n; n++) quality.push_back(std::uniform_real_distribution<float>(0, kLevels - 1)(random));
    quality.back() = kLevels - 1;

    for (DataType compute : test::float_types()) {
        std::vector<double> in_training;
        for (auto use : {Convolution::Use::training, Convolution::Use::inference}) {
            const bool training = use == Convolution::Use::training;
            CAPTURE(training);
            GraphOptions options;
            options.use = use;
            options.compute = compute;
            options.input_type = compute == DataType::f32 ? DataType::f32 : input_type;
            options.layout = layout;
            Graph graph(weights, input, options);
            std::mt19937 same(2);
            randomise(graph.input(), same);
            const auto want = evaluate(d.network("net"), parameters, input, values(graph.input()), quality);
            graph.forward(quality);
            const auto got = values(graph.output());
            CHECK(relative_error(got, want) < (compute == DataType::f32 ? 1e-5 : 2e-2));
            // The input is still there: a second run gives the same.
            graph.forward(quality);
            CHECK(values(graph.output()) == got);
            if (training) {
                in_training = got;
            } else {
                CHECK(relative_error(got, in_training) < (compute == DataType::f32 ? 1e-6 : 1e-2));
            }
        }
    }
}

void check_network(const std::string& layers, Shape input, DataType input_type = DataType::f32) {
    for (const Layout layout : {Layout::plain, Layout::blocked}) check_network(layers, input, input_type, layout);
}

}  // namespace

TEST_CASE("networks of one layer") {
    for (const char* layer :
         {R"({"name": "a", "channels": 5})", R"({"name": "a", "channels": 17, "kernel": 3, "activation": "leaky_relu"})",
          R"({"name": "a", "channels": 6, "kernel": 5, "stride": 2, "activation": "relu"})",
          R"({"name": "a", "channels": 7, "kernel": 7, "activation": "leaky_relu", "slope": 0.3})",
          R"({"name": "a", "channels": 3, "kernel": 3, "quality_bias": true})",
          R"({"name": "a", "channels": 5, "kernel": 3, "stride": 2, "quality_bias": true, "arithmetic": "wide"})"}) {
        check_network(layer, {2, 7, 5, 3});
        check_network(layer, {1, 1, 1, 3}, DataType::bf16);
    }
}

TEST_CASE("residual blocks") {
    // The sum takes the place of the addend, or has a place of its own where the addend is read again.
    check_network(
        R"({"name": "a", "channels": 8, "arithmetic": "wide"}, {"name": "b", "channels": 5, "kernel": 3, "activation": "leaky_relu"},
                     {"name": "c", "channels": 8, "kernel": 3, "add": "a"}, {"name": "d", "channels": 4})",
        {2, 6, 5, 3});
    check_network(
        R"({"name": "a", "channels": 8, "arithmetic": "wide"}, {"name": "b", "channels": 5, "kernel": 3, "activation": "leaky_relu"},
                     {"name": "c", "channels": 8, "kernel": 3, "add": "a"}, {"name": "d", "channels": 8, "kernel": 3, "add": "a"},
                     {"name": "e", "channels": 8, "kernel": 3, "add": "c", "arithmetic": "wide"})",
        {2, 6, 5, 3});
    check_network(
        R"({"name": "a", "channels": 5, "kernel": 3, "activation": "leaky_relu"}, {"name": "b", "channels": 3, "kernel": 3, "add": "input"})",
        {1, 9, 4, 3});
}

TEST_CASE("branches") {
    check_network(
        R"({"name": "a", "channels": 9, "kernel": 3, "activation": "leaky_relu"}, {"name": "b", "channels": 4, "kernel": 3, "arithmetic": "wide"},
                     {"name": "c", "channels": 4, "input": "a", "arithmetic": "wide"}, {"name": "d", "channels": 4, "input": "b", "add": "c"},
                     {"name": "e", "channels": 4, "kernel": 3, "input": "input", "add": "d"})",
        {1, 6, 6, 3});
}

TEST_CASE("a layer adds the very layer that it reads") {
    check_network(
        R"({"name": "a", "channels": 8, "arithmetic": "wide"}, {"name": "b", "channels": 8, "kernel": 3, "arithmetic": "wide", "add": "a"},
                     {"name": "c", "channels": 8, "kernel": 3, "add": "b"})",
        {1, 9, 8, 3});
}

TEST_CASE("a quality bias inside a network in bf16") {
    check_network(R"({"name": "a", "channels": 8, "kernel": 3, "quality_bias": true}, {"name": "b", "channels": 8, "kernel": 3})",
                  {2, 9, 8, 3});
}

TEST_CASE("sums of layers in bf16") {
    check_network(
        R"({"name": "a", "channels": 8, "kernel": 3, "activation": "leaky_relu"}, {"name": "b", "channels": 8, "kernel": 3, "activation": "leaky_relu"},
                     {"name": "c", "channels": 8, "kernel": 3, "add": "a"})",
        {1, 9, 8, 3});
    check_network(R"({"name": "a", "channels": 3, "kernel": 3, "add": "input"})", {1, 9, 8, 3}, DataType::bf16);
}

TEST_CASE("unrounded integer layers are refused in bf16" * doctest::skip(!has_bf16())) {
    const Description d = with_network(3, R"({"name": "a", "channels": 4, "arithmetic": "integer", "activation": "relu"})");
    NetworkWeights weights(d.network("net"), Parameters(d), {.round = false});
    GraphOptions options;
    options.use = Convolution::Use::training;
    options.compute = options.input_type = DataType::bf16;
    options.round = false;
    CHECK_THROWS_WITH_AS(Graph(weights, {1, 4, 4, 3}, options), doctest::Contains("net.a"), Error);
}

TEST_CASE("networks as in the photo codec") {
    check_network(R"({"name": "pixels", "op": "unshuffle", "factor": 4}, {"name": "klt1", "channels": 12, "arithmetic": "wide"},
                     {"name": "b1", "channels": 10, "kernel": 3, "activation": "leaky_relu"}, {"name": "s1", "channels": 12, "kernel": 3, "add": "klt1"},
                     {"name": "down", "op": "unshuffle", "factor": 2}, {"name": "klt2", "channels": 20, "arithmetic": "wide", "quality_bias": true},
                     {"name": "b2", "channels": 9, "kernel": 3, "activation": "leaky_relu"}, {"name": "s2", "channels": 20, "kernel": 3, "add": "klt2"},
                     {"name": "latents", "channels": 8, "arithmetic": "wide"})",
                  {2, 24, 16, 3});
    check_network(
        R"({"name": "latents", "channels": 16, "arithmetic": "wide", "quality_bias": true}, {"name": "up", "op": "shuffle", "factor": 2},
                     {"name": "b1", "channels": 6, "kernel": 3, "activation": "leaky_relu"}, {"name": "s1", "channels": 4, "kernel": 3, "add": "up"},
                     {"name": "klt1", "channels": 48, "arithmetic": "wide"}, {"name": "pixels", "op": "shuffle", "factor": 4})",
        {2, 3, 2, 8});
}

TEST_CASE("networks whose channels come in blocks, and whose do not") {
    // Input and output that are not in blocks, shuffles that keep blocks together and one that does not, sums of layers, and a layer of another width between.
    check_network(
        R"({"name": "pixels", "op": "unshuffle", "factor": 2}, {"name": "klt1", "channels": 16, "arithmetic": "wide", "quality_bias": true},
               {"name": "b1", "channels": 24, "kernel": 3, "activation": "leaky_relu"}, {"name": "s1", "channels": 16, "kernel": 3, "add": "klt1", "quality_bias": true},
               {"name": "down", "op": "unshuffle", "factor": 2}, {"name": "klt2", "channels": 32, "kernel": 3, "activation": "leaky_relu"},
               {"name": "odd", "channels": 5, "kernel": 3}, {"name": "even", "channels": 32, "add": "klt2", "quality_bias": true},
               {"name": "up", "op": "shuffle", "factor": 2}, {"name": "c", "channels": 8, "kernel": 3, "add": "up"}, {"name": "d", "channels": 8, "input": "up", "add": "c"},
               {"name": "fine", "op": "shuffle", "factor": 2}, {"name": "e", "channels": 8, "kernel": 3, "stride": 2}, {"name": "f", "channels": 3})",
        {2, 8, 12, 4});
}

TEST_CASE("the order of channels when pixels are shuffled") {
    const Description d = with_network(2, R"({"name": "a", "op": "unshuffle", "factor": 2})");
    const Parameters parameters(d);
    NetworkWeights weights(d.network("net"), parameters);
    Graph graph(weights, {1, 4, 2, 2}, {});
    // Rows of two pixels of two channels: the value tells the place, row · 100 + column · 10 + channel.
    const float rows[] = {0, 1, 10, 11, 100, 101, 110, 111, 200, 201, 210, 211, 300, 301, 310, 311};
    std::memcpy(graph.input().data, rows, sizeof rows);
    graph.forward();
    CHECK(graph.output().shape == Shape{1, 2, 1, 8});
    CHECK(values(graph.output()) == std::vector<double>(std::begin(rows), std::end(rows)));

    Graph wide(weights, {1, 2, 4, 2}, {});
    const float two_rows[] = {0, 1, 10, 11, 20, 21, 30, 31, 100, 101, 110, 111, 120, 121, 130, 131};
    std::memcpy(wide.input().data, two_rows, sizeof two_rows);
    wide.forward();
    CHECK(values(wide.output()) == std::vector<double>{0, 1, 10, 11, 100, 101, 110, 111, 20, 21, 30, 31, 120, 121, 130, 131});
}

TEST_CASE("shuffle undoes unshuffle") {
    for (int factor : {2, 4, 8, 16}) {
        for (DataType type : {DataType::f32, DataType::bf16}) {
            const std::string f = std::to_string(factor);
            const Description d = with_network(3, R"({"name": "a", "op": "unshuffle", "factor": )" + f +
                                                      R"(}, {"name": "b", "op": "shuffle", "factor": )" + f + "}");
            const Parameters parameters(d);
            NetworkWeights weights(d.network("net"), parameters);
            GraphOptions options;
            options.input_type = type;
            Graph graph(weights, {2, 3 * factor, 5 * factor, 3}, options);
            std::mt19937 random(3);
            randomise(graph.input(), random);
            graph.forward();
            CHECK(values(graph.output()) == values(graph.input()));
        }
    }
}

TEST_CASE("inference shares memory") {
    std::string layers;
    for (int i = 0; i < 8; i++)
        layers += (i == 0 ? "" : ", ") + std::string(R"({"name": "l)") + std::to_string(i) + R"(", "channels": 8, "kernel": 3})";
    const Description d = with_network(8, layers);
    const Parameters parameters(d);
    NetworkWeights weights(d.network("net"), parameters);
    const Shape shape{1, 16, 16, 8};
    const Graph inference(weights, shape, {});
    GraphOptions options;
    options.use = Convolution::Use::training;
    const Graph training(weights, shape, options);
    const size_t value = shape.elements() * sizeof(float);
    CHECK(inference.memory() == 3 * value);  // the input and two that take turns
    CHECK(training.memory() == 18 * value);  // nine values and their gradients
}

TEST_CASE("each sample has its own quality") {
    const Description d = with_network(2, R"({"name": "a", "channels": 2, "quality_bias": true})");
    Parameters parameters(d);
    const std::vector<float> table{1, 10, 2, 20, 4, 40};
    std::copy(table.begin(), table.end(), parameters["net.a.quality"].begin());
    NetworkWeights weights(d.network("net"), parameters);
    Graph graph(weights, {4, 1, 1, 2}, {});
    std::memset(graph.input().data, 0, graph.input().bytes());
    graph.forward(std::vector<float>{0, 1.25f, 2, 0.5f});
    CHECK(values(graph.output()) == std::vector<double>{1, 10, 2.5, 25, 4, 40, 1.5, 15});
    CHECK_THROWS_AS(graph.forward(), Error);
    CHECK_THROWS_AS(graph.forward(std::vector<float>{1, 1}), Error);
}

TEST_CASE("levels are mixed by at most two neighbours") {
    for (int levels : {2, 3, 8}) {
        for (float q = 0; q <= float(levels - 1); q += 0.125f) {
            const LevelMix m = mix_levels(q, levels);
            CHECK(m.level >= 0);
            CHECK(m.level + 1 < levels);
            CHECK(float(m.level) + m.upper == q);
            CHECK(m.upper >= 0.0f);
            CHECK(m.upper <= 1.0f);
        }
        CHECK(mix_levels(-1.0f, levels).upper == 0.0f);
        CHECK(mix_levels(100.0f, levels).upper == 1.0f);
    }
}

TEST_CASE("weights are updated in shares") {
    const Description d = with_network(
        3,
        R"({"name": "a", "channels": 5, "kernel": 3, "activation": "leaky_relu"}, {"name": "b", "channels": 4, "quality_bias": true},
                                             {"name": "c", "channels": 3, "kernel": 3})");
    std::mt19937 random(4);
    Parameters parameters(d);
    randomise(parameters, random);
    NetworkWeights weights(d.network("net"), parameters);
    Graph graph(weights, {1, 5, 4, 3}, {});
    randomise(graph.input(), random);
    randomise(parameters, random);
    for (int share = 0; share < 2; share++) weights.update(parameters, share, 2);
    const std::vector<float> quality{0.75f};
    graph.forward(quality);
    CHECK(relative_error(values(graph.output()),
                         evaluate(d.network("net"), parameters, {1, 5, 4, 3}, values(graph.input()), quality)) < 1e-5);
}
