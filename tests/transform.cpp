// Pictures to latents and back by windows: the same as the whole picture at once.
#include "codec/transform/transform.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/image_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

// With `precise` the transforms are in f32 throughout, so that results are the same but for the last bits.
ModelContents contents(bool precise) {
    ModelContents model = tiny_contents();
    for (Network& network : model.description.networks) {
        if (!precise || (network.name != "analysis" && network.name != "synthesis")) continue;
        for (Layer& layer : network.layers) layer.arithmetic = Arithmetic::wide;
    }
    return model;
}

struct Workshop {
    explicit Workshop(bool precise = false) : model(contents(precise)) {}

    ModelContents model;
    CodecWeights weights{model.description, model.parameters};
    Transform transform{model.description, weights};
};

GraphOptions transform_options() {
    GraphOptions options;
    options.compute = has_fast_bf16() ? DataType::bf16 : DataType::f32;
    return options;
}

// The sums of a whole picture and of a window may differ in their last bit, which a rounding to bf16 turns into one of 2^-9.
double tolerance(bool precise) { return precise ? 1e-5 : has_fast_bf16() ? 4e-3 : 1e-4; }

int round_up(uint32_t v) { return int((v + 15) / 16 * 16); }

// Index by walking to and fro.
uint32_t reflected(int steps, uint32_t size) {
    int at = 0, direction = 1;
    for (int i = 0; i < steps && size > 1; i++) {
        if (at + direction < 0 || at + direction >= int(size)) direction = -direction;
        at += direction;
    }
    return uint32_t(at);
}

Image padded(const Image& image) {
    Image result(uint32_t(round_up(image.width)), uint32_t(round_up(image.height)), image.channels);
    for (uint32_t y = 0; y < result.height; y++) {
        for (uint32_t x = 0; x < result.width; x++) {
            const uint8_t* from =
                image.row(reflected(int(y), image.height)) + reflected(int(x), image.width) * size_t(image.channels);
            std::copy_n(from, image.channels, result.row(y) + x * size_t(image.channels));
        }
    }
    return result;
}

std::vector<float> run(Workshop& shop, const char* network, Shape shape, const std::vector<float>& input, float quality) {
    Graph graph(shop.weights[network], shape, transform_options());
    std::copy(input.begin(), input.end(), graph.input().as<float>());
    graph.forward({&quality, 1});
    const TensorRef out = graph.output();
    return {out.as<float>(), out.as<float>() + out.shape.elements()};
}

std::vector<float> analyse_whole(Workshop& shop, const Image& image, float quality) {
    const Image whole = padded(image);
    std::vector<float> input;
    for (size_t i = 0; i < whole.samples.size(); i++) {
        for (int c = 0; c < (image.channels == 1 ? 3 : 1); c++) input.push_back(float(whole.samples[i]) / 255.0f - 0.5f);
    }
    return run(shop, "analysis", {1, int(whole.height), int(whole.width), 3}, input, quality);
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double largest = 0;
    for (size_t i = 0; i < a.size(); i++) largest = std::max(largest, double(std::abs(a[i] - b[i])));
    return largest;
}

double largest_value(const std::vector<float>& a) {
    double largest = 0;
    for (const float v : a) largest = std::max(largest, double(std::abs(v)));
    return largest;
}

// How many latent positions away a change of the input shows. in, out: pixels that a position of the input and output is wide.
int reach_by_trial(Workshop& shop, const char* network, int in, int out) {
    const int side = 320, n = side / in, channels = shop.model.description.network(network).channels_in;
    std::mt19937 random(1);
    std::vector<float> input(size_t(n * n * channels));
    for (float& v : input) v = std::normal_distribution<float>()(random);
    const auto base = run(shop, network, {1, n, n, channels}, input, 1);
    const int m = side / out, depth = int(base.size()) / m / m;
    int reach = 0;
    for (const bool rows : {true, false}) {
        // In the middle, at the first and the last place of a latent position.
        for (const int at : {n / 2, n / 2 + 16 / in - 1}) {
            auto changed = input;
            for (int i = 0; i < n; i++) {
                for (int c = 0; c < channels; c++) changed[size_t(((rows ? at : i) * n + (rows ? i : at)) * channels + c)] += 5;
            }
            const auto result = run(shop, network, {1, n, n, channels}, changed, 1);
            for (int i = 0; i < int(result.size()); i++) {
                if (result[size_t(i)] == base[size_t(i)]) continue;
                const int place = rows ? i / depth / m : i / depth % m;
                reach = std::max(reach, std::abs(place * out / 16 - at * in / 16));
            }
        }
    }
    return reach;
}

}  // namespace

TEST_CASE("margins are how far the networks see") {
    const ThreadCount one(1);
    Workshop shop;
    const Description& d = shop.model.description;
    // Two 3×3 layers at 4, 8 and 16 pixels a position each; more than that would be wasted work for each window.
    CHECK(receptive_margin(d.network("analysis"), 1) == 2 * (4 + 8 + 16));
    CHECK(receptive_margin(d.network("synthesis"), 16) == 2 * (4 + 8 + 16));
    CHECK(reach_by_trial(shop, "analysis", 1, 16) == 4);
    CHECK(reach_by_trial(shop, "synthesis", 16, 1) == 4);
}

TEST_CASE("windows give what the whole picture gives") {
    const ThreadCount one(1);
    for (const bool precise : {true, false}) {
        Workshop shop(precise);
        const float quality = precise ? 1.3f : 0.0f;
        const Image image = mixed_image(1100, 1060, 3);
        const LatentPlane plane = shop.transform.analyse(image, quality);
        CHECK(plane.w == 69);
        CHECK(plane.h == 67);
        const auto whole = analyse_whole(shop, image, quality);
        const double difference = largest_difference(plane.values, whole);
        CAPTURE(difference);
        CHECK(largest_value(whole) > 0.5);
        CHECK(difference <= tolerance(precise));

        const auto pixels = run(shop, "synthesis", {1, plane.h, plane.w, plane.channels}, plane.values, quality);
        const Image result = shop.transform.synthesise(plane, image.width, image.height, 3, quality);
        REQUIRE(result.width == image.width);
        REQUIRE(result.height == image.height);
        size_t different = 0, clipped = 0;
        for (size_t y = 0; y < image.height; y++) {
            for (size_t i = 0; i < image.row_size(); i++) {
                const double v = (double(pixels[y * size_t(plane.w) * 48 + i]) + 0.5) * 255;
                const double want = std::floor(std::clamp(v, 0.0, 255.0) + 0.5);
                const double off = std::abs(want - result.row(uint32_t(y))[i]);
                REQUIRE(off <= 1);
                different += off != 0 ? 1 : 0;
                clipped += v < 0 || v > 255 ? 1 : 0;
            }
        }
        CHECK(different < result.samples.size() / (precise ? 10000 : 1000));
        CHECK(clipped < result.samples.size() / 2);
    }
}

TEST_CASE("windows of long and narrow pictures") {
    const ThreadCount one(1);
    Workshop shop(true);
    for (const auto& [w, h] : {std::pair<uint32_t, uint32_t>{2500, 20}, {9, 2100}, {1025, 1}, {1024, 16}}) {
        CAPTURE(w);
        CAPTURE(h);
        const Image image = mixed_image(w, h, 3);
        const LatentPlane plane = shop.transform.analyse(image, 1);
        CHECK(largest_difference(plane.values, analyse_whole(shop, image, 1)) <= tolerance(true));
        const Image result = shop.transform.synthesise(plane, w, h, 3, 1);
        const auto pixels = run(shop, "synthesis", {1, plane.h, plane.w, plane.channels}, plane.values, 1);
        for (size_t y = 0; y < h; y++) {
            for (size_t i = 0; i < image.row_size(); i++) {
                const float want = std::clamp((pixels[y * size_t(plane.w) * 48 + i] + 0.5f) * 255.0f, 0.0f, 255.0f);
                REQUIRE(std::abs(want - float(result.row(uint32_t(y))[i])) <= 0.505f);
            }
        }
    }
}

TEST_CASE("pictures are continued by reflection") {
    const ThreadCount one(1);
    Workshop shop;
    for (const int channels : {1, 3}) {
        for (const auto& [w, h] :
             {std::pair<uint32_t, uint32_t>{1, 1}, {1, 17}, {15, 1}, {2, 2}, {3, 9}, {16, 16}, {17, 31}, {33, 2}}) {
            CAPTURE(w);
            CAPTURE(h);
            const Image image = noise_image(w, h, channels, w * 100 + h);
            const LatentPlane plane = shop.transform.analyse(image, 0.5f);
            CHECK(plane.h == int(h + 15) / 16);
            CHECK(plane.w == int(w + 15) / 16);
            CHECK(plane.values == shop.transform.analyse(padded(image), 0.5f).values);
            CHECK(largest_difference(plane.values, analyse_whole(shop, image, 0.5f)) <= tolerance(false));
        }
    }
    // The walk to and fro is the reflection without repeated edges.
    std::vector<uint32_t> walk;
    for (int i = 0; i < 8; i++) walk.push_back(reflected(i, 3));
    CHECK(walk == std::vector<uint32_t>{0, 1, 2, 1, 0, 1, 2, 1});
}

TEST_CASE("gray is R = G = B on the way in and their mean on the way out") {
    const ThreadCount one(1);
    Workshop shop;
    const Image gray = mixed_image(50, 37, 1);
    Image colour(50, 37, 3);
    for (size_t i = 0; i < colour.samples.size(); i++) colour.samples[i] = gray.samples[i / 3];
    const LatentPlane plane = shop.transform.analyse(gray, 1);
    CHECK(plane.values == shop.transform.analyse(colour, 1).values);

    const Image out = shop.transform.synthesise(plane, 50, 37, 1, 1);
    CHECK(out.channels == 1);
    const auto pixels = run(shop, "synthesis", {1, plane.h, plane.w, plane.channels}, plane.values, 1);
    for (size_t y = 0; y < 37; y++) {
        for (size_t x = 0; x < 50; x++) {
            const float* p = pixels.data() + (y * size_t(plane.w) * 16 + x) * 3;
            const float mean = std::clamp(((p[0] + p[1] + p[2]) / 3.0f + 0.5f) * 255.0f, 0.0f, 255.0f);
            REQUIRE(std::abs(mean - float(out.row(uint32_t(y))[x])) <= 0.52f);
        }
    }
}

TEST_CASE("the rate point matters, and in-between ones are in between") {
    const ThreadCount one(1);
    Workshop shop;
    const Image image = mixed_image(64, 64, 3);
    const auto low = shop.transform.analyse(image, 0).values, high = shop.transform.analyse(image, 1).values;
    CHECK(largest_difference(low, high) > 1e-3);
    CHECK(largest_difference(low, shop.transform.analyse(image, 1e-6f).values) < 1e-3);
}
