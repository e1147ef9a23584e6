#include "codec/transform/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "codec/engine/parallel.h"
#include "codec/error.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr int kWindow = 64;         // latent positions a side that a window adds to the result, at most
constexpr size_t kGraphLimit = 24;  // shapes kept; a picture of several windows has at most nine

int ceil_div(int64_t a, int64_t b) { return int((a + b - 1) / b); }

// Index of the pixel that stands at `i` of a row of `size` pixels continued by reflection.
int reflect(int64_t i, int64_t size) {
    if (size == 1) return 0;
    const int64_t period = 2 * (size - 1), r = i % period;
    return int(r < size ? r : period - r);
}

struct Span {
    int begin, end;              // of the result
    int margin_begin, margin_end;  // of what is read: includes the margin, clipped to the plane
};

std::vector<Span> windows(int size, int margin) {
    const int count = ceil_div(size, kWindow);
    std::vector<Span> spans;
    for (int i = 0; i < count; i++) {
        const int begin = int(int64_t(size) * i / count), end = int(int64_t(size) * (i + 1) / count);
        spans.push_back({begin, end, std::max(0, begin - margin), std::min(size, end + margin)});
    }
    return spans;
}

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
    parallel_for(h, 16, [&](size_t begin, size_t end) {
        for (size_t y = begin; y < end; y++) {
            const uint8_t* row = image.row(uint32_t(reflect(y0 + int64_t(y), image.height)));
            if (input.type == DataType::u8) {
                static_assert(kPixelZero == kInputZero);
                const size_t inside = image.channels == 3 ? size_t(std::clamp<int64_t>(int64_t(image.width) - x0, 0, int64_t(w))) : 0;
                uint8_t* d = input.as<uint8_t>() + y * w * 3;
                if (inside != 0) std::memcpy(d, row + 3 * x0, 3 * inside);
                read_pixels(image, row, x0 + int64_t(inside), int(w - inside), d + 3 * inside, [](uint8_t p) { return p; });
            } else {
                read_pixels(image, row, x0, int(w), input.as<float>() + y * w * 3, pixel_value);
            }
        }
    });
}

// Latents that the analysis gave, floats of either kind of graph.
void copy_latents(const TensorRef& y, size_t from, float* dst, size_t count) {
    if (y.type == DataType::s32) {
        for (size_t i = 0; i < count; i++) dst[i] = float(y.as<int32_t>()[from + i]) * (1.0f / float(1 << kTransformExponent));
    } else {
        std::memcpy(dst, y.as<float>() + from, count * sizeof(float));
    }
}

void fill_latents(const TensorRef& input, size_t to, const int16_t* src, size_t count) {
    if (input.type == DataType::s16) {
        std::memcpy(input.as<int16_t>() + to, src, count * sizeof(int16_t));
    } else {
        for (size_t i = 0; i < count; i++) input.as<float>()[to + i] = float(src[i]) * (1.0f / float(1 << kLatentExponent));
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
    const auto to_byte = [](float v) { return uint8_t(std::min(std::max(v * float(1 << kPixelExponent) + float(kPixelZero) + 0.5f, 0.0f), 255.0f)); };
    if (channels == 3) {
        for (size_t k = 0; k < 3 * count; k++) dst[k] = to_byte(src[k]);
    } else {
        for (size_t k = 0; k < count; k++) dst[k] = to_byte((src[3 * k] + src[3 * k + 1] + src[3 * k + 2]) * (1.0f / 3.0f));
    }
}

}  // namespace

int receptive_margin(const Network& network, int start) {
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
    return margin.back();
}

Transform::Transform(const Description& d, CodecWeights& weights) : description_(d), weights_(weights) {
    analysis_margin_ = ceil_div(receptive_margin(d.network("analysis"), 1), kLatentStride);
    synthesis_margin_ = ceil_div(receptive_margin(d.network("synthesis"), kLatentStride), kLatentStride);
}

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
            slot.floats = std::make_unique<Graph>(weights_[network], input, o);
        }
    }
    if (slot.integers != nullptr) {
        slot.integers->bind(memory_.grow(slot.integers->memory()));
    } else {
        slot.floats->bind(memory_.grow(slot.floats->memory()));
    }
    return slot;
}

LatentPlane Transform::analyse(const Image& image, float quality) {
    LatentPlane plane(ceil_div(image.height, kLatentStride), ceil_div(image.width, kLatentStride), description_.latent_channels);
    for (const Span& rows : windows(plane.h, analysis_margin_)) {
        for (const Span& columns : windows(plane.w, analysis_margin_)) {
            const int h = (rows.margin_end - rows.margin_begin) * kLatentStride, w = (columns.margin_end - columns.margin_begin) * kLatentStride;
            AnyGraph& g = graph("analysis", {1, h, w, 3});
            fill_pixels(g.input(), image, int64_t(rows.margin_begin) * kLatentStride, int64_t(columns.margin_begin) * kLatentStride);
            g.forward(quality);
            const TensorRef y = g.output();
            if (y.shape != Shape{1, h / kLatentStride, w / kLatentStride, plane.channels}) {
                throw Error(ErrorCode::model_mismatch, "analysis: the result has shape " + to_string(y.shape));
            }
            for (int r = rows.begin; r < rows.end; r++) {
                const size_t from = (size_t(r - rows.margin_begin) * size_t(y.shape.w) + size_t(columns.begin - columns.margin_begin)) * size_t(plane.channels);
                copy_latents(y, from, plane.at(r, columns.begin), size_t(columns.end - columns.begin) * size_t(plane.channels));
            }
        }
    }
    return plane;
}

Image Transform::synthesise(const DecodedPlane& plane, uint32_t width, uint32_t height, int channels, float quality) {
    Image image(width, height, channels);
    for (const Span& rows : windows(plane.h, synthesis_margin_)) {
        for (const Span& columns : windows(plane.w, synthesis_margin_)) {
            const int h = rows.margin_end - rows.margin_begin, w = columns.margin_end - columns.margin_begin;
            AnyGraph& g = graph("synthesis", {1, h, w, plane.channels});
            const size_t row = size_t(w) * size_t(plane.channels);
            for (int r = 0; r < h; r++) fill_latents(g.input(), size_t(r) * row, plane.at(rows.margin_begin + r, columns.margin_begin), row);
            g.forward(quality);
            const TensorRef x = g.output();
            if (x.shape != Shape{1, h * kLatentStride, w * kLatentStride, 3}) {
                throw Error(ErrorCode::model_mismatch, "synthesis: the result has shape " + to_string(x.shape));
            }
            const int64_t y_end = std::min<int64_t>(int64_t(rows.end) * kLatentStride, height), x_begin = int64_t(columns.begin) * kLatentStride;
            const int64_t x_end = std::min<int64_t>(int64_t(columns.end) * kLatentStride, width), y_begin = int64_t(rows.begin) * kLatentStride;
            parallel_for(size_t(y_end - y_begin), 16, [&](size_t begin, size_t end) {
                for (size_t i = begin; i < end; i++) {
                    const int64_t y = y_begin + int64_t(i);
                    const size_t from = (size_t(y - int64_t(rows.margin_begin) * kLatentStride) * size_t(x.shape.w) +
                                         size_t(x_begin - int64_t(columns.margin_begin) * kLatentStride)) * 3;
                    uint8_t* d = image.row(uint32_t(y)) + size_t(x_begin) * size_t(channels);
                    if (x.type == DataType::s32) {
                        to_pixels(x.as<int32_t>() + from, d, size_t(x_end - x_begin), channels);
                    } else {
                        to_pixels(x.as<float>() + from, d, size_t(x_end - x_begin), channels);
                    }
                }
            });
        }
    }
    return image;
}

}  // namespace decant
