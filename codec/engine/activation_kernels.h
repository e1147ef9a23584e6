// The loops of activations that oneDNN does not have, and of batch normalisation, on contiguous runs. Single-threaded.
#pragma once

#include <cstddef>

#include "codec/tensor/vectorised.h"

namespace decant::kernels {

void square(const float* src, float* dst, size_t count);
void multiply(float* values, size_t count, float factor);
void multiply(bf16* values, size_t count, float factor);

// dst = src/√norm, or src·√norm for the inverse.
void gdn(const float* src, const float* norm, float* dst, size_t count, bool inverse);
// gradient: of dst; becomes the part of src's that does not go through norm. norm_gradient: the other part's, set.
void gdn_backward(const float* src, const float* norm, float* gradient, float* norm_gradient, size_t count, bool inverse);
void add_twice_product(const float* a, const float* b, float* dst, size_t count);  // dst += 2·a·b

// dst[p, c] = src where src > threshold[c], else 0; thresholds below 0 count as 0.
void jump_relu(const float* src, const float* threshold, float* dst, size_t pixels, int channels);
// gradient: of the result; becomes that of src. threshold_gradient is added to: with the values within half a bandwidth of it,
// -(θ·gradient + l0)/bandwidth each.
void jump_relu_backward(const float* src, const float* threshold, float* gradient, float* threshold_gradient, size_t pixels, int channels, float bandwidth, float l0);

// x = (x - mean)·inverse, dst = scale·x + shift.
void normalise(float* x, float* dst, const float* mean, const float* inverse, const float* scale, const float* shift, size_t pixels, size_t channels);
// gradient = factor·(gradient - mean - slope·normalised).
void normalise_backward(const float* normalised, float* gradient, const float* factor, const float* mean, const float* slope, size_t pixels, size_t channels);

// Values whose number uniform(key, index) is below `share` become 0, the others are divided by 1 - share. The same to a gradient.
void drop(float* values, size_t count, uint32_t key, float share);
void drop(bf16* values, size_t count, uint32_t key, float share);

// In place: x or slope·x.
void leaky_relu(float* values, size_t count, float slope);

}  // namespace decant::kernels
