// Training from end to end, on a handful of small pictures: it learns, repeats itself exactly, and resumes where it stopped.
#include "codec/train/trainer.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/train/initialise.h"
#include "tests/float_types.h"
#include "tests/training_pictures.h"

using namespace decant;
using namespace decant::test;
namespace fs = std::filesystem;

namespace {

const char* const kTiny = R"({
  "name": "tiny", "latent_channels": 8, "hyper_channels": 4, "lambda": [0.001, 0.01, 0.1],
  "networks": {
    "analysis": {"channels_in": 3, "layers": [
      {"name": "pixels", "op": "unshuffle", "factor": 4},
      {"name": "klt1", "channels": 6, "arithmetic": "wide", "init": "klt"},
      {"name": "block1.a", "channels": 8, "kernel": 3, "activation": "leaky_relu"},
      {"name": "block1.b", "channels": 6, "kernel": 3, "add": "klt1", "init": "zero"},
      {"name": "down", "op": "unshuffle", "factor": 4},
      {"name": "klt2", "channels": 8, "arithmetic": "wide", "quality_bias": true, "init": "klt"},
      {"name": "latents", "channels": 8, "arithmetic": "wide", "init": "klt"}]},
    "synthesis": {"channels_in": 8, "layers": [
      {"name": "latents", "channels": 8, "arithmetic": "wide", "quality_bias": true, "init": "klt"},
      {"name": "klt2", "channels": 96, "arithmetic": "wide", "init": "klt"},
      {"name": "up", "op": "shuffle", "factor": 4},
      {"name": "block1.a", "channels": 8, "kernel": 3, "activation": "leaky_relu"},
      {"name": "block1.b", "channels": 6, "kernel": 3, "add": "up", "init": "zero"},
      {"name": "klt1", "channels": 48, "arithmetic": "wide", "init": "klt"},
      {"name": "pixels", "op": "shuffle", "factor": 4}]},
    "hyper_analysis": {"channels_in": 16, "layers": [
      {"name": "conv1", "channels": 8, "kernel": 3, "stride": 2, "activation": "leaky_relu"},
      {"name": "conv2", "channels": 4, "kernel": 3, "stride": 2}]},
    "hyper_synthesis": {"channels_in": 8, "layers": [
      {"name": "conv1", "channels": 64, "arithmetic": "integer", "activation": "relu", "input_exponent": 2},
      {"name": "up", "op": "shuffle", "factor": 4}]},
    "context0": {"channels_in": 4, "layers": [
      {"name": "conv1", "channels": 8, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true, "init": "small"}]},
    "context1": {"channels_in": 12, "layers": [
      {"name": "conv1", "channels": 8, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true, "init": "small"}]},
    "context2": {"channels_in": 12, "layers": [
      {"name": "conv1", "channels": 8, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true, "init": "small"}]},
    "context3": {"channels_in": 12, "layers": [
      {"name": "conv1", "channels": 8, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "quality_bias": true, "init": "small"}]}
  }
})";

const Description& tiny() {
    static const Description description = parse_description(kTiny);
    return description;
}

// The KLT of the pictures takes longer than the training here: one for all tests.
const Parameters& start() {
    static const Parameters parameters = initial_parameters(tiny(), Dataset(pictures().data(), {}), 1);
    return parameters;
}

TrainOptions small_options() {
    TrainOptions o;
    o.data = pictures().data();
    o.steps = 12;
    o.batch = 2;
    o.crop = 64;
    o.shards = 2;
    o.rate = 3e-3;
    o.warm_up = 4;
    o.hyper_warm_up = 8;
    o.average = 0.9;
    o.checkpoint_every = 1000;
    o.validate_every = 1000;
    return o;
}

bool go_on(const TrainProgress&) { return true; }

TrainResult train(const TrainOptions& options) { return train_model(tiny(), options, &start(), go_on); }

bool same_validation(const TrainResult& a, const TrainResult& b) {
    return std::equal(a.validation.begin(), a.validation.end(), b.validation.begin(), b.validation.end(),
                      [](const ValidationPoint& p, const ValidationPoint& q) {
                          return p.level == q.level && p.bpp == q.bpp && p.bpp_hyper == q.bpp_hyper && p.psnr == q.psnr;
                      });
}

ErrorCode refused(const TrainOptions& options, const Description& description = tiny()) {
    try {
        train_model(description, options, nullptr, go_on);
    } catch (const Error& error) {
        CHECK(std::string(error.what()) != "");
        return error.code();
    }
    FAIL_CHECK("accepted");
    return ErrorCode::internal;
}

// R + λ·255²·D of the held-out crops, over the rate points.
double validation_loss(const std::vector<ValidationPoint>& points) {
    double sum = 0;
    for (size_t i = 0; i < points.size(); i++)
        sum += std::log(points[i].bpp + tiny().lambda[i] * 255 * 255 * std::pow(10.0, -points[i].psnr / 10));
    return std::exp(sum / double(points.size()));
}

}  // namespace

TEST_CASE("training begins with a transform codec and learns from there") {
    TrainOptions o = small_options();
    o.steps = 150;
    o.validate_every = 50;
    std::vector<TrainProgress> reports;
    const TrainResult result = train_model(tiny(), o, nullptr, [&](const TrainProgress& p) {
        if (!p.validation.empty()) reports.push_back(p);
        return true;
    });
    REQUIRE(reports.size() == 3);
    CHECK(reports.back().step == 150);
    CHECK(result.steps == 150);
    CHECK(result.held_out >= 1);
    CHECK(result.pictures >= 7);
    CHECK(result.validation.size() == 3);
    for (float v : result.parameters.values()) REQUIRE(std::isfinite(v));
    for (const TrainProgress& p : reports) {
        CHECK(std::isfinite(p.loss));
        CHECK(p.gradient_norm > 0);
        CHECK(p.bpp > 0);
        for (const ValidationPoint& point : p.validation) {
            CHECK(point.bpp_hyper < point.bpp);
            CHECK(point.active > 0);
            CHECK(point.active < 1);
            CHECK(point.channels >= 1);
            CHECK(point.channels <= 16);
            CHECK(point.psnr > 10);
            CHECK(point.psnr < 60);
        }
    }
    // More bits give a better picture.
    CHECK(result.validation[0].bpp < result.validation[2].bpp);
    CHECK(result.validation[0].psnr < result.validation[2].psnr);

    TrainOptions none = small_options();
    none.steps = 1;
    none.rate = 1e-12;
    const double before = validation_loss(train(none).validation), after = validation_loss(result.validation);
    MESSAGE("loss of the held-out crop " << before << " at the start, " << after << " after " << result.steps << " steps");
    CHECK(after < 0.92 * before);  // the linear path and the entropy model: branches learn slowly, by their rates
    CHECK(validation_loss(reports[2].validation) < validation_loss(reports[0].validation));
}

TEST_CASE("the same seed gives the same numbers, another seed others") {
    for (Precision compute : test::precisions()) {
        TrainOptions o = small_options();
        o.compute = compute;
        const TrainResult a = train(o), b = train(o);
        CHECK(a.parameters.values() == b.parameters.values());
        CHECK(same_validation(a, b));
        CHECK(a.parameters.values() != start().values());
        o.seed = 2;
        CHECK(train(o).parameters.values() != a.parameters.values());
    }
}

TEST_CASE("what is not trained stays") {
    const TrainResult result = train(small_options());
    const auto before = start()["latent_std"];
    const auto after = result.parameters["latent_std"];
    CHECK(std::equal(before.begin(), before.end(), after.begin()));
}

TEST_CASE("rate points that a model does not serve are not validated, nor trained but for the beginning of the next") {
    Description upper = tiny();
    upper.lambda = {0.0001, 0.001, 0.01, 0.1};
    upper.serves = {2, 3};
    const Parameters first = initial_parameters(upper, Dataset(pictures().data(), {}), 1);
    const TrainResult result = train_model(upper, small_options(), &first, go_on);
    REQUIRE(result.validation.size() == 2);
    CHECK(result.validation[0].level == 2);
    CHECK(result.validation[1].level == 3);
    const auto before = first["gain"], after = result.parameters["gain"];
    const size_t channels = before.size() / 4;
    for (size_t level = 0; level < 4; level++) {
        CAPTURE(level);
        CHECK(std::equal(after.begin() + std::ptrdiff_t(level * channels), after.begin() + std::ptrdiff_t((level + 1) * channels),
                         before.begin() + std::ptrdiff_t(level * channels)) == (level == 0));
    }
}

TEST_CASE("an interrupted training ends with the same numbers") {
    for (Precision compute : test::precisions()) {
        CAPTURE(int(compute));
        TrainOptions o = small_options();
        o.compute = compute;
        const TrainResult whole = train(o);

        // Stopped by the caller at step 5.
        o.checkpoint = pictures().file("stopped.ckpt");
        fs::remove(o.checkpoint);
        o.validate_every = 5;
        const auto stop = [](const TrainProgress& p) { return p.step < 5; };
        try {
            train_model(tiny(), o, &start(), stop);
            FAIL("not stopped");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::cancelled);
        }
        REQUIRE(fs::exists(o.checkpoint));
        CHECK(read_checkpoint(o.checkpoint).steps == 5);
        o.validate_every = 1000;
        const TrainResult resumed = train(o);
        CHECK(resumed.steps == 12);
        CHECK(resumed.parameters.values() == whole.parameters.values());
        CHECK(same_validation(resumed, whole));

        // The checkpoint of the end: nothing is left to do.
        const TrainResult again = train(o);
        CHECK(again.parameters.values() == whole.parameters.values());
        CHECK(same_validation(again, whole));
        CHECK(read_checkpoint(o.checkpoint).parameters.values() == whole.parameters.values());
    }
}

TEST_CASE("every optimiser and schedule goes on from its checkpoint with the same numbers") {
    const std::pair<Optimiser, Schedule> cases[] = {{Optimiser::sgd, Schedule::plateau}, {Optimiser::rmsprop, Schedule::step}, {Optimiser::adamw, Schedule::constant}};
    for (const auto& [optimiser, schedule] : cases) {
        CAPTURE(int(optimiser));
        TrainOptions o = small_options();
        o.steps = 9;
        o.validate_every = 2;
        o.optimiser.kind = optimiser;
        o.optimiser.weight_decay = 0.01;
        o.optimiser.l1 = 1e-4;
        o.schedule = schedule;
        o.decay = 0.1;
        o.decay_every = 3;
        o.patience = 1;
        o.improvement = 1e3;  // so nothing is
        const TrainResult whole = train(o);
        o.checkpoint = pictures().file("kinds.ckpt");
        fs::remove(o.checkpoint);
        const auto stop = [](const TrainProgress& p) { return p.step < 6; };
        CHECK_THROWS_AS(train_model(tiny(), o, &start(), stop), Error);
        const TrainResult resumed = train(o);
        CHECK(resumed.parameters.values() == whole.parameters.values());
        CHECK(resumed.validation_loss == whole.validation_loss);
        TrainOptions other = o;
        other.optimiser.kind = Optimiser::adam;
        CHECK(refused(other) == ErrorCode::model_mismatch);
        // What the options are for.
        other = o;
        other.checkpoint.clear();
        other.schedule = Schedule::cosine;
        CHECK(train(other).parameters.values() != whole.parameters.values());
        other = o;
        other.checkpoint.clear();
        other.optimiser.weight_decay = 0;
        CHECK(train(other).parameters.values() != whole.parameters.values());
    }
}

TEST_CASE("weight decay leaves biases and gains alone") {
    TrainOptions o = small_options();
    o.steps = 1;
    o.average = 0;
    const auto plain = train(o).parameters;
    o.optimiser.kind = Optimiser::adamw;
    o.optimiser.weight_decay = 0.5;
    const auto decayed = train(o).parameters;
    for (const Parameter& p : plain.list()) {
        CAPTURE(p.name);
        const auto a = plain[p.name], b = decayed[p.name];
        const bool has_decay = p.name.ends_with(".weight") && std::ranges::any_of(start()[p.name], [](float w) { return w != 0; });
        CHECK(std::equal(a.begin(), a.end(), b.begin()) != has_decay);
    }
}

TEST_CASE("early stopping ends with the best weights, interrupted or not") {
    TrainOptions o = small_options();
    o.steps = 40;
    o.validate_every = 2;
    o.early_stop = 2;
    o.improvement = 3;  // more than there is to gain in so few steps, whatever the kernels that this machine's arithmetic chooses
    o.average = 0;
    o.warm_up = 1;
    o.rate = 0.3;  // far too much: it may well get worse
    std::vector<std::pair<int64_t, double>> losses;
    const TrainResult whole = train_model(tiny(), o, &start(), [&](const TrainProgress& p) {
        if (!p.validation.empty()) losses.emplace_back(p.step, p.validation_loss);
        return true;
    });
    REQUIRE(whole.steps < 40);
    auto best = losses.begin();
    for (auto later = best + 1; later != losses.end(); ++later)
        if (later->second < best->second - o.improvement) best = later;
    CHECK(whole.best_step == best->first);
    CHECK(whole.validation_loss == best->second);
    CHECK(whole.steps == best->first + 4);

    o.checkpoint = pictures().file("early.ckpt");
    for (int64_t stop = 2; stop <= whole.steps; stop += 2) {
        CAPTURE(stop);
        fs::remove(o.checkpoint);
        CHECK_THROWS_AS(train_model(tiny(), o, &start(), [&](const TrainProgress& p) { return p.step < stop; }), Error);
        const TrainResult resumed = train(o);
        CHECK(resumed.steps == whole.steps);
        CHECK(resumed.best_step == whole.best_step);
        CHECK(resumed.parameters.values() == whole.parameters.values());
        CHECK(read_checkpoint(o.checkpoint).parameters.values() == whole.parameters.values());
    }
}

TEST_CASE("a training that has its time") {
    TrainOptions o = small_options();
    o.steps = 1000000;
    o.seconds = 0.3;
    o.checkpoint = pictures().file("time.ckpt");
    const TrainResult result = train(o);
    CHECK(result.steps > 0);
    CHECK(result.steps < 100000);
    CHECK(result.seconds >= 0.3);
    CHECK(train(o).steps == result.steps);
}

TEST_CASE("a training of half the steps goes on to the full number") {
    // Without a decay of the learning rate inside the half, both begin alike.
    TrainOptions o = small_options();
    o.hold = 0.99;
    o.steps = 8;
    const TrainResult whole = train(o);
    o.checkpoint = pictures().file("half.ckpt");
    o.steps = 4;
    train(o);
    o.steps = 8;
    const TrainResult resumed = train(o);
    CHECK(resumed.parameters.values() == whole.parameters.values());
    CHECK(same_validation(resumed, whole));
}

TEST_CASE("checkpoints are kept on the way") {
    TrainOptions o = small_options();
    o.checkpoint = pictures().file("way.ckpt");
    o.checkpoint_every = 3;
    o.validate_every = 4;
    int64_t at_four = 0;
    train_model(tiny(), o, &start(), [&](const TrainProgress& p) {
        if (p.step == 4) at_four = read_checkpoint(o.checkpoint).steps;
        return true;
    });
    CHECK(at_four == 3);
    CHECK(read_checkpoint(o.checkpoint).steps == 12);
    CHECK_FALSE(fs::exists(o.checkpoint + ".new"));
    CHECK(read_checkpoint(o.checkpoint).description == tiny());
    CHECK(read_checkpoint(o.checkpoint).metadata.empty());
}

TEST_CASE("a checkpoint that does not belong is refused") {
    TrainOptions o = small_options();
    o.steps = 1;
    o.checkpoint = pictures().file("other.ckpt");
    train(o);
    Description other = tiny();
    other.lambda[1] = 0.02;
    CHECK(refused(o, other) == ErrorCode::model_mismatch);

    const auto size = fs::file_size(o.checkpoint);
    fs::resize_file(o.checkpoint, size - 100);
    CHECK(refused(o) == ErrorCode::corrupt);
    std::ofstream(o.checkpoint) << "no checkpoint";
    CHECK(refused(o) == ErrorCode::corrupt);
    CHECK_THROWS_AS(read_checkpoint(pictures().file("missing.ckpt")), Error);
}

TEST_CASE("options out of range are refused") {
    const auto with = [](auto change) {
        TrainOptions o = small_options();
        change(o);
        return refused(o);
    };
    CHECK(with([](TrainOptions& o) { o.steps = 0; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.crop = 48; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.crop = 72; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.crop = 4096; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.batch = 3; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.batch = 0; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.shards = 0; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.hold = 1; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.rate = 0; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.clip = -1; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.average = 1; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.checkpoint_every = 0; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.validate_every = 0; }) == ErrorCode::invalid_argument);
    CHECK(with([](TrainOptions& o) { o.data = pictures().file("nowhere"); }) == ErrorCode::not_found);
}

TEST_CASE("an error in the report ends the training") {
    TrainOptions o = small_options();
    o.validate_every = 2;
    CHECK_THROWS_WITH_AS(
        train_model(tiny(), o, &start(), [](const TrainProgress&) -> bool { throw Error(ErrorCode::io, "the pipe is closed"); }),
        "the pipe is closed", Error);
}

TEST_CASE("the KLT start reconstructs what its channels can hold") {
    const Parameters& p = start();
    // Analysis and synthesis of one stage are each other's inverse on the channels that are kept.
    const auto down = p["analysis.klt1.weight"], up = p["synthesis.klt1.weight"];
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 6; j++) {
            double sum = 0;
            for (size_t k = 0; k < 48; k++) sum += double(down[i * 48 + k]) * up[k * 6 + j];
            CHECK(std::abs(sum - (i == j ? 1.0 : 0.0)) < 1e-3);
        }
    }
    for (float std : p["latent_std"]) CHECK(std > 0);
    const auto gain = p["gain"], inverse = p["inverse_gain"];
    for (size_t i = 0; i < gain.size(); i++) CHECK(gain[i] == -inverse[i]);
    CHECK(gain[0] < gain[gain.size() - 1]);
}
