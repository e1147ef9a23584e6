// Training a denoiser from end to end, by the trainer that codecs have: it learns, repeats itself exactly, and resumes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "codec/error.h"
#include "codec/network/model_file.h"
#include "codec/train/initialise.h"
#include "codec/train/trainer.h"
#include "tests/float_types.h"
#include "tests/tiny_denoiser.h"
#include "tests/tiny_model.h"
#include "tests/training_pictures.h"

using namespace decant;
using namespace decant::test;
namespace fs = std::filesystem;

namespace {

TrainOptions small_options() {
    TrainOptions o;
    o.data = pictures().data();
    o.steps = 10;
    o.batch = 4;
    o.crop = 64;
    o.shards = 2;
    o.rate = 3e-3;
    o.warm_up = 4;
    o.average = 0.9;
    o.checkpoint_every = 1000;
    o.validate_every = 1000;
    return o;
}

bool go_on(const TrainProgress&) { return true; }

}  // namespace

TEST_CASE("a denoiser begins with the noisy picture and learns to better it") {
    const Description d = tiny_denoiser();
    TrainOptions o = small_options();
    o.steps = 200;
    o.hold = 0.7;
    o.rate = 1e-2;
    o.validate_every = 50;
    const TrainResult result = train_model(d, o, nullptr, [&](const TrainProgress& p) {
        if (!p.validation.empty()) {
            CHECK(p.loss > 0);
            CHECK(p.loss < 0.2);
            CHECK(p.bpp == 0);
            CHECK(p.psnr > 5);
        }
        return true;
    });
    for (float v : result.parameters.values()) REQUIRE(std::isfinite(v));
    REQUIRE(result.validation.size() == 5);
    for (const ValidationPoint& p : result.validation) {
        CAPTURE(p.level);
        MESSAGE("sigma " << p.level << ": " << p.psnr_noisy << " dB, denoised " << p.psnr << " dB");
        CHECK(p.bpp == 0);
        if (p.level >= 25 || p.level == kMixtureLevel) CHECK(p.psnr > p.psnr_noisy + 1);
    }
    CHECK(result.validation[2].psnr_noisy == doctest::Approx(20.4).epsilon(0.02));  // σ = 25, some of it clipped

    o.steps = 1;
    o.rate = 1e-12;
    const TrainResult none = train_model(d, o, nullptr, go_on);
    CHECK(std::fabs(none.validation[2].psnr - none.validation[2].psnr_noisy) < 1);
}

TEST_CASE("gray and pages are learned as well") {
    for (const char* noise : {"photo", "page"}) {
        TrainOptions o = small_options();
        o.steps = 2;
        const TrainResult result = train_model(tiny_denoiser(1, noise), o, nullptr, go_on);
        for (float v : result.parameters.values()) REQUIRE(std::isfinite(v));
    }
}

TEST_CASE("the same seed gives the same denoiser, with and without an interruption") {
    const Description d = tiny_denoiser();
    for (Precision compute : test::precisions()) {
        TrainOptions o = small_options();
        o.compute = compute;
        const TrainResult whole = train_model(d, o, nullptr, go_on);
        CHECK(train_model(d, o, nullptr, go_on).parameters.values() == whole.parameters.values());

        o.checkpoint = pictures().file("denoiser.ckpt");
        fs::remove(o.checkpoint);
        o.validate_every = 5;
        CHECK_THROWS_AS(train_model(d, o, nullptr, [](const TrainProgress& p) { return p.step < 5; }), Error);
        CHECK(read_checkpoint(o.checkpoint).steps == 5);
        CHECK(read_checkpoint(o.checkpoint).description == d);
        CHECK(train_model(d, o, nullptr, go_on).parameters.values() == whole.parameters.values());

        o.seed = 2;
        o.checkpoint.clear();
        CHECK(train_model(d, o, nullptr, go_on).parameters.values() != whole.parameters.values());
    }
}

TEST_CASE("a denoiser learns from another one") {
    const Description d = tiny_denoiser();
    const Parameters start = random_parameters(d, 0.3f);
    TrainOptions o = small_options();
    o.steps = 3;
    o.rate = 1e-12;
    const auto first_loss = [&] {
        double loss = 0;
        train_model(d, o, &start, [&](const TrainProgress& p) {
            if (loss == 0) loss = p.loss;
            return true;
        });
        return loss;
    };
    const double alone = first_loss();
    o.teacher = pictures().file("teacher.safetensors");
    CHECK_THROWS_AS(first_loss(), Error);  // no such file
    save_model(o.teacher, d, start, {});
    const double from_itself = first_loss();
    MESSAGE("loss " << alone << ", against what the network itself says " << from_itself);
    CHECK(from_itself < 0.25 * alone);  // its own results are near, but for rounding
    o.teacher_share = 0.5;
    const double between = first_loss();
    CHECK(between < alone);
    CHECK(between > from_itself);
    o.teacher_share = 0;
    CHECK(first_loss() == alone);
    o.teacher_share = 1;
    save_model(o.teacher, tiny_contents().description, tiny_contents().parameters, {});
    CHECK_THROWS_AS(first_loss(), Error);  // a codec
}

TEST_CASE("training goes on from weights that are given") {
    const Description d = tiny_denoiser();
    const Parameters start = random_parameters(d, 0.3f);
    TrainOptions o = small_options();
    o.steps = 1;
    o.rate = 1e-12;
    const TrainResult result = train_model(d, o, &start, go_on);
    for (size_t i = 0; i < start.values().size(); i++)
        CHECK(result.parameters.values()[i] == doctest::Approx(start.values()[i]).epsilon(1e-5));
}

TEST_CASE("a network that has grown begins with the weights that fit, and the rest anew") {
    const Description small = tiny_denoiser();
    const Dataset data(pictures().data(), {});
    const Parameters start = initial_parameters(small, data, 5);
    CHECK(initial_parameters(small, data, 6, start).values() == start.values());
    Description large = small;
    Layer& changed = large.networks[0].layers[1];
    REQUIRE(changed.op == Operation::convolution);
    changed.name = "other";
    for (Layer& layer : large.networks[0].layers)
        if (layer.add == small.networks[0].layers[1].name) layer.add = "other";
    const Parameters grown = initial_parameters(large, data, 6, start), anew = initial_parameters(large, data, 6);
    for (const Parameter& p : grown.list()) {
        CAPTURE(p.name);
        const auto& from = start.contains(p.name) ? start : anew;
        CHECK(std::ranges::equal(grown[p.name], from[p.name]));
    }
    CHECK(grown.values() != anew.values());
    for (Layer& layer : large.networks[0].layers) layer.name += "x";
    for (Layer& layer : large.networks[0].layers)
        if (!layer.add.empty()) layer.add += "x";
    CHECK_THROWS_AS(initial_parameters(large, data, 6, start), Error);
}

TEST_CASE("statistics of batches do not depend on the shards") {
    const Description d = parse_description(R"({"name": "n", "task": "denoise", "networks": {"denoise": {"channels_in": 4, "layers": [
        {"name": "a", "channels": 4, "kernel": 3, "normalisation": "batch", "activation": "relu"},
        {"name": "b", "channels": 3, "kernel": 3, "init": "zero"}]}}})");
    TrainOptions o = small_options();
    o.rate = 1e-12;  // the weights stay, so that the statistics are those of the pictures,
    o.steps = 100;   // and of the start hardly anything
    std::vector<float> variance[2];
    for (const int shards : {1, 2}) {
        o.shards = shards;
        const TrainResult result = train_model(d, o, nullptr, go_on);
        const auto values = result.parameters["denoise.a.variance"];
        variance[shards - 1].assign(values.begin(), values.end());
    }
    for (size_t i = 0; i < variance[0].size(); i++) CHECK(variance[1][i] / variance[0][i] == doctest::Approx(1).epsilon(0.1));
}
