// Filters behind the synthesis with random taps, and what they are tried on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "codec/decant.h"
#include "codec/filter/filter_fit.h"
#include "codec/filter/filter_planes.h"
#include "codec/filter/filter_tables.h"
#include "codec/image/image.h"
#include "codec/network/model_file.h"
#include "codec/tensor/random.h"
#include "tests/tiny_model.h"

namespace decant::test {

inline FilterStage random_stage(int stage, int channels, RandomStream& random, int largest_tap) {
    FilterStage s;
    int32_t least = 0;
    for (int32_t& a : s.activity) a = least += 500 + random.below(20000);
    for (size_t plane = 0; plane < size_t(filter_planes(channels)); plane++) s.clips[plane] = {int16_t(random.below(60)), int16_t(60 + random.below(600))};
    s.taps.resize(kFilterClasses * filter_taps(stage, filter_planes(channels)));
    for (int16_t& t : s.taps) t = int16_t(random.below(2 * largest_tap + 1) - largest_tap);
    return s;
}

inline FilterPoint random_point(int channels, int quality_q8, RandomStream random, int largest_tap = 4000) {
    FilterPoint p;
    p.quality_q8 = quality_q8;
    for (int stage = 0; stage < kFilterStages; stage++) p.stages[size_t(stage)] = random_stage(stage, channels, random, largest_tap);
    return p;
}

inline FilterTables tables_of(std::vector<FilterPoint> points) {
    const uint16_t check = filter_check(points);
    return {std::move(points), check};
}

// What the synthesis could give: smooth, noisy and saturated parts, some beyond 0 … 255.
inline std::vector<int32_t> random_sums(int h, int w, int channels, RandomStream random) {
    std::vector<int32_t> sums(size_t(h) * size_t(w) * size_t(channels));
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            const int noise = x * 3 < w ? 200 : x * 3 < 2 * w ? 3000 : 30000;
            for (int c = 0; c < channels; c++)
                sums[size_t((y * w + x) * channels + c)] = int32_t(12000 * std::sin(0.1 * x + 0.23 * y + c)) + random.below(2 * noise + 1) - noise;
        }
    }
    return sums;
}

// In steps of 8 bits.
inline double squared_error(const Image& original, const std::vector<int32_t>& sums) {
    double sum = 0;
    for (size_t i = 0; i < sums.size(); i++) sum += std::pow(original.samples()[i] - 128 - sums[i] / 256.0, 2);
    return sum;
}

// A tiny model of three rate points with a filter for the upper two, and the same without.
struct FilteredModel {
    TemporaryFolder folder;
    std::shared_ptr<const Model> plain, filtered;
    uint16_t check = 0;

    explicit FilteredModel(int channels = 3) {
        const Description d = tiny_description(channels);
        save_model(folder / "plain.safetensors", d, tiny_parameters(d), {{"steps", "1"}});
        const std::vector<FilterPoint> points{random_point(channels, 256, {1}), random_point(channels, 512, {2})};
        check = filter_check(points);
        save_filter(folder / "plain.safetensors", folder / "filtered.safetensors", points, "by chance");
        plain = Model::load(folder / "plain.safetensors");
        filtered = Model::load(folder / "filtered.safetensors");
    }
};

}  // namespace decant::test
