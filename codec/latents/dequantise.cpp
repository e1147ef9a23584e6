#include "codec/latents/dequantise.h"

#include "codec/latents/fixed_point.h"
#include "codec/network/description.h"

namespace decant {

Dequantiser::Dequantiser(std::span<const int16_t> step, int levels, int quality_q8) {
    const int channels = int(step.size()) / levels;
    std::vector<int> log2_step;
    for (int c = 0; c < channels; c++) log2_step.push_back(mix_fixed(step.data(), levels, channels, c, quality_q8));
    scaling_.set(log2_step, 1, kSymbolExponent - kLatentExponent);
}

void Dequantiser::operator()(const int32_t* latents, int16_t* dst, size_t positions) const { latent_kernels::dequantise(latents, scaling_, positions, dst); }

}  // namespace decant
