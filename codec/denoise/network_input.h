// What a denoising network reads beside the pixels (pixel_value of codec/network/description.h), in training and use alike.
#pragma once

#include "codec/network/description.h"

namespace decant {

// A noise level σ on the 8-bit scale, as the last channel of the input.
inline float level_value(float sigma) { return sigma * (1.0f / float(1 << kPixelExponent)); }

// Levels beyond this are told the network as this one: it has not seen more.
inline constexpr float kMaxLevel = 80.0f;

}  // namespace decant
