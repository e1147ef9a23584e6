// What the values of an autoencoder's decoder mean.
#pragma once

#include "codec/network/description.h"

namespace decant {

// What is added to them to have samples in 0 … 1: nothing where the decoder ends in a sigmoid, else 1/2.
inline float decoder_offset(const Description& d) {
    const auto& layers = d.network(kDecoderNetwork).layers;
    for (size_t i = layers.size(); i-- > 0;) {
        if (layers[i].op == Operation::convolution) return layers[i].activation == Activation::sigmoid ? 0.0f : 0.5f;
    }
    return 0.5f;
}

}  // namespace decant
