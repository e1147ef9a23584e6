// Anomalies: a woven texture with planted defects of four kinds, found by a model that has seen good ones alone.
#include "codec/anomaly/normality.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/image/pnm.h"
#include "codec/io/file.h"
#include "codec/network/model_file.h"
#include "codec/train/recipe.h"
#include "codec/train/trainer.h"
#include "tests/tiny_autoencoder.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;
namespace fs = std::filesystem;

namespace {

constexpr uint32_t kSide = 256;

// Threads over and under each other, not quite evenly, with the noise of a camera.
Image cloth(uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> number(0, 1);
    std::normal_distribution<double> noise(0, 4);
    Image image(kSide, kSide, 3);
    const double pitch = 9 + number(random), phase_x = 20 * number(random), phase_y = 20 * number(random), tilt = 0.03 * (number(random) - 0.5);
    const double light = 0.9 + 0.2 * number(random);
    for (uint32_t y = 0; y < kSide; y++) {
        for (uint32_t x = 0; x < kSide; x++) {
            const double u = (x + tilt * y + phase_x) / pitch, v = (y - tilt * x + phase_y) / pitch;
            const bool over = (int(std::floor(u)) + int(std::floor(v))) % 2 == 0;
            const double across = std::sin(3.14159 * (over ? u : v)), height = 90 + 80 * across * across;
            const double colour[3] = {1.0, over ? 0.9 : 0.8, over ? 0.6 : 0.7};
            for (size_t c = 0; c < 3; c++) image.row(y)[3 * x + c] = uint8_t(std::clamp(light * height * colour[c] + noise(random), 0.0, 255.0));
        }
    }
    return image;
}

struct Defect {
    uint32_t x0, y0, x1, y1;
};

Defect plant(Image& image, int kind, uint32_t seed) {
    std::mt19937 random(seed + 1000);
    const auto below = [&](uint32_t n) { return uint32_t(random() % n); };
    const uint32_t w = kind == 1 ? 40 : 24, h = kind == 1 ? 4 : 24;
    const uint32_t x0 = 16 + below(kSide - 32 - w), y0 = 16 + below(kSide - 32 - h);
    const Image other = cloth(seed + 5000);
    for (uint32_t y = y0; y < y0 + h; y++) {
        for (uint32_t x = x0; x < x0 + w; x++) {
            const double dx = (x - x0) - (w - 1) / 2.0, dy = (y - y0) - (h - 1) / 2.0;
            if (kind != 1 && dx * dx + dy * dy > w * w / 4.0) continue;
            for (uint32_t c = 0; c < 3; c++) {
                uint8_t& p = image.row(y)[3 * x + c];
                switch (kind) {
                    case 0: p = uint8_t(p / 2); break;                                          // a stain
                    case 1: p = uint8_t(230); break;                                            // a scratch
                    case 2: p = uint8_t(120 + int(random() % 9)); break;                        // a hole
                    default: p = other.row((x * 7) % kSide)[3 * ((y * 5) % kSide) + c]; break;  // tangled threads
                }
            }
        }
    }
    return {x0, y0, x0 + w, y0 + h};
}

// Probability that a picture with a defect scores above one without.
double area_under_roc(const std::vector<double>& good, const std::vector<double>& bad) {
    double wins = 0;
    for (const double b : bad) {
        for (const double g : good) wins += b > g ? 1.0 : b == g ? 0.5 : 0.0;
    }
    return wins / double(good.size() * bad.size());
}

std::shared_ptr<const Model> trained(const TemporaryFolder& folder) {
    fs::create_directory(folder / "good");
    for (uint32_t i = 0; i < 24; i++) {
        const auto bytes = write_pnm(cloth(i));
        write_file_atomically(folder / ("good/cloth" + std::to_string(i) + ".ppm"), bytes);
    }
    const auto text = read_file(std::string(DECANT_SOURCE_DIR) + "/models/recipes/autoencoder-anomaly.json");
    const Recipe recipe = parse_recipe({text.begin(), text.end()}, {{"training.data", "\"" + folder / "good" + "\"", "test"}, {"training.steps", "400", "test"}});
    const TrainResult result = train_model(recipe.description, recipe.training, nullptr, [](const TrainProgress&) { return true; });
    save_model(folder / "model.safetensors", recipe.description, result.parameters, {});
    return Model::load(folder / "model.safetensors");
}

}  // namespace

TEST_CASE("defects stand out, where they are") {
    const TemporaryFolder folder;
    const Autoencoder autoencoder(trained(folder), 1);
    Normality::Learner learner(autoencoder);
    for (uint32_t i = 0; i < 24; i++) learner.add(cloth(i));
    const Normality normality = Normality::parse(learner.fit().to_json());

    std::vector<double> good, bad;
    int false_alarms = 0, missed = 0, in_place = 0;
    for (uint32_t i = 100; i < 120; i++) {
        good.push_back(normality.measure(autoencoder, cloth(i)).score);
        false_alarms += good.back() > 1;
        Image image = cloth(i + 100);
        const Defect d = plant(image, int(i % 4), i);
        const AnomalyMap map = normality.measure(autoencoder, image);
        CHECK(map.values.size() == size_t(32 * 32));
        CHECK(double(*std::ranges::max_element(map.values)) == map.score);
        bad.push_back(map.score);
        missed += map.score <= 1;
        // A position of the code is 8 pixels, and the map is smoothed over three.
        const uint32_t x = uint32_t(8 * map.peak_x + 4), y = uint32_t(8 * map.peak_y + 4);
        in_place += x + 8 >= d.x0 && x <= d.x1 + 8 && y + 8 >= d.y0 && y <= d.y1 + 8;
    }
    const double area = area_under_roc(good, bad);
    MESSAGE("area under the ROC curve " << area << ", " << in_place << " of 20 in place, " << false_alarms << " false alarms, " << missed << " missed");
    CHECK(area >= 0.95);
    CHECK(in_place >= 18);
    CHECK(false_alarms <= 2);
    CHECK(missed <= 4);  // not all defects are far from what the cloth does by itself
}

TEST_CASE("what cannot be compared is refused") {
    const TemporaryFolder folder;
    const Description d = tiny_autoencoder(R"({"kind": "plain"})");
    save_model(folder / "model.safetensors", d, autoencoder_parameters(d), {});
    const Autoencoder autoencoder(Model::load(folder / "model.safetensors"), 1);
    Normality::Learner learner(autoencoder);
    for (uint32_t i = 0; i < 4; i++) learner.add(cloth(i));
    CHECK_THROWS_AS(learner.fit(), Error);
    learner.add(Image(1, 1, 1));  // a picture of one position, in gray
    const Normality normality = learner.fit();
    CHECK(std::isfinite(normality.measure(autoencoder, Image(1, 1, 3)).score));
    CHECK(normality.measure(autoencoder, Image(5, 3, 1)).width == 2);
    CHECK_THROWS_AS(normality.measure(autoencoder, Image(8, 8, 3, 16)), Error);
    CHECK_THROWS_AS(learner.add(Image(8, 8, 3, 16)), Error);
    for (const char* text : {"", "{}", "[]", R"({"mean": [1], "whitening": [1, 2], "threshold": 1})", R"({"mean": [], "whitening": [], "threshold": 1})",
                             R"({"mean": [1], "whitening": [1], "threshold": 0})", R"({"mean": ["a"], "whitening": [1], "threshold": 1})"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(Normality::parse(text), Error);
    }
    const Normality small = Normality::parse(R"({"mean": [1], "whitening": [1], "threshold": 1})");
    CHECK_THROWS_AS(small.measure(autoencoder, cloth(1)), Error);
}
