// The loss of a whole autoencoder and its gradient, against finite differences; and what a contractive one is told of its Jacobian.
#include "codec/train/autoencoder_step.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "codec/autoencoder/bottleneck.h"
#include "codec/error.h"
#include "tests/tiny_autoencoder.h"

using namespace decant;
using namespace decant::test;

namespace {

struct Setup {
    explicit Setup(const Description& d, bool training = true, int samples = 2)
        : description(d),
          parameters(autoencoder_parameters(description)),
          weights(description, parameters, {.fold = false}),
          step(description, weights, {samples, 16, 16, DataType::f32, training}),
          pictures(size_t(samples) * 16 * 16 * 3) {
        omp_set_num_threads(1);
        std::mt19937 random(4);
        for (size_t i = 0; i < pictures.size(); i++) pictures[i] = uint8_t(100 + 60 * std::sin(0.3 * double(i / 3 % 16)) + double(random() % 40));
    }

    AutoencoderStepResult run(std::span<float> gradients = {}) {
        weights.update(parameters);
        return step.run({pictures, pictures, 3, 1.0f}, parameters, gradients);
    }

    Description description;
    Parameters parameters;
    CodecWeights weights;
    AutoencoderStep step;
    std::vector<uint8_t> pictures;
};

void check_gradients(const Description& d) {
    Setup s(d);
    std::vector<float> gradients(s.parameters.values().size(), 0.0f);
    const double loss = s.run(gradients).loss;
    CHECK(std::isfinite(loss));
    std::mt19937 random(1);
    int checked = 0, wrong = 0;
    for (const Parameter& p : s.parameters.list()) {
        if (p.change != Parameter::Change::gradient || p.name == "codebook") continue;
        CAPTURE(p.name);
        double usual = 0;
        for (size_t i = 0; i < p.size; i++) usual += double(std::abs(gradients[p.offset + i])) / double(p.size);
        for (int k = 0; k < 6; k++) {
            const size_t i = p.offset + random() % p.size;
            float& v = s.parameters.values()[i];
            const float before = v;
            constexpr float kStep = 2e-3f;
            v = before + kStep;
            const double above = s.run().loss;
            v = before - kStep;
            const double below = s.run().loss;
            v = before;
            const double slope = (above - below) / (2 * double(kStep)), scale = std::max({std::abs(double(gradients[i])), usual, 1e-4});
            checked++;
            wrong += std::abs(slope - double(gradients[i])) > 0.03 * scale;
        }
    }
    CAPTURE(checked);
    CHECK(wrong <= checked / 25);  // kinks, thresholds
}

}  // namespace

TEST_CASE("gradients of autoencoders") {
    check_gradients(tiny_autoencoder(R"({"kind": "plain"})"));
    check_gradients(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "l1", "weight": 0.01})"));
    check_gradients(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "kl", "weight": 0.1, "target": 0.2})"));
    check_gradients(tiny_autoencoder(R"({"kind": "variational", "weight": 0.5})", "variational"));
    check_gradients(tiny_autoencoder(R"({"kind": "contractive", "weight": 0.001})"));
    check_gradients(tiny_autoencoder(R"({"kind": "plain"})", "normalised"));
    check_gradients(tiny_autoencoder(R"({"kind": "plain"})", "", R"({"cross_entropy": 1, "ms_ssim": 0.2})"));
}

TEST_CASE("the penalty of a contractive encoder is the norm of its Jacobian") {
    const Description d = tiny_autoencoder(R"({"kind": "contractive", "weight": 1})");
    Setup s(d, true, 1);
    // Through the backward primitives, a row at a time: the gradient of each value of the code.
    NetworkWeights weights(d.network(kEncoderNetwork), s.parameters);
    GraphOptions options;
    options.use = Convolution::Use::training;
    Graph graph(weights, {1, 16, 16, 3}, options);
    for (size_t i = 0; i < s.pictures.size(); i++) graph.input().as<float>()[i] = pixel_value(s.pictures[i]);
    graph.forward();
    const size_t rows = graph.output().shape.elements();
    double norm = 0;
    for (size_t row = 0; row < rows; row++) {
        std::fill_n(graph.output_gradient().as<float>(), rows, 0.0f);
        graph.output_gradient().as<float>()[row] = 1.0f;
        graph.backward(s.parameters, {});
        for (size_t i = 0; i < s.pictures.size(); i++) norm += std::pow(double(graph.input_gradient().as<float>()[i]), 2);
    }
    norm /= double(rows);
    double estimate = 0;
    constexpr int kDraws = 200;
    for (uint32_t key = 0; key < kDraws; key++) estimate += s.step.run({s.pictures, s.pictures, key, 1.0f}, s.parameters, {}).penalty / kDraws;
    CHECK(estimate == doctest::Approx(norm).epsilon(0.05));
}

TEST_CASE("in use nothing is random") {
    const Description d = tiny_autoencoder(R"({"kind": "variational", "weight": 0.5})", "variational");
    Setup s(d, false);
    const double once = s.run().loss;
    CHECK(s.step.run({s.pictures, s.pictures, 77, 1.0f}, s.parameters, {}).loss == once);
    Setup training(d);
    training.parameters.values() = s.parameters.values();
    CHECK(training.run().loss != once);
}

TEST_CASE("activities are those of the batch") {
    Setup s(tiny_autoencoder(R"({"kind": "quantised", "codes": 6, "weight": 0.25})"));
    std::vector<float> gradients(s.parameters.values().size(), 0.0f);
    s.run(gradients);
    const Parameter& p = s.parameters.find("activity");
    double sum = 0;
    for (size_t i = 0; i < p.size; i++) sum += double(gradients[p.offset + i]);
    CHECK(sum == doctest::Approx(1));
    const auto r = s.run();
    for (const double bits : r.bits) CHECK(bits == doctest::Approx(std::log2(6.0) * 16 / 256));
}

TEST_CASE("descriptions of autoencoders that do not fit are refused") {
    for (const auto& [bottleneck, variant, loss] : std::vector<std::array<const char*, 3>>{
             {R"({"kind": "sparse", "sparsity": "l0"})", "", R"({"mse": 1})"},
             {R"({"kind": "sparse", "sparsity": "top_k", "active": 100})", "", R"({"mse": 1})"},
             {R"({"kind": "dense"})", "", R"({"mse": 1})"},
             {R"({"kind": "plain", "size": 3})", "", R"({"mse": 1})"},
             {R"({"kind": "variational"})", "odd", R"({"mse": 1})"},
             {R"({"kind": "variational"})", "", R"({"mse": 1})"},
             {R"({"kind": "plain"})", "", R"({})"},
             {R"({"kind": "plain"})", "", R"({"mse": -1})"},
             {R"({"kind": "plain"})", "linear", R"({"cross_entropy": 1})"},
             {R"({"kind": "quantised", "codes": 1})", "", R"({"mse": 1})"}}) {
        CAPTURE(bottleneck);
        CAPTURE(loss);
        CHECK_THROWS_AS(tiny_autoencoder(bottleneck, variant, loss), Error);
    }
    CHECK(parse_description(to_json(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "kl", "target": 0.2})"))) ==
          tiny_autoencoder(R"({"kind": "sparse", "sparsity": "kl", "target": 0.2})"));
}
