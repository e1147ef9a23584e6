// What the values of an autoencoder's decoder mean.
#pragma once

#include "codec/network/description.h"

namespace decant {

// What is added to them to have samples in 0 … 1: nothing where the decoder ends in a sigmoid, else 1/2.
inline float decoder_offset(const Description& d) {
    const Layer* last = last_convolution(d.network(kDecoderNetwork));
    return last != nullptr && last->activation == Activation::sigmoid ? 0.0f : 0.5f;
}

}  // namespace decant
