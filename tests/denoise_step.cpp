// The loss of a denoiser and its gradient: against a loss written down plainly, and against finite differences.
#include "codec/train/denoise_step.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "codec/denoise/network_input.h"
#include "codec/error.h"
#include "tests/tiny_denoiser.h"

using namespace decant;
using namespace decant::test;

namespace {

// Pictures here are too small to be worth more threads.
struct OneThread {
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before); }
    const int before = omp_get_max_threads();
};

constexpr double kEpsilon = 3.0 / 255.0;

struct Problem {
    explicit Problem(int colours, DataType type = DataType::f32, bool logarithmic = false, float teacher_share = 0)
        : description(tiny_denoiser(colours)),
          parameters(random_parameters(description, 0.5f)),
          weights(description, parameters),
          step(description, weights, {2, 16, 12, type, float(255.0 * kEpsilon), logarithmic, teacher_share}) {
        std::mt19937 random(3);
        for (int i = 0; i < 2 * 16 * 12 * colours; i++) {
            clean.push_back(uint8_t(random() % 256));
            noisy.push_back(uint8_t(std::clamp(int(clean.back()) + int(random() % 41) - 20, 0, 255)));
        }
        if (teacher_share == 0) return;
        for (const uint8_t v : clean) taught.push_back(uint8_t(std::clamp(int(v) + int(random() % 21) - 10, 0, 255)));
    }

    DenoiseStepResult run(std::span<float> gradients = {}) {
        weights.update(parameters);
        return step.run({noisy, clean, taught, sigma}, parameters, gradients);
    }

    Description description;
    Parameters parameters;
    CodecWeights weights;
    DenoiseStep step;
    std::vector<uint8_t> clean, noisy, taught;
    std::vector<float> sigma{5, 30};
};

}  // namespace

TEST_CASE("the loss is Charbonnier's, and the error that of picture plus residual") {
    const OneThread one_thread;
    for (int colours : {1, 3}) {
        Problem p(colours);
        const DenoiseStepResult r = p.run();
        Graph graph(p.weights[kDenoiseNetwork], {2, 16, 12, colours + 1}, {});
        const size_t pixels = 16 * 12;
        for (size_t i = 0; i < 2 * pixels; i++) {
            float* d = graph.input().as<float>() + i * size_t(colours + 1);
            for (int c = 0; c < colours; c++) d[c] = pixel_value(p.noisy[i * size_t(colours) + size_t(c)]);
            d[colours] = level_value(p.sigma[i / pixels]);
        }
        graph.forward();
        double loss = 0;
        for (size_t n = 0; n < 2; n++) {
            double mse = 0;
            const size_t values = pixels * size_t(colours);
            for (size_t i = n * values; i < (n + 1) * values; i++) {
                const double d =
                    (double(pixel_value(p.noisy[i])) + double(graph.output().as<float>()[i]) - double(pixel_value(p.clean[i]))) *
                    256 / 255;
                loss += std::sqrt(d * d + kEpsilon * kEpsilon) / double(2 * values);
                mse += d * d / double(values);
            }
            CHECK(r.mse[n] == doctest::Approx(mse).epsilon(1e-4));
        }
        CHECK(r.loss == doctest::Approx(loss).epsilon(1e-4));
    }
}

TEST_CASE("the logarithmic loss is that of each crop's mean squared error") {
    const OneThread one_thread;
    for (int colours : {1, 3}) {
        const DenoiseStepResult r = Problem(colours, DataType::f32, true).run();
        double loss = 0;
        for (const double mse : r.mse) loss += 0.5 * kEpsilon * std::log1p(mse / (kEpsilon * kEpsilon)) / 2;
        CHECK(r.loss == doctest::Approx(loss).epsilon(1e-4));
    }
}

TEST_CASE("gradients agree with finite differences") {
    const OneThread one_thread;
    for (const auto& [colours, logarithmic] : {std::pair{1, false}, {3, false}, {1, true}, {3, true}}) {
        Problem p(colours, DataType::f32, logarithmic);
        std::vector<float> gradients(p.parameters.values().size(), 1e9f);
        p.run(gradients);
        constexpr float kStep = 1.0f / 512;
        int checked = 0, kinks = 0;
        for (const Parameter& parameter : p.parameters.list()) {
            CAPTURE(parameter.name);
            const auto values = p.parameters[parameter.name];
            double squares = 0;
            for (size_t i = 0; i < values.size(); i++)
                squares += double(gradients[parameter.offset + i]) * gradients[parameter.offset + i];
            const double usual = std::sqrt(squares / double(values.size()));
            for (size_t i = 0; i < values.size(); i += std::max<size_t>(1, values.size() / 12)) {
                const float before = values[i];
                const double middle = p.run().loss;
                values[i] = before + kStep;
                const double above = p.run().loss;
                values[i] = before - kStep;
                const double below = p.run().loss;
                values[i] = before;
                const double g = gradients[parameter.offset + i], scale = std::max({std::fabs(g), usual, 1e-4});
                // One-sided differences disagree at the kink of a ReLU, and by Charbonnier's curvature.
                if (std::fabs((above - middle) - (middle - below)) / kStep > 0.08 * scale) {
                    kinks++;
                    continue;
                }
                CHECK(std::fabs((above - below) / (2 * kStep) - g) / scale < 0.05);
                checked++;
            }
        }
        CHECK(checked > 100);
        CHECK(kinks < checked / 2);
    }
}

TEST_CASE("with a teacher the clean picture is partly what that makes of the noisy one") {
    const OneThread one_thread;
    for (const bool logarithmic : {false, true}) {
        CAPTURE(logarithmic);
        // Wholly taught: another clean picture. By half: half way between both gradients, where they are linear in the picture.
        Problem taught(3, DataType::f32, logarithmic, 1), mixed(3, DataType::f32, logarithmic, 0.5f), clean(3, DataType::f32, logarithmic);
        const auto gradient = [](Problem& p) {
            std::vector<float> values(p.parameters.values().size());
            const DenoiseStepResult r = p.run(values);
            return std::pair{r, values};
        };
        const auto [taught_result, g_taught] = gradient(taught);
        const auto [mixed_result, g_mixed] = gradient(mixed);
        clean.clean = taught.taught;
        const auto [as_clean, g_as_clean] = gradient(clean);
        clean.clean = taught.clean;
        const auto [clean_result, g_clean] = gradient(clean);
        CHECK(taught_result.mse == clean_result.mse);  // which is told of the clean picture in any case
        CHECK(mixed_result.mse == clean_result.mse);
        if (!logarithmic) {
            CHECK(taught_result.loss == doctest::Approx(as_clean.loss).epsilon(1e-6));
            for (size_t i = 0; i < g_taught.size(); i++) CHECK(g_taught[i] == doctest::Approx(g_as_clean[i]).epsilon(1e-4));
        } else {
            CHECK(taught_result.loss == doctest::Approx(clean_result.loss).epsilon(1e-6));
            double wrong = 0, size = 0;
            for (size_t i = 0; i < g_mixed.size(); i++) {
                wrong += std::pow(g_mixed[i] - 0.5 * (g_taught[i] + g_clean[i]), 2);
                size += std::pow(g_taught[i] - g_clean[i], 2);
            }
            CHECK(size > 0);
            CHECK(wrong < 1e-6 * size);
        }
    }
    Problem lacking(1, DataType::f32, false, 0.5f);
    lacking.taught.clear();
    CHECK_THROWS_AS(lacking.run(), Error);
}

TEST_CASE("bf16 gives about the same loss and gradient" * doctest::skip(!has_bf16())) {
    const OneThread one_thread;
    Problem exact(3), low(3, DataType::bf16);
    std::vector<float> a(exact.parameters.values().size()), b(a.size());
    CHECK(low.run(b).loss == doctest::Approx(exact.run(a).loss).epsilon(0.01));
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); i++) ab += double(a[i]) * b[i], aa += double(a[i]) * a[i], bb += double(b[i]) * b[i];
    CHECK(ab / std::sqrt(aa * bb) > 0.99);
}

TEST_CASE("descriptions that are no denoiser are refused") {
    const auto refused = [](const std::string& text) {
        try {
            parse_description(text);
        } catch (const Error& error) {
            return error.code() == ErrorCode::model_mismatch;
        }
        return false;
    };
    const std::string good = to_json(tiny_denoiser());
    CHECK_FALSE(refused(good));
    CHECK(parse_description(good) == tiny_denoiser());
    const auto changed = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        REQUIRE(text.find(from) != std::string::npos);
        return refused(text.replace(text.find(from), from.size(), to));
    };
    CHECK(changed("\"task\":\"denoise\"", "\"task\":\"paint\""));
    CHECK(changed("\"noise\":\"photo\"", "\"noise\":\"sound\""));
    CHECK(changed("\"noise\":\"photo\"", "\"lambda\":[1,2]"));
    CHECK(changed("\"networks\":{\"denoise\"", "\"networks\":{\"analysis\""));
    CHECK(changed("\"channels_in\":4", "\"channels_in\":3"));
    CHECK(changed("\"channels\":12", "\"channels\":16"));
    CHECK(changed("{\"name\":\"head\"", "{\"quality_bias\":true,\"name\":\"head\""));
}
