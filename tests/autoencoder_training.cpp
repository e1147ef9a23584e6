// Each kind of autoencoder trained for seconds, to what one that is broken does not reach.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/train/autoencoder_task.h"
#include "codec/train/initialise.h"
#include "codec/train/trainer.h"
#include "tests/tiny_autoencoder.h"
#include "tests/training_pictures.h"

using namespace decant;
using namespace decant::test;

namespace {

TrainOptions small_options(int64_t steps) {
    TrainOptions o;
    o.data = pictures().data();
    o.steps = steps;
    o.batch = 4;
    o.crop = 64;
    o.shards = 2;
    o.rate = 4e-3;
    o.warm_up = 20;
    o.hold = 0.5;
    o.average = 0.98;
    o.checkpoint_every = 1000;
    o.validate_every = steps;
    return o;
}

struct Trained {
    Parameters parameters;
    double psnr, bpp;
    std::map<std::string, double> figures;
};

Trained train(const Description& d, int64_t steps = 400) {
    const TrainOptions o = small_options(steps);
    const TrainResult r = train_model(d, o, nullptr, [](const TrainProgress&) { return true; });
    for (const float v : r.parameters.values()) REQUIRE(std::isfinite(v));
    REQUIRE(r.validation.size() == 1);
    Trained t{r.parameters, r.validation[0].psnr, r.validation[0].bpp, {}};
    const Dataset dataset(o.data, {.min_side = 64});
    for (const Figure& f : AutoencoderTask(d, o, dataset).figures(r.parameters)) t.figures[f.name] = f.value;
    MESSAGE(to_json(d).substr(0, 120) << ": " << t.psnr << " dB, " << t.bpp << " bpp");
    for (const auto& [name, value] : t.figures) MESSAGE(name << ": " << value);
    return t;
}

double share(const Parameters& p, float above) {
    const auto activity = p["activity"];
    return double(std::ranges::count_if(activity, [above](float a) { return a > above; })) / double(activity.size());
}

}  // namespace

TEST_CASE("a plain autoencoder learns to see pictures through 8 values for 16 pixels") {
    CHECK(train(tiny_autoencoder(R"({"kind": "plain"})")).psnr > 26);
}

TEST_CASE("every loss trains") {
    for (const char* loss : {R"({"l1": 1})", R"({"charbonnier": 1})", R"({"cross_entropy": 1})", R"({"ms_ssim": 0.5, "l1": 0.5})"}) {
        CHECK(train(tiny_autoencoder(R"({"kind": "plain"})", "", loss), 200).psnr > 20);
    }
}

TEST_CASE("sparse ones are sparse") {
    const Trained dense = train(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "l0", "weight": 0})", "jump"));
    const Trained sparse = train(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "l0", "weight": 0.01})", "jump"));
    CHECK(sparse.figures.at("active") < 0.7 * dense.figures.at("active"));
    CHECK(sparse.psnr > 18);
    const Trained k = train(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "top_k", "active": 2})"));
    CHECK(k.figures.at("active") == doctest::Approx(0.25).epsilon(0.01));
    CHECK(k.psnr > 19);
    const Trained kl = train(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "kl", "target": 0.1, "weight": 0.05})"));
    CHECK(kl.figures.at("active") == doctest::Approx(0.1).epsilon(0.3));
    CHECK(kl.psnr > 19);
}

TEST_CASE("a variational one pays for what its code says") {
    const Trained dear = train(tiny_autoencoder(R"({"kind": "variational", "weight": 1})", "variational", R"({"mse": 3})"));
    const Trained cheap = train(tiny_autoencoder(R"({"kind": "variational", "weight": 1})", "variational", R"({"mse": 300})"));
    CHECK(dear.bpp < 0.5 * cheap.bpp);
    CHECK(cheap.psnr > dear.psnr + 1);
    CHECK(cheap.psnr > 20);
}

TEST_CASE("a quantised one uses its codebook") {
    const Trained t = train(tiny_autoencoder(R"({"kind": "quantised", "codes": 32, "weight": 0.25})"));
    CHECK(t.bpp == doctest::Approx(5.0 / 16));
    CHECK(t.psnr > 19);
    CHECK(t.figures.at("codes in use") > 16);
    CHECK(share(t.parameters, 0.5f) == 0);  // none has taken all
}

TEST_CASE("batch normalisation and dropout train, and what was gathered serves in use") {
    CHECK(train(tiny_autoencoder(R"({"kind": "plain"})", "normalised")).psnr > 21);
}

TEST_CASE("dead units are drawn anew") {
    const Description d = tiny_autoencoder(R"({"kind": "sparse", "sparsity": "l0", "weight": 0.01})", "jump");
    const TrainOptions o = small_options(1000);
    const Dataset dataset(o.data, {.min_side = 64});
    const AutoencoderTask task(d, o, dataset);
    Parameters p = initial_parameters(d, dataset, 1);
    p["activity"][3] = 0.0f;
    p["activity"][5] = 0.99f;
    p["encoder.code.bias"][3] = -7.0f;
    p["encoder.code.threshold"][3] = 2.0f;
    const Parameters before = p;
    const auto figures = task.figures(p);
    REQUIRE(figures.size() == 3);
    CHECK(figures[1].value == 1);
    CHECK(figures[2].value == 1);
    CHECK(task.revive(199, p).empty());
    CHECK(task.revive(800, p).empty());
    const auto ranges = task.revive(200, p);
    CHECK(ranges.size() == 6);
    CHECK(p["encoder.code.bias"][3] == 0.0f);
    CHECK(p["encoder.code.threshold"][3] == doctest::Approx(0.01));
    const size_t row = p["encoder.code.weight"].size() / 8;
    for (size_t i = 0; i < 8 * row; i++) {
        const bool anew = i / row == 3 || i / row == 5;
        CHECK((p["encoder.code.weight"][i] != before["encoder.code.weight"][i]) == anew);
    }
    for (const auto& r : ranges) CHECK(r.offset + r.size <= p.values().size());
    CHECK(task.revive(400, p).empty());  // they have their chance
}

TEST_CASE("vectors that nobody chooses come to where many do") {
    const Description d = tiny_autoencoder(R"({"kind": "quantised", "codes": 4, "weight": 0.25})");
    const TrainOptions o = small_options(1000);
    const Dataset dataset(o.data, {.min_side = 64});
    const AutoencoderTask task(d, o, dataset);
    Parameters p = initial_parameters(d, dataset, 1);
    const float activity[] = {0.6f, 0.0f, 0.3f, 0.1f};
    std::ranges::copy(activity, p["activity"].begin());
    const std::vector<float> before(p["codebook"].begin(), p["codebook"].end());
    const auto ranges = task.revive(200, p);
    REQUIRE(ranges.size() == 1);
    CHECK(ranges[0].size == 8);
    for (size_t c = 0; c < 8; c++) {
        CHECK(p["codebook"][8 + c] == doctest::Approx(before[c]).epsilon(0.5).scale(0.02));
        CHECK(p["codebook"][8 + c] != before[8 + c]);
    }
    CHECK(p["activity"][0] == doctest::Approx(0.3));
    CHECK(p["activity"][1] == doctest::Approx(0.3));
}

TEST_CASE("an autoencoder's training repeats itself exactly, and resumes") {
    const Description d = tiny_autoencoder(R"({"kind": "quantised", "codes": 16, "weight": 0.25})", "normalised");
    const TrainOptions o = small_options(30);
    const TrainResult whole = train_model(d, o, nullptr, [](const TrainProgress&) { return true; });
    TrainOptions parts = o;
    parts.checkpoint = pictures().file("autoencoder.checkpoint");
    parts.checkpoint_every = 13;
    parts.validate_every = 14;  // a report, which may stop it
    CHECK_THROWS_AS(train_model(d, parts, nullptr,
                                [](const TrainProgress& p) { return p.step < 14; }),
                    Error);
    const TrainResult resumed = train_model(d, parts, nullptr, [](const TrainProgress&) { return true; });
    CHECK(std::equal(whole.parameters.values().begin(), whole.parameters.values().end(), resumed.parameters.values().begin()));
}
