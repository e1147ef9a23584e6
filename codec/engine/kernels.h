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

// Sums of a convolution in integers, for a run of positions. Digits of weights and of values (codec/network/rounding.h) have sums of
// their own: hw + lw·2^-6, and of values in two bytes also (hv·2^8 + lv) times those.
struct SumView {
    const int32_t* sums;    // [positions, …], of the highest digits
    size_t stride;          // from position to position
    size_t low_weight = 0;  // from there to the sums of the weights' lower digit; 0: there is one digit
    size_t low_value = 0;   // to the sums of the values' lower byte
};

// For each channel what turns its sum into multiples of the result's unit: ((high·2^8 + low + sum) >> right) << left; where values have
// two bytes, sum and the rest are in multiples of 2^kWideDigit, rounded. Half of the unit is part of `low`.
struct Requantisation {
    const int32_t *high, *low, *right, *left;
};

// The result as u8, clipped: a ReLU.
void to_unsigned(const SumView& sums, const Requantisation& r, uint8_t* dst, size_t positions, size_t channels);
// As s16, saturated, plus addend if it is not null. view, if it is not null: to_view of that.
void to_trunk(const SumView& sums, const Requantisation& r, const int16_t* addend, int16_t* dst, uint8_t* view, int view_shift, size_t positions,
              size_t channels);
// As s32, within ±2^30. dst may be sums.
void to_fixed(const SumView& sums, const Requantisation& r, int32_t* dst, size_t dst_stride, size_t positions, size_t channels);

// What integer layers see of signed values: shifted right, rounded half up, clipped to 8 bits, plus 128.
void to_view(const int16_t* src, uint8_t* view, int shift, size_t count);
// The two bytes of signed values: high one plus 128, low one. Runs of `count` channels at those distances.
void split_bytes(const int16_t* src, size_t src_stride, uint8_t* high, uint8_t* low, size_t dst_stride, size_t positions, size_t count);

}  // namespace decant::kernels
