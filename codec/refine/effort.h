// What the encoder does at each effort; codec/refine/README.md lists what that costs and gains.
#pragma once

#include "codec/latents/latent_coder.h"

namespace decant {

struct Effort {
    LatentCoder::Settings settings = {};
    int rounds = 0;  // of refinement
    bool fits_filter = false;  // the file may change the filter behind the synthesis
    bool tries_turns = false;  // a small picture may be coded turned
};

// effort: 1 … 9.
Effort effort_of(int effort);

}  // namespace decant
