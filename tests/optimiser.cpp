// Adam against a textbook loop in double precision, and the factors on the learning rate.
#include "codec/train/optimiser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "codec/train/initialise.h"

using namespace decant;

namespace {

std::vector<float> normal_values(std::mt19937& random, size_t count, float scale) {
    std::normal_distribution<float> normal(0.0f, scale);
    std::vector<float> values(count);
    for (float& v : values) v = normal(random);
    return values;
}

// Kingma & Ba 2015, algorithm 1, with an average of the weights behind it.
struct Textbook {
    std::vector<double> w, m, v, average;

    explicit Textbook(const std::vector<float>& weights)
        : w(weights.begin(), weights.end()), m(w.size(), 0.0), v(w.size(), 0.0), average(w) {}

    void step(const std::vector<float>& gradient, const std::vector<float>& factors, double rate, double scale, int t,
              double keep) {
        const OptimiserOptions o;
        for (size_t i = 0; i < w.size(); i++) {
            const double g = scale * gradient[i];
            m[i] = o.beta1 * m[i] + (1 - double(o.beta1)) * g;
            v[i] = o.beta2 * v[i] + (1 - double(o.beta2)) * g * g;
            const double unbiased_m = m[i] / (1 - std::pow(double(o.beta1), t)),
                         unbiased_v = v[i] / (1 - std::pow(double(o.beta2), t));
            w[i] -= rate * factors[i] * unbiased_m / (std::sqrt(unbiased_v) + o.epsilon);
            average[i] = keep * average[i] + (1 - keep) * w[i];
        }
    }
};

double worst_difference(const std::vector<float>& got, const std::vector<double>& want) {
    double worst = 0;
    for (size_t i = 0; i < got.size(); i++) worst = std::max(worst, std::abs(got[i] - want[i]));
    return worst;
}

}  // namespace

TEST_CASE("Adam step by step") {
    constexpr size_t kCount = 1000;
    std::mt19937 random(1);
    std::vector<float> weights = normal_values(random, kCount, 1.0f), split = weights;
    std::vector<float> factors(kCount, 1.0f);
    for (size_t i = 0; i < kCount; i += 3) factors[i] = 0.25f;
    for (size_t i = 0; i < kCount; i += 7) factors[i] = 0.0f;
    const std::vector<float> zeros(kCount, 0.0f), start = weights;
    OptimiserState whole_state{zeros, zeros, weights, factors}, split_state = whole_state;
    Textbook textbook(weights);

    double moved = 0;
    for (int t = 1; t <= 40; t++) {
        // Gradients of very different sizes, zeros among them.
        std::vector<float> gradient = normal_values(random, kCount, 1.0f);
        for (size_t i = 0; i < kCount; i++) gradient[i] *= i % 5 == 0 ? 0.0f : std::pow(10.0f, -float(i % 6));
        const float rate = 0.01f / float(t), scale = t % 2 == 0 ? 1.0f : 0.3f, keep = std::min(0.9f, float(t) / float(t + 10));
        optimiser_step(weights, gradient, whole_state, 0, kCount, rate, scale, t, keep);
        for (auto [begin, end] : {std::pair(0, 333), std::pair(333, 334), std::pair(334, 1000)}) {
            optimiser_step(split, gradient, split_state, size_t(begin), size_t(end), rate, scale, t, keep);
        }
        textbook.step(gradient, factors, rate, scale, t, keep);
        moved = std::max(moved, worst_difference(weights, {start.begin(), start.end()}));
        // The rounding of a weight near 4, added up over the steps, against moves of 0.01.
        REQUIRE(worst_difference(weights, textbook.w) < 1e-5 * (1 + 0.1 * t));
        REQUIRE(worst_difference(whole_state.average, textbook.average) < 1e-5 * (1 + 0.1 * t));
    }
    CHECK(moved > 0.01);
    CHECK(split == weights);
    CHECK(split_state.average == whole_state.average);
    CHECK(split_state.first == whole_state.first);
    CHECK(split_state.second == whole_state.second);
    for (size_t i = 0; i < kCount; i += 7) CHECK(weights[i] == start[i]);
    for (size_t i = 0; i < kCount; i += 5) CHECK(weights[i] == start[i]);
}

TEST_CASE("the first step of Adam is the learning rate") {
    std::vector<float> weights{1, 1, 1};
    OptimiserState state{{0, 0, 0}, {0, 0, 0}, weights, {1, 1, 0.5f}};
    optimiser_step(weights, std::vector<float>{1e-3f, -100, 5}, state, 0, 3, 0.125f, 1.0f, 1, 0.75f);
    CHECK(weights[0] == doctest::Approx(0.875));
    CHECK(weights[1] == doctest::Approx(1.125));
    CHECK(weights[2] == doctest::Approx(0.9375));
    CHECK(state.average[0] == doctest::Approx(1 - 0.25 * 0.125));
}

namespace {

// Each optimiser written out for one weight, in double precision.
struct OneWeight {
    double w, m = 0, v = 0, average;

    void step(const OptimiserOptions& o, double gradient, double rate, double factor, double scale, int t, double keep, bool decays) {
        const double sign = w > 0 ? 1 : w < 0 ? -1 : 0;
        double g = scale * gradient + (decays ? o.l1 * sign : 0);
        if (decays && o.kind != Optimiser::adamw) g += o.weight_decay * w;
        switch (o.kind) {
            case Optimiser::sgd:
                m = o.momentum * m + g;
                w -= rate * factor * (o.nesterov ? g + o.momentum * m : m);
                break;
            case Optimiser::rmsprop:
                v = o.beta2 * v + (1 - o.beta2) * g * g;
                w -= rate * factor * g / (std::sqrt(v) + o.epsilon);
                break;
            case Optimiser::adam:
            case Optimiser::adamw: {
                m = o.beta1 * m + (1 - o.beta1) * g;
                v = o.beta2 * v + (1 - o.beta2) * g * g;
                const double decay = decays && o.kind == Optimiser::adamw ? rate * factor * o.weight_decay * w : 0;
                w -= rate * factor * (m / (1 - std::pow(o.beta1, t))) / (std::sqrt(v / (1 - std::pow(o.beta2, t))) + o.epsilon) + decay;
            }
        }
        average = keep * average + (1 - keep) * w;
    }
};

void check_steps(const OptimiserOptions& o) {
    constexpr size_t kCount = 100;
    const std::vector<Range> decayed{{0, 10}, {20, 47}, {90, 100}};
    const auto decays = [&](size_t i) { return i < 10 || (i >= 20 && i < 47) || i >= 90; };
    std::mt19937 random(7);
    std::vector<float> weights = normal_values(random, kCount, 1.0f);
    weights[5] = weights[50] = 0.0f;
    std::vector<float> split = weights, factors(kCount, 1.0f);
    for (size_t i = 0; i < kCount; i += 3) factors[i] = 0.25f;
    factors[21] = factors[60] = 0.0f;
    const std::vector<float> zeros(kCount, 0.0f), start = weights;
    OptimiserState state{zeros, zeros, weights, factors}, split_state = state;
    std::vector<OneWeight> want;
    for (float w : weights) want.push_back({w, 0, 0, w});
    for (int t = 1; t <= 12; t++) {
        const std::vector<float> gradient = normal_values(random, kCount, 1.0f);
        const float rate = 0.02f / float(t), scale = t % 2 == 0 ? 1.0f : 0.3f, keep = 0.8f;
        optimiser_step(weights, gradient, state, 0, kCount, rate, scale, t, keep, o, decayed);
        for (auto [begin, end] : {std::pair(0, 25), std::pair(25, 26), std::pair(26, 26), std::pair(26, 100)}) {
            optimiser_step(split, gradient, split_state, size_t(begin), size_t(end), rate, scale, t, keep, o, decayed);
        }
        for (size_t i = 0; i < kCount; i++) {
            CAPTURE(i);
            CAPTURE(t);
            want[i].step(o, gradient[i], rate, factors[i], scale, t, keep, decays(i));
            REQUIRE(weights[i] == doctest::Approx(want[i].w).epsilon(1e-4));
            REQUIRE(state.average[i] == doctest::Approx(want[i].average).epsilon(1e-4));
        }
    }
    CHECK(split == weights);
    CHECK(split_state.first == state.first);
    CHECK(split_state.second == state.second);
    CHECK(split_state.average == state.average);
    CHECK(weights[21] == start[21]);  // not trained
    CHECK(weights[60] == start[60]);
}

}  // namespace

TEST_CASE("every optimiser and decay by its formula") {
    for (const Optimiser kind : {Optimiser::adam, Optimiser::adamw, Optimiser::rmsprop, Optimiser::sgd}) {
        CAPTURE(int(kind));
        OptimiserOptions o;
        o.kind = kind;
        check_steps(o);
        o.weight_decay = 0.3;
        check_steps(o);
        o.l1 = 0.2;
        check_steps(o);
        o.weight_decay = 0;
        check_steps(o);
        o = {kind, 0.5, true, 0.7, 0.95, 1e-3, 0.1, 0.05};  // no value is the default
        check_steps(o);
        o.momentum = 0;
        check_steps(o);
    }
}

TEST_CASE("three steps of each optimiser, by hand") {
    const auto after = [](OptimiserOptions o, int steps) {
        std::vector<float> w{2.0f};
        OptimiserState state{{0}, {0}, w, {1}};
        const std::vector<Range> decayed{{0, 1}};
        for (int t = 1; t <= steps; t++) optimiser_step(w, std::vector<float>{float(t)}, state, 0, 1, 0.1f, 1.0f, t, 0.0f, o, decayed);
        return w[0];
    };
    OptimiserOptions o;
    o.kind = Optimiser::sgd;  // m = 1, 2.9, 5.61
    CHECK(after(o, 3) == doctest::Approx(2 - 0.1 * (1 + 2.9 + 5.61)));
    o.nesterov = true;  // 1 + 0.9, 2 + 0.9·2.9, 3 + 0.9·5.61
    CHECK(after(o, 3) == doctest::Approx(2 - 0.1 * (1.9 + 4.61 + 8.049)));
    o.nesterov = false;
    o.weight_decay = 0.5;  // the gradient of the first step is 1 + 0.5·2
    CHECK(after(o, 1) == doctest::Approx(1.8));
    o.weight_decay = 0;
    o.l1 = 0.5;
    CHECK(after(o, 1) == doctest::Approx(1.85));
    o = {};
    o.kind = Optimiser::rmsprop;
    o.beta2 = 0.75;  // v = 0.25, 1.1875
    CHECK(after(o, 2) == doctest::Approx(2 - 0.1 / 0.5 - 0.1 * 2 / std::sqrt(1.1875)));
    o = {};
    o.kind = Optimiser::adamw;
    o.weight_decay = 0.5;  // Adam's first step is the rate; beside it a share of the weight
    CHECK(after(o, 1) == doctest::Approx(2 - 0.1 - 0.1 * 0.5 * 2));
}

TEST_CASE("gradients are summed in ranges") {
    std::mt19937 random(2);
    const std::vector<std::vector<float>> sources{normal_values(random, 100, 1), normal_values(random, 100, 1),
                                                  normal_values(random, 100, 1)};
    std::vector<float> sums(100, 9.0f);
    const double norm = sum_gradients(sources, sums, 0, 37) + sum_gradients(sources, sums, 37, 90);
    double want = 0;
    for (size_t i = 0; i < 90; i++) {
        CHECK(sums[i] == sources[0][i] + sources[1][i] + sources[2][i]);
        want += double(sums[i]) * sums[i];
    }
    CHECK(norm == doctest::Approx(want));
    for (size_t i = 90; i < 100; i++) CHECK(sums[i] == 9.0f);
}

TEST_CASE("factors on the learning rate") {
    const Description d =
        parse_description(R"({"name": "m", "latent_channels": 4, "hyper_channels": 1, "lambda": [0.01, 0.1], "networks": {"net": {
        "channels_in": 3, "layers": [{"name": "f32", "channels": 4, "arithmetic": "wide"}, {"name": "zeros", "channels": 4, "arithmetic": "wide"},
        {"name": "compute", "channels": 5, "kernel": 3}, {"name": "integer", "channels": 5, "arithmetic": "integer"}]},
        "synthesis": {"channels_in": 4, "layers": [{"name": "trunk", "channels": 4, "arithmetic": "wide"},
        {"name": "lap", "channels": 4, "kernel": 3, "arithmetic": "integer", "add": "trunk"},
        {"name": "block.a", "channels": 6, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
        {"name": "block.b", "channels": 4, "kernel": 3, "arithmetic": "integer", "add": "lap"}]}}})");
    Parameters parameters(d);
    std::mt19937 random(3);
    for (const Parameter& p : parameters.list()) {
        const auto values = normal_values(random, p.size, 1e-4f);
        std::copy(values.begin(), values.end(), parameters[p.name].begin());
    }
    // Rows and columns of different sizes: weight (row, column) is their product, and so is the factor, ten times as large.
    const std::vector<float> row{0.5f, 0.1f, 0.02f, 1e-5f}, column{1.0f, -0.5f, 0.1f};
    for (size_t o = 0; o < 4; o++) {
        for (size_t i = 0; i < 3; i++) parameters["net.f32.weight"][o * 3 + i] = row[o] * column[i];
    }
    std::fill(parameters["net.zeros.weight"].begin(), parameters["net.zeros.weight"].end(), 0.0f);
    const std::vector<float> rates = learning_rates(d, parameters);
    REQUIRE(rates.size() == parameters.values().size());
    // By the size that weights start with, √(2 / fan-in): twice that, up to 1; as it is for linear branches of the transforms; 0.3 of it for
    // the others. Biases have four times the rate of their weights.
    const auto he = [](int fan_in) { return std::sqrt(2.0f / float(fan_in)); };
    const std::map<std::string, float> usual{
        {"net.compute.weight", 2 * he(36)},          {"synthesis.lap.weight", he(36)},            {"synthesis.lap.bias", 4 * he(36)},
        {"synthesis.block.a.weight", 0.3f * he(36)}, {"synthesis.block.a.bias", 1.2f * he(36)}, {"synthesis.block.b.weight", 0.3f * he(54)},
        {"synthesis.block.b.bias", 1.2f * he(54)}};
    for (const Parameter& p : parameters.list()) {
        CAPTURE(p.name);
        for (size_t i = 0; i < p.size; i++) {
            const float rate = rates[p.offset + i];
            if (p.name == "net.f32.weight") {
                CHECK(rate == doctest::Approx(std::clamp(10 * row[i / 3] * std::abs(column[i % 3]), 0.003f, 1.0f)).epsilon(1e-4));
            } else if (p.name == "net.zeros.weight") {
                CHECK(rate == 0.003f);
            } else if (usual.contains(p.name)) {
                CHECK(rate == doctest::Approx(usual.at(p.name)));
            } else if (p.name == "prediction") {
                CHECK(rate == 0.1f);
            } else if (!p.name.starts_with("synthesis.trunk")) {
                CHECK(rate == ((p.change == Parameter::Change::gradient) ? 1.0f : 0.0f));
            }
        }
    }
}

TEST_CASE("centralised gradients: rows sum to nothing, differences stay") {
    std::mt19937 random(5);
    for (const size_t count : {size_t(1), size_t(7), size_t(16), size_t(45)}) {
        const std::vector<float> before = normal_values(random, 3 * count, 2.0f);
        std::vector<float> after = before;
        centralise(after, 3);
        for (size_t r = 0; r < 3; r++) {
            double sum = 0;
            for (size_t i = 0; i < count; i++) {
                sum += after[r * count + i];
                CHECK(after[r * count + i] - after[r * count] == doctest::Approx(before[r * count + i] - before[r * count]).epsilon(1e-4));
            }
            CHECK(std::abs(sum) < 1e-4);
        }
    }
}
