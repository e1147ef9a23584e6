// Activations, batch normalisation and dropout. A 1×1 convolution with the identity as its weights hands the input on, so that what
// follows it can be compared with its formula in double precision, and its gradients with finite differences of that formula.
#include "codec/engine/activation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "codec/engine/graph.h"
#include "codec/error.h"
#include "codec/tensor/vectorised.h"

using namespace decant;

namespace {

constexpr int kChannels = 5;
const Shape kShape{2, 3, 4, kChannels};

using Values = std::vector<double>;
// Result of a layer, from its input [positions, channels] and what it learns.
using Formula = std::function<Values(const Values& x, const std::vector<Values>& learned)>;

Formula each(const std::function<double(double)>& f) {
    return [f](const Values& x, const std::vector<Values>&) {
        Values y;
        for (double v : x) y.push_back(f(v));
        return y;
    };
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }

Formula over_channels(const std::function<void(const double* x, double* y, const std::vector<Values>& learned)>& f) {
    return [f](const Values& x, const std::vector<Values>& learned) {
        Values y(x.size());
        for (size_t i = 0; i < x.size(); i += kChannels) f(x.data() + i, y.data() + i, learned);
        return y;
    };
}

Formula gdn(double exponent) {
    return over_channels([exponent](const double* x, double* y, const std::vector<Values>& learned) {
        for (int o = 0; o < kChannels; o++) {
            double norm = learned[0][size_t(o)];
            for (int c = 0; c < kChannels; c++) norm += std::max(learned[1][size_t(o * kChannels + c)], 0.0) * x[c] * x[c];
            y[o] = x[o] * std::pow(norm, exponent);
        }
    });
}

std::vector<float> normal_values(uint32_t seed, size_t count, float scale) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, scale);
    std::vector<float> values(count);
    for (float& v : values) v = normal(random);
    return values;
}

void put(const TensorRef& t, const std::vector<float>& values) {
    for (size_t i = 0; i < values.size(); i++) {
        if (t.type == DataType::bf16)
            t.as<bf16>()[i] = to_bf16(values[i]);
        else
            t.as<float>()[i] = values[i];
    }
}
std::vector<float> get(const TensorRef& t) {
    std::vector<float> values(t.shape.elements());
    for (size_t i = 0; i < values.size(); i++) values[i] = t.type == DataType::bf16 ? to_float(t.as<bf16>()[i]) : t.as<float>()[i];
    return values;
}

struct Case {
    explicit Case(const std::string& rest, float spread = 1.5f)
        : description(parse_description(
              R"({"name": "m", "latent_channels": 4, "hyper_channels": 1, "lambda": [0.1, 1], "networks": {"net": {"channels_in": 5, "layers": [
                  {"name": "a", "channels": 5, )" + rest + "}]}}}")),
          parameters(description),
          x(normal_values(1, kShape.elements(), spread)),
          functional(normal_values(2, kShape.elements(), 1.0f)) {
        for (size_t c = 0; c < kChannels; c++) parameters["net.a.weight"][c * kChannels + c] = 1.0f;
        uint32_t seed = 3;
        for (const std::string& suffix : activation_parameters(layer().activation)) {
            const std::string name = "net.a." + suffix;
            const auto values = normal_values(seed++, parameters[name].size(), 0.3f);
            for (size_t i = 0; i < values.size(); i++) parameters[name][i] = suffix == "slope" ? values[i] : 0.1f + std::abs(values[i]);
            learned.emplace_back(parameters[name].begin(), parameters[name].end());
        }
    }

    const Network& network() const { return description.networks[0]; }
    const Layer& layer() const { return network().layers[0]; }

    static GraphOptions options(Convolution::Use use, DataType compute) {
        GraphOptions o;
        o.use = use;
        o.compute = o.input_type = compute;
        return o;
    }

    struct Run {
        std::vector<float> result, input_gradient, gradients;
    };
    Run run(Convolution::Use use, DataType compute, bool fold = true, std::optional<uint32_t> dropout = {}) const {
        NetworkWeights weights(network(), parameters, {.fold = fold});
        Graph graph(weights, kShape, options(use, compute));
        put(graph.input(), x);
        graph.forward({}, dropout);
        Run r;
        r.result = get(graph.output());
        if (use == Convolution::Use::inference) return r;
        put(graph.output_gradient(), functional);
        r.gradients.assign(parameters.values().size(), 0.0f);
        graph.backward(parameters, r.gradients, {}, l0);
        r.input_gradient = get(graph.input_gradient());
        return r;
    }

    std::vector<float> gradient_of(const Run& r, const std::string& name) const {
        const Parameter& p = parameters.find(name);
        return {r.gradients.begin() + std::ptrdiff_t(p.offset), r.gradients.begin() + std::ptrdiff_t(p.offset + p.size)};
    }

    Description description;
    Parameters parameters;
    std::vector<float> x, functional;
    std::vector<Values> learned;
    float l0 = 0.0f;
};

double worst_difference(const std::vector<float>& values, const Values& wanted) {
    REQUIRE(values.size() == wanted.size());
    double worst = 0;
    for (size_t i = 0; i < values.size(); i++) worst = std::max(worst, std::abs(values[i] - wanted[i]) / std::max(1.0, std::abs(wanted[i])));
    return worst;
}

// Finite differences of functional·formula, for every one of `values`.
Values slopes(Values& values, const std::function<double()>& loss) {
    constexpr double kStep = 1e-5;
    Values result;
    for (double& v : values) {
        const double before = v;
        v = before + kStep;
        const double above = loss();
        v = before - kStep;
        const double below = loss();
        v = before;
        result.push_back((above - below) / (2 * kStep));
    }
    return result;
}

void check(const std::string& rest, const Formula& formula, float spread = 1.5f) {
    CAPTURE(rest);
    const Case c(rest, spread);
    Values x(c.x.begin(), c.x.end());
    std::vector<Values> learned = c.learned;
    const Values wanted = formula(x, learned);
    const auto training = c.run(Convolution::Use::training, DataType::f32);
    CHECK(worst_difference(training.result, wanted) < 1e-5);
    CHECK(worst_difference(c.run(Convolution::Use::inference, DataType::f32).result, wanted) < 1e-5);

    const auto loss = [&] {
        const Values y = formula(x, learned);
        double sum = 0;
        for (size_t i = 0; i < y.size(); i++) sum += y[i] * double(c.functional[i]);
        return sum;
    };
    CHECK(worst_difference(training.input_gradient, slopes(x, loss)) < 1e-4);
    const auto suffixes = activation_parameters(c.layer().activation);
    for (size_t i = 0; i < suffixes.size(); i++) {
        CAPTURE(suffixes[i]);
        CHECK(worst_difference(c.gradient_of(training, "net.a." + suffixes[i]), slopes(learned[i], loss)) < 1e-4);
    }

    if (!has_bf16()) return;
    // bf16 rounds to 8 bits, whatever else it does.
    const auto low = c.run(Convolution::Use::training, DataType::bf16);
    CHECK(worst_difference(low.result, wanted) < 0.04);
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < low.input_gradient.size(); i++) {
        ab += double(low.input_gradient[i]) * training.input_gradient[i];
        aa += double(low.input_gradient[i]) * low.input_gradient[i];
        bb += double(training.input_gradient[i]) * training.input_gradient[i];
    }
    CHECK(ab / std::sqrt(aa * bb) > 0.999);
}

}  // namespace

TEST_CASE("activations that go value by value") {
    check(R"("activation": "relu")", each([](double x) { return std::max(x, 0.0); }));
    check(R"("activation": "leaky_relu", "slope": 0.2)", each([](double x) { return x > 0 ? x : 0.2 * x; }));
    check(R"("activation": "elu", "alpha": 0.7)", each([](double x) { return x > 0 ? x : 0.7 * std::expm1(x); }));
    check(R"("activation": "selu", "init": "lecun")", each([](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x)); }));
    check(R"("activation": "swish", "beta": 1.7)", each([](double x) { return x * sigmoid(1.7 * x); }));
    check(R"("activation": "silu")", each([](double x) { return x * sigmoid(x); }));
    check(R"("activation": "gelu")", each([](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }));
    check(R"("activation": "mish")", each([](double x) { return x * std::tanh(softplus(x)); }));
    check(R"("activation": "hard_swish")", each([](double x) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; }), 3.0f);
    check(R"("activation": "sigmoid")", each(sigmoid));
    check(R"("activation": "tanh")", each([](double x) { return std::tanh(x); }));
    check(R"("activation": "softplus")", each(softplus));
}

TEST_CASE("activations that learn") {
    check(R"("activation": "prelu")", [](const Values& x, const std::vector<Values>& learned) {
        Values y;
        for (size_t i = 0; i < x.size(); i++) y.push_back(x[i] > 0 ? x[i] : x[i] * learned[0][i % kChannels]);
        return y;
    });
    check(R"("activation": "gdn")", gdn(-0.5));
    check(R"("activation": "inverse_gdn")", gdn(0.5));
}

TEST_CASE("softmax is a distribution over the channels") {
    check(R"("activation": "softmax")", over_channels([](const double* x, double* y, const std::vector<Values>&) {
              double sum = 0;
              for (int c = 0; c < kChannels; c++) sum += std::exp(x[c]);
              for (int c = 0; c < kChannels; c++) y[c] = std::exp(x[c]) / sum;
          }));
}

TEST_CASE("what keeps GDN positive lets gradients through that lead back") {
    Case c(R"("activation": "gdn")");
    for (float& v : c.parameters["net.a.gamma"]) v = -0.1f;
    for (float& v : c.parameters["net.a.beta"]) v = -1.0f;
    const auto r = c.run(Convolution::Use::training, DataType::f32);
    for (size_t i = 0; i < c.x.size(); i++) CHECK(r.result[i] == doctest::Approx(c.x[i] / std::sqrt(1e-3)).epsilon(1e-4));
    // A step goes against the gradient: what is positive would lead further down.
    int back = 0;
    for (const char* name : {"net.a.gamma", "net.a.beta"}) {
        for (const float g : c.gradient_of(r, name)) {
            CHECK(g <= 0.0f);
            back += g < 0.0f;
        }
    }
    CHECK(back > 0);
}

TEST_CASE("the threshold of JumpReLU moves by the values around it") {
    Case c(R"("activation": "jump_relu", "bandwidth": 0.5)", 0.5f);
    c.l0 = 0.3f;
    const auto r = c.run(Convolution::Use::training, DataType::f32);
    Values threshold(kChannels, 0.0);
    int near = 0;
    for (size_t i = 0; i < c.x.size(); i++) {
        const double theta = c.learned[0][i % kChannels], x = c.x[i];
        CHECK(r.result[i] == (x > theta ? c.x[i] : 0.0f));
        CHECK(r.input_gradient[i] == (x > theta ? c.functional[i] : 0.0f));
        if (std::abs(x - theta) >= 0.25) continue;
        near++;
        threshold[i % kChannels] -= (theta * double(c.functional[i]) + 0.3) / 0.5;
    }
    CHECK(near > 10);
    CHECK(worst_difference(c.gradient_of(r, "net.a.threshold"), threshold) < 1e-5);
    CHECK(c.run(Convolution::Use::inference, DataType::f32).result == r.result);

    // That is the slope of the expected loss: here of the number of values above the threshold, of evenly spread values.
    Case even(R"("activation": "jump_relu", "bandwidth": 0.5)");
    for (size_t i = 0; i < even.x.size(); i++) {
        even.x[i] = -1.0f + 2.0f * (float(i / kChannels) + 0.5f) / float(kShape.pixels());
        even.functional[i] = 0.0f;
    }
    for (float& t : even.parameters["net.a.threshold"]) t = 0.25f;
    even.l0 = 1.0f;
    const auto e = even.run(Convolution::Use::training, DataType::f32);
    for (const float g : even.gradient_of(e, "net.a.threshold")) CHECK(g == doctest::Approx(-double(kShape.pixels()) / 2).epsilon(1e-5));
}

TEST_CASE("batch normalisation") {
    Case c(R"("normalisation": "batch", "activation": "tanh")");
    for (size_t i = 0; i < kChannels; i++) {
        c.parameters["net.a.scale"][i] = 0.5f + 0.2f * float(i);
        c.parameters["net.a.shift"][i] = 0.3f - 0.1f * float(i);
    }
    Values x(c.x.begin(), c.x.end()), scale, shift;
    for (const float v : c.parameters["net.a.scale"]) scale.push_back(v);
    for (const float v : c.parameters["net.a.shift"]) shift.push_back(v);
    Values mean(kChannels), variance(kChannels);
    const double n = double(kShape.pixels());
    const auto formula = [&] {
        std::fill(mean.begin(), mean.end(), 0.0);
        std::fill(variance.begin(), variance.end(), 0.0);
        for (size_t i = 0; i < x.size(); i++) mean[i % kChannels] += x[i] / n;
        for (size_t i = 0; i < x.size(); i++) variance[i % kChannels] += std::pow(x[i] - mean[i % kChannels], 2) / n;
        Values y;
        for (size_t i = 0; i < x.size(); i++) {
            const size_t k = i % kChannels;
            y.push_back(std::tanh(scale[k] * (x[i] - mean[k]) / std::sqrt(variance[k] + 1e-5) + shift[k]));
        }
        return y;
    };
    const auto loss = [&] {
        const Values y = formula();
        double sum = 0;
        for (size_t i = 0; i < y.size(); i++) sum += y[i] * double(c.functional[i]);
        return sum;
    };
    const auto training = c.run(Convolution::Use::training, DataType::f32, false);
    CHECK(worst_difference(training.result, formula()) < 1e-5);
    CHECK(worst_difference(training.input_gradient, slopes(x, loss)) < 1e-4);
    CHECK(worst_difference(c.gradient_of(training, "net.a.scale"), slopes(scale, loss)) < 1e-4);
    CHECK(worst_difference(c.gradient_of(training, "net.a.shift"), slopes(shift, loss)) < 1e-4);
    formula();
    CHECK(worst_difference(c.gradient_of(training, "net.a.mean"), mean) < 1e-5);
    CHECK(worst_difference(c.gradient_of(training, "net.a.variance"), variance) < 1e-5);

    // By the same statistics, folded into the convolution.
    for (size_t i = 0; i < kChannels; i++) {
        c.parameters["net.a.mean"][i] = float(mean[i]);
        c.parameters["net.a.variance"][i] = float(variance[i]);
    }
    for (const auto use : {Convolution::Use::inference, Convolution::Use::training}) CHECK(worst_difference(c.run(use, DataType::f32).result, formula()) < 1e-5);
}

TEST_CASE("a normalised layer adds after its normalisation") {
    const std::string layers = R"("normalisation": "batch", "add": "input")";
    Case c(layers), plain(R"("normalisation": "batch")");
    for (Case* k : {&c, &plain}) std::ranges::fill(k->parameters["net.a.scale"], 0.7f);
    const auto sum = c.run(Convolution::Use::training, DataType::f32, false), without = plain.run(Convolution::Use::training, DataType::f32, false);
    for (size_t i = 0; i < c.x.size(); i++) {
        CHECK(sum.result[i] == doctest::Approx(without.result[i] + c.x[i]).epsilon(1e-6));
        CHECK(sum.input_gradient[i] == doctest::Approx(without.input_gradient[i] + c.functional[i]).epsilon(1e-5));
    }
}

TEST_CASE("dropout leaves values out in training, by its key, and none in use") {
    const Case c(R"("dropout": 0.4, "activation": "sigmoid")"), whole(R"("activation": "sigmoid")");
    const auto all = whole.run(Convolution::Use::training, DataType::f32);
    CHECK(c.run(Convolution::Use::training, DataType::f32).result == all.result);
    CHECK(c.run(Convolution::Use::inference, DataType::f32).result == whole.run(Convolution::Use::inference, DataType::f32).result);
    size_t dropped = 0, values = 0;
    for (uint32_t key = 1; key <= 50; key++) {
        const auto r = c.run(Convolution::Use::training, DataType::f32, true, key);
        for (size_t i = 0; i < r.result.size(); i++, values++) {
            const bool out = r.result[i] == 0.0f;
            dropped += out;
            if (out) {
                CHECK(r.input_gradient[i] == 0.0f);
            } else {
                CHECK(r.result[i] == doctest::Approx(all.result[i] / 0.6f));
                CHECK(r.input_gradient[i] == doctest::Approx(all.input_gradient[i] / 0.6f).epsilon(1e-4));
            }
        }
    }
    CHECK(double(dropped) / double(values) == doctest::Approx(0.4).epsilon(0.05));
    CHECK(c.run(Convolution::Use::training, DataType::f32, true, 1).result == c.run(Convolution::Use::training, DataType::f32, true, 1).result);
    CHECK(c.run(Convolution::Use::training, DataType::f32, true, 1).result != c.run(Convolution::Use::training, DataType::f32, true, 2).result);
}

TEST_CASE("constants out of range are refused") {
    for (const char* rest : {R"("dropout": 1)", R"("dropout": -0.1)", R"("alpha": 0, "activation": "elu")", R"("beta": -1)", R"("bandwidth": 0)", R"("threshold": -1)",
                             R"("normalisation": "batch", "arithmetic": "wide")", R"("normalisation": "layer")", R"("activation": "relu6")",
                             R"("activation": "gelu", "arithmetic": "integer")", R"("activation": "gelu", "quality_bias": true)"}) {
        CAPTURE(rest);
        CHECK_THROWS_AS(Case{rest}, Error);
    }
}
