// Backward through networks: in f32 against finite differences, in bf16 against f32.
//
// The loss is a random linear functional of the output, summed in double precision. A difference over ±step is exact for the
// linear operations whatever the step; where it crosses the kink of a ReLU, the two one-sided differences disagree, and the
// value is left out.
#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "codec/engine/graph.h"
#include "codec/tensor/vectorised.h"

using namespace decant;

namespace {

constexpr float kStep = 1.0f / 64;
constexpr double kTolerance = 1e-3;  // relative to the gradient, or to the root mean square of its array where that is larger

// Pictures here are too small to be worth more threads.
struct OneThread {
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before); }
    const int before = omp_get_max_threads();
};

Description with_network(int channels_in, const std::string& layers) {
    return parse_description(
        R"({"name": "m", "latent_channels": 4, "hyper_channels": 1, "lambda": [0.01, 0.1, 1], "networks": {"net": {"channels_in": )" +
        std::to_string(channels_in) + R"(, "layers": [)" + layers + "]}}}");
}

std::vector<float> normal_values(std::mt19937& random, size_t count, float scale) {
    std::normal_distribution<float> normal(0.0f, scale);
    std::vector<float> values(count);
    for (float& v : values) v = normal(random);
    return values;
}

void put(const TensorRef& t, const std::vector<float>& values) {
    for (size_t i = 0; i < values.size(); i++) {
        if (t.type == DataType::bf16) {
            t.as<bf16>()[i] = to_bf16(values[i]);
        } else {
            t.as<float>()[i] = values[i];
        }
    }
}
std::vector<float> get(const TensorRef& t) {
    std::vector<float> values(t.shape.elements());
    for (size_t i = 0; i < values.size(); i++)
        values[i] = t.type == DataType::bf16 ? to_float(t.as<bf16>()[i]) : t.as<float>()[i];
    return values;
}

// One network with random parameters, input, quality and functional.
struct Problem {
    Problem(const std::string& layers, Shape shape, uint32_t seed = 1)
        : description(with_network(shape.c, layers)), parameters(description), input_shape(shape) {
        std::mt19937 random(seed);
        for (const Parameter& p : parameters.list()) {
            const float scale = p.shape.size() == 4 ? std::sqrt(2.0f / float(p.size / size_t(p.shape[0]))) : 0.5f;
            const auto values = normal_values(random, p.size, scale);
            std::copy(values.begin(), values.end(), parameters[p.name].begin());
        }
        random.seed(seed + 100);  // whatever parameters codecs have beside networks
        input = normal_values(random, shape.elements(), 1.0f);
        functional = normal_values(random, plan(network(), shape).back().dst_shape.elements(), 1.0f);
        for (int n = 0; n < shape.n; n++) quality.push_back(0.3f + 1.1f * float(n % 2));
    }

    const Network& network() const { return description.networks[0]; }

    struct Gradients {
        std::vector<float> parameters, input;
    };

    Gradients backward(DataType compute, std::optional<Layout> layout = {}) const {
        NetworkWeights weights(network(), parameters, {.round = false});
        GraphOptions with_layout = options(compute);
        with_layout.layout = layout;
        Graph graph(weights, input_shape, with_layout);
        put(graph.input(), input);
        graph.forward(quality);
        put(graph.output_gradient(), functional);
        // What the network does not own must stay; what it owns is set, whatever was there.
        Gradients g{std::vector<float>(parameters.values().size(), std::numeric_limits<float>::quiet_NaN()), {}};
        graph.backward(parameters, g.parameters, quality);
        g.input = get(graph.input_gradient());
        return g;
    }

    static GraphOptions options(DataType compute) {
        GraphOptions o;
        o.use = Convolution::Use::training;
        o.compute = compute;
        o.round = false;
        return o;
    }

    Description description;
    Parameters parameters;
    Shape input_shape;
    std::vector<float> input, functional, quality;
};

struct Worst {
    double error = 0;
    int checked = 0, kinks = 0;
};

// Central differences of `loss` for up to `samples` of `values`, against `gradient`.
template <class Loss>
Worst compare(std::span<float> values, std::span<const float> gradient, size_t samples, const Loss& loss) {
    double squares = 0;
    for (float g : gradient) squares += double(g) * g;
    const double usual = std::sqrt(squares / double(gradient.size())), middle = loss();
    Worst worst;
    for (size_t i = 0; i < values.size(); i += std::max<size_t>(1, values.size() / samples)) {
        const float before = values[i];
        values[i] = before + kStep;
        const double above = loss(), step_above = double(values[i]) - before;
        values[i] = before - kStep;
        const double below = loss(), step_below = double(before) - values[i];
        values[i] = before;
        const double right = (above - middle) / step_above, left = (middle - below) / step_below;
        const double scale = std::max({std::abs(double(gradient[i])), usual, 1e-3});
        if (std::abs(right - left) > kTolerance * scale) {
            worst.kinks++;
            continue;
        }
        worst.checked++;
        worst.error = std::max(worst.error, std::abs((above - below) / (step_above + step_below) - gradient[i]) / scale);
    }
    return worst;
}

void check_gradients(const std::string& layers, Shape shape, bool kinks, Layout layout) {
    CAPTURE(layers);
    CAPTURE(layout);
    const OneThread one_thread;
    Problem p(layers, shape);
    const auto gradients = p.backward(DataType::f32, layout);
    NetworkWeights weights(p.network(), p.parameters, {.round = false});
    Graph graph(weights, p.input_shape, Problem::options(DataType::f32));
    const auto loss = [&] {
        weights.update(p.parameters);
        put(graph.input(), p.input);
        graph.forward(p.quality);
        double sum = 0;
        for (size_t i = 0; i < p.functional.size(); i++) sum += double(graph.output().as<float>()[i]) * p.functional[i];
        return sum;
    };
    int checked = 0, skipped = 0;
    const auto check = [&](const std::string& name, const Worst& w) {
        CAPTURE(name);
        CHECK(w.error < kTolerance);
        CHECK(w.checked > 0);
        checked += w.checked;
        skipped += w.kinks;
    };
    check("input", compare(p.input, gradients.input, 40, loss));
    for (const Parameter& parameter : p.parameters.list()) {
        const std::span<const float> g(gradients.parameters.data() + parameter.offset, parameter.size);
        if (parameter.name.find("net.") != 0) {
            CHECK(std::all_of(g.begin(), g.end(), [](float v) { return std::isnan(v); }));
        } else {
            check(parameter.name, compare(p.parameters[parameter.name], g, 30, loss));
        }
    }
    CHECK(skipped <= (kinks ? checked / 4 : 0));
}

void check_gradients(const std::string& layers, Shape shape, bool kinks = false) {
    for (const Layout layout : {Layout::plain, Layout::blocked}) check_gradients(layers, shape, kinks, layout);
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); i++) {
        ab += double(a[i]) * b[i];
        aa += double(a[i]) * a[i];
        bb += double(b[i]) * b[i];
    }
    return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("gradients of convolutions") {
    for (int kernel : {1, 3, 5}) {
        for (int stride : {1, 2}) {
            for (auto [h, w] : {std::pair(1, 1), std::pair(6, 5), std::pair(7, 8)}) {
                for (auto [in, out] : {std::pair(3, 5), std::pair(17, 16), std::pair(16, 3)}) {
                    const std::string layer = R"({"name": "a", "channels": )" + std::to_string(out) + R"(, "kernel": )" +
                                              std::to_string(kernel) + R"(, "stride": )" + std::to_string(stride) + "}";
                    check_gradients(layer, {2, h, w, in});
                }
            }
        }
    }
}

TEST_CASE("gradients of activations") {
    check_gradients(R"({"name": "a", "channels": 6, "kernel": 3, "activation": "leaky_relu"})", {2, 5, 4, 3}, true);
    check_gradients(R"({"name": "a", "channels": 6, "kernel": 3, "activation": "leaky_relu", "slope": 0.3, "arithmetic": "wide"})",
                    {2, 5, 4, 3}, true);
    check_gradients(R"({"name": "a", "channels": 6, "activation": "relu"})", {2, 3, 4, 3}, true);
    check_gradients(
        R"({"name": "a", "channels": 6, "activation": "relu", "arithmetic": "integer"}, {"name": "b", "channels": 4, "arithmetic": "integer"})",
        {2, 3, 4, 3}, true);
}

TEST_CASE("gradients of shuffles") {
    check_gradients(R"({"name": "a", "op": "unshuffle", "factor": 2}, {"name": "b", "channels": 5})", {2, 4, 6, 3});
    check_gradients(R"({"name": "a", "channels": 12, "kernel": 3}, {"name": "b", "op": "shuffle", "factor": 2})", {2, 3, 4, 3});
    check_gradients(
        R"({"name": "a", "channels": 16}, {"name": "b", "op": "shuffle", "factor": 4}, {"name": "c", "op": "unshuffle", "factor": 2})",
        {1, 2, 3, 3});
}

TEST_CASE("gradients of quality biases") {
    check_gradients(R"({"name": "a", "channels": 5, "kernel": 3, "quality_bias": true, "arithmetic": "wide"})", {3, 4, 3, 3});
    check_gradients(
        R"({"name": "a", "channels": 5, "quality_bias": true}, {"name": "b", "channels": 4, "kernel": 3, "quality_bias": true})",
        {2, 4, 3, 3});
    check_gradients(
        R"({"name": "a", "channels": 5, "quality_bias": true, "arithmetic": "integer", "activation": "relu"}, {"name": "b", "channels": 4, "arithmetic": "integer", "quality_bias": true})",
        {2, 4, 3, 3}, true);
}

TEST_CASE("gradients of sums and branches") {
    check_gradients(
        R"({"name": "a", "channels": 5, "kernel": 3}, {"name": "b", "channels": 6}, {"name": "c", "channels": 5, "kernel": 3, "add": "a"})",
        {2, 4, 5, 3});
    check_gradients(
        R"({"name": "a", "channels": 3, "kernel": 3, "add": "input"}, {"name": "b", "channels": 3, "kernel": 3, "add": "a"})",
        {1, 4, 5, 3});
    // One value with two readers of different arithmetic and an addition.
    check_gradients(R"({"name": "a", "channels": 5, "kernel": 3}, {"name": "b", "channels": 4, "kernel": 3, "arithmetic": "wide"},
                       {"name": "c", "channels": 4, "kernel": 3, "input": "a", "add": "b"}, {"name": "d", "channels": 5, "input": "c", "add": "a"})",
                    {2, 4, 5, 3});
    check_gradients(
        R"({"name": "a", "channels": 8, "kernel": 3, "arithmetic": "wide"}, {"name": "b", "op": "shuffle", "factor": 2},
                       {"name": "c", "op": "unshuffle", "factor": 2}, {"name": "d", "channels": 8, "input": "c", "add": "a"},
                       {"name": "e", "op": "shuffle", "factor": 2}, {"name": "f", "channels": 2, "kernel": 5, "add": "b"})",
        {1, 3, 4, 2});
}

TEST_CASE("gradients of a network as in the photo codec") {
    check_gradients(R"({"name": "pixels", "op": "unshuffle", "factor": 2}, {"name": "klt1", "channels": 8, "arithmetic": "wide"},
                       {"name": "b.a", "channels": 7, "kernel": 3, "activation": "leaky_relu"}, {"name": "b.b", "channels": 8, "kernel": 3, "add": "klt1"},
                       {"name": "down", "op": "unshuffle", "factor": 2}, {"name": "klt2", "channels": 10, "arithmetic": "wide", "quality_bias": true},
                       {"name": "c.a", "channels": 6, "kernel": 3, "stride": 1, "activation": "leaky_relu"}, {"name": "c.b", "channels": 10, "kernel": 3, "add": "klt2"},
                       {"name": "out", "channels": 5, "kernel": 3, "stride": 2}, {"name": "up", "channels": 12}, {"name": "up2", "op": "shuffle", "factor": 2})",
                    {2, 8, 12, 3}, true);
}

TEST_CASE("gradients of a network whose channels come in blocks, and of one whose do not") {
    check_gradients(R"({"name": "pixels", "op": "unshuffle", "factor": 2}, {"name": "a", "channels": 16, "arithmetic": "wide", "quality_bias": true},
                       {"name": "odd", "channels": 5, "kernel": 3}, {"name": "b", "channels": 16, "kernel": 3, "add": "a", "quality_bias": true},
                       {"name": "c", "channels": 32}, {"name": "up", "op": "shuffle", "factor": 2}, {"name": "d", "channels": 8, "kernel": 3, "add": "up"},
                       {"name": "down", "op": "unshuffle", "factor": 2}, {"name": "e", "channels": 3})",
                    {1, 4, 4, 4}, true);
    check_gradients(R"({"name": "a", "channels": 8, "kernel": 3, "activation": "relu", "arithmetic": "integer"}, {"name": "b", "channels": 16, "kernel": 3, "arithmetic": "wide"},
                       {"name": "c", "channels": 8, "kernel": 3, "arithmetic": "integer", "quality_bias": true, "activation": "relu"}, {"name": "d", "channels": 8, "add": "a"})",
                    {1, 3, 2, 8}, true);
}

TEST_CASE("gradients in bf16 are close to those in f32" * doctest::skip(!has_bf16())) {
    const OneThread one_thread;
    for (
        const char* layers :
        {R"({"name": "a", "channels": 24, "kernel": 3})", R"({"name": "a", "channels": 24, "kernel": 5, "stride": 2})",
         R"({"name": "a", "channels": 24, "kernel": 3}, {"name": "b", "channels": 17, "quality_bias": true})",
         R"({"name": "a", "channels": 24, "arithmetic": "wide"}, {"name": "b", "channels": 17, "kernel": 3, "activation": "leaky_relu", "slope": 0.5},
             {"name": "c", "channels": 24, "kernel": 3, "add": "a"}, {"name": "d", "op": "shuffle", "factor": 2})",
         R"({"name": "a", "channels": 24, "kernel": 3}, {"name": "b", "channels": 12, "input": "a"}, {"name": "c", "channels": 12, "input": "a", "kernel": 3},
             {"name": "d", "channels": 12, "input": "c", "add": "b", "arithmetic": "wide"})",
         // A value in bf16 that is read in f32 and in bf16, and added.
         R"({"name": "a", "channels": 12, "kernel": 3}, {"name": "b", "channels": 12, "input": "a", "arithmetic": "wide"},
             {"name": "c", "channels": 12, "input": "a", "kernel": 3}, {"name": "d", "channels": 12, "input": "c", "add": "b", "quality_bias": true},
             {"name": "e", "channels": 12, "add": "a"})"}) {
        CAPTURE(layers);
        const Problem p(layers, {2, 9, 8, 20});
        const auto exact = p.backward(DataType::f32), low = p.backward(DataType::bf16);
        double worst = cosine(exact.input, low.input);
        for (const Parameter& parameter : p.parameters.list()) {
            if (parameter.name.find("net.") != 0) continue;
            const auto part = [&](const Problem::Gradients& g) {
                return std::vector<float>(g.parameters.begin() + long(parameter.offset),
                                          g.parameters.begin() + long(parameter.offset + parameter.size));
            };
            worst = std::min(worst, cosine(part(exact), part(low)));
        }
        CHECK(worst > 0.999);
    }
}

TEST_CASE("gradients stop at the input where they are not wanted") {
    const Problem p(R"({"name": "a", "channels": 5, "kernel": 3, "activation": "leaky_relu"}, {"name": "b", "channels": 4})",
                    {2, 6, 5, 3});
    const auto wanted = p.backward(DataType::f32);
    NetworkWeights weights(p.network(), p.parameters, {.round = false});
    GraphOptions options = Problem::options(DataType::f32);
    options.input_gradient = false;
    Graph graph(weights, p.input_shape, options);
    put(graph.input(), p.input);
    graph.forward(p.quality);
    put(graph.output_gradient(), p.functional);
    std::vector<float> gradients(p.parameters.values().size());
    graph.backward(p.parameters, gradients, p.quality);
    CHECK(graph.input_gradient().data == nullptr);
    for (const char* name : {"net.a.weight", "net.a.bias", "net.b.weight", "net.b.bias"}) {
        const Parameter& parameter = p.parameters.find(name);
        CHECK(std::equal(gradients.begin() + long(parameter.offset), gradients.begin() + long(parameter.offset + parameter.size),
                         wanted.parameters.begin() + long(parameter.offset)));
    }
}
