#include "codec/latents/dequantise.h"

#include <algorithm>

#include "codec/latents/fixed_point.h"
#include "codec/network/description.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

DECANT_VECTORISED void dequantise(const int32_t* latents, const int32_t* factor, const int32_t* shift, int16_t* dst, size_t positions, size_t channels) {
    for (size_t p = 0; p < positions; p++) {
        const int32_t* l = latents + p * channels;
        int16_t* d = dst + p * channels;
#pragma GCC ivdep
        for (size_t c = 0; c < channels; c++) {
            const int64_t half = (int64_t(1) << shift[c]) >> 1, v = (int64_t(l[c]) * factor[c] + half) >> shift[c];
            d[c] = int16_t(std::min<int64_t>(std::max<int64_t>(v, -32768), 32767));
        }
    }
}

}  // namespace

Dequantiser::Dequantiser(std::span<const int16_t> step, int levels, int quality_q8) {
    const int channels = int(step.size()) / levels;
    for (int c = 0; c < channels; c++) {
        const int log2_step = mix_fixed(step.data(), levels, channels, c, quality_q8);
        const int factor = detail::kExp2[size_t(log2_step & ((1 << kLogExponent) - 1))];  // in multiples of 2^-15
        const int right = 15 + kSymbolExponent - kLatentExponent - (log2_step >> kLogExponent);
        factor_.push_back(right < 0 ? factor << -right : factor);
        shift_.push_back(std::max(right, 0));
    }
}

void Dequantiser::operator()(const int32_t* latents, int16_t* dst, size_t positions) const {
    dequantise(latents, factor_.data(), shift_.data(), dst, positions, factor_.size());
}

}  // namespace decant
