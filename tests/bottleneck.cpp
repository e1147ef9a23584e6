// Bottlenecks of autoencoders: their penalties by the formulas, their gradients by finite differences.
#include "codec/autoencoder/bottleneck.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>
#include <vector>

using namespace decant;

namespace {

using Kind = Bottleneck::Kind;
using Sparsity = Bottleneck::Sparsity;

const Shape kCode{2, 2, 3, 6};
constexpr size_t kValues = 48;  // of a picture

std::vector<float> normal_values(uint32_t seed, size_t count, float scale = 1.0f) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, scale);
    std::vector<float> values(count);
    for (float& v : values) v = normal(random);
    return values;
}

// functional·latent + penalty, and its gradient.
struct Problem {
    Problem(const Bottleneck& b, bool training = true)
        : pass(b, kCode, training),
          weight(b.weight),
          code(normal_values(1, kCode.elements())),
          codebook(normal_values(2, size_t(b.codes) * size_t(kCode.c))),
          functional(normal_values(3, pass.latent().elements(), 0.1f)),
          latent(pass.latent().elements()) {}

    BottleneckPass::Result forward() { return pass.forward(code, latent, codebook, key, kValues, weight); }
    double loss() {
        double sum = forward().penalty;
        for (size_t i = 0; i < latent.size(); i++) sum += double(functional[i]) * double(latent[i]);
        return sum;
    }
    void backward() {
        loss();
        gradient.assign(code.size(), NAN);
        codebook_gradient.assign(codebook.size(), NAN);
        pass.backward(code, latent, functional, gradient, codebook, codebook_gradient);
    }

    BottleneckPass pass;
    float weight;
    std::vector<float> code, codebook, functional, latent, gradient, codebook_gradient;
    std::optional<uint32_t> key = 5;
};

void check_gradient(const Bottleneck& b, float step = 1e-2f) {
    Problem p(b);
    p.backward();
    for (size_t i = 0; i < p.code.size(); i++) {
        CAPTURE(i);
        const float before = p.code[i];
        p.code[i] = before + step;
        const double above = p.loss();
        p.code[i] = before - step;
        const double below = p.loss();
        p.code[i] = before;
        CHECK((above - below) / (2.0 * double(step)) == doctest::Approx(double(p.gradient[i])).epsilon(0.01).scale(0.1));
    }
}

}  // namespace

TEST_CASE("a plain bottleneck hands on") {
    Problem p(Bottleneck{});
    CHECK(p.forward().penalty == 0);
    CHECK(p.latent == p.code);
    check_gradient(Bottleneck{});
}

TEST_CASE("sparse by L1: the mean magnitude") {
    const Bottleneck b{.kind = Kind::sparse, .sparsity = Sparsity::l1, .weight = 0.7f};
    Problem p(b);
    double sum = 0;
    for (const float v : p.code) sum += double(std::abs(v));
    CHECK(p.forward().penalty == doctest::Approx(0.7 * sum / double(p.code.size())));
    CHECK(p.latent == p.code);
    check_gradient(b, 1e-3f);
}

TEST_CASE("sparse by KL: the mean activity of each unit against its target") {
    const Bottleneck b{.kind = Kind::sparse, .sparsity = Sparsity::kl, .weight = 0.3f, .target = 0.1f};
    Problem p(b);
    const auto r = p.forward();
    double sum = 0;
    for (int c = 0; c < kCode.c; c++) {
        double q = 0;
        for (size_t i = size_t(c); i < p.code.size(); i += size_t(kCode.c)) {
            const double v = 1 / (1 + std::exp(-double(p.code[i])));
            CHECK(p.latent[i] == doctest::Approx(v));
            q += v / double(kCode.pixels());
        }
        sum += 0.1 * std::log(0.1 / q) + 0.9 * std::log(0.9 / (1 - q));
    }
    CHECK(r.penalty == doctest::Approx(0.3 * sum));
    check_gradient(b);
    // At the target there is nothing to pay.
    for (float& v : p.code) v = std::log(0.1f / 0.9f);
    CHECK(p.forward().penalty == doctest::Approx(0).scale(1));
}

TEST_CASE("sparse by top-k: the largest of each position, and gradients to these alone") {
    const Bottleneck b{.kind = Kind::sparse, .sparsity = Sparsity::top_k, .active = 2};
    Problem p(b);
    p.backward();
    for (size_t at = 0; at < p.code.size(); at += size_t(kCode.c)) {
        std::vector<float> sorted(p.code.begin() + std::ptrdiff_t(at), p.code.begin() + std::ptrdiff_t(at + size_t(kCode.c)));
        std::sort(sorted.rbegin(), sorted.rend());
        for (size_t i = at; i < at + size_t(kCode.c); i++) {
            const bool kept = p.code[i] >= sorted[1];
            CHECK(p.latent[i] == (kept ? p.code[i] : 0.0f));
            CHECK(p.gradient[i] == (kept ? p.functional[i] : 0.0f));
        }
    }
    // Equal ones: still two.
    std::ranges::fill(p.code, 1.0f);
    p.forward();
    CHECK(std::ranges::count(p.latent, 1.0f) == std::ptrdiff_t(2 * kCode.pixels()));
}

TEST_CASE("sparse by L0: the share that is active") {
    Problem p(Bottleneck{.kind = Kind::sparse, .sparsity = Sparsity::l0, .weight = 2.0f});
    for (size_t i = 0; i < p.code.size(); i++) p.code[i] = i % 4 == 0 ? 1.0f : 0.0f;
    const auto r = p.forward();
    CHECK(r.penalty == doctest::Approx(0.5));
    double mean = 0;
    for (const float a : r.activity) mean += double(a) / double(r.activity.size());
    CHECK(mean == doctest::Approx(0.25));
}

TEST_CASE("contractive: the samples with noise pay for their distance, and are not decoded") {
    const Bottleneck b{.kind = Kind::contractive, .weight = 1e-5f};
    Problem p(b);
    CHECK(p.latent.size() == p.code.size() / 2);
    const auto r = p.forward();
    double sum = 0;
    for (size_t i = 0; i < p.latent.size(); i++) {
        CHECK(p.latent[i] == p.code[i]);
        sum += std::pow(double(p.code[i + p.latent.size()]) - double(p.code[i]), 2);
    }
    CHECK(r.penalty == doctest::Approx(1e-5 * sum / (1e-4 * double(p.latent.size()))).epsilon(1e-4));
    check_gradient(b);
    Problem use(b, false);
    CHECK(use.forward().penalty == 0);
    CHECK(use.latent == use.code);
}

TEST_CASE("variational: KL to the normal distribution, noise by its key, the mean in use") {
    const Bottleneck b{.kind = Kind::variational, .weight = 0.5f};
    Problem p(b);
    CHECK(p.pass.latent().c == kCode.c / 2);
    const auto r = p.forward();
    REQUIRE(r.bits.size() == 2);
    double nats = 0;
    const size_t half = size_t(kCode.c) / 2;
    for (size_t at = 0; at < p.code.size(); at += 2 * half) {
        for (size_t c = 0; c < half; c++) {
            const double mean = double(p.code[at + c]), variance = std::exp(double(p.code[at + half + c]));
            nats += 0.5 * (mean * mean + variance - 1 - std::log(variance));
        }
    }
    CHECK((r.bits[0] + r.bits[1]) * std::log(2.0) == doctest::Approx(nats));
    CHECK(r.penalty == doctest::Approx(0.5 * nats / 2 / double(kValues)));
    check_gradient(b);
    p.key.reset();
    p.forward();
    for (size_t i = 0; i < p.latent.size(); i++) CHECK(p.latent[i] == p.code[i / half * 2 * half + i % half]);

    // The noise has the variance that the code says.
    Bottleneck wide = b;
    BottleneckPass pass(wide, {1, 100, 100, 2}, true);
    std::vector<float> code(20000), latent(10000);
    for (size_t i = 0; i < code.size(); i += 2) {
        code[i] = 3.0f;
        code[i + 1] = std::log(0.25f);
    }
    pass.forward(code, latent, {}, 9, kValues, 1.0f);
    double mean = 0, square = 0;
    for (const float v : latent) {
        mean += double(v) / 10000;
        square += double(v) * double(v) / 10000;
    }
    CHECK(mean == doctest::Approx(3).epsilon(0.01));
    CHECK(square - mean * mean == doctest::Approx(0.25).epsilon(0.05));
}

TEST_CASE("quantised: the nearest vector, which follows the code while the code stays near") {
    const Bottleneck b{.kind = Kind::quantised, .weight = 0.25f, .codes = 7};
    Problem p(b);
    p.backward();
    const auto r = p.forward();
    CHECK(r.bits[0] == doctest::Approx(std::log2(7.0) * 6));
    std::vector<double> codebook_gradient(p.codebook.size(), 0.0), activity(7, 0.0);
    double sum = 0;
    const size_t channels = size_t(kCode.c);
    for (size_t position = 0; position < kCode.pixels(); position++) {
        const float* v = p.code.data() + position * channels;
        size_t best = 0;
        double least = INFINITY;
        for (size_t k = 0; k < 7; k++) {
            double distance = 0;
            for (size_t c = 0; c < channels; c++) distance += std::pow(double(v[c]) - double(p.codebook[k * channels + c]), 2);
            if (distance < least) {
                least = distance;
                best = k;
            }
        }
        activity[best] += 1.0 / double(kCode.pixels());
        sum += least;
        for (size_t c = 0; c < channels; c++) {
            const size_t i = position * channels + c;
            const double d = double(v[c]) - double(p.codebook[best * channels + c]);
            CHECK(p.latent[i] == p.codebook[best * channels + c]);
            CHECK(double(p.gradient[i]) == doctest::Approx(double(p.functional[i]) + 0.25 * 2 * d / double(p.code.size())).epsilon(1e-4));
            codebook_gradient[best * channels + c] -= 2 * d / double(p.code.size());
        }
    }
    CHECK(r.penalty == doctest::Approx(1.25 * sum / double(p.code.size())));
    for (size_t k = 0; k < 7; k++) CHECK(double(r.activity[k]) == doctest::Approx(activity[k]));
    for (size_t i = 0; i < p.codebook.size(); i++) CHECK(double(p.codebook_gradient[i]) == doctest::Approx(codebook_gradient[i]).epsilon(1e-4));
}
