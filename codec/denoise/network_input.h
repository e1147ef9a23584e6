// What a denoising network reads beside the pixels (pixel_value of codec/network/description.h), in training and use alike.
#pragma once

#include <cstdint>
#include <span>

#include "codec/network/description.h"

namespace decant {

// A noise level σ on the 8-bit scale, as the last channel of the input.
inline float level_value(float sigma) { return sigma * (1.0f / float(1 << kPixelExponent)); }

// What the network reads, [pixels, channels + 1], of samples [pixels, channels] with noise of one level.
inline void write_input(std::span<const uint8_t> samples, int channels, float sigma, float* input) {
    for (size_t i = 0; i < samples.size(); i += size_t(channels)) {
        for (int c = 0; c < channels; c++) *input++ = pixel_value(samples[i + size_t(c)]);
        *input++ = level_value(sigma);
    }
}

// Levels beyond this are told the network as this one: it has not seen more.
inline constexpr float kMaxLevel = 80.0f;

}  // namespace decant
