// Crops of pictures with noise of a denoiser's domain, and what its network reads of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "codec/denoise/network_input.h"
#include "codec/noise/mixture.h"
#include "codec/train/crop_channels.h"
#include "codec/train/dataset.h"

namespace decant {

struct NoisyCrop {
    std::vector<uint8_t> clean, noisy;  // [side, side, channels of the pictures]
    float level;                        // of the noise
};

inline NoisyCrop draw_noisy_crop(const Description& d, const Dataset& dataset, int side, RandomStream& random) {
    const int channels = picture_channels(d);
    std::vector<uint8_t> rgb(size_t(side) * size_t(side) * 3);
    dataset.crop(random, side, rgb);
    std::vector<uint8_t> clean = in_channels(rgb, channels);
    Crop crop(side, side, channels, clean);
    const float level = add_noise(d.noise, crop, random);
    return {std::move(clean), to_bytes(crop), level};
}

// [side, side, channels + 1] of each crop; the network is told the level of the noise.
inline std::vector<std::vector<float>> noisy_inputs(const Description& d, const Dataset& dataset, uint64_t seed, int crops, int side) {
    const int channels = picture_channels(d);
    std::vector<std::vector<float>> inputs;
    for (int n = 0; n < crops; n++) {
        RandomStream random{random_key(seed, 8, uint64_t(n))};
        const NoisyCrop crop = draw_noisy_crop(d, dataset, side, random);
        inputs.emplace_back(size_t(side) * size_t(side) * size_t(channels + 1));
        write_input(crop.noisy, channels, std::min(crop.level, kMaxLevel), inputs.back().data());
    }
    return inputs;
}

}  // namespace decant
