#include "codec/engine/kernels.h"

#include <algorithm>
#include <cmath>

namespace decant::kernels {
namespace {

template <class S, class D>
DECANT_INLINE void accumulate_run(const S* src, D* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = from_float<D>(to_float(dst[i]) + to_float(src[i]));
}

template <class T>
DECANT_INLINE void sum_rows_run(const T* src, float* sums, size_t pixels, int channels) {
    for (size_t p = 0; p < pixels; p++) {
        const T* row = src + p * channels;
        for (int c = 0; c < channels; c++) sums[c] += to_float(row[c]);
    }
}

template <class T>
DECANT_INLINE void leaky_relu_backward_run(const T* result, T* gradient, size_t count, float slope) {
    for (size_t i = 0; i < count; i++) {
        const float g = to_float(gradient[i]);
        gradient[i] = from_float<T>(to_float(result[i]) > 0.0f ? g : g * slope);
    }
}

template <class T>
DECANT_INLINE void quantised_relu_run(const float* src, T* dst, size_t count, float scale) {
    const float inverse = 1.0f / scale;
    for (size_t i = 0; i < count; i++) {
        const float v = std::floor(src[i] * scale + 0.5f);
        dst[i] = from_float<T>(std::min(std::max(v, 0.0f), 255.0f) * inverse);
    }
}

template <class T>
DECANT_INLINE void quantised_relu_backward_run(const T* result, T* gradient, size_t count, float top) {
    for (size_t i = 0; i < count; i++) {
        const float r = to_float(result[i]);
        const float g = to_float(gradient[i]);
        gradient[i] = from_float<T>(r > 0.0f && r < top ? g : 0.0f);
    }
}

template <class T>
DECANT_INLINE void quantised_signed_run(const float* src, T* dst, size_t count, float scale) {
    const float inverse = 1.0f / scale;
    for (size_t i = 0; i < count; i++) {
        const float v = std::floor(src[i] * scale + 0.5f);
        dst[i] = from_float<T>(std::min(std::max(v, -128.0f), 127.0f) * inverse);
    }
}

template <class T>
DECANT_INLINE void quantised_signed_backward_run(const float* src, T* gradient, size_t count, float scale) {
    const float low = -128.5f / scale, high = 127.5f / scale;
    for (size_t i = 0; i < count; i++) {
        const float g = to_float(gradient[i]);
        gradient[i] = from_float<T>(src[i] >= low && src[i] < high ? g : 0.0f);
    }
}

DECANT_INLINE int32_t shift_rounded(int32_t v, int shift) {
    const int right = shift > 0 ? shift : 0;
    const int left = shift > 0 ? 0 : -shift;
    const int32_t half = right > 0 ? int32_t(1) << (right - 1) : 0;
    return int32_t(uint32_t((v + half) >> right) << left);
}

}  // namespace

DECANT_VECTORISED void convert(const float* src, bf16* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = to_bf16(src[i]);
}
DECANT_VECTORISED void convert(const bf16* src, float* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = to_float(src[i]);
}
DECANT_VECTORISED void accumulate(const float* src, float* dst, size_t count) { accumulate_run(src, dst, count); }
DECANT_VECTORISED void accumulate(const bf16* src, float* dst, size_t count) { accumulate_run(src, dst, count); }
DECANT_VECTORISED void accumulate(const bf16* src, bf16* dst, size_t count) { accumulate_run(src, dst, count); }
DECANT_VECTORISED void accumulate(const float* src, bf16* dst, size_t count) { accumulate_run(src, dst, count); }

DECANT_VECTORISED void add_row(const float* row, float* dst, size_t pixels, int channels) {
    for (size_t p = 0; p < pixels; p++) {
        float* d = dst + p * channels;
        for (int c = 0; c < channels; c++) d[c] += row[c];
    }
}
DECANT_VECTORISED void sum_rows(const float* src, float* sums, size_t pixels, int channels) { sum_rows_run(src, sums, pixels, channels); }
DECANT_VECTORISED void sum_rows(const bf16* src, float* sums, size_t pixels, int channels) { sum_rows_run(src, sums, pixels, channels); }

DECANT_VECTORISED void leaky_relu_backward(const float* result, float* gradient, size_t count, float slope) {
    leaky_relu_backward_run(result, gradient, count, slope);
}
DECANT_VECTORISED void leaky_relu_backward(const bf16* result, bf16* gradient, size_t count, float slope) {
    leaky_relu_backward_run(result, gradient, count, slope);
}

DECANT_VECTORISED void quantised_relu(const float* src, float* dst, size_t count, int exponent) {
    quantised_relu_run(src, dst, count, float(1 << exponent));
}
DECANT_VECTORISED void quantised_relu(const float* src, bf16* dst, size_t count, int exponent) {
    quantised_relu_run(src, dst, count, float(1 << exponent));
}
DECANT_VECTORISED void quantised_relu_backward(const float* result, float* gradient, size_t count, int exponent) {
    quantised_relu_backward_run(result, gradient, count, 255.0f / float(1 << exponent));
}
DECANT_VECTORISED void quantised_relu_backward(const bf16* result, bf16* gradient, size_t count, int exponent) {
    quantised_relu_backward_run(result, gradient, count, 255.0f / float(1 << exponent));
}

DECANT_VECTORISED void quantised_signed(const float* src, float* dst, size_t count, int exponent) {
    quantised_signed_run(src, dst, count, float(1 << exponent));
}
DECANT_VECTORISED void quantised_signed(const float* src, bf16* dst, size_t count, int exponent) {
    quantised_signed_run(src, dst, count, float(1 << exponent));
}
DECANT_VECTORISED void quantised_signed_backward(const float* src, float* gradient, size_t count, int exponent) {
    quantised_signed_backward_run(src, gradient, count, float(1 << exponent));
}
DECANT_VECTORISED void quantised_signed_backward(const float* src, bf16* gradient, size_t count, int exponent) {
    quantised_signed_backward_run(src, gradient, count, float(1 << exponent));
}

DECANT_VECTORISED void requantise(const int32_t* sums, const int32_t* bias, const int8_t* shift, uint8_t* dst, size_t pixels, int channels) {
    for (size_t p = 0; p < pixels; p++) {
        const int32_t* s = sums + p * channels;
        uint8_t* d = dst + p * channels;
        for (int c = 0; c < channels; c++) d[c] = uint8_t(std::clamp(shift_rounded(s[c] + bias[c], shift[c]), 0, 255));
    }
}

DECANT_VECTORISED void rescale(int32_t* sums, const int32_t* bias, const int8_t* shift, size_t pixels, int channels) {
    for (size_t p = 0; p < pixels; p++) {
        int32_t* s = sums + p * channels;
        for (int c = 0; c < channels; c++) s[c] = shift_rounded(s[c] + bias[c], shift[c]);
    }
}

}  // namespace decant::kernels
