// Pages and photographs told from each other.
#include "codec/denoise/page_detector.h"

#include <doctest/doctest.h>

#include "codec/noise/mixture.h"
#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

Image spoilt(const Image& clean, NoiseDomain domain, uint32_t seed) {
    return test::spoilt(clean, {random_key(seed, 11)}, [&](Crop& crop, RandomStream& random) { add_noise(domain, crop, random); });
}

}  // namespace

TEST_CASE("a page is known, spoilt or not, gray or RGB, 8 or 16 bits") {
    const Image page = sample_image("page.png");
    CHECK(is_page(SampleView(page)));
    int known = 0;
    for (uint32_t seed = 0; seed < 100; seed++) known += is_page(SampleView(spoilt(page, NoiseDomain::page, seed)));
    CHECK(known >= 66);  // not those whose ink is pale and blurred

    Image rgb(page.width, page.height, 3);
    for (size_t i = 0; i < rgb.samples().size(); i++) rgb.samples()[i] = page.samples()[page.channels == 3 ? i : i / 3];
    CHECK(is_page(SampleView(rgb)));
    std::vector<uint16_t> words(rgb.samples().begin(), rgb.samples().end());
    for (uint16_t& w : words) w = uint16_t(w * 257);
    CHECK(is_page(SampleView(rgb.width, rgb.height, 3, words)));
}

TEST_CASE("photographs are no pages, noisy or not") {
    for (const char* name : {"landscape.png", "still_life.png", "film_grain.png", "foliage.jpg", "flower.webp", "bricks.png"}) {
        CAPTURE(name);
        const Image photo = sample_image(name);
        CHECK(!is_page(SampleView(photo)));
        for (uint32_t seed = 0; seed < 4; seed++) CHECK(!is_page(SampleView(spoilt(photo, NoiseDomain::photo, seed))));
    }
}

TEST_CASE("empty, dark and tiny pictures are no pages") {
    for (uint32_t side : {1u, 15u, 63u, 64u, 300u}) {
        for (uint8_t value : {uint8_t(0), uint8_t(1), uint8_t(255)}) {
            CAPTURE(side);
            Image image(side, side, 1);
            std::fill(image.samples().begin(), image.samples().end(), value);
            const PageEvidence e = page_evidence(SampleView(image));
            CHECK(e.ink.all == 0);
            CHECK(e.pale.all == 0);
            CHECK(e.ground == doctest::Approx(side < 64 ? 0 : value));
            CHECK(!is_page(e));
        }
    }
}

TEST_CASE("evidence of strokes") {
    // Black lines, 3 pixels wide, every 20, on gray ground that is lit from the left.
    Image lines(400, 400, 1);
    for (uint32_t y = 0; y < 400; y++) {
        for (uint32_t x = 0; x < 400; x++) lines.row(y)[x] = y % 20 < 3 ? 10 : uint8_t(240 - x / 8);
    }
    const PageEvidence e = page_evidence(SampleView(lines));
    CHECK(e.ground == doctest::Approx(215).epsilon(0.03));
    CHECK(e.roughness < 0.02);
    CHECK(e.saturation == 0);
    CHECK(e.ink.all > 0.9);
    CHECK(e.ink.strokes == e.ink.all);
    CHECK(e.pale.strokes == e.pale.all);
    CHECK(is_page(e));
    for (uint8_t& v : lines.samples()) v = uint8_t(255 - v);  // white on black
    CHECK(!is_page(SampleView(lines)));
}
