// How far two pictures are apart.
#pragma once

#include <cstdint>

#include "codec/image/image.h"

namespace decant {

// All take pictures of 8 or 16 bits a sample. They throw Error(invalid_argument), with both shapes, unless width, height, channels
// and depth are the same.

// That check by itself.
void check_same_shape(const Image& reference, const Image& distorted);

// The mean of the squared differences over all samples; 0 for equal pictures, at most 255^2, of 16-bit pictures
// 65535^2.
double mse(const Image& reference, const Image& distorted);

// 10 log10(peak^2 / mse), in dB, with the peak 255 or 65535; +infinity for equal pictures. So 16 bits that were made of 8 have the
// PSNR of these. Of RGB this is one PSNR of the mean squared error over all three channels, not a mean of three.
double psnr(const Image& reference, const Image& distorted);
// The same of a mean squared error that is known.
double psnr_of(double mean_squared_error, int depth);

// The same of the luma Y' = 0.299 R' + 0.587 G' + 0.114 B' (Rec. ITU-R BT.601, full range, not rounded); of gray pictures psnr().
double psnr_luma(const Image& reference, const Image& distorted);

// The largest difference of two samples: 0 for equal pictures, at most 255 or 65535.
std::uint32_t max_error(const Image& reference, const Image& distorted);

// Structural similarity after Wang, Bovik, Sheikh and Simoncelli 2004; 1 for equal pictures, -1 at worst. 11x11 Gaussian window of
// sigma 1.5, only windows that lie inside the picture, k1 0.01, k2 0.03, range 255 (16-bit samples are divided by 257); at full
// resolution, the mean over windows and then over channels. Throws Error(unsupported) for a side below 11.
double ssim(const Image& reference, const Image& distorted);

// Multi-scale structural similarity after Wang, Simoncelli and Bovik 2003; 1 for equal pictures, 0 at worst.
//
// As computed by pytorch_msssim, and so reported by CompressAI: windows and constants as of ssim(); five scales; between scales the
// mean of 2x2 samples, where an odd side gets one row or column of zeros in front; negative terms count as 0; each channel by
// itself, then the mean.
//
// Five scales need a smaller side above 160. Smaller pictures use as many scales as hold an 11x11 window, with their
// weights scaled to a sum of 1: values then compare among pictures of that size only. Throws Error(unsupported) for a
// side below 11.
double ms_ssim(const Image& reference, const Image& distorted);

// All of these, in less time than one after the other.
struct Distortion {
    double psnr = 0, psnr_luma = 0;  // dB
    double ssim = 0, ms_ssim = 0;    // NaN for a side below 11
    std::uint32_t max_error = 0;
};
Distortion measure_distortion(const Image& reference, const Image& distorted);

}  // namespace decant
