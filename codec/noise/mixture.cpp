#include "codec/noise/mixture.h"

#include <algorithm>
#include <cmath>

#include "codec/noise/page.h"

namespace decant {
namespace {

float between(RandomStream& random, float low, float high) { return low + (high - low) * random.next(); }
bool happens(RandomStream& random, float probability) { return random.next() < probability; }

// Levels of the benchmarks, 0 to 75, with more of the low ones, where pictures differ most.
float draw_sigma(RandomStream& random) {
    const float u = random.next();
    return 75.0f * u * std::sqrt(u);
}

// Camera noise spans decades: from base ISO to the highest.
SensorNoise draw_sensor(RandomStream& random) {
    SensorNoise n;
    n.gain = std::exp(between(random, std::log(0.02f), std::log(12.0f)));
    n.read = std::exp(between(random, std::log(0.3f), std::log(12.0f)));
    n.gamma = happens(random, 0.5f) ? 1.0f : between(random, 1.8f, 2.4f);
    return n;
}

CameraNoise draw_camera(RandomStream& random) {
    CameraNoise n;
    n.gain = std::exp(between(random, std::log(0.01f), std::log(4.0f)));
    n.read = std::sqrt(n.gain) * std::exp(between(random, std::log(0.2f), std::log(2.0f)));
    n.gamma = between(random, 1.6f, 2.4f);
    n.red = between(random, 1.2f, 2.6f);
    n.blue = between(random, 1.2f, 2.4f);
    n.crosstalk = between(random, 0.0f, 0.2f);
    if (happens(random, 0.3f)) n.luma_radius = between(random, 0.3f, 1.0f);
    if (happens(random, 0.5f)) n.chroma_radius = between(random, 0.4f, 2.5f);
    if (happens(random, 0.4f)) n.sharpening = between(random, 0.1f, 1.0f);
    return n;
}

}  // namespace

float add_photo_noise(Crop& crop, RandomStream& random) {
    const Crop clean = crop;
    const float kind = random.next();
    if (kind < 0.04f) {
        // Nothing: what is clean must come back untouched.
    } else if (kind < 0.46f) {
        add_gaussian(crop, draw_sigma(random), random);
    } else if (kind < 0.58f) {
        add_sensor_noise(crop, draw_sensor(random), random);
    } else if (kind < 0.78f) {
        add_camera_noise(crop, draw_camera(random), random);
    } else if (kind < 0.83f) {
        add_demosaiced(crop, 1.5f * draw_sigma(random), random);
    } else if (kind < 0.91f) {
        const float sigma = 0.6f * draw_sigma(random);
        if (happens(random, 0.5f)) {
            add_blurred(crop, sigma, between(random, 0.3f, 1.5f), random);
        } else {
            add_resized(crop, sigma, between(random, 0.4f, 1.3f), random);
        }
    } else {
        const float luma = 0.3f * draw_sigma(random);
        add_chroma(crop, luma, luma * between(random, 0.8f, 3.0f), between(random, 0.0f, 2.0f), random);
    }
    if (happens(random, 0.05f)) add_salt_and_pepper(crop, between(random, 0.001f, 0.05f), random);
    finish(crop);
    if (happens(random, 0.15f)) compress_jpeg(crop, 30 + random.below(66));
    return float(rms_difference(crop, clean));
}

float add_page_noise(Crop& crop, RandomStream& random) {
    if (happens(random, 0.4f)) spread_ink(crop, std::exp2(between(random, -0.5f, 0.5f)));
    // No press and no lens is sharp; of a page that is out of focus, its paper is, too.
    const bool blurs_all = happens(random, 0.15f);
    if (!blurs_all && happens(random, 0.6f)) blur(crop, between(random, 0.3f, 0.8f));
    if (happens(random, 0.7f)) fade(crop, between(random, 0.0f, 90.0f), between(random, 170.0f, 255.0f));
    if (happens(random, 0.35f)) add_wrinkles(crop, 40.0f * random.next() * random.next(), random);
    if (happens(random, 0.6f)) add_paper_texture(crop, between(random, 1.0f, 12.0f), random);
    if (happens(random, 0.35f)) add_bleed_through(crop, between(random, 0.03f, 0.3f), random);
    if (happens(random, 0.1f)) add_halftone(crop, between(random, 2.5f, 7.0f), between(random, 0.3f, 1.0f), random);
    if (happens(random, 0.5f)) add_stains(crop, 1 + random.below(3), between(random, 0.1f, 0.7f), random);
    if (happens(random, 0.4f)) add_fold(crop, between(random, 8.0f, 90.0f), random);
    if (happens(random, 0.5f)) add_uneven_light(crop, between(random, 0.05f, 0.5f), random);
    if (blurs_all) blur(crop, between(random, 0.3f, 1.0f));
    if (happens(random, 0.2f)) reduce_resolution(crop, between(random, 0.4f, 0.95f));

    for (float& v : crop.values) v = std::clamp(v, 0.0f, 255.0f);
    const Crop spoilt = crop;
    if (happens(random, 0.8f)) {
        if (happens(random, 0.6f)) {
            // Scanners have light enough: little noise is the rule, much of it the exception.
            add_gaussian(crop, random.next() * draw_sigma(random), random);
        } else {
            add_sensor_noise(crop, draw_sensor(random), random);
        }
    }
    if (happens(random, 0.3f)) add_specks(crop, between(random, 0.0005f, 0.03f), random);
    if (happens(random, 0.1f)) add_salt_and_pepper(crop, between(random, 0.001f, 0.05f), random);
    if (happens(random, 0.08f)) binarise(crop, between(random, 90.0f, 170.0f), between(random, 0.5f, 1.0f));
    finish(crop);
    if (happens(random, 0.25f)) compress_jpeg(crop, 25 + random.below(71));
    return float(rms_difference(crop, spoilt));
}

float add_noise(NoiseDomain domain, Crop& crop, RandomStream& random) {
    switch (domain) {
        case NoiseDomain::photo:
            return add_photo_noise(crop, random);
        case NoiseDomain::page:
            return add_page_noise(crop, random);
    }
    return 0.0f;
}

}  // namespace decant
