#include "codec/engine/kernels.h"

#include <algorithm>
#include <cmath>

#include "codec/network/rounding.h"

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

constexpr int32_t kClip = 1 << 21;  // of results that saturate at 16 bits, so that they can be shifted left

// Pointers in local variables: the compiler would have to read members again after every byte that is written.
struct Channels {
    const int32_t *high, *low, *right, *left;
    DECANT_INLINE explicit Channels(const Requantisation& r) : high(r.high), low(r.low), right(r.right), left(r.left) {}
};

// One position's sums.
template <int kDigits>  // 1, 2, or 4 with those of two bytes
struct Sums {
    const int32_t *first, *weight, *value, *last;
    DECANT_INLINE Sums(const SumView& v, size_t p) : first(v.sums + p * v.stride), weight(first + v.low_weight), value(first + v.low_value), last(weight + v.low_value) {}

    // The whole sum on the grid of its requantisation. Wraps around on the way, but not in the end.
    DECANT_INLINE int32_t at(size_t c, const int32_t* high, const int32_t* low) const {
        if constexpr (kDigits == 1) return int32_t(uint32_t(first[c]) + uint32_t(low[c]));
        if constexpr (kDigits == 2) return int32_t((uint32_t(first[c]) << kWideDigit) + uint32_t(weight[c]) + uint32_t(low[c]));
        const int32_t inner = (weight[c] << 2) + value[c] + ((last[c] + 32) >> kWideDigit) + low[c];
        const int32_t outer = first[c] + (inner >> 8) + high[c];
        return (std::min(std::max(outer, -kClip), kClip - 1) << 8) + (inner & 255);
    }
};

DECANT_INLINE int32_t scaled(int32_t sum, int32_t right, int32_t left) { return std::min(std::max(sum >> right, -kClip), kClip) << left; }

DECANT_INLINE uint8_t view_of(int32_t v, int32_t half, int shift) { return uint8_t(std::min(std::max((v + half) >> shift, -128), 127) + 128); }

template <int kDigits>
DECANT_INLINE void unsigned_run(const SumView& v, const Requantisation& r, uint8_t* dst, size_t positions, size_t channels) {
    const Channels k(r);
    for (size_t p = 0; p < positions; p++) {
        const Sums<kDigits> s(v, p);
        uint8_t* d = dst + p * channels;
#pragma GCC ivdep
        for (size_t c = 0; c < channels; c++) d[c] = uint8_t(std::min(std::max(scaled(s.at(c, k.high, k.low), k.right[c], k.left[c]), 0), 255));
    }
}

template <int kDigits, bool kAdd, bool kView>
DECANT_INLINE void trunk_run(const SumView& v, const Requantisation& r, const int16_t* addend, int16_t* dst, uint8_t* view, int shift, size_t positions,
                             size_t channels) {
    const Channels k(r);
    const int32_t half = (1 << shift) >> 1;
    for (size_t p = 0; p < positions; p++) {
        const Sums<kDigits> s(v, p);
        const int16_t* a = kAdd ? addend + p * channels : nullptr;
        int16_t* d = dst + p * channels;
        uint8_t* u = kView ? view + p * channels : nullptr;
#pragma GCC ivdep
        for (size_t c = 0; c < channels; c++) {
            int32_t t = scaled(s.at(c, k.high, k.low), k.right[c], k.left[c]);
            if constexpr (kAdd) t += a[c];
            t = std::min(std::max(t, -32768), 32767);
            d[c] = int16_t(t);
            if constexpr (kView) u[c] = view_of(t, half, shift);
        }
    }
}

template <int kDigits>
DECANT_INLINE void trunk_cases(const SumView& v, const Requantisation& r, const int16_t* addend, int16_t* dst, uint8_t* view, int shift, size_t positions,
                               size_t channels) {
    if (addend != nullptr && view != nullptr) return trunk_run<kDigits, true, true>(v, r, addend, dst, view, shift, positions, channels);
    if (addend != nullptr) return trunk_run<kDigits, true, false>(v, r, addend, dst, view, shift, positions, channels);
    if (view != nullptr) return trunk_run<kDigits, false, true>(v, r, addend, dst, view, shift, positions, channels);
    trunk_run<kDigits, false, false>(v, r, addend, dst, view, shift, positions, channels);
}

template <int kDigits>
DECANT_INLINE void fixed_run(const SumView& v, const Requantisation& r, int32_t* dst, size_t dst_stride, size_t positions, size_t channels) {
    const Channels k(r);
    for (size_t p = 0; p < positions; p++) {
        const Sums<kDigits> s(v, p);
        int32_t* d = dst + p * dst_stride;
#pragma GCC ivdep
        for (size_t c = 0; c < channels; c++) {
            const int32_t limit = (1 << 30) >> k.left[c];
            d[c] = std::min(std::max(s.at(c, k.high, k.low) >> k.right[c], -limit), limit) << k.left[c];
        }
    }
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

DECANT_VECTORISED void to_unsigned(const SumView& sums, const Requantisation& r, uint8_t* dst, size_t positions, size_t channels) {
    if (sums.low_value != 0) return unsigned_run<4>(sums, r, dst, positions, channels);
    if (sums.low_weight != 0) return unsigned_run<2>(sums, r, dst, positions, channels);
    unsigned_run<1>(sums, r, dst, positions, channels);
}

DECANT_VECTORISED void to_trunk(const SumView& sums, const Requantisation& r, const int16_t* addend, int16_t* dst, uint8_t* view, int view_shift,
                                size_t positions, size_t channels) {
    if (sums.low_value != 0) return trunk_cases<4>(sums, r, addend, dst, view, view_shift, positions, channels);
    if (sums.low_weight != 0) return trunk_cases<2>(sums, r, addend, dst, view, view_shift, positions, channels);
    trunk_cases<1>(sums, r, addend, dst, view, view_shift, positions, channels);
}

DECANT_VECTORISED void to_fixed(const SumView& sums, const Requantisation& r, int32_t* dst, size_t dst_stride, size_t positions, size_t channels) {
    if (sums.low_value != 0) return fixed_run<4>(sums, r, dst, dst_stride, positions, channels);
    if (sums.low_weight != 0) return fixed_run<2>(sums, r, dst, dst_stride, positions, channels);
    fixed_run<1>(sums, r, dst, dst_stride, positions, channels);
}

DECANT_VECTORISED void to_view(const int16_t* src, uint8_t* view, int shift, size_t count) {
    const int32_t half = (1 << shift) >> 1;
#pragma GCC ivdep
    for (size_t i = 0; i < count; i++) view[i] = view_of(src[i], half, shift);
}

DECANT_VECTORISED void split_bytes(const int16_t* src, size_t src_stride, uint8_t* high, uint8_t* low, size_t dst_stride, size_t positions, size_t count) {
    for (size_t p = 0; p < positions; p++) {
        const int16_t* s = src + p * src_stride;
        uint8_t *h = high + p * dst_stride, *l = low + p * dst_stride;
#pragma GCC ivdep
        for (size_t i = 0; i < count; i++) {
            h[i] = uint8_t((uint16_t(s[i]) >> 8) ^ 0x80);
            l[i] = uint8_t(s[i]);
        }
    }
}

}  // namespace decant::kernels
