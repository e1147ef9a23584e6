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

// Parts that are filtered at once. The first stage does a block more on each side: with that, whole runs.
constexpr int kFilteredRows = 64, kFilteredColumns = 4 * kFilterRun - 2 * kFilterBlock;
constexpr size_t kGraphLimit = 24;  // shapes kept; a picture has at most nine

int ceil_div(int64_t a, int64_t b) { return int((a + b - 1) / b); }

// f(x, sample) for the first sample of each of `count` pixels of a row from column x0 on, continued by reflection.
template <Sample T, class F>
void each_pixel(const SampleView& picture, const T* row, int64_t x0, int count, F&& f) {
    for (int x = 0; x < count; x++) {
        const int64_t at = x0 + x < picture.width() ? x0 + x : reflect(x0 + x, picture.width());
        f(x, row + size_t(at) * size_t(picture.channels()));
    }
}

// As bytes, for integer networks. channels: of the network, as of the others.
void fill_row(const SampleView& picture, const uint8_t* row, int64_t x0, int count, int channels, uint8_t* dst) {
    static_assert(kPixelZero == kInputZero);
    const int64_t inside = picture.channels() == channels ? std::clamp<int64_t>(picture.width() - x0, 0, count) : 0;
    if (inside != 0) std::memcpy(dst, row + channels * x0, size_t(channels * inside));
    each_pixel(picture, row, x0 + inside, int(count - inside), [&](int x, const uint8_t* pixel) {
        for (int c = 0; c < channels; c++) dst[channels * (inside + x) + c] = pixel[picture.channels() == channels ? c : 0];
    });
}

// As s16 with kDeepBits more bits than a byte.
constexpr int kDeepBits = 7;
void fill_row(const SampleView& picture, const uint16_t* row, int64_t x0, int count, int channels, int16_t* dst) {
    each_pixel(picture, row, x0, count, [&](int x, const uint16_t* pixel) {
        for (int c = 0; c < channels; c++) {
            const int32_t sample = pixel[picture.channels() == channels ? c : 0];
            dst[channels * x + c] = int16_t((sample * (1 << kDeepBits) + 128) / 257 - (kPixelZero << kDeepBits));
        }
    });
}

void fill_pixels(const TensorRef& input, const SampleView& picture, int64_t y0, int64_t x0) {
    const int w = input.shape.w, channels = input.shape.c;
    const size_t h = size_t(input.shape.h), row_size = size_t(w) * size_t(channels);
    for (size_t y = 0; y < h; y++) {
        const int64_t from = reflect(y0 + int64_t(y), picture.height());
        if (input.type == DataType::u8) {
            fill_row(picture, picture.row(from), x0, w, channels, input.as<uint8_t>() + y * row_size);
        } else if (input.type == DataType::s16) {
            fill_row(picture, picture.row<uint16_t>(from), x0, w, channels, input.as<int16_t>() + y * row_size);
        } else {
            float* dst = input.as<float>() + y * row_size;
            const auto fill = [&]<Sample T>(const T* row, float scale) {
                each_pixel(picture, row, x0, w, [&](int x, const T* pixel) {
                    for (int c = 0; c < channels; c++) dst[channels * x + c] = pixel_value(float(pixel[picture.channels() == channels ? c : 0]) * scale);
                });
            };
            if (picture.depth() == 8) {
                fill(picture.row(from), 1.0f);
            } else {
                fill(picture.row<uint16_t>(from), 1.0f / 257.0f);
            }
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

constexpr int kShift = kTransformExponent - kPixelExponent, kUnit = 1 << kShift;  // of a pixel of 8 bits in the synthesis' result
constexpr int kTop = 1 << 20;  // beyond all pixels

// To samples of 8 bits, or of 16: v · 257 of what the 8 bits are rounded from.
DECANT_INLINE void to_sample(int32_t value, uint8_t& sample) {
    sample = uint8_t(std::min(std::max((value + kUnit / 2) >> kShift, -kPixelZero), 255 - kPixelZero) + kPixelZero);
}
DECANT_INLINE void to_sample(int32_t value, uint16_t& sample) {
    const int32_t v = std::min(std::max(value, -kTop), kTop) + kPixelZero * kUnit;
    sample = uint16_t(std::min(std::max((v * 257 + kUnit / 2) >> kShift, 0), 65535));
}
DECANT_INLINE void to_sample(float value, uint8_t& sample) { sample = pixel_of(value); }
DECANT_INLINE void to_sample(float value, uint16_t& sample) {
    const float v = (value * float(1 << kPixelExponent) + float(kPixelZero)) * 257.0f + 0.5f;
    sample = uint16_t(v < 0.0f ? 0.0f : v > 65535.0f ? 65535.0f : v);
}

// Of 3 channels.
template <Sample T>
DECANT_INLINE void to_mean(const int32_t* src, T& sample) {
    int32_t sum = 3 * kPixelZero * kUnit;
    for (size_t c = 0; c < 3; c++) sum += std::min(std::max(src[c], -kTop), kTop);
    if constexpr (sizeof(T) == 1) {
        sample = T(std::min(std::max(sum + 3 * kUnit / 2, 0) / (3 * kUnit), 255));
    } else {
        sample = T(std::min<int64_t>(std::max<int64_t>(int64_t{sum} * 257 + 3 * kUnit / 2, 0) / (3 * kUnit), 65535));
    }
}
template <Sample T>
DECANT_INLINE void to_mean(const float* src, T& sample) {
    to_sample((src[0] + src[1] + src[2]) * (1.0f / 3.0f), sample);
}

template <class Value, Sample T>
DECANT_INLINE void convert(const Value* src, T* dst, size_t samples, bool mean) {
    if (mean) {
        for (size_t k = 0; k < samples; k++) to_mean(src + 3 * k, dst[k]);
    } else {
        for (size_t k = 0; k < samples; k++) to_sample(src[k], dst[k]);
    }
}

// The synthesis' result to samples; mean: three values of it to one.
DECANT_VECTORISED void to_pixels(const int32_t* src, uint8_t* dst, size_t samples, bool mean) { convert(src, dst, samples, mean); }
DECANT_VECTORISED void to_pixels(const int32_t* src, uint16_t* dst, size_t samples, bool mean) { convert(src, dst, samples, mean); }
DECANT_VECTORISED void to_pixels(const float* src, uint8_t* dst, size_t samples, bool mean) { convert(src, dst, samples, mean); }
DECANT_VECTORISED void to_pixels(const float* src, uint16_t* dst, size_t samples, bool mean) { convert(src, dst, samples, mean); }

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

Transform::Transform(const Description& d, CodecWeights& weights, SharedMemory& memory) : description_(d), weights_(weights), memory_(memory) {}

int Transform::analysis_margin(const Description& d) { return ceil_div(receptive_margin(d.network(kAnalysisNetwork), 1), kLatentStride); }
int Transform::synthesis_margin(const Description& d) { return ceil_div(receptive_margin(d.network(kSynthesisNetwork), kLatentStride) + kFilterMargin, kLatentStride); }

AnyGraph& Transform::graph(const std::string& network, Shape input, DataType integers) {
    if (graphs_.size() > kGraphLimit) graphs_.clear();
    const std::tuple key(network, input, integers);
    auto found = graphs_.find(key);
    if (found == graphs_.end()) {
        IntegerGraphOptions o;
        o.input_type = integers;
        o.signed_from = 0;
        const bool latents = network == kSynthesisNetwork;
        o.input_exponent = latents ? kLatentExponent : integers == DataType::u8 ? kPixelExponent : kPixelExponent + kDeepBits;
        o.output_exponent = kTransformExponent;
        o.borrows_memory = true;
        GraphOptions floats;
        floats.compute = fastest_float();
        floats.borrows_memory = true;
        floats.scratch = &memory_.scratch;
        found = graphs_.emplace(key, AnyGraph(weights_, description_.network(network), input, o, floats)).first;
    }
    AnyGraph& graph = found->second;
    graph.bind(memory_.activations.grow(graph.memory()));
    return graph;
}

void Transform::analyse(const SampleView& picture, const Area& window, const Area& seen, float quality, float* result, size_t row_stride) {
    const int colours = picture_channels(description_);
    if (picture.channels() > colours) throw Error(ErrorCode::invalid_argument, "a model for gray pictures cannot encode one in colour");
    AnyGraph& g = graph(kAnalysisNetwork, {1, seen.h * kLatentStride, seen.w * kLatentStride, colours}, picture.depth() == 8 ? DataType::u8 : DataType::s16);
    fill_pixels(g.input(), picture, int64_t(seen.y) * kLatentStride, int64_t(seen.x) * kLatentStride);
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
    graph(kSynthesisNetwork, {1, seen.h, seen.w, description_.latent_channels}, DataType::s16);
}

void Transform::synthesise(const ReadLatents& read, const Area& window, const Area& seen, float quality, const PostFilter* filter, const SampleTarget& target) {
    const int colours = picture_channels(description_);
    if (target.channels() > colours) throw Error(ErrorCode::invalid_argument, "a model for gray pictures cannot decode one in colour");
    AnyGraph& g = graph(kSynthesisNetwork, {1, seen.h, seen.w, description_.latent_channels}, DataType::s16);
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
    if (out.shape != Shape{1, seen.h * kLatentStride, seen.w * kLatentStride, colours}) {
        throw Error(ErrorCode::model_mismatch, "synthesis: the result has shape " + to_string(out.shape));
    }
    const Region& region = target.region();
    const int64_t y_begin = std::max<int64_t>(int64_t{window.y} * kLatentStride, region.y);
    const int64_t y_end = std::min<int64_t>(int64_t{window.bottom()} * kLatentStride, int64_t(region.bottom()));
    const int64_t x_begin = std::max<int64_t>(int64_t{window.x} * kLatentStride, region.x);
    const int64_t x_end = std::min<int64_t>(int64_t{window.right()} * kLatentStride, int64_t(region.right()));
    if (x_begin >= x_end || y_begin >= y_end) return;
    const bool mean = target.channels() < colours;
    const auto write = [&](const auto* row, int64_t y, int64_t x, int64_t count) {
        const size_t samples = size_t(count) * size_t(target.channels());
        if (target.depth() == 8) {
            to_pixels(row, target.at(y, x), samples, mean);
        } else {
            to_pixels(row, target.at<uint16_t>(y, x), samples, mean);
        }
    };
    const int64_t top = int64_t{seen.y} * kLatentStride, left = int64_t{seen.x} * kLatentStride;
    if (filter == nullptr || out.type != DataType::s32) {
        for (int64_t y = y_begin; y < y_end; y++) {
            const size_t from = (size_t(y - top) * size_t(out.shape.w) + size_t(x_begin - left)) * size_t(colours);
            if (out.type == DataType::s32) {
                write(out.as<int32_t>() + from, y, x_begin, x_end - x_begin);
            } else {
                write(out.as<float>() + from, y, x_begin, x_end - x_begin);
            }
        }
        return;
    }
    // In parts of whole blocks that stay in a core's cache.
    auto* filtered = reinterpret_cast<int32_t*>(filtered_.grow(size_t{kFilteredRows} * kFilteredColumns * size_t(colours) * sizeof(int32_t)));
    for (int64_t y0 = y_begin / kFilterBlock * kFilterBlock; y0 < y_end; y0 += kFilteredRows) {
        for (int64_t x0 = x_begin / kFilterBlock * kFilterBlock; x0 < x_end; x0 += kFilteredColumns) {
            const int64_t bottom = std::min(y0 + kFilteredRows, y_end), right = std::min(x0 + kFilteredColumns, x_end);
            const FilterArea area{int(y0 - top), int(x0 - left), ceil_div(bottom - y0, kFilterBlock) * kFilterBlock, ceil_div(right - x0, kFilterBlock) * kFilterBlock};
            filter->apply(out.as<int32_t>(), out.shape.h, out.shape.w, area, filter_workspace_, filtered);
            const int64_t first = std::max(x0, x_begin);
            for (int64_t y = std::max(y0, y_begin); y < bottom; y++)
                write(filtered + (size_t(y - y0) * size_t(area.w) + size_t(first - x0)) * size_t(colours), y, first, right - first);
        }
    }
}

}  // namespace decant
