#include "codec/transform/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "codec/error.h"

namespace decant {
namespace {

constexpr size_t kGraphLimit = 24;  // shapes kept; a picture has at most nine

int ceil_div(int64_t a, int64_t b) { return int((a + b - 1) / b); }

// Index of the pixel that stands at `i` of a row of `size` pixels continued by reflection.
int reflect(int64_t i, int64_t size) {
    if (size == 1) return 0;
    const int64_t period = 2 * (size - 1), r = i % period;
    return int(r < size ? r : period - r);
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

Transform::Transform(const Description& d, CodecWeights& weights, SharedMemory& memory) : description_(d), weights_(weights), memory_(memory) {}

int Transform::analysis_margin(const Description& d) { return ceil_div(receptive_margin(d.network("analysis"), 1), kLatentStride); }
int Transform::synthesis_margin(const Description& d) { return ceil_div(receptive_margin(d.network("synthesis"), kLatentStride), kLatentStride); }

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
        o.scratch = &memory_.scratch;
        slot = std::make_unique<Graph>(weights_[network], input, o);
    }
    slot->bind(memory_.activations.grow(slot->memory()));
    return *slot;
}

void Transform::analyse(const Image& image, const Area& window, const Area& seen, float quality, float* result, size_t row_stride) {
    const int h = seen.h * kLatentStride, w = seen.w * kLatentStride;
    Graph& g = graph("analysis", {1, h, w, 3});
    auto* d = g.input().as<float>();
    const int64_t y0 = int64_t(seen.y) * kLatentStride, x0 = int64_t(seen.x) * kLatentStride;
    for (int y = 0; y < h; y++) {
        const uint8_t* row = image.row(uint32_t(reflect(y0 + y, image.height)));
        for (int64_t x = x0; x < x0 + w; x++, d += 3) {
            const uint8_t* pixel = row + size_t(x < int64_t(image.width) ? x : reflect(x, image.width)) * size_t(image.channels);
            for (int c = 0; c < 3; c++) d[c] = float(pixel[image.channels == 3 ? c : 0]) * (1.0f / 255.0f) - 0.5f;
        }
    }
    g.forward({&quality, 1});
    const TensorRef y = g.output();
    const size_t channels = size_t(description_.latent_channels);
    if (y.shape != Shape{1, seen.h, seen.w, int(channels)}) throw Error(ErrorCode::model_mismatch, "analysis: the result has shape " + to_string(y.shape));
    for (int r = 0; r < window.h; r++) {
        const size_t from = (size_t(window.y - seen.y + r) * size_t(seen.w) + size_t(window.x - seen.x)) * channels;
        std::memcpy(result + size_t(r) * row_stride, y.as<float>() + from, size_t(window.w) * channels * sizeof(float));
    }
}

void Transform::prepare_synthesis(const Area& seen) {
    graph("synthesis", {1, seen.h, seen.w, description_.latent_channels});
}

void Transform::synthesise(const ReadLatents& read, const Area& window, const Area& seen, float quality, Image& image) {
    Graph& g = graph("synthesis", {1, seen.h, seen.w, description_.latent_channels});
    for (int r = 0; r < seen.h; r++) {
        read(seen.y + r, seen.x, seen.w, g.input().as<float>() + size_t(r) * size_t(seen.w) * size_t(description_.latent_channels));
    }
    g.forward({&quality, 1});
    const TensorRef out = g.output();
    if (out.shape != Shape{1, seen.h * kLatentStride, seen.w * kLatentStride, 3}) {
        throw Error(ErrorCode::model_mismatch, "synthesis: the result has shape " + to_string(out.shape));
    }
    const int64_t y_begin = int64_t(window.y) * kLatentStride, y_end = std::min<int64_t>(int64_t(window.bottom()) * kLatentStride, image.height);
    const int64_t x_begin = int64_t(window.x) * kLatentStride, x_end = std::min<int64_t>(int64_t(window.right()) * kLatentStride, image.width);
    const size_t count = size_t(x_end - x_begin);
    for (int64_t y = y_begin; y < y_end; y++) {
        const float* from = out.as<float>() + (size_t(y - int64_t(seen.y) * kLatentStride) * size_t(out.shape.w) +
                                               size_t(x_begin - int64_t(seen.x) * kLatentStride)) * 3;
        uint8_t* d = image.row(uint32_t(y)) + size_t(x_begin) * size_t(image.channels);
        const auto to_byte = [](float v) { return uint8_t(std::min(std::max((v + 0.5f) * 255.0f + 0.5f, 0.0f), 255.0f)); };
        if (image.channels == 3) {
            for (size_t k = 0; k < 3 * count; k++) d[k] = to_byte(from[k]);
        } else {
            for (size_t k = 0; k < count; k++) d[k] = to_byte((from[3 * k] + from[3 * k + 1] + from[3 * k + 2]) * (1.0f / 3.0f));
        }
    }
}

}  // namespace decant
