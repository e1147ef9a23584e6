// What a denoising network reads of crops with noise of its domain.
#pragma once

#include <algorithm>
#include <vector>

#include "codec/denoise/network_input.h"
#include "codec/noise/mixture.h"
#include "codec/train/crop_channels.h"
#include "codec/train/dataset.h"

namespace decant {

// [crops, side, side, channels + 1] each; the network is told the level of the noise.
inline std::vector<std::vector<float>> noisy_inputs(const Description& d, const Dataset& dataset, uint64_t seed, int crops, int side) {
    const int channels = picture_channels(d);
    std::vector<std::vector<float>> inputs;
    std::vector<uint8_t> rgb(size_t(side) * size_t(side) * 3);
    for (int n = 0; n < crops; n++) {
        RandomStream random{random_key(seed, 8, uint64_t(n))};
        dataset.crop(random, side, rgb);
        const std::vector<uint8_t> pixels = in_channels(rgb, channels);
        Crop crop(side, side, channels, pixels);
        const float level = add_noise(d.noise, crop, random);
        inputs.emplace_back(size_t(side) * size_t(side) * size_t(channels + 1));
        write_input(to_bytes(crop), channels, std::min(level, kMaxLevel), inputs.back().data());
    }
    return inputs;
}

}  // namespace decant
