#include "codec/noise/page.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace decant {
namespace {

constexpr float kTurn = 2.0f * std::numbers::pi_v<float>;

float between(RandomStream& random, float low, float high) { return low + (high - low) * random.next(); }

float smooth_step(float low, float high, float v) {
    const float t = std::clamp((v - low) / (high - low), 0.0f, 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

// A gray field of smooth random values of unit variance whose details are about `period` pixels large.
Crop smooth_field(int width, int height, float period, RandomStream& random) {
    Crop coarse(std::max(2, int(float(width) / period) + 2), std::max(2, int(float(height) / period) + 2), 1);
    for (float& v : coarse.values) v = 1.5f * random.normal();  // bilinear interpolation takes a third of the deviation away
    return resized(coarse, width, height);
}

// f(y, x, factor or addend for each channel)
template <class F>
void each_pixel(Crop& crop, F&& f) {
    for (int y = 0; y < crop.height; y++) {
        for (int x = 0; x < crop.width; x++) f(y, x);
    }
}

void multiply(Crop& crop, int y, int x, float factor) {
    for (int c = 0; c < crop.channels; c++) crop.at(y, x, c) *= factor;
}

}  // namespace

void fade(Crop& crop, float black, float white) {
    for (float& v : crop.values) v = black + v * (white - black) / 255.0f;
}

void spread_ink(Crop& crop, float exponent) {
    for (float& v : crop.values) v = 255.0f * (1.0f - std::pow(1.0f - std::clamp(v / 255.0f, 0.0f, 1.0f), exponent));
}

void add_wrinkles(Crop& crop, float strength, RandomStream& random) {
    // Where a smooth field changes its sign its magnitude has a crease.
    Crop relief(crop.width, crop.height, 1);
    for (const float period : {80.0f, 35.0f, 15.0f}) {
        const Crop field = smooth_field(crop.width, crop.height, period, random);
        for (size_t i = 0; i < relief.values.size(); i++) relief.values[i] += period * std::fabs(field.values[i]);
    }
    const float angle = kTurn * random.next(), ny = std::sin(angle), nx = std::cos(angle);
    Crop light(crop.width, crop.height, 1);
    double sum = 0, squares = 0;
    each_pixel(light, [&](int y, int x) {
        const float down = relief.at(std::min(y + 1, crop.height - 1), x, 0) - relief.at(std::max(y - 1, 0), x, 0);
        const float across = relief.at(y, std::min(x + 1, crop.width - 1), 0) - relief.at(y, std::max(x - 1, 0), 0);
        const float slope = ny * down + nx * across;
        light.at(y, x, 0) = slope;
        sum += slope;
        squares += double(slope) * slope;
    });
    const double count = double(light.pixels()), mean = sum / count;
    const double deviation = std::sqrt(std::max(squares / count - mean * mean, 1e-12));
    each_pixel(crop, [&](int y, int x) {
        multiply(crop, y, x, 1.0f + float((light.at(y, x, 0) - mean) / deviation) * strength / 255.0f);
    });
}

void add_paper_texture(Crop& crop, float strength, RandomStream& random) {
    const Crop tooth = smooth_field(crop.width, crop.height, 1.5f, random),
               fibres = smooth_field(crop.width, crop.height, 5.0f, random);
    const Crop clouds = smooth_field(crop.width, crop.height, 40.0f, random);
    const float factor = strength / 255.0f;
    each_pixel(crop, [&](int y, int x) {
        multiply(crop, y, x, 1.0f + factor * (0.6f * tooth.at(y, x, 0) + 0.6f * fibres.at(y, x, 0) + 0.5f * clouds.at(y, x, 0)));
    });
}

void add_stains(Crop& crop, int count, float strength, RandomStream& random) {
    const float side = float(std::max(crop.width, crop.height));
    for (int i = 0; i < count; i++) {
        const float cy = between(random, -0.2f, 1.2f) * float(crop.height), cx = between(random, -0.2f, 1.2f) * float(crop.width);
        const float radius = between(random, 0.05f, 0.6f) * side, stretch = between(random, 0.5f, 1.5f);
        const float depth = between(random, 0.2f, 1.0f) * strength, rim = between(random, 0.0f, 0.8f),
                    edge = between(random, 0.02f, 0.3f);
        const float colour[3] = {between(random, 0.2f, 0.7f), between(random, 0.5f, 1.0f), 1.0f};  // brown takes blue away
        const Crop wobble = smooth_field(crop.width, crop.height, std::max(2.0f, radius / 2), random);
        each_pixel(crop, [&](int y, int x) {
            const float dy = (float(y) - cy) * stretch, dx = float(x) - cx;
            const float r = std::sqrt(dy * dy + dx * dx) / radius + 0.08f * wobble.at(y, x, 0);
            const float inside = 1.0f - smooth_step(1.0f - edge, 1.0f, r);
            const float ring = rim * std::exp(-0.5f * (r - 0.97f) * (r - 0.97f) / (0.03f * 0.03f));
            const float taken = std::min(1.0f, depth * (0.6f * inside + ring));
            for (int c = 0; c < crop.channels; c++) crop.at(y, x, c) *= 1.0f - taken * (crop.channels == 3 ? colour[c] : 0.8f);
        });
    }
}

void add_fold(Crop& crop, float strength, RandomStream& random) {
    const float angle = (random.next() < 0.5f ? 0.0f : kTurn / 4) + between(random, -0.1f, 0.1f);  // along a side, roughly
    const float ny = std::sin(angle), nx = std::cos(angle), width = between(random, 0.7f, 2.5f);
    const float middle = between(random, 0.1f, 0.9f) * (std::fabs(ny) * float(crop.height) + std::fabs(nx) * float(crop.width));
    const Crop wear = smooth_field(crop.width, crop.height, 9.0f, random);
    each_pixel(crop, [&](int y, int x) {
        const float d = (ny * float(y) + nx * float(x) - middle) / width;
        const float profile = -std::exp(-0.5f * d * d) + 0.6f * std::exp(-0.5f * (d - 2.0f) * (d - 2.0f));
        const float add = strength * profile * std::clamp(1.0f + 0.5f * wear.at(y, x, 0), 0.0f, 2.0f);
        for (int c = 0; c < crop.channels; c++) crop.at(y, x, c) += add;
    });
}

void add_uneven_light(Crop& crop, float strength, RandomStream& random) {
    const float angle = kTurn * random.next(), ny = std::sin(angle), nx = std::cos(angle), power = between(random, 1.0f, 4.0f);
    const Crop clouds =
        smooth_field(crop.width, crop.height, std::max(4.0f, 0.5f * float(std::max(crop.width, crop.height))), random);
    each_pixel(crop, [&](int y, int x) {
        const float v = (float(y) + 0.5f) / float(crop.height) - 0.5f, u = (float(x) + 0.5f) / float(crop.width) - 0.5f;
        const float along = std::clamp(0.5f + 0.7f * (ny * v + nx * u), 0.0f, 1.0f);
        multiply(crop, y, x, 1.0f - std::clamp(strength * (std::pow(along, power) + 0.1f * clouds.at(y, x, 0)), 0.0f, strength));
    });
}

void add_bleed_through(Crop& crop, float strength, RandomStream& random) {
    Crop back = crop;
    const int dy = random.below(crop.height), dx = random.below(crop.width);
    each_pixel(crop, [&](int y, int x) {
        for (int c = 0; c < crop.channels; c++)
            back.at(y, x, c) = crop.at((y + dy) % crop.height, (2 * crop.width - 1 - x - dx) % crop.width, c);
    });
    blur(back, between(random, 0.5f, 2.0f));
    each_pixel(crop, [&](int y, int x) {
        float dark = 0;
        for (int c = 0; c < crop.channels; c++) dark += 1.0f - std::clamp(back.at(y, x, c) / 255.0f, 0.0f, 1.0f);
        multiply(crop, y, x, 1.0f - strength * dark / float(crop.channels));
    });
}

void reduce_resolution(Crop& crop, float scale) {
    const int width = std::max(1, int(std::lround(float(crop.width) * scale))),
              height = std::max(1, int(std::lround(float(crop.height) * scale)));
    crop = resized(resized(crop, width, height), crop.width, crop.height);
}

void add_halftone(Crop& crop, float period, float strength, RandomStream& random) {
    const float first = kTurn * random.next();
    for (int c = 0; c < crop.channels; c++) {
        const float angle = first + 0.52f * float(c);  // screens 30° apart, as printers turn them
        const float sine = std::sin(angle) * kTurn / period, cosine = std::cos(angle) * kTurn / period;
        each_pixel(crop, [&](int y, int x) {
            const float u = cosine * float(x) + sine * float(y), v = cosine * float(y) - sine * float(x);
            // Paper and full ink, beyond the screen's range by the softness of the dots' edges, have no dots.
            constexpr float kEdge = 0.15f;
            const float screen = 0.5f + (0.25f - 0.5f * kEdge) * (std::cos(u) + std::cos(v));
            float& value = crop.at(y, x, c);
            const float printed = 255.0f * smooth_step(-kEdge, kEdge, value / 255.0f - screen);
            value += strength * (printed - value);
        });
    }
}

void add_specks(Crop& crop, float share, RandomStream& random) {
    constexpr float kMeanSize = 2.5f;  // pixels
    const int count = int(share / kMeanSize * float(crop.pixels()) + random.next());
    for (int i = 0; i < count; i++) {
        const int cy = random.below(crop.height), cx = random.below(crop.width);
        const int size = 1 + random.below(4);
        const float target = random.next() < 0.7f ? between(random, 0.0f, 90.0f) : between(random, 200.0f, 255.0f);
        int y = cy, x = cx;
        for (int k = 0; k < size; k++) {  // a short walk
            for (int c = 0; c < crop.channels; c++) crop.at(y, x, c) = target;
            y = std::clamp(y + random.below(3) - 1, 0, crop.height - 1);
            x = std::clamp(x + random.below(3) - 1, 0, crop.width - 1);
        }
    }
}

void binarise(Crop& crop, float threshold, float strength) {
    for (float& v : crop.values) v += strength * ((v < threshold ? 0.0f : 255.0f) - v);
}

}  // namespace decant
