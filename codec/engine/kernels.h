// Element-wise operations of the networks, on contiguous runs. Single-threaded: callers split the work.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/tensor/vectorised.h"

namespace decant::kernels {

void convert(const float* src, bf16* dst, size_t count);
void convert(const bf16* src, float* dst, size_t count);
void accumulate(const float* src, float* dst, size_t count);  // dst += src
void accumulate(const bf16* src, float* dst, size_t count);
void accumulate(const bf16* src, bf16* dst, size_t count);
void accumulate(const float* src, bf16* dst, size_t count);

// dst[p, c] += row[c] for `pixels` positions of `channels`.
void add_row(const float* row, float* dst, size_t pixels, int channels);
// sums[c] += Σ_p src[p, c].
void sum_rows(const float* src, float* sums, size_t pixels, int channels);
void sum_rows(const bf16* src, float* sums, size_t pixels, int channels);

// Gradient through leaky ReLU, known from its result: gradient *= result > 0 ? 1 : slope.
void leaky_relu_backward(const float* result, float* gradient, size_t count, float slope);
void leaky_relu_backward(const bf16* result, bf16* gradient, size_t count, float slope);

// The activation of integer networks as training sees it: ReLU, then u8 in multiples of 2^-exponent (round half up, clip).
// Straight-through gradient inside the range, none outside.
void quantised_relu(const float* src, float* dst, size_t count, int exponent);
void quantised_relu(const float* src, bf16* dst, size_t count, int exponent);
void quantised_relu_backward(const float* result, float* gradient, size_t count, int exponent);
void quantised_relu_backward(const bf16* result, bf16* gradient, size_t count, int exponent);

// What an integer layer sees of signed values: multiples of 2^-exponent from -128 to 127 of them; and its gradient, 0 outside of them.
void quantised_signed(const float* src, float* dst, size_t count, int exponent);
void quantised_signed(const float* src, bf16* dst, size_t count, int exponent);
void quantised_signed_backward(const float* src, float* gradient, size_t count, int exponent);
void quantised_signed_backward(const float* src, bf16* gradient, size_t count, int exponent);

// The quantised ReLU in integers: (sum + bias[c]) shifted right by shift[c] (negative: left), rounded half up; then clipped to u8, or kept.
void requantise(const int32_t* sums, const int32_t* bias, const int8_t* shift, uint8_t* dst, size_t pixels, int channels);
void rescale(int32_t* sums, const int32_t* bias, const int8_t* shift, size_t pixels, int channels);

}  // namespace decant::kernels
