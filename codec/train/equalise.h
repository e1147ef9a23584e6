// Hidden units of integer layers, in the range that 8 bits give them.
//
// What an integer layer with a ReLU gives is read in steps of 2^-kActivationExponent up to 255 of them, the same for all units. A unit that never comes near that
// range is rounded coarsely for its size. Multiplied by a power of two, in the weights that make it, and divided by it in those that read it, it is the same network
// in floats (cross-layer equalisation; Nagel 2019), and rounded more finely; rows of weights keep their rounding, columns do not, so that some training should follow.
#pragma once

#include "codec/network/parameters.h"
#include "codec/train/dataset.h"

namespace decant {

// Of a denoiser: units that one convolution reads, and that alone, by their largest values on crops with noise of its domain.
// Throws Error invalid_argument for other models.
void equalise(const Description& description, const Dataset& dataset, uint64_t seed, Parameters& parameters);

}  // namespace decant
