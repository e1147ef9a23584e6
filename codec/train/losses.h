// What an autoencoder's reconstruction costs, and its gradient.
#pragma once

#include <span>

#include "codec/network/description.h"
#include "codec/tensor/tensor.h"

namespace decant {

// The sum of the losses with their weights; mean over the samples and their values. Both hold values in 0 … 1 of that shape; a
// reconstruction may leave that range, but not (0, 1) where cross entropy counts. gradient: of the result by the reconstruction, set.
// MS-SSIM: as ms_ssim() of codec/image/metrics.h measures it, with as many of the five scales as the shape has room for; Error
// invalid_argument below 11 pixels a side.
double reconstruction_loss(const Losses& losses, const Shape& shape, std::span<const float> reconstruction, std::span<const float> target, std::span<float> gradient);

}  // namespace decant
