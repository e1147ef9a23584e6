// Encoding to a wanted size or PSNR instead of a given quality.
#pragma once

#include <functional>

#include "codec/decant.h"

namespace decant {

// What the search needs of a codec, for one picture.
struct TargetEncoder {
    uint64_t pixels = 0;
    int last = 0;                                                    // qualities to choose from are numbered 0 … this, from the lowest on
    std::function<EncodeResult(int number, int effort)> encode;
    std::function<double(const EncodeResult&)> psnr;                 // of what a decoder makes of it
};

// A result within the tolerances that EncodeTarget states, or the nearest one (see there). Throws Error invalid_argument for a target
// that is not a number above 0, and what the codec throws.
EncodeResult encode_to_target(const EncodeTarget& target, int effort, const TargetEncoder& encoder);

}  // namespace decant
