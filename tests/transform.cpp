// Pictures to latents and back by windows: the same as the whole picture at once.
#include "codec/transform/transform.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "codec/error.h"
#include "tests/image_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

// With `floats` the transforms have 3×3 layers of f32, so that they do not run in integers.
ModelContents contents(bool floats, int colours) {
    ModelContents model = tiny_contents(1, colours);
    for (Network& network : model.description.networks) {
        if (!floats || (network.name != "analysis" && network.name != "synthesis")) continue;
        for (Layer& layer : network.layers) layer.arithmetic = Arithmetic::wide;
    }
    return model;
}

struct Workshop {
    explicit Workshop(bool floats = false, int colours = 3) : model(contents(floats, colours)) {}

    ModelContents model;
    CodecWeights weights{model.description, model.parameters};
    SharedMemory memory;
    Transform transform{model.description, weights, memory};
};

// The latents of a picture, [h, w, channels].
template <class T>
struct Plane {
    int h, w, channels;
    std::vector<T> values;

    Plane(int rows, int columns, int c) : h(rows), w(columns), channels(c), values(size_t(rows) * size_t(columns) * size_t(c)) {}
    T* at(int y, int x) { return values.data() + (size_t(y) * size_t(w) + size_t(x)) * size_t(channels); }
    const T* at(int y, int x) const { return values.data() + (size_t(y) * size_t(w) + size_t(x)) * size_t(channels); }
};
using LatentPlane = Plane<float>;     // as the analysis gives them
using DecodedPlane = Plane<int16_t>;  // as the synthesis reads them

constexpr int kWindow = 40;

template <class F>
void each_window(const Area& whole, F&& f) {
    for (int y = 0; y < whole.h; y += kWindow) {
        for (int x = 0; x < whole.w; x += kWindow) f(Area{y, x, std::min(kWindow, whole.h - y), std::min(kWindow, whole.w - x)});
    }
}

LatentPlane analyse(Workshop& shop, const Image& image, float quality) {
    const Area whole = latent_area(image.width, image.height);
    const int channels = shop.model.description.latent_channels;
    LatentPlane plane(whole.h, whole.w, channels);
    each_window(whole, [&](const Area& window) {
        const Area seen = widened(window, Transform::analysis_margin(shop.model.description), whole);
        shop.transform.analyse(image, window, seen, quality, plane.at(window.y, window.x), size_t(whole.w) * size_t(channels));
    });
    return plane;
}

Image synthesise(Workshop& shop, const DecodedPlane& plane, uint32_t width, uint32_t height, int channels, float quality) {
    Image image(width, height, channels);
    const auto read = [&](int y, int x, int count, int16_t* dst) { std::copy_n(plane.at(y, x), size_t(count) * size_t(plane.channels), dst); };
    const Area whole = latent_area(width, height);
    each_window(whole, [&](const Area& window) {
        const Area seen = widened(window, Transform::synthesis_margin(shop.model.description), whole);
        shop.transform.synthesise(read, window, seen, quality, nullptr, image);
    });
    return image;
}

// Sums in floats of a whole picture and of a window may differ in their last bit; integers are the same.
double tolerance(bool floats) { return floats ? 1e-5 : 0; }

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

template <class T>
T rounded(float v, float zero, float low, float high) {
    return T(std::clamp(std::floor(v + zero + 0.5f), low, high));
}

std::vector<float> run(Workshop& shop, const char* network, Shape shape, const std::vector<float>& input, float quality) {
    if (!is_integer(shop.model.description.network(network))) {
        Graph graph(shop.weights[network], shape, {});
        std::copy(input.begin(), input.end(), graph.input().as<float>());
        graph.forward({&quality, 1});
        const TensorRef out = graph.output();
        return {out.as<float>(), out.as<float>() + out.shape.elements()};
    }
    const bool pixels = std::string(network) == kAnalysisNetwork;
    IntegerGraphOptions options;
    options.input_type = pixels ? DataType::u8 : DataType::s16;
    options.signed_from = 0;
    options.input_exponent = pixels ? 8 : 10;
    options.output_exponent = 16;
    IntegerGraph graph(shop.weights.integers(network), shape, options);
    for (size_t i = 0; i < input.size(); i++) {
        if (pixels) {
            graph.input().as<uint8_t>()[i] = rounded<uint8_t>(input[i] * 256, 128, 0, 255);
        } else {
            graph.input().as<int16_t>()[i] = rounded<int16_t>(input[i] * 1024, 0, -32768, 32767);
        }
    }
    graph.forward(int(std::lround(quality * 256)));
    const TensorRef out = graph.output();
    std::vector<float> result(out.shape.elements());
    for (size_t i = 0; i < result.size(); i++) result[i] = float(out.as<int32_t>()[i]) / 65536;
    return result;
}

DecodedPlane decoded(const LatentPlane& plane) {
    DecodedPlane result(plane.h, plane.w, plane.channels);
    for (size_t i = 0; i < plane.values.size(); i++) result.values[i] = rounded<int16_t>(plane.values[i] * 1024, 0, -32768, 32767);
    return result;
}

std::vector<float> synthesise_whole(Workshop& shop, const DecodedPlane& plane, float quality) {
    std::vector<float> input;
    for (const int16_t v : plane.values) input.push_back(float(v) / 1024);
    return run(shop, "synthesis", {1, plane.h, plane.w, plane.channels}, input, quality);
}

// A pixel before it is rounded and clipped.
double pixel_of(double v) { return v * 256 + 128; }

std::vector<float> analyse_whole(Workshop& shop, const Image& image, float quality) {
    const Image whole = padded(image);
    const int colours = picture_channels(shop.model.description);
    std::vector<float> input;
    for (size_t i = 0; i < whole.samples().size(); i++) {
        for (int c = 0; c < colours / image.channels; c++) input.push_back((float(whole.samples()[i]) - 128.0f) / 256.0f);
    }
    return run(shop, "analysis", {1, int(whole.height), int(whole.width), colours}, input, quality);
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
    Workshop shop(true);
    const Description& d = shop.model.description;
    // Two 3×3 layers at 4, 8 and 16 pixels a position each, and for the synthesis the rest of the positions that they end in; more than that would be wasted work for each window.
    CHECK(receptive_margin(d.network("analysis"), 1) == 2 * (4 + 8 + 16));
    CHECK(receptive_margin(d.network("synthesis"), 16) == 64);
    CHECK(reach_by_trial(shop, "analysis", 1, 16) == 4);
    CHECK(reach_by_trial(shop, "synthesis", 16, 1) == 4);
}

TEST_CASE("windows that see more than they must, all of one size") {
    const Area whole{0, 0, 100, 30};
    for (const auto& [at, size] : {std::pair{0, 20}, {3, 20}, {40, 20}, {79, 20}, {80, 20}, {95, 5}, {0, 100}}) {
        const Area window{at, 5, size, 10}, seen = widened_to(window, 4, whole, 28, 64), least = widened(window, 4, whole);
        CAPTURE(at);
        CHECK(seen.h == std::max(28, least.h));
        CHECK(seen.w == 30);
        CHECK(seen.y >= 0);
        CHECK(seen.bottom() <= 100);
        CHECK(seen.y <= least.y);
        CHECK(seen.bottom() >= least.bottom());
        CHECK(seen.x == 0);
    }
}

TEST_CASE("windows give what the whole picture gives") {
    const ThreadCount one(1);
    for (const auto& [floats, colours] : {std::pair{true, 3}, {false, 3}, {true, 1}, {false, 1}}) {
        Workshop shop(floats, colours);
        REQUIRE(is_integer(shop.model.description.network("analysis")) != floats);
        REQUIRE(is_integer(shop.model.description.network("synthesis")) != floats);
        const float quality = 1.3f;
        const Image image = mixed_image(1100, 1060, colours);
        const LatentPlane plane = analyse(shop, image, quality);
        CHECK(plane.w == 69);
        CHECK(plane.h == 67);
        const auto whole = analyse_whole(shop, image, quality);
        const double difference = largest_difference(plane.values, whole);
        CAPTURE(difference);
        CHECK(largest_value(whole) > 0.5);
        CHECK(difference <= tolerance(floats));

        const DecodedPlane latents = decoded(plane);
        const auto pixels = synthesise_whole(shop, latents, quality);
        const Image result = synthesise(shop, latents, image.width, image.height, colours, quality);
        REQUIRE(result.width == image.width);
        REQUIRE(result.height == image.height);
        size_t different = 0, clipped = 0;
        for (size_t y = 0; y < image.height; y++) {
            for (size_t i = 0; i < image.row_size(); i++) {
                const double v = pixel_of(pixels[y * size_t(plane.w) * 16 * size_t(colours) + i]);
                const double want = std::clamp(std::floor(v + 0.5), 0.0, 255.0);
                const double off = std::abs(want - result.row(uint32_t(y))[i]);
                REQUIRE(off <= (floats ? 1 : 0));
                different += off != 0 ? 1 : 0;
                clipped += v < 0 || v > 255 ? 1 : 0;
            }
        }
        CHECK(different < result.samples().size() / 10000);
        CHECK(clipped < result.samples().size() / 2);
    }
}

TEST_CASE("windows of long and narrow pictures") {
    const ThreadCount one(1);
    Workshop shop;
    for (const auto& [w, h] : {std::pair<uint32_t, uint32_t>{2500, 20}, {9, 2100}, {1025, 1}, {1024, 16}}) {
        CAPTURE(w);
        CAPTURE(h);
        const Image image = mixed_image(w, h, 3);
        const LatentPlane plane = analyse(shop, image, 1);
        CHECK(largest_difference(plane.values, analyse_whole(shop, image, 1)) <= tolerance(false));
        const DecodedPlane latents = decoded(plane);
        const Image result = synthesise(shop, latents, w, h, 3, 1);
        const auto pixels = synthesise_whole(shop, latents, 1);
        for (size_t y = 0; y < h; y++) {
            for (size_t i = 0; i < image.row_size(); i++) {
                const double want = std::clamp(std::floor(pixel_of(pixels[y * size_t(plane.w) * 48 + i]) + 0.5), 0.0, 255.0);
                REQUIRE(want == result.row(uint32_t(y))[i]);
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
            const LatentPlane plane = analyse(shop, image, 0.5f);
            CHECK(plane.h == int(h + 15) / 16);
            CHECK(plane.w == int(w + 15) / 16);
            CHECK(plane.values == analyse(shop, padded(image), 0.5f).values);
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
    for (size_t i = 0; i < colour.samples().size(); i++) colour.samples()[i] = gray.samples()[i / 3];
    const LatentPlane plane = analyse(shop, gray, 1);
    CHECK(plane.values == analyse(shop, colour, 1).values);

    const DecodedPlane latents = decoded(plane);
    const Image out = synthesise(shop, latents, 50, 37, 1, 1);
    CHECK(out.channels == 1);
    const auto pixels = synthesise_whole(shop, latents, 1);
    for (size_t y = 0; y < 37; y++) {
        for (size_t x = 0; x < 50; x++) {
            const float* p = pixels.data() + (y * size_t(plane.w) * 16 + x) * 3;
            const double mean = std::clamp(std::floor(pixel_of((double(p[0]) + p[1] + p[2]) / 3) + 0.5), 0.0, 255.0);
            REQUIRE(mean == out.row(uint32_t(y))[x]);
        }
    }
}

TEST_CASE("a network for gray takes no colours") {
    const ThreadCount one(1);
    Workshop shop(false, 1);
    for (const auto& [w, h] : {std::pair<uint32_t, uint32_t>{1, 1}, {17, 31}, {70, 3}}) {
        const Image image = noise_image(w, h, 1, w);
        CHECK(largest_difference(analyse(shop, image, 0.5f).values, analyse_whole(shop, image, 0.5f)) <= tolerance(false));
    }
    const LatentPlane plane = analyse(shop, mixed_image(50, 37, 1), 1);
    CHECK_THROWS_WITH_AS(analyse(shop, mixed_image(50, 37, 3), 1), doctest::Contains("gray"), Error);
    CHECK_THROWS_WITH_AS(synthesise(shop, decoded(plane), 50, 37, 3, 1), doctest::Contains("gray"), Error);
}

TEST_CASE("the rate point matters, and in-between ones are in between") {
    const ThreadCount one(1);
    Workshop shop;
    const Image image = mixed_image(64, 64, 3);
    const auto low = analyse(shop, image, 0).values, high = analyse(shop, image, 1).values;
    CHECK(largest_difference(low, high) > 1e-3);
    CHECK(low == analyse(shop, image, 1e-6f).values);
}
