#include "codec/refine/error_gradient.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "codec/engine/parallel.h"
#include "codec/error.h"
#include "codec/latents/fixed_point.h"
#include "codec/tensor/random.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

// Networks may see further, but next to nothing comes from there.
constexpr int kLargestMargin = 4;
constexpr size_t kGraphLimit = 9;
constexpr float kUnit = float(1 << kTransformExponent), kFarthest = 64.0f;  // of the synthesis' integers; far beyond what is a picture
constexpr float kDarkest = -float(kPixelZero) / float(1 << kPixelExponent), kBrightest = float(255 - kPixelZero) / float(1 << kPixelExponent);

template <size_t Channels>
DECANT_INLINE float error_of(const float* decoded, const float* original, const float* weight, float* gradient, size_t pixels) {
    float sum = 0.0f;
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < Channels; c++) {
            const size_t at = Channels * i + c;
            const float d = (std::min(std::max(decoded[at], kDarkest), kBrightest) - original[at]) * weight[i];
            gradient[at] = 2.0f * d;
            sum += d * d;
        }
    }
    return sum;
}
DECANT_VECTORISED float error_rgb(const float* decoded, const float* original, const float* weight, float* gradient, size_t pixels) {
    return error_of<3>(decoded, original, weight, gradient, pixels);
}
DECANT_VECTORISED float error_gray(const float* decoded, const float* original, const float* weight, float* gradient, size_t pixels) {
    return error_of<1>(decoded, original, weight, gradient, pixels);
}

// Of gray as the mean of three channels.
DECANT_VECTORISED float error_mean(const float* decoded, const float* original, const float* weight, float* gradient, size_t pixels) {
    float sum = 0.0f;
    for (size_t i = 0; i < pixels; i++) {
        const float mean = (decoded[3 * i] + decoded[3 * i + 1] + decoded[3 * i + 2]) * (1.0f / 3.0f);
        const float d = (std::min(std::max(mean, kDarkest), kBrightest) - original[i]) * weight[i];
        for (size_t c = 0; c < 3; c++) gradient[3 * i + c] = (2.0f / 3.0f) * d;
        sum += d * d;
    }
    return sum;
}

}  // namespace

ErrorGradient::ErrorGradient(const ModelContents& model, CodecWeights& weights)
    : model_(model), weights_(weights), margin_(margin(model.description)), colours_(size_t(picture_channels(model.description))) {}

int ErrorGradient::margin(const Description& description) {
    const int reach = receptive_margin(description.network(kSynthesisNetwork), kLatentStride);
    return std::min(kLargestMargin, (reach + kLatentStride - 1) / kLatentStride);
}

Graph& ErrorGradient::graph(Shape input) {
    if (graphs_.size() >= kGraphLimit && !graphs_.contains(input)) graphs_.clear();
    auto& slot = graphs_[input];
    if (slot == nullptr) {
        GraphOptions o;
        o.use = Convolution::Use::training;
        o.compute = fastest_float();
        o.borrows_memory = true;
        slot = std::make_unique<Graph>(weights_[kSynthesisNetwork], input, o);
    }
    slot->bind(memory_.grow(slot->memory()));
    return *slot;
}

void ErrorGradient::start(const Surroundings& surroundings, int quality_q8) {
    filter_ = surroundings.filter;
    const SampleView& picture = surroundings.picture;
    const Area area = area_ = surroundings.area;
    window_ = surroundings.window;
    picture_height_ = int(picture.height());
    picture_width_ = int(picture.width());
    quality_ = float(quality_q8) / 256.0f;
    channels_ = size_t(picture.channels());
    if (channels_ > colours_) throw Error(ErrorCode::invalid_argument, "a model for gray pictures cannot encode one in colour");
    const size_t M = size_t(model_.description.latent_channels);
    step_ = gains_at(model_.parameters["inverse_gain"], model_.description.levels(), quality_);
    surroundings_.assign(surroundings.latents.begin(), surroundings.latents.end());
    for (size_t i = 0; i < surroundings_.size(); i++) surroundings_[i] *= step_[i % M];
    current_ = &graph({1, window_.h, window_.w, int(M)});

    // Pixels near the window's edge, unless it is the picture's, are decoded without their neighbours: they do not count.
    const int inner = margin_ / 2;
    const auto counts = [&](int64_t at, int window_begin, int window_size, int begin, int size, int64_t end) {
        const int64_t position = at / kLatentStride;
        return at < end && position >= std::max(window_begin, begin - inner) && position < std::min(window_begin + window_size, begin + size + inner);
    };
    const size_t height = size_t(window_.h) * kLatentStride, width = size_t(window_.w) * kLatentStride;
    original_.assign(height * width * channels_, 0.0f);
    weight_.assign(height * width, 0.0f);
    for (size_t y = 0; y < height; y++) {
        const int64_t from_y = int64_t(window_.y) * kLatentStride + int64_t(y);
        if (!counts(from_y, window_.y, window_.h, area.y, area.h, picture.height())) continue;
        for (size_t x = 0; x < width; x++) {
            const int64_t from_x = int64_t(window_.x) * kLatentStride + int64_t(x);
            if (!counts(from_x, window_.x, window_.w, area.x, area.w, picture.width())) continue;
            weight_[y * width + x] = 1.0f;
            float* original = &original_[(y * width + x) * channels_];
            picture.read(int(from_y), int(from_x), 1, original);
            for (size_t c = 0; c < channels_; c++) original[c] = pixel_value(original[c]);
        }
    }
}

double ErrorGradient::run(std::span<const int32_t> latents) {
    const size_t M = step_.size(), row = size_t(window_.w) * M;
    float* input = current_->input().as<float>();
    std::memcpy(input, surroundings_.data(), surroundings_.size() * sizeof(float));
    parallel_for(size_t(area_.h), 1, [&](size_t begin, size_t end) {
        for (size_t y = begin; y < end; y++) {
            float* to = input + (y + size_t(area_.y - window_.y)) * row + size_t(area_.x - window_.x) * M;
            const int32_t* from = latents.data() + y * size_t(area_.w) * M;
            for (size_t x = 0; x < size_t(area_.w); x++) {
                for (size_t c = 0; c < M; c++) to[x * M + c] = float(from[x * M + c]) * (1.0f / float(1 << kSymbolExponent)) * step_[c];
            }
        }
    });
    current_->forward({&quality_, 1});
    const float* decoded = current_->output().as<float>();
    if (filter_ != nullptr) {
        sums_.resize(current_->output().shape.elements());
        for (size_t i = 0; i < sums_.size(); i++) sums_[i] = int32_t(std::nearbyint(std::clamp(decoded[i], -kFarthest, kFarthest) * kUnit));
        filter(sums_, filtered_);
        decoded = filtered_.data();
    }
    float* gradient = current_->output_gradient().as<float>();
    const size_t width = size_t(window_.w) * kLatentStride;
    std::vector<double> sums(size_t(window_.h) * kLatentStride);
    const auto error = channels_ < colours_ ? error_mean : channels_ == 3 ? error_rgb : error_gray;
    parallel_for(sums.size(), 4, [&](size_t begin, size_t end) {
        for (size_t y = begin; y < end; y++) {
            const size_t at = y * width;
            sums[y] = double(error(decoded + colours_ * at, original_.data() + channels_ * at, weight_.data() + at, gradient + colours_ * at, width));
        }
    });
    double sum = 0;
    for (const double v : sums) sum += v;
    return sum;
}

void ErrorGradient::filter(const std::vector<int32_t>& sums, std::vector<float>& result) {
    const int height = window_.h * kLatentStride, width = window_.w * kLatentStride;
    result.resize(sums.size());
    parallel_for(size_t(window_.h), 1, [&](size_t begin, size_t end) {
        PostFilter::Workspace workspace;
        std::vector<int32_t> strip(size_t(kLatentStride) * size_t(width) * colours_);
        for (size_t r = begin; r < end; r++) {
            filter_->apply(sums.data(), height, width, {int(r) * kLatentStride, 0, kLatentStride, width}, workspace, strip.data());
            float* to = result.data() + r * strip.size();
            for (size_t i = 0; i < strip.size(); i++) to[i] = float(strip[i]) * (1.0f / kUnit);
        }
    });
}

void ErrorGradient::through_filter(float* gradient) {
    const size_t values = filtered_.size();
    const auto squares = [&](const float* v) {
        double sum = 0;
        for (size_t i = 0; i < values; i++) sum += double(v[i]) * double(v[i]);
        return sum;
    };
    const double size = squares(gradient);
    if (size == 0) return;
    // Neighbours share taps, so slopes are nearly the same in both directions: what changes if the picture moves along the error is what the error is worth before the
    // filter. It moves by a step of 8 bits, root mean square; smaller ones would get lost in the filter's integers.
    const float step = 1.0f / float(1 << kPixelExponent) / float(std::sqrt(size / double(values)));
    moved_.resize(values);
    for (size_t i = 0; i < values; i++) moved_[i] = sums_[i] + int32_t(std::nearbyint(step * gradient[i] * kUnit));
    filter(moved_, response_);
    for (size_t i = 0; i < values; i++) response_[i] = weight_[i / colours_] * (response_[i] - filtered_[i]);
    const double response = squares(response_.data());
    const float factor = response > 0 ? 0.5f * float(std::sqrt(size / response)) : 0.0f;
    for (size_t i = 0; i < values; i++) gradient[i] = 0.5f * gradient[i] + factor * response_[i];
}

void ErrorGradient::backward(std::span<float> result) {
    current_->backward(model_.parameters, {}, {&quality_, 1});
    const size_t M = step_.size(), row = size_t(window_.w) * M;
    const float* gradient = current_->input_gradient().as<float>();
    for (size_t y = 0; y < size_t(area_.h); y++) {
        const float* from = gradient + (y + size_t(area_.y - window_.y)) * row + size_t(area_.x - window_.x) * M;
        float* to = result.data() + y * size_t(area_.w) * M;
        for (size_t x = 0; x < size_t(area_.w); x++) {
            for (size_t c = 0; c < M; c++) to[x * M + c] = from[x * M + c] * step_[c];
        }
    }
}

void ErrorGradient::gradient(std::span<float> result) {
    if (filter_ != nullptr) through_filter(current_->output_gradient().as<float>());
    backward(result);
}

std::vector<float> ErrorGradient::curvature(int probes) {
    const size_t M = step_.size(), positions = size_t(area_.h) * size_t(area_.w);
    std::vector<float> response(positions * M), mean(M, 0.0f);
    std::vector<double> sums(M, 0.0);
    for (int k = 0; k < probes; k++) {
        float* gradient = current_->output_gradient().as<float>();
        const bool is_mean = channels_ < colours_;
        const float size = is_mean ? 1.0f / float(colours_) : 1.0f;
        for (size_t i = 0; i < weight_.size(); i++) {
            for (size_t c = 0; c < colours_; c++) {
                const uint32_t sign = uint32_t(is_mean ? i : colours_ * i + c);  // of a mean, one for all three
                gradient[colours_ * i + c] = weight_[i] * (mix_bits(sign ^ uint32_t(k + 1) * 0x9e3779b9u) & 1 ? size : -size);
            }
        }
        backward(response);
        for (size_t i = 0; i < response.size(); i++) sums[i % M] += double(response[i]) * double(response[i]);
    }
    for (size_t c = 0; c < M; c++) mean[c] = float(sums[c] / (double(positions) * probes));
    return mean;
}

ChangesFit ErrorGradient::fit(const PostFilter& filter, int step) {
    const int height = window_.h * kLatentStride, width = window_.w * kLatentStride;
    const int top = (area_.y - window_.y) * kLatentStride, left = (area_.x - window_.x) * kLatentStride;
    const int rows = std::min(area_.h * kLatentStride, picture_height_ - area_.y * kLatentStride), columns = std::min(area_.w * kLatentStride, picture_width_ - area_.x * kLatentStride);
    original_sums_.resize(sums_.size());
    const size_t repeated = colours_ / channels_;
    for (size_t i = 0; i < original_sums_.size(); i++) original_sums_[i] = int32_t(std::nearbyint(original_[i / repeated] * kUnit));
    ChangesFit result(int(colours_), channels_ < colours_);
    std::vector<ChangesFit> strips(size_t(area_.h), result);
    parallel_for(strips.size(), 1, [&](size_t begin, size_t end) {
        PostFilter::Workspace workspace;
        for (size_t r = begin; r < end; r++) {
            const int y = int(r) * kLatentStride;
            strips[r].add(filter, sums_.data(), original_sums_.data(), height, width, {top + y, left, kLatentStride, area_.w * kLatentStride}, rows - y, columns, step, workspace);
        }
    });
    for (const ChangesFit& strip : strips) result.add(strip);
    return result;
}

}  // namespace decant
