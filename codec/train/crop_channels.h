// Crops of the data set, which is RGB, in the channels that a network reads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/image/luma.h"

namespace decant {

// channels: 3, or 1 for luma.
inline std::vector<uint8_t> in_channels(std::span<const uint8_t> rgb, int channels) {
    if (channels == 3) return {rgb.begin(), rgb.end()};
    std::vector<uint8_t> gray(rgb.size() / 3);
    for (size_t i = 0; i < gray.size(); i++) gray[i] = uint8_t(luma(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) + 0.5f);
    return gray;
}

}  // namespace decant
