#include "codec/engine/activation_kernels.h"

#include <algorithm>
#include <cmath>

#include "codec/tensor/random.h"

namespace decant::kernels {
namespace {

template <class T>
DECANT_INLINE void multiply_run(T* values, size_t count, float factor) {
    for (size_t i = 0; i < count; i++) values[i] = from_float<T>(to_float(values[i]) * factor);
}

template <class T>
DECANT_INLINE void drop_run(T* values, size_t count, uint32_t key, float share) {
    const float factor = 1.0f / (1.0f - share);
    for (size_t i = 0; i < count; i++) {
        const float v = to_float(values[i]) * factor;
        values[i] = from_float<T>(uniform(key, uint32_t(i)) < share ? 0.0f : v);
    }
}

}  // namespace

DECANT_VECTORISED void square(const float* src, float* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = src[i] * src[i];
}
DECANT_VECTORISED void multiply(float* values, size_t count, float factor) { multiply_run(values, count, factor); }
DECANT_VECTORISED void multiply(bf16* values, size_t count, float factor) { multiply_run(values, count, factor); }

DECANT_VECTORISED void gdn(const float* src, const float* norm, float* dst, size_t count, bool inverse) {
    if (inverse) {
        for (size_t i = 0; i < count; i++) dst[i] = src[i] * std::sqrt(norm[i]);
    } else {
        for (size_t i = 0; i < count; i++) dst[i] = src[i] / std::sqrt(norm[i]);
    }
}

DECANT_VECTORISED void gdn_backward(const float* src, const float* norm, float* gradient, float* norm_gradient, size_t count, bool inverse) {
    if (inverse) {
        for (size_t i = 0; i < count; i++) {
            const float root = std::sqrt(norm[i]);
            norm_gradient[i] = 0.5f * gradient[i] * src[i] / root;
            gradient[i] *= root;
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            const float part = gradient[i] / std::sqrt(norm[i]);
            norm_gradient[i] = -0.5f * part * src[i] / norm[i];
            gradient[i] = part;
        }
    }
}

DECANT_VECTORISED void add_twice_product(const float* a, const float* b, float* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] += 2.0f * a[i] * b[i];
}

DECANT_VECTORISED void jump_relu(const float* src, const float* threshold, float* dst, size_t pixels, int channels) {
    for (size_t p = 0; p < pixels; p++) {
        const float* s = src + p * size_t(channels);
        float* d = dst + p * size_t(channels);
        for (int c = 0; c < channels; c++) d[c] = s[c] > std::max(threshold[c], 0.0f) ? s[c] : 0.0f;
    }
}

DECANT_VECTORISED void jump_relu_backward(const float* src, const float* threshold, float* gradient, float* threshold_gradient, size_t pixels, int channels,
                                          float bandwidth, float l0) {
    const float inverse = 1.0f / bandwidth, half = 0.5f * bandwidth;
    for (size_t p = 0; p < pixels; p++) {
        const float* s = src + p * size_t(channels);
        float* g = gradient + p * size_t(channels);
        for (int c = 0; c < channels; c++) {
            const float theta = std::max(threshold[c], 0.0f), from = s[c] - theta;
            threshold_gradient[c] -= from > -half && from < half ? (theta * g[c] + l0) * inverse : 0.0f;
            g[c] = from > 0.0f ? g[c] : 0.0f;
        }
    }
}

DECANT_VECTORISED void normalise(float* x, float* dst, const float* mean, const float* inverse, const float* scale, const float* shift, size_t pixels, size_t channels) {
    for (size_t p = 0; p < pixels; p++) {
        float *v = x + p * channels, *d = dst + p * channels;
        for (size_t c = 0; c < channels; c++) {
            v[c] = (v[c] - mean[c]) * inverse[c];
            d[c] = scale[c] * v[c] + shift[c];
        }
    }
}

DECANT_VECTORISED void normalise_backward(const float* normalised, float* gradient, const float* factor, const float* mean, const float* slope, size_t pixels,
                                          size_t channels) {
    for (size_t p = 0; p < pixels; p++) {
        const float* v = normalised + p * channels;
        float* g = gradient + p * channels;
        for (size_t c = 0; c < channels; c++) g[c] = factor[c] * (g[c] - mean[c] - slope[c] * v[c]);
    }
}

DECANT_VECTORISED void drop(float* values, size_t count, uint32_t key, float share) { drop_run(values, count, key, share); }
DECANT_VECTORISED void drop(bf16* values, size_t count, uint32_t key, float share) { drop_run(values, count, key, share); }

DECANT_VECTORISED void leaky_relu(float* values, size_t count, float slope) {
    for (size_t i = 0; i < count; i++) values[i] = values[i] > 0.0f ? values[i] : values[i] * slope;
}

}  // namespace decant::kernels
