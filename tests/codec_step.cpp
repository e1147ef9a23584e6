// The loss of a whole codec and its gradient, on a description as small as can be.
#include "codec/train/codec_step.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/latents/layout.h"

using namespace decant;

namespace {

// λ is so small that rate and distortion count alike for a network that has learned nothing.
const char* const kTiny = R"({
  "name": "tiny", "latent_channels": 8, "hyper_channels": 4, "lambda": [2e-5, 5e-5, 1.5e-4],
  "networks": {
    "analysis": {"channels_in": 3, "layers": [
      {"name": "pixels", "op": "unshuffle", "factor": 4},
      {"name": "klt1", "channels": 10, "arithmetic": "wide"},
      {"name": "block1.a", "channels": 6, "kernel": 3, "activation": "leaky_relu"},
      {"name": "block1.b", "channels": 10, "kernel": 3, "add": "klt1"},
      {"name": "down", "op": "unshuffle", "factor": 4},
      {"name": "latents", "channels": 8, "arithmetic": "wide", "quality_bias": true}]},
    "synthesis": {"channels_in": 8, "layers": [
      {"name": "latents", "channels": 160, "arithmetic": "wide", "quality_bias": true},
      {"name": "up", "op": "shuffle", "factor": 4},
      {"name": "block1.a", "channels": 6, "kernel": 3, "activation": "leaky_relu"},
      {"name": "block1.b", "channels": 10, "kernel": 3, "add": "up"},
      {"name": "klt1", "channels": 48, "arithmetic": "wide"},
      {"name": "pixels", "op": "shuffle", "factor": 4}]},
    "hyper_analysis": {"channels_in": 16, "layers": [
      {"name": "conv1", "channels": 8, "kernel": 3, "stride": 2, "activation": "leaky_relu"},
      {"name": "conv2", "channels": 4, "kernel": 3, "stride": 2}]},
    "hyper_synthesis": {"channels_in": 8, "layers": [
      {"name": "conv1", "channels": 24, "arithmetic": "integer", "activation": "relu", "input_exponent": 2},
      {"name": "up1", "op": "shuffle", "factor": 2},
      {"name": "conv2", "channels": 24, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
      {"name": "up2", "op": "shuffle", "factor": 2}]},
    "context0": {"channels_in": 6, "layers": [
      {"name": "conv1", "channels": 9, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true}]},
    "context1": {"channels_in": 14, "layers": [
      {"name": "conv1", "channels": 9, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true}]},
    "context2": {"channels_in": 14, "layers": [
      {"name": "conv1", "channels": 9, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true}]},
    "context3": {"channels_in": 14, "layers": [
      {"name": "conv1", "channels": 9, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true}]}
  }
})";

// colours: 3, or 1 for gray pictures.
Description tiny(double lambda_factor, int colours) {
    Description d = parse_description(kTiny);
    for (Network& network : d.networks) {
        if (network.name == kAnalysisNetwork) network.channels_in = colours;
        if (network.name == kSynthesisNetwork) network.layers[4].channels = 16 * colours;
    }
    for (double& lambda : d.lambda) lambda *= lambda_factor;
    return d;
}

// Pictures here are too small to be worth more threads.
struct OneThread {
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before); }
    const int before = omp_get_max_threads();
};

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Scales around 1 everywhere: latents of some quantisation steps, predicted scales far from their bounds.
Parameters random_parameters(const Description& d) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    Parameters parameters(d);
    for (const Parameter& p : parameters.list()) {
        float middle = 0.0f, scale = 0.1f;
        if (ends_with(p.name, ".weight")) {
            scale = std::sqrt(1.0f / float(p.size / size_t(p.shape[0])));
            if (p.name.find("context") == 0 && ends_with(p.name, "conv2.weight")) scale *= 0.5f;
            if (p.name.find("hyper_") == 0) scale *= 3.0f;  // what goes this way counts in the loss
        }
        if (p.name == "gain") middle = 3.5f;
        if (p.name == "inverse_gain") middle = -3.5f;
        if (p.name == "latent_std") {
            middle = 0.3f;
            scale = 0.05f;
        }
        if (p.name == "hyper_log2_scale") middle = 1.0f;
        for (float& v : parameters[p.name]) v = middle + scale * normal(random);
    }
    return parameters;
}

// Waves of random direction, as pictures have them, on a random ground.
std::vector<uint8_t> pictures(int samples, int height, int width, int colours, uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform_number(-1, 1);
    std::vector<uint8_t> pixels(size_t(samples) * size_t(height) * size_t(width) * size_t(colours));
    size_t i = 0;
    for (int n = 0; n < samples; n++) {
        float a[3], b[3], ground[3];
        for (int c = 0; c < 3; c++) {
            a[c] = uniform_number(random);
            b[c] = uniform_number(random);
            ground[c] = 128 + 40 * uniform_number(random);
        }
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                for (int c = 0; c < colours; c++)
                    pixels[i++] =
                        uint8_t(ground[c] + 60 * std::sin(a[c] * float(x) + b[c] * float(y)) + 20 * uniform_number(random));
            }
        }
    }
    return pixels;
}

// A batch of two crops, of different rate points and weights.
struct Setup {
    Setup(Quantisation quantisation, DataType compute = DataType::f32, double lambda_factor = 1.0, int colours = 3)
        : description(tiny(lambda_factor, colours)),
          parameters(random_parameters(description)),
          weights(description, parameters, {.round = quantisation != Quantisation::noise}),
          options{2, 80, 64, compute, quantisation},
          step(description, weights, options),
          pixels(pictures(2, 80, 64, colours, colours == 3 ? 1 : 2)) {}

    CodecStep::Batch batch() const { return {pixels, quality, weight, 7, 0.7f}; }
    StepResult run(std::span<float> gradients = {}) { return step.run(batch(), parameters, gradients); }
    double loss() {
        weights.update(parameters);
        return run().loss;
    }

    OneThread one_thread;
    Description description;
    Parameters parameters;
    CodecWeights weights;
    CodecStepOptions options;
    CodecStep step;
    std::vector<uint8_t> pixels;
    std::vector<float> quality{0.4f, 1.7f}, weight{1.5f, 0.6f};
};

// Central difference of the loss by one parameter.
double slope(Setup& s, size_t at, float h) {
    float& v = s.parameters.values()[at];
    const float before = v, above = before + h, below = before - h;
    v = above;
    const double loss_above = s.loss();
    v = below;
    const double loss_below = s.loss();
    v = before;
    return (loss_above - loss_below) / (double(above) - below);
}

struct Kind {
    int checked = 0, wrong = 0;
    std::vector<double> errors;
};

std::string kind_of(const std::string& parameter) {
    const size_t dot = parameter.rfind('.');
    return dot == std::string::npos ? parameter : parameter.substr(dot + 1);
}

// Errors are relative to the gradient and to what is usual in its array. Small steps drown in the rounding of the loss, large ones
// cross kinks of ReLUs: the best of three counts, and one in twenty may fail.
constexpr double kTolerance = 0.02;

void check_gradient(Setup& s, const Parameter& p, std::span<const float> gradient, std::mt19937& random, Kind& kind) {
    double squares = 0;
    for (float g : gradient) squares += double(g) * g;
    const double usual = std::sqrt(squares / double(p.size));
    CAPTURE(p.name);
    CHECK(usual > 0);
    for (int sample = 0; sample < 20; sample++) {
        const size_t i = random() % p.size;
        double error = std::numeric_limits<double>::infinity();
        for (float h : {1e-3f, 4e-3f, 1.6e-2f}) {
            error = std::min(error,
                             std::abs(slope(s, p.offset + i, h) - gradient[i]) / (std::abs(double(gradient[i])) + 0.3 * usual));
        }
        kind.checked++;
        kind.wrong += error > kTolerance;
        kind.errors.push_back(error);
    }
}

}  // namespace

TEST_CASE("the gradient of the whole loss") {
    // Rate and distortion alike; then the rate nearly alone, to see what else hides behind the distortion.
    for (const auto& [factor, colours] : {std::pair{1.0, 3}, {1e-4, 3}, {1.0, 1}}) {
        CAPTURE(factor);
        CAPTURE(colours);
        Setup s(Quantisation::noise, DataType::f32, factor, colours);
        std::vector<float> gradients(s.parameters.values().size());
        s.run(gradients);
        std::map<std::string, Kind> kinds;
        std::mt19937 random(3);
        for (const Parameter& p : s.parameters.list()) {
            const std::span<const float> gradient(gradients.data() + p.offset, p.size);
            if (p.change == Parameter::Change::gradient) {
                check_gradient(s, p, gradient, random, kinds[kind_of(p.name)]);
            } else {
                CHECK(std::all_of(gradient.begin(), gradient.end(), [](float g) { return g == 0.0f; }));
            }
        }
        CHECK(kinds.size() == 8);
        for (auto& [name, kind] : kinds) {
            std::nth_element(kind.errors.begin(), kind.errors.begin() + long(kind.errors.size() / 2), kind.errors.end());
            const double median = kind.errors[kind.errors.size() / 2];
            MESSAGE(name << ": " << kind.checked << " checked, " << kind.wrong << " beyond " << kTolerance << ", median error "
                         << median);
            CAPTURE(name);
            CHECK(kind.checked >= 20);
            CHECK(kind.wrong * 20 <= kind.checked);
            CHECK(median < 2e-3);
        }
    }
}

TEST_CASE("the parts of the loss add up") {
    for (auto quantisation : {Quantisation::mixed, Quantisation::noise, Quantisation::round}) {
        Setup s(quantisation);
        const StepResult r = s.run();
        double sum = 0;
        for (size_t n = 0; n < 2; n++) {
            const double lambda = lambda_at(s.description, s.quality[n]) * 255 * 255;
            sum += s.weight[n] * (r.bits_y[n] + 0.7 * r.bits_z[n] + lambda * r.mse[n]) / 2;
            CHECK(r.bits_y[n] > 0);
            CHECK(r.bits_z[n] > 0);
            CHECK(r.mse[n] > 0);
            // Neither part hides the other.
            CHECK(lambda * r.mse[n] > 0.1 * r.bits_y[n]);
            CHECK(r.bits_y[n] > 0.1 * lambda * r.mse[n]);
        }
        CHECK(r.loss == doctest::Approx(sum).epsilon(1e-6));
    }
}

TEST_CASE("lambda between rate points is geometric") {
    const Description d = parse_description(kTiny);
    CHECK(lambda_at(d, 0) == doctest::Approx(2e-5));
    CHECK(lambda_at(d, 1) == doctest::Approx(5e-5));
    CHECK(lambda_at(d, 2) == doctest::Approx(1.5e-4));
    CHECK(lambda_at(d, 0.5) == doctest::Approx(std::sqrt(2e-5 * 5e-5)));
}

TEST_CASE("steps go a little beyond what a model serves, but not beyond its rate points") {
    Description d = parse_description(kTiny);
    CHECK(trained_range(d) == std::array{0.0, 2.0});
    d.serves = {1, 2};
    CHECK(trained_range(d) == std::array{0.75, 2.0});
    d.serves = {0, 1};
    CHECK(trained_range(d) == std::array{0.0, 1.25});
}

TEST_CASE("latents beyond what the decoder reads are felt as its limit") {
    Setup s(Quantisation::mixed);
    const auto run_with = [&](float log2_factor, std::vector<float>& gradients) {
        const Parameter& p = s.parameters.find("inverse_gain");
        for (size_t i = 0; i < p.size; i++) s.parameters.values()[p.offset + i] += log2_factor;
        s.weights.update(s.parameters);
        gradients.assign(s.parameters.values().size(), 0.0f);
        return s.run(gradients);
    };
    std::vector<float> gradients, limited;
    const StepResult usual = run_with(0, gradients), beyond = run_with(24, limited), further = run_with(4, limited);
    CHECK(beyond.mse[0] > 2 * usual.mse[0]);
    CHECK(further.mse == beyond.mse);
    const Parameter& p = s.parameters.find("inverse_gain");
    const auto largest = [&](std::span<const float> g) { return std::abs(*std::ranges::max_element(g.subspan(p.offset, p.size), {}, [](float v) { return std::abs(v); })); };
    CHECK(largest(gradients) > 0);
    CHECK(largest(limited) == 0);
}

TEST_CASE("gradients are set whole, and the same every time") {
    for (auto quantisation : {Quantisation::mixed, Quantisation::noise}) {
        Setup s(quantisation);
        std::vector<float> once(s.parameters.values().size(), std::numeric_limits<float>::quiet_NaN()), twice(once.size(), 5.0f);
        const double loss = s.run(once).loss;
        CHECK(s.run(twice).loss == loss);
        CHECK(once == twice);
        CHECK(s.run().loss == loss);
    }
}

TEST_CASE("the encoder's search in training: the same latents whatever the noise, and gradients go straight through") {
    Setup near(Quantisation::round), best(Quantisation::round);
    CodecStepOptions options = best.options;
    options.quantiser = Quantiser::trellis;
    CodecStep step(best.description, best.weights, options);
    const StepResult scalar = near.step.run(near.batch(), near.parameters, {}), trellis = step.run(best.batch(), best.parameters, {});
    CHECK(trellis.bits_z == scalar.bits_z);
    for (size_t n = 0; n < 2; n++) {
        CHECK(trellis.bits_y[n] == doctest::Approx(scalar.bits_y[n]).epsilon(0.1));
        CHECK(trellis.bits_y[n] != scalar.bits_y[n]);
        CHECK(trellis.mse[n] != scalar.mse[n]);
    }
    // Mixed: decoded alike, whatever the noise; rates by noise, as without.
    options.quantisation = Quantisation::mixed;
    CodecStep mixed(best.description, best.weights, options);
    std::vector<float> gradients(best.parameters.values().size());
    const StepResult training = mixed.run(best.batch(), best.parameters, gradients);
    CHECK(training.mse == trellis.mse);
    Setup plain(Quantisation::mixed);
    CHECK(training.bits_z == plain.step.run(plain.batch(), plain.parameters, {}).bits_z);
    CHECK(std::any_of(gradients.begin(), gradients.end(), [](float g) { return g != 0.0f; }));
    CHECK(std::all_of(gradients.begin(), gradients.end(), [](float g) { return std::isfinite(g); }));
}

TEST_CASE("noise depends on the key, rounding does not") {
    for (auto quantisation : {Quantisation::mixed, Quantisation::round}) {
        Setup s(quantisation);
        CodecStep::Batch batch = s.batch();
        const StepResult a = s.step.run(batch, s.parameters, {});
        batch.key++;
        const StepResult b = s.step.run(batch, s.parameters, {});
        CHECK((a.bits_y == b.bits_y) == (quantisation == Quantisation::round));
        CHECK((a.bits_z == b.bits_z) == (quantisation == Quantisation::round));
        CHECK(a.mse == b.mse);  // what is decoded is rounded in both
    }
}

TEST_CASE("in bf16 the mixed gradient points the same way" * doctest::skip(!has_bf16())) {
    Setup exact(Quantisation::mixed), low(Quantisation::mixed, DataType::bf16);
    std::vector<float> a(exact.parameters.values().size()), b(a.size());
    const StepResult ra = exact.run(a), rb = low.run(b);
    CHECK(rb.loss == doctest::Approx(ra.loss).epsilon(0.02));
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); i++) {
        ab += double(a[i]) * b[i];
        aa += double(a[i]) * a[i];
        bb += double(b[i]) * b[i];
    }
    CHECK(ab / std::sqrt(aa * bb) > 0.99);
}

TEST_CASE("crops of a size that does not fit are refused") {
    const Description d = parse_description(kTiny);
    const Parameters parameters = random_parameters(d);
    CodecWeights weights(d, parameters);
    CHECK_THROWS_AS(CodecStep(d, weights, {1, 72, 64, DataType::f32, Quantisation::round}), Error);
}

namespace {

double logistic_cost(double deviation, double scale) {
    const double v = std::abs(deviation), unit = scale * std::sqrt(3.0) / std::acos(-1.0);
    const auto tail = [unit](double from) { return 1 / (1 + std::exp(from / unit)); };
    const double p = tail(v - 0.5) - tail(v + 0.5);
    return -std::log2(std::max(p, 1e-9));
}

// What a decoder would do, written plainly: symbols and their costs in double precision, one sample.
struct PlainCodec {
    PlainCodec(Setup& setup, float q)
        : s(setup), quality{q}, M(s.description.latent_channels), Hz(s.description.hyper_channels) {}

    std::vector<float> run_network(const std::string& name, Shape shape, const std::vector<float>& input) {
        GraphOptions options;
        options.use = Convolution::Use::training;  // integer layers in floats
        Graph graph(s.weights[name], shape, options);
        std::memcpy(graph.input().data, input.data(), input.size() * sizeof(float));
        graph.forward(quality);
        shape_out = graph.output().shape;
        const float* out = graph.output().as<float>();
        return {out, out + shape_out.elements()};
    }

    double level_value(const char* name, int c) const {
        const int lower = std::min(int(quality[0]), s.description.levels() - 2);
        const double upper = quality[0] - float(lower);
        const auto table = s.parameters[name];
        return std::exp2(table[size_t(lower * M + c)] * (1 - upper) + table[size_t((lower + 1) * M + c)] * upper);
    }

    // The linear prediction of channel c at (y, x): in the first step from two positions left, up, up left and up right, in the later
    // ones from those of the eight neighbours that earlier steps have coded.
    double neighbours(int step, int y, int x, int h, int w, int c, const std::vector<double>& decoded) const {
        const int offsets[12][2] = {{0, -2},  {-2, 0}, {-2, -2}, {-2, 2}, {-1, 0},  {0, -1}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
        double sum = 0;
        for (int t = step == 0 ? 0 : 4; t < (step == 0 ? 4 : 12); t++) {
            const auto [dy, dx] = offsets[t];
            int ty = y + dy, tx = x + dx;
            if (step > 0) {
                if (ty < 0) ty = 1;
                if (ty == h) ty = h - 2;
                if (tx < 0) tx = 1;
                if (tx == w) tx = w - 2;
                if (ty < 0 || ty >= h || tx < 0 || tx >= w || context_step(c / (M / kContextSteps), ty, tx) >= step) continue;
            } else if (ty < 0 || tx < 0 || tx >= w) {
                if (y < 2 && x < 2) continue;
                ty = y >= 2 ? y - 2 : y;
                tx = y >= 2 ? x : x - 2;
            }
            const int row = step == 0 ? t : 8 * step - 4 + t - 4;
            sum += double(s.parameters["prediction"][size_t(row * M + c)]) * decoded[size_t((ty * w + tx) * M + c)];
        }
        return sum;
    }

    void run(const uint8_t* pixels, int height, int width) {
        const int colours = picture_channels(s.description);
        std::vector<float> picture(size_t(height) * size_t(width) * size_t(colours));
        for (size_t i = 0; i < picture.size(); i++) picture[i] = float(pixels[i]) / 255.0f - 0.5f;
        const std::vector<float> y = run_network("analysis", {1, height, width, colours}, picture);
        const int h = shape_out.h, w = shape_out.w;
        std::vector<double> symbol(y.size()), unit(static_cast<size_t>(M)), decoded(y.size(), 0.0);
        std::vector<float> hyper_input(2 * y.size()), synthesis_input(y.size());
        for (int c = 0; c < M; c++) unit[size_t(c)] = s.parameters["latent_std"][size_t(c)] * level_value("gain", c);
        for (size_t i = 0; i < y.size(); i++) {
            const size_t c = i % size_t(M), p = i / size_t(M);
            symbol[i] = y[i] * level_value("gain", int(c));
            hyper_input[2 * p * size_t(M) + c] = float(0.5 * std::log2(1 + std::abs(symbol[i])));
            hyper_input[(2 * p + 1) * size_t(M) + c] = float(symbol[i] / unit[c]);
        }
        const std::vector<float> z = run_network("hyper_analysis", {1, h, w, 2 * M}, hyper_input);
        const Shape z_shape = shape_out;
        std::vector<float> z_input(2 * z.size());
        for (size_t i = 0; i < z.size(); i++) {
            const size_t c = i % size_t(Hz), p = i / size_t(Hz);
            const double value = std::floor(z[i] + 0.5);
            bits_z +=
                logistic_cost(value - s.parameters["hyper_mean"][c], std::exp2(double(s.parameters["hyper_log2_scale"][c])));
            z_input[2 * p * size_t(Hz) + c] = float(std::max(value, 0.0) / 4);
            z_input[(2 * p + 1) * size_t(Hz) + c] = float(std::max(-value, 0.0) / 4);
        }
        const std::vector<float> features = run_network("hyper_synthesis", {1, z_shape.h, z_shape.w, 2 * Hz}, z_input);
        const Shape f = shape_out;

        for (int step = 0; step < kContextSteps; step++) {
            const int channels = f.c + (step == 0 ? 0 : M);
            std::vector<float> input(size_t(h) * size_t(w) * size_t(channels), 0.0f);
            for (int y0 = 0; y0 < h; y0++) {
                for (int x0 = 0; x0 < w; x0++) {
                    float* to = input.data() + (y0 * w + x0) * channels;
                    std::copy_n(features.data() + (y0 * f.w + x0) * f.c, f.c, to);
                    for (int c = 0; c < M && step > 0; c++) {
                        if (context_step(c / (M / kContextSteps), y0, x0) >= step) continue;
                        const double v = decoded[size_t((y0 * w + x0) * M + c)] / unit[size_t(c)];
                        // Linear to 1, then 16 numbers an octave.
                        const double size = std::min(std::abs(std::floor(v * 32 + 0.5)), 2047.0);
                        const int octave = size > 32 ? int(std::log2(size / 32)) : 0;
                        const double companded = size <= 32 ? size : 32 + 16 * octave + std::floor((size / 32 / (1 << octave) - 1) * 16);
                        to[f.c + c] = float((v < 0 ? -companded : companded) / 32);
                    }
                }
            }
            const std::vector<float> predicted = run_network("context" + std::to_string(step), {1, h, w, channels}, input);
            for (int p = 0; p < h * w; p++) {
                for (int c = 0; c < M; c++) {
                    if (context_step(c / (M / kContextSteps), p / w, p % w) != step) continue;
                    const size_t at = size_t(p * M + c);
                    double mean = predicted[size_t(p * 2 * M + c)] * unit[size_t(c)];
                    mean += neighbours(step, p / w, p % w, h, w, c, decoded);
                    const double scale =
                        std::max(std::exp2(double(predicted[size_t((p * 2 + 1) * M + c)])) * unit[size_t(c)], 0.06);
                    const double rounded = std::floor(symbol[at] - mean + 0.5);
                    bits_y += logistic_cost(rounded, scale);
                    decoded[at] = mean + rounded;
                    synthesis_input[at] = float(decoded[at] * level_value("inverse_gain", c));
                }
            }
        }
        const std::vector<float> result = run_network("synthesis", {1, h, w, M}, synthesis_input);
        for (size_t i = 0; i < result.size(); i++)
            mse += (double(result[i]) - picture[i]) * (double(result[i]) - picture[i]) / double(result.size());
        bits_y /= height * width;
        bits_z /= height * width;
    }

    Setup& s;
    std::vector<float> quality;
    int M, Hz;
    Shape shape_out;
    double bits_y = 0, bits_z = 0, mse = 0;
};

}  // namespace

TEST_CASE("as coded: rate and distortion are those of a plain codec") {
    for (const int colours : {3, 1}) {
        CAPTURE(colours);
        Setup s(Quantisation::round, DataType::f32, 1.0, colours);
        const StepResult r = s.run();
        for (size_t n = 0; n < 2; n++) {
            PlainCodec plain(s, s.quality[n]);
            plain.run(s.pixels.data() + n * s.pixels.size() / 2, s.options.height, s.options.width);
            // A latent next to a rounding threshold may fall to the other side.
            CHECK(r.bits_y[n] == doctest::Approx(plain.bits_y).epsilon(2e-3));
            CHECK(r.bits_z[n] == doctest::Approx(plain.bits_z).epsilon(2e-3));
            CHECK(r.mse[n] == doctest::Approx(plain.mse).epsilon(2e-3));
        }
    }
}

TEST_CASE("each latent is coded once, and neighbours in different steps") {
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 4; x++) {
            for (int group = 0; group < kContextSteps; group++) CHECK(context_group(context_step(group, y, x), y, x) == group);
        }
    }
    for (int step = 0; step < kContextSteps; step++) {
        std::vector<int> groups{context_group(step, 0, 0), context_group(step, 0, 1), context_group(step, 1, 0),
                                context_group(step, 1, 1)};
        std::sort(groups.begin(), groups.end());
        CHECK(groups == std::vector<int>{0, 1, 2, 3});
    }
}
