// Each kind of noise by itself: variance, mean, correlation, where it depends on the signal; the same stream gives the same noise; the
// smallest crops.
#include "codec/noise/noise.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/noise/mixture.h"
#include "codec/noise/page.h"

using namespace decant;

namespace {

Crop flat(int width, int height, int channels, float value = 128) {
    Crop crop(width, height, channels);
    std::fill(crop.values.begin(), crop.values.end(), value);
    return crop;
}

RandomStream stream(uint32_t seed = 1) { return {random_key(seed, 77)}; }

struct Statistics {
    double mean = 0, std = 0;
    double neighbours = 0;  // correlation of a sample with the next of its row and channel
    double channels = 0;    // of R with G
};

// Of what was added to a flat crop.
Statistics statistics(const Crop& crop, double value = 128) {
    Statistics s;
    double squares = 0, side = 0, across = 0, red = 0, green = 0;
    size_t sides = 0;
    for (float v : crop.values) s.mean += v - value;
    s.mean /= double(crop.values.size());
    for (int y = 0; y < crop.height; y++) {
        for (int x = 0; x < crop.width; x++) {
            for (int c = 0; c < crop.channels; c++) {
                const double d = crop.at(y, x, c) - value - s.mean;
                squares += d * d;
                if (x + 1 < crop.width) side += d * (crop.at(y, x + 1, c) - value - s.mean), sides++;
            }
            if (crop.channels == 3) {
                const double r = crop.at(y, x, 0) - value - s.mean, g = crop.at(y, x, 1) - value - s.mean;
                across += r * g, red += r * r, green += g * g;
            }
        }
    }
    const double variance = squares / double(crop.values.size());
    s.std = std::sqrt(variance);
    s.neighbours = side / double(sides) / variance;
    s.channels = crop.channels == 3 ? across / std::sqrt(red * green) : 0;
    return s;
}

using Kind = std::function<void(Crop&, RandomStream&)>;

Statistics measure(const Kind& kind, int channels = 3, float value = 128) {
    Crop crop = flat(256, 192, channels, value);
    RandomStream random = stream();
    kind(crop, random);
    return statistics(crop, value);
}

struct Named {
    std::string name;
    Kind kind;
};

// Every kind, for what must hold for all.
const std::vector<Named>& kinds() {
    static const std::vector<Named> list{
        {"gaussian", [](Crop& c, RandomStream& r) { add_gaussian(c, 20, r); }},
        {"sensor",
         [](Crop& c, RandomStream& r) {
             add_sensor_noise(c, {1.0f, 3.0f, 1.0f}, r);
         }},
        {"sensor, gamma",
         [](Crop& c, RandomStream& r) {
             add_sensor_noise(c, {1.0f, 3.0f, 2.2f}, r);
         }},
        {"blurred", [](Crop& c, RandomStream& r) { add_blurred(c, 20, 1.2f, r); }},
        {"resized", [](Crop& c, RandomStream& r) { add_resized(c, 20, 0.6f, r); }},
        {"demosaiced", [](Crop& c, RandomStream& r) { add_demosaiced(c, 20, r); }},
        {"camera", [](Crop& c, RandomStream& r) { add_camera_noise(c, {.luma_radius = 0.5f, .chroma_radius = 1.0f, .sharpening = 0.5f}, r); }},
        {"chroma", [](Crop& c, RandomStream& r) { add_chroma(c, 5, 12, 1.0f, r); }},
        {"salt and pepper", [](Crop& c, RandomStream& r) { add_salt_and_pepper(c, 0.3f, r); }},
        {"texture", [](Crop& c, RandomStream& r) { add_paper_texture(c, 8, r); }},
        {"wrinkles", [](Crop& c, RandomStream& r) { add_wrinkles(c, 12, r); }},
        {"stains", [](Crop& c, RandomStream& r) { add_stains(c, 3, 0.5f, r); }},
        {"fold", [](Crop& c, RandomStream& r) { add_fold(c, 40, r); }},
        {"light", [](Crop& c, RandomStream& r) { add_uneven_light(c, 0.4f, r); }},
        {"bleed-through", [](Crop& c, RandomStream& r) { add_bleed_through(c, 0.3f, r); }},
        {"halftone", [](Crop& c, RandomStream& r) { add_halftone(c, 4, 0.8f, r); }},
        {"specks", [](Crop& c, RandomStream& r) { add_specks(c, 0.05f, r); }},
        {"photo", [](Crop& c, RandomStream& r) { add_photo_noise(c, r); }},
        {"page", [](Crop& c, RandomStream& r) { add_page_noise(c, r); }},
    };
    return list;
}

}  // namespace

TEST_CASE("the same stream gives the same noise, another one another") {
    for (const auto& [name, kind] : kinds()) {
        CAPTURE(name);
        // Mixtures may draw none at all for one seed.
        bool differs = false;
        for (uint32_t seed = 1; seed <= 4; seed++) {
            Crop a = flat(40, 30, 3, 150);
            for (size_t i = 0; i < a.values.size(); i += 7) a.values[i] = float(i % 256);
            Crop b = a, c = a;
            RandomStream first = stream(seed), again = stream(seed), other = stream(seed + 100);
            kind(a, first);
            kind(b, again);
            kind(c, other);
            CHECK(a.values == b.values);
            differs = differs || a.values != c.values;
        }
        CHECK(differs);
    }
}

TEST_CASE("crops of any size and kind") {
    for (const auto& [name, kind] : kinds()) {
        for (int channels : {1, 3}) {
            for (auto [width, height] : {std::pair(1, 1), std::pair(2, 1), std::pair(1, 7), std::pair(5, 3), std::pair(33, 17)}) {
                CAPTURE(name);
                CAPTURE(width);
                Crop crop = flat(width, height, channels, 200);
                RandomStream random = stream();
                kind(crop, random);
                CHECK(crop.width == width);
                CHECK(crop.values.size() == size_t(width * height * channels));
                CHECK(std::all_of(crop.values.begin(), crop.values.end(), [](float v) { return std::isfinite(v); }));
            }
        }
    }
    CHECK_THROWS_AS(Crop(0, 1, 3), Error);
    CHECK_THROWS_AS(Crop(1, 1, 2), Error);
    CHECK_THROWS_AS(Crop(2, 2, 1, std::vector<uint8_t>(3)), Error);
}

TEST_CASE("white Gaussian noise") {
    for (float sigma : {5.0f, 25.0f, 75.0f}) {
        const Statistics s = measure([&](Crop& c, RandomStream& r) { add_gaussian(c, sigma, r); });
        CHECK(s.std == doctest::Approx(sigma).epsilon(0.01));
        CHECK(std::fabs(s.mean) < 0.015 * sigma);
        CHECK(std::fabs(s.neighbours) < 0.01);
        CHECK(std::fabs(s.channels) < 0.02);
    }
    CHECK(measure([](Crop& c, RandomStream& r) { add_gaussian(c, 0, r); }).std == 0);
}

TEST_CASE("sensor noise depends on the signal as it should") {
    for (const SensorNoise& n : {SensorNoise{0.5f, 2.0f, 1.0f}, SensorNoise{2.0f, 5.0f, 1.0f}, SensorNoise{0.3f, 1.0f, 2.2f}}) {
        for (float value : {60.0f, 120.0f, 200.0f}) {
            CAPTURE(value);
            const Statistics s = measure([&](Crop& c, RandomStream& r) { add_sensor_noise(c, n, r); }, 1, value);
            CHECK(s.std == doctest::Approx(sensor_sigma(n, value)).epsilon(n.gamma == 1.0f ? 0.02 : 0.1));
            CHECK(std::fabs(s.neighbours) < 0.02);
        }
    }
    const SensorNoise linear{1.0f, 1.0f, 1.0f}, curved{1.0f, 1.0f, 2.2f};
    CHECK(sensor_sigma(linear, 200) > sensor_sigma(linear, 50));
    CHECK(sensor_sigma(curved, 200) < sensor_sigma(curved, 20));  // the curve lifts the shadows
}

TEST_CASE("correlated noise has the wanted deviation and is correlated") {
    double before = 0;
    for (float radius : {0.5f, 1.0f, 2.0f}) {
        const Statistics s = measure([&](Crop& c, RandomStream& r) { add_blurred(c, 20, radius, r); });
        CHECK(s.std == doctest::Approx(20).epsilon(0.05));
        CHECK(s.neighbours > before + 0.05);
        // Two samples of a Gaussian filter's result: exp(-d² / 4r²), for filters that are wide enough.
        if (radius >= 1) CHECK(s.neighbours == doctest::Approx(std::exp(-1 / (4 * radius * radius))).epsilon(0.05));
        before = s.neighbours;
    }
    for (float scale : {0.4f, 0.7f, 1.5f}) {
        const Statistics s = measure([&](Crop& c, RandomStream& r) { add_resized(c, 20, scale, r); });
        CHECK(s.std == doctest::Approx(20).epsilon(0.02));
        CHECK(s.neighbours > (scale < 1 ? 0.4 : 0.1));
    }
}

TEST_CASE("demosaiced noise is that of one sensor") {
    const Statistics s = measure([](Crop& c, RandomStream& r) { add_demosaiced(c, 20, r); });
    // Measured sites keep the variance; interpolated ones have 1/4 or 1/2 of it (9/16 of red and 5/8 of green in the mean).
    CHECK(s.std == doctest::Approx(20 * std::sqrt((2 * 0.5625 + 0.625) / 3)).epsilon(0.02));
    CHECK(s.neighbours > 0.3);
    CHECK(std::fabs(s.channels) < 0.05);  // no two channels share a site
    CHECK(measure([](Crop& c, RandomStream& r) { add_demosaiced(c, 20, r); }, 1).std == doctest::Approx(20).epsilon(0.02));
}

TEST_CASE("camera noise is that of its sensor, and what the camera makes of it") {
    const auto camera = [](const CameraNoise& n, int channels = 3, float value = 128) {
        return measure([&n](Crop& c, RandomStream& r) { add_camera_noise(c, n, r); }, channels, value);
    };
    // A camera that does nothing but demosaicing.
    CameraNoise plain{.gain = 0, .read = 20, .gamma = 1, .red = 1, .blue = 1, .crosstalk = 0};
    CHECK(camera(plain).std == doctest::Approx(20 * std::sqrt((2 * 0.5625 + 0.625) / 3)).epsilon(0.02));
    CHECK(std::fabs(camera(plain).channels) < 0.05);
    // Shot noise grows with the root of light, and a gamma makes it louder in shadows.
    CameraNoise shot = plain;
    shot.read = 0;
    shot.gain = 0.5f;
    CHECK(camera(shot, 3, 200).std == doctest::Approx(2 * camera(shot, 3, 50).std).epsilon(0.03));
    shot.gamma = 2.2f;
    CHECK(camera(shot, 3, 50).std > camera(shot, 3, 200).std);
    // White balance and the undoing of crosstalk amplify, and the latter makes colours differ by more.
    CameraNoise balanced = plain, crossed = plain;
    balanced.red = balanced.blue = 2;
    CHECK(camera(balanced).std > 1.3 * camera(plain).std);
    crossed.crosstalk = 0.15f;
    CHECK(camera(crossed).std > 1.2 * camera(plain).std);
    CHECK(camera(crossed).channels < -0.05);
    // Its own smoothing and sharpening.
    CameraNoise soft = plain, sharp = plain;
    soft.luma_radius = soft.chroma_radius = 1;
    sharp.sharpening = 1;
    CHECK(camera(soft).std < 0.7 * camera(plain).std);
    CHECK(camera(soft).neighbours > camera(plain).neighbours + 0.2);
    CHECK(camera(sharp).std > 1.1 * camera(plain).std);
    // Gray is its luma; black and white stay in range.
    CHECK(camera(plain, 1).std == doctest::Approx(20 * 0.55).epsilon(0.1));
    for (float value : {0.0f, 255.0f}) {
        Crop crop = flat(32, 32, 3, value);
        RandomStream random = stream();
        add_camera_noise(crop, {}, random);
        for (float v : crop.values) REQUIRE((v >= 0 && v <= 255));
    }
}

TEST_CASE("chroma noise leaves brightness alone") {
    Crop crop = flat(256, 192, 3);
    RandomStream random = stream();
    add_chroma(crop, 2, 15, 1, random);
    double luma = 0, chroma = 0;
    for (size_t i = 0; i < crop.pixels(); i++) {
        const float* p = crop.values.data() + 3 * i;
        const double y = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] - 128, cb = (p[2] - 128 - y) / 1.772;
        luma += y * y;
        chroma += cb * cb;
    }
    CHECK(std::sqrt(luma / double(crop.pixels())) == doctest::Approx(2).epsilon(0.03));
    CHECK(std::sqrt(chroma / double(crop.pixels())) == doctest::Approx(15).epsilon(0.05));
}

TEST_CASE("salt and pepper hits its share of the pixels") {
    Crop crop = flat(256, 192, 3);
    RandomStream random = stream();
    add_salt_and_pepper(crop, 0.2f, random);
    double salt = 0, pepper = 0;
    for (size_t i = 0; i < crop.pixels(); i++) {
        const float* p = crop.values.data() + 3 * i;
        CHECK(p[0] == p[1]);
        CHECK(p[1] == p[2]);
        salt += p[0] == 255;
        pepper += p[0] == 0;
    }
    CHECK(salt / double(crop.pixels()) == doctest::Approx(0.1).epsilon(0.05));
    CHECK(pepper / double(crop.pixels()) == doctest::Approx(0.1).epsilon(0.05));
}

TEST_CASE("JPEG does more at low quality") {
    Crop textured = flat(64, 48, 3);
    RandomStream random = stream();
    add_blurred(textured, 30, 1, random);
    finish(textured);
    Crop good = textured, bad = textured;
    compress_jpeg(good, 95);
    compress_jpeg(bad, 20);
    CHECK(rms_difference(good, textured) > 0.3);
    CHECK(rms_difference(bad, textured) > 2 * rms_difference(good, textured));
    Crop gray = flat(9, 5, 1, 77);
    compress_jpeg(gray, 90);
    CHECK(statistics(gray, 77).std < 1);
}

TEST_CASE("pages: each kind does its own") {
    // Paper and light multiply: black stays black.
    for (const char* name : {"texture", "wrinkles", "stains", "light", "bleed-through"}) {
        CAPTURE(name);
        const auto found = std::find_if(kinds().begin(), kinds().end(), [&](const Named& n) { return n.name == name; });
        Crop black = flat(64, 48, 3, 0);
        RandomStream random = stream();
        found->kind(black, random);
        CHECK(std::all_of(black.values.begin(), black.values.end(), [](float v) { return v == 0; }));
    }
    const auto on_white = [](const Kind& kind) { return measure(kind, 3, 255); };
    const Statistics texture = on_white([](Crop& c, RandomStream& r) { add_paper_texture(c, 8, r); });
    CHECK(texture.std == doctest::Approx(8).epsilon(0.35));
    CHECK(texture.neighbours > 0.4);
    CHECK(texture.channels > 0.99);
    const Statistics wrinkles = on_white([](Crop& c, RandomStream& r) { add_wrinkles(c, 12, r); });
    CHECK(wrinkles.std == doctest::Approx(12).epsilon(0.1));
    CHECK(wrinkles.mean == doctest::Approx(0).epsilon(0.5));
    CHECK(wrinkles.neighbours > 0.6);
    Crop ink(2, 1, 1);
    ink.values = {0, 255};
    fade(ink, 40, 200);
    CHECK(ink.values == std::vector<float>{40, 200});
    // Ink that covers a quarter of a pixel: half of it once it has spread, a sixteenth where it takes badly.
    for (const auto& [exponent, left] : {std::pair{0.5f, 127.5f}, {1.0f, 191.25f}, {2.0f, 239.0625f}}) {
        Crop type(3, 1, 1);
        type.values = {0, 191.25f, 255};
        spread_ink(type, exponent);
        CHECK(type.values[0] == 0);
        CHECK(type.values[1] == doctest::Approx(left));
        CHECK(type.values[2] == 255);
    }
    for (float strength : {0.2f, 0.5f}) {
        Crop lit = flat(100, 80, 1, 200);
        RandomStream random = stream();
        add_uneven_light(lit, strength, random);
        const auto [low, high] = std::minmax_element(lit.values.begin(), lit.values.end());
        CHECK(*low >= 200 * (1 - strength) - 0.01f);
        CHECK(*high <= 200.01f);
        CHECK(*high - *low > 100 * strength);
    }
    CHECK(on_white([](Crop& c, RandomStream& r) { add_stains(c, 3, 0.6f, r); }).mean < -2);
    const Statistics fold = on_white([](Crop& c, RandomStream& r) { add_fold(c, 60, r); });
    CHECK(fold.std > 1);
    CHECK(fold.std < 20);
    // A white page has nothing on its back; a printed one shows it.
    CHECK(on_white([](Crop& c, RandomStream& r) { add_bleed_through(c, 0.3f, r); }).std == 0);
    Crop printed = flat(64, 64, 1, 255);
    for (int x = 8; x < 20; x++) printed.at(10, x, 0) = 0;
    Crop seen = printed;
    RandomStream random = stream();
    add_bleed_through(seen, 0.5f, random);
    const auto count_gray = [](const Crop& c) {
        return std::count_if(c.values.begin(), c.values.end(), [](float v) { return v > 1 && v < 250; });
    };
    CHECK(count_gray(printed) == 0);
    CHECK(count_gray(seen) > 5);
    // Tones become dots, paper does not.
    CHECK(measure([](Crop& c, RandomStream& r) { add_halftone(c, 4, 1, r); }).std > 60);
    CHECK(on_white([](Crop& c, RandomStream& r) { add_halftone(c, 4, 1, r); }).std < 12);
    // Specks: about the share that was asked for.
    Crop specked = flat(256, 192, 1, 230);
    add_specks(specked, 0.02f, random);
    const double hit = double(std::count_if(specked.values.begin(), specked.values.end(), [](float v) { return v != 230; }));
    CHECK(hit / double(specked.pixels()) > 0.008);
    CHECK(hit / double(specked.pixels()) < 0.03);
    Crop gray = flat(4, 4, 1, 100);
    binarise(gray, 128, 1);
    CHECK(gray.at(0, 0, 0) == 0);
    binarise(gray, 128, 0.5f);
    CHECK(gray.at(0, 0, 0) == 0);
}

TEST_CASE("resizing and blurring keep the mean") {
    Crop crop = flat(50, 40, 1);
    RandomStream random = stream();
    add_gaussian(crop, 30, random);
    const Statistics before = statistics(crop);
    Crop blurred = crop, small = resized(crop, 25, 20), coarse = crop;
    blur(blurred, 2);
    reduce_resolution(coarse, 0.5f);
    for (const Crop& c : {blurred, small, coarse}) {
        CHECK(statistics(c).mean == doctest::Approx(before.mean).epsilon(0.3));
        CHECK(statistics(c).std < 0.7 * before.std);
    }
    CHECK(coarse.width == 50);
    CHECK(resized(crop, 50, 40).values == crop.values);
}

TEST_CASE("mixtures: 8-bit results, all levels, the level that they say") {
    for (NoiseDomain domain : {NoiseDomain::photo, NoiseDomain::page}) {
        std::vector<float> levels;
        for (uint32_t seed = 0; seed < 150; seed++) {
            Crop clean(48, 48, 3);
            for (size_t i = 0; i < clean.values.size(); i++) clean.values[i] = float(60 + (i / 3 % 48) * 3);
            Crop crop = clean;
            RandomStream random = stream(seed);
            levels.push_back(add_noise(domain, crop, random));
            for (float v : crop.values) REQUIRE((v == std::floor(v) && v >= 0 && v <= 255));
            if (domain == NoiseDomain::photo) CHECK(levels.back() == doctest::Approx(rms_difference(crop, clean)));
        }
        CHECK(*std::min_element(levels.begin(), levels.end()) < 1);
        CHECK(*std::max_element(levels.begin(), levels.end()) > 45);
        CHECK(*std::max_element(levels.begin(), levels.end()) < 130);
        std::nth_element(levels.begin(), levels.begin() + 75, levels.end());
        CHECK(levels[75] > 3);
        CHECK(levels[75] < 40);
    }
}
