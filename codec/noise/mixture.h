// Noise as it comes: kinds and strengths drawn at random, for training. One stream of random numbers gives one picture's noise.
#pragma once

#include "codec/network/description.h"
#include "codec/noise/noise.h"

namespace decant {

// Both leave what an 8-bit file would hold, and return the level of the noise: the root mean square of what is random in it, on the
// 8-bit scale. Of a page, what paper, stains and light did is to be taken away as well, but is no part of that level.

// From none at all up to σ = 75: white, of sensors, correlated, in colours, through JPEG; in one picture of 20 salt and pepper.
float add_photo_noise(Crop& crop, RandomStream& random);

// A page is spoilt, then scanned: texture, stains, folds, bleed-through, light, halftone; blur, resolution; noise, specks, JPEG.
float add_page_noise(Crop& crop, RandomStream& random);

float add_noise(NoiseDomain domain, Crop& crop, RandomStream& random);

}  // namespace decant
