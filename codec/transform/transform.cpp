#include "codec/transform/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "codec/engine/parallel.h"
#include "codec/error.h"

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

Graph& Transform::graph(const char* network, Shape input) {
    auto& slot = graphs_[{network, input}];
    if (slot == nullptr) {
        if (graphs_.size() > kGraphLimit) {
            graphs_.clear();
            return graph(network, input);
        }
        GraphOptions o;
        o.compute = has_fast_bf16() ? DataType::bf16 : DataType::f32;
        o.borrows_memory = true;
        slot = std::make_unique<Graph>(weights_[network], input, o);
    }
    slot->bind(memory_.grow(slot->memory()));
    return *slot;
}

LatentPlane Transform::analyse(const Image& image, float quality) {
    LatentPlane plane(ceil_div(image.height, kLatentStride), ceil_div(image.width, kLatentStride), description_.latent_channels);
    for (const Span& rows : windows(plane.h, analysis_margin_)) {
        for (const Span& columns : windows(plane.w, analysis_margin_)) {
            const int h = (rows.margin_end - rows.margin_begin) * kLatentStride, w = (columns.margin_end - columns.margin_begin) * kLatentStride;
            Graph& g = graph("analysis", {1, h, w, 3});
            auto* input = g.input().as<float>();
            const int y0 = rows.margin_begin * kLatentStride, x0 = columns.margin_begin * kLatentStride;
            parallel_for(size_t(h), 16, [&](size_t begin, size_t end) {
                for (size_t y = begin; y < end; y++) {
                    const uint8_t* row = image.row(uint32_t(reflect(y0 + int64_t(y), image.height)));
                    float* d = input + y * size_t(w) * 3;
                    for (int x = 0; x < w; x++, d += 3) {
                        const uint8_t* pixel = row + size_t(x0 + x < int64_t(image.width) ? x0 + x : reflect(x0 + x, image.width)) * size_t(image.channels);
                        for (int c = 0; c < 3; c++) d[c] = pixel_value(pixel[image.channels == 3 ? c : 0]);
                    }
                }
            });
            g.forward({&quality, 1});
            const TensorRef y = g.output();
            if (y.shape != Shape{1, h / kLatentStride, w / kLatentStride, plane.channels}) {
                throw Error(ErrorCode::model_mismatch, "analysis: the result has shape " + to_string(y.shape));
            }
            for (int r = rows.begin; r < rows.end; r++) {
                const float* from = y.as<float>() + (size_t(r - rows.margin_begin) * size_t(y.shape.w) + size_t(columns.begin - columns.margin_begin)) * size_t(plane.channels);
                std::memcpy(plane.at(r, columns.begin), from, size_t(columns.end - columns.begin) * size_t(plane.channels) * sizeof(float));
            }
        }
    }
    return plane;
}

Image Transform::synthesise(const LatentPlane& plane, uint32_t width, uint32_t height, int channels, float quality) {
    Image image(width, height, channels);
    for (const Span& rows : windows(plane.h, synthesis_margin_)) {
        for (const Span& columns : windows(plane.w, synthesis_margin_)) {
            const int h = rows.margin_end - rows.margin_begin, w = columns.margin_end - columns.margin_begin;
            Graph& g = graph("synthesis", {1, h, w, plane.channels});
            for (int r = 0; r < h; r++) {
                std::memcpy(g.input().as<float>() + size_t(r) * size_t(w) * size_t(plane.channels), plane.at(rows.margin_begin + r, columns.margin_begin),
                            size_t(w) * size_t(plane.channels) * sizeof(float));
            }
            g.forward({&quality, 1});
            const TensorRef x = g.output();
            if (x.shape != Shape{1, h * kLatentStride, w * kLatentStride, 3}) {
                throw Error(ErrorCode::model_mismatch, "synthesis: the result has shape " + to_string(x.shape));
            }
            const int64_t y_end = std::min<int64_t>(int64_t(rows.end) * kLatentStride, height), x_begin = int64_t(columns.begin) * kLatentStride;
            const int64_t x_end = std::min<int64_t>(int64_t(columns.end) * kLatentStride, width), y_begin = int64_t(rows.begin) * kLatentStride;
            parallel_for(size_t(y_end - y_begin), 16, [&](size_t begin, size_t end) {
                for (size_t i = begin; i < end; i++) {
                    const int64_t y = y_begin + int64_t(i);
                    const float* from = x.as<float>() + (size_t(y - int64_t(rows.margin_begin) * kLatentStride) * size_t(x.shape.w) +
                                                         size_t(x_begin - int64_t(columns.margin_begin) * kLatentStride)) * 3;
                    uint8_t* d = image.row(uint32_t(y)) + size_t(x_begin) * size_t(channels);
                    const auto to_byte = [](float v) { return uint8_t(std::min(std::max(v * float(1 << kPixelExponent) + float(kPixelZero) + 0.5f, 0.0f), 255.0f)); };
                    const size_t count = size_t(x_end - x_begin);
                    if (channels == 3) {
                        for (size_t k = 0; k < 3 * count; k++) d[k] = to_byte(from[k]);
                    } else {
                        for (size_t k = 0; k < count; k++) d[k] = to_byte((from[3 * k] + from[3 * k + 1] + from[3 * k + 2]) * (1.0f / 3.0f));
                    }
                }
            });
        }
    }
    return image;
}

}  // namespace decant
