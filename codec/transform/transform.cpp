#include "codec/transform/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "codec/error.h"
#include "codec/image/reflection.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr size_t kGraphLimit = 24;  // shapes kept; a picture has at most nine

int ceil_div(int64_t a, int64_t b) { return int((a + b - 1) / b); }

// `count` pixels of a row, continued by reflection, from column x0 on, as the analysis reads them.
template <class T, class F>
void read_pixels(const Image& image, const uint8_t* row, int64_t x0, int count, T* dst, F&& value) {
    for (int x = 0; x < count; x++, dst += 3) {
        const int64_t at = x0 + x < int64_t(image.width) ? x0 + x : reflect(x0 + x, image.width);
        const uint8_t* pixel = row + size_t(at) * size_t(image.channels);
        for (int c = 0; c < 3; c++) dst[c] = value(pixel[image.channels == 3 ? c : 0]);
    }
}

void fill_pixels(const TensorRef& input, const Image& image, int64_t y0, int64_t x0) {
    const size_t h = size_t(input.shape.h), w = size_t(input.shape.w);
    for (size_t y = 0; y < h; y++) {
        const uint8_t* row = image.row(uint32_t(reflect(y0 + int64_t(y), image.height)));
        if (input.type == DataType::u8) {
            static_assert(kPixelZero == kInputZero);
            const size_t inside = image.channels == 3 ? size_t(std::clamp<int64_t>(int64_t(image.width) - x0, 0, int64_t(w))) : 0;
            uint8_t* d = input.as<uint8_t>() + y * w * 3;
            if (inside != 0) std::memcpy(d, row + 3 * x0, 3 * inside);
            read_pixels(image, row, x0 + int64_t(inside), int(w - inside), d + 3 * inside, [](uint8_t p) { return p; });
        } else {
            read_pixels(image, row, x0, int(w), input.as<float>() + y * w * 3, [](uint8_t p) { return pixel_value(p); });
        }
    }
}

// Latents that the analysis gave, floats of either kind of graph.
void copy_latents(const TensorRef& y, size_t from, float* dst, size_t count) {
    if (y.type == DataType::s32) {
        for (size_t i = 0; i < count; i++) dst[i] = float(y.as<int32_t>()[from + i]) * (1.0f / float(1 << kTransformExponent));
    } else {
        std::memcpy(dst, y.as<float>() + from, count * sizeof(float));
    }
}

// The synthesis' result to bytes: three channels, or one that is their mean.
DECANT_VECTORISED void to_pixels(const int32_t* src, uint8_t* dst, size_t count, int channels) {
    constexpr int kShift = kTransformExponent - kPixelExponent, kUnit = 1 << kShift, kTop = 1 << 28;
    if (channels == 3) {
        for (size_t k = 0; k < 3 * count; k++) dst[k] = uint8_t(std::min(std::max((src[k] + kUnit / 2) >> kShift, -kPixelZero), 255 - kPixelZero) + kPixelZero);
    } else {
        for (size_t k = 0; k < count; k++) {
            int32_t sum = 3 * kUnit / 2 + 3 * kPixelZero * kUnit;
            for (size_t c = 0; c < 3; c++) sum += std::min(std::max(src[3 * k + c], -kTop), kTop);
            dst[k] = uint8_t(std::min(std::max(sum, 0) / (3 * kUnit), 255));
        }
    }
}

DECANT_VECTORISED void to_pixels(const float* src, uint8_t* dst, size_t count, int channels) {
    if (channels == 3) {
        for (size_t k = 0; k < 3 * count; k++) dst[k] = pixel_of(src[k]);
    } else {
        for (size_t k = 0; k < count; k++) dst[k] = pixel_of((src[3 * k] + src[3 * k + 1] + src[3 * k + 2]) * (1.0f / 3.0f));
    }
}

}  // namespace

Area latent_area(uint64_t width, uint64_t height) {
    return {0, 0, int((height + kLatentStride - 1) / kLatentStride), int((width + kLatentStride - 1) / kLatentStride)};
}

Area widened(const Area& area, int margin, const Area& whole) {
    const int y = std::max(whole.y, area.y - margin), x = std::max(whole.x, area.x - margin);
    return {y, x, std::min(whole.bottom(), area.bottom() + margin) - y, std::min(whole.right(), area.right() + margin) - x};
}

Area widened_to(const Area& area, int margin, const Area& whole, int h, int w) {
    const Area least = widened(area, margin, whole);
    h = std::clamp(h, least.h, whole.h);
    w = std::clamp(w, least.w, whole.w);
    return {std::clamp(least.bottom() - h, whole.y, std::min(least.y, whole.bottom() - h)),
            std::clamp(least.right() - w, whole.x, std::min(least.x, whole.right() - w)), h, w};
}

Reach reach_of(const Network& network, int start) {
    // Position widths and margins of each value, in pixels; index 0 is the input.
    std::vector<int> width{start}, margin{0};
    for (const PlannedLayer& p : plan(network, {1, 64, 64, network.channels_in})) {
        int w = width[size_t(p.src + 1)], m = margin[size_t(p.src + 1)];
        switch (p.layer->op) {
            case Operation::convolution:
                m += (p.layer->kernel - 1) / 2 * w;
                w *= p.layer->stride;
                break;
            case Operation::unshuffle: w *= p.layer->factor; break;
            case Operation::shuffle: w /= p.layer->factor; break;
        }
        if (p.add != -2) m = std::max(m, margin[size_t(p.add + 1)]);
        width.push_back(w);
        margin.push_back(m);
    }
    return {margin.back(), *std::max_element(width.begin(), width.end())};
}

Transform::Transform(const Description& d, CodecWeights& weights, SharedMemory& memory) : description_(d), weights_(weights), memory_(memory) {}

int Transform::analysis_margin(const Description& d) { return ceil_div(receptive_margin(d.network("analysis"), 1), kLatentStride); }
int Transform::synthesis_margin(const Description& d) { return ceil_div(receptive_margin(d.network("synthesis"), kLatentStride), kLatentStride); }

void Transform::AnyGraph::forward(float quality) {
    if (integers != nullptr) return integers->forward(int(std::lround(quality * 256.0f)));
    floats->forward({&quality, 1});
}

Transform::AnyGraph& Transform::graph(const char* network, Shape input) {
    if (graphs_.size() > kGraphLimit) graphs_.clear();
    AnyGraph& slot = graphs_[{network, input}];
    if (slot.integers == nullptr && slot.floats == nullptr) {
        if (is_integer(description_.network(network))) {
            IntegerGraphOptions o;
            const bool pixels = input.c == 3;
            o.input_type = pixels ? DataType::u8 : DataType::s16;
            o.signed_from = 0;
            o.input_exponent = pixels ? kPixelExponent : kLatentExponent;
            o.output_exponent = kTransformExponent;
            o.borrows_memory = true;
            slot.integers = std::make_unique<IntegerGraph>(weights_.integers(network), input, o);
        } else {
            GraphOptions o;
            o.compute = has_fast_bf16() ? DataType::bf16 : DataType::f32;
            o.borrows_memory = true;
            o.scratch = &memory_.scratch;
            slot.floats = std::make_unique<Graph>(weights_[network], input, o);
        }
    }
    if (slot.integers != nullptr) {
        slot.integers->bind(memory_.activations.grow(slot.integers->memory()));
    } else {
        slot.floats->bind(memory_.activations.grow(slot.floats->memory()));
    }
    return slot;
}

void Transform::analyse(const Image& image, const Area& window, const Area& seen, float quality, float* result, size_t row_stride) {
    AnyGraph& g = graph("analysis", {1, seen.h * kLatentStride, seen.w * kLatentStride, 3});
    fill_pixels(g.input(), image, int64_t(seen.y) * kLatentStride, int64_t(seen.x) * kLatentStride);
    g.forward(quality);
    const TensorRef y = g.output();
    const size_t channels = size_t(description_.latent_channels);
    if (y.shape != Shape{1, seen.h, seen.w, int(channels)}) throw Error(ErrorCode::model_mismatch, "analysis: the result has shape " + to_string(y.shape));
    for (int r = 0; r < window.h; r++) {
        const size_t from = (size_t(window.y - seen.y + r) * size_t(seen.w) + size_t(window.x - seen.x)) * channels;
        copy_latents(y, from, result + size_t(r) * row_stride, size_t(window.w) * channels);
    }
}

void Transform::prepare_synthesis(const Area& seen) {
    graph("synthesis", {1, seen.h, seen.w, description_.latent_channels});
}

void Transform::synthesise(const ReadLatents& read, const Area& window, const Area& seen, float quality, Image& image) {
    AnyGraph& g = graph("synthesis", {1, seen.h, seen.w, description_.latent_channels});
    const size_t values = size_t(seen.w) * size_t(description_.latent_channels);
    const TensorRef input = g.input();
    for (int r = 0; r < seen.h; r++) {
        if (input.type == DataType::s16) {
            read(seen.y + r, seen.x, seen.w, input.as<int16_t>() + size_t(r) * values);
            continue;
        }
        row_.resize(values);
        read(seen.y + r, seen.x, seen.w, row_.data());
        for (size_t i = 0; i < values; i++) input.as<float>()[size_t(r) * values + i] = float(row_[i]) * (1.0f / float(1 << kLatentExponent));
    }
    g.forward(quality);
    const TensorRef out = g.output();
    if (out.shape != Shape{1, seen.h * kLatentStride, seen.w * kLatentStride, 3}) {
        throw Error(ErrorCode::model_mismatch, "synthesis: the result has shape " + to_string(out.shape));
    }
    const int64_t y_begin = int64_t(window.y) * kLatentStride, y_end = std::min<int64_t>(int64_t(window.bottom()) * kLatentStride, image.height);
    const int64_t x_begin = int64_t(window.x) * kLatentStride, x_end = std::min<int64_t>(int64_t(window.right()) * kLatentStride, image.width);
    const size_t count = size_t(x_end - x_begin);
    for (int64_t y = y_begin; y < y_end; y++) {
        const size_t from = (size_t(y - int64_t(seen.y) * kLatentStride) * size_t(out.shape.w) + size_t(x_begin - int64_t(seen.x) * kLatentStride)) * 3;
        uint8_t* d = image.row(uint32_t(y)) + size_t(x_begin) * size_t(image.channels);
        if (out.type == DataType::s32) {
            to_pixels(out.as<int32_t>() + from, d, count, image.channels);
        } else {
            to_pixels(out.as<float>() + from, d, count, image.channels);
        }
    }
}

}  // namespace decant
