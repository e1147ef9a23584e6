// Decoded latents, in quantisation steps, to what the synthesis reads: integers, so that pixels are the same on every CPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/latents/latent_kernels.h"

namespace decant {

class Dequantiser {
public:
    // step: [levels, channels], log2 of the quantisation step in 1/1024, interpolated to the rate point.
    Dequantiser(std::span<const int16_t> step, int levels, int quality_q8);

    // latents: [positions, channels] in multiples of 1/64 step; dst in multiples of 2^-kLatentExponent, rounded half up, saturated.
    void operator()(const int32_t* latents, int16_t* dst, size_t positions) const;

private:
    latent_kernels::Scaling scaling_;
};

}  // namespace decant
