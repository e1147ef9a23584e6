#include "codec/engine/activation.h"

#include <algorithm>
#include <cmath>
#include <dnnl.hpp>
#include <optional>
#include <utility>

#include "codec/engine/activation_kernels.h"
#include "codec/engine/onednn.h"
#include "codec/error.h"

namespace decant {

bool is_fused(Activation activation, Convolution::Use use) {
    switch (activation) {
        case Activation::none:
        case Activation::relu:
        case Activation::leaky_relu: return true;
        default: return use == Convolution::Use::inference && onednn::eltwise({activation}).has_value();
    }
}

PointwiseActivation pointwise(const Layer& layer) { return {layer.activation, layer.slope, layer.alpha, layer.beta}; }

bool needs_f32(Activation activation) {
    switch (activation) {
        case Activation::prelu:
        case Activation::softmax:
        case Activation::gdn:
        case Activation::inverse_gdn:
        case Activation::jump_relu: return true;
        default: return false;
    }
}

namespace {

using onednn::engine;

dnnl::prop_kind forward_kind(bool training) { return training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference; }

// A dnnl primitive that learns nothing, forward and, in training, backward.
class UnaryPass {
public:
    // seen: what backward reads beside the gradient, DNNL_ARG_SRC or DNNL_ARG_DST.
    UnaryPass(const dnnl::memory::desc& values, int seen, dnnl::primitive forward, dnnl::primitive backward)
        : seen_argument_(seen), forward_(std::move(forward)), backward_(std::move(backward)), first_(values, engine(), nullptr), second_(values, engine(), nullptr) {}

    void forward(const void* src, void* dst) {
        first_.set_data_handle(const_cast<void*>(src));
        second_.set_data_handle(dst);
        forward_.execute(stream_, {{DNNL_ARG_SRC, first_}, {DNNL_ARG_DST, second_}});
        stream_.wait();
    }
    void backward(const void* src, const void* dst, void* gradient) {
        first_.set_data_handle(const_cast<void*>(seen_argument_ == DNNL_ARG_SRC ? src : dst));
        second_.set_data_handle(gradient);
        backward_.execute(stream_, {{seen_argument_, first_}, {DNNL_ARG_DIFF_DST, second_}, {DNNL_ARG_DIFF_SRC, second_}});
        stream_.wait();
    }

private:
    int seen_argument_;
    dnnl::stream stream_{engine()};
    dnnl::primitive forward_, backward_;
    dnnl::memory first_, second_;
};

UnaryPass eltwise_pass(const onednn::Eltwise& e, const Shape& shape, DataType type, bool training) {
    const auto values = onednn::activations(shape, type);
    const dnnl::eltwise_forward::primitive_desc forward({forward_kind(training), e.algorithm, values, e.alpha, e.beta}, engine());
    dnnl::primitive backward;
    if (training) backward = dnnl::eltwise_backward(dnnl::eltwise_backward::primitive_desc({e.algorithm, values, values, e.alpha, e.beta}, engine(), forward));
    return {values, DNNL_ARG_SRC, dnnl::eltwise_forward(forward), std::move(backward)};
}

UnaryPass softmax_pass(const Shape& shape, bool training) {
    constexpr int kChannelAxis = 1;
    const auto values = onednn::activations(shape, DataType::f32);
    const dnnl::softmax_forward::primitive_desc forward({forward_kind(training), values, kChannelAxis}, engine());
    dnnl::primitive backward;
    if (training) backward = dnnl::softmax_backward(dnnl::softmax_backward::primitive_desc({values, values, kChannelAxis}, engine(), forward));
    return {values, DNNL_ARG_DST, dnnl::softmax_forward(forward), std::move(backward)};
}

class PreluPass {
public:
    PreluPass(const Shape& shape, bool training) {
        const auto values = onednn::activations(shape, DataType::f32), slopes = onednn::activations({1, 1, 1, shape.c}, DataType::f32);
        const dnnl::prelu_forward::primitive_desc forward({forward_kind(training), values, slopes}, engine());
        forward_ = dnnl::prelu_forward(forward);
        if (training) backward_ = dnnl::prelu_backward(dnnl::prelu_backward::primitive_desc({values, slopes, values, slopes}, engine(), forward));
        for (dnnl::memory* m : {&src_, &dst_}) *m = dnnl::memory(values, engine(), nullptr);
        for (dnnl::memory* m : {&slope_, &slope_gradient_}) *m = dnnl::memory(slopes, engine(), nullptr);
    }
    void forward(const void* src, void* dst, std::span<const float> slope) {
        bind(src, dst, slope);
        forward_.execute(stream_, {{DNNL_ARG_SRC, src_}, {DNNL_ARG_WEIGHTS, slope_}, {DNNL_ARG_DST, dst_}});
        stream_.wait();
    }
    void backward(const void* src, void* gradient, std::span<const float> slope, float* slope_gradient) {
        bind(src, gradient, slope);
        unwanted_.resize(slope.size());
        slope_gradient_.set_data_handle(slope_gradient != nullptr ? slope_gradient : unwanted_.data());
        backward_.execute(stream_, {{DNNL_ARG_SRC, src_},
                                    {DNNL_ARG_WEIGHTS, slope_},
                                    {DNNL_ARG_DIFF_DST, dst_},
                                    {DNNL_ARG_DIFF_SRC, dst_},
                                    {DNNL_ARG_DIFF_WEIGHTS, slope_gradient_}});
        stream_.wait();
    }

private:
    void bind(const void* src, void* other, std::span<const float> slope) {
        src_.set_data_handle(const_cast<void*>(src));
        dst_.set_data_handle(other);
        slope_.set_data_handle(const_cast<float*>(slope.data()));
    }

    dnnl::stream stream_{engine()};
    dnnl::prelu_forward forward_;
    dnnl::prelu_backward backward_;
    dnnl::memory src_, dst_, slope_, slope_gradient_;
    std::vector<float> unwanted_;
};

// n = β + Γ·x² by a 1×1 convolution; the parameters are kept from below as in Ballé 2018: what a step takes below the bound stays there, but
// gradients that lead back count.
class GdnPass {
public:
    static constexpr float kLeastBeta = 1e-3f;

    GdnPass(const Shape& shape, bool inverse, Convolution::Use use)
        : inverse_(inverse), count_(shape.elements()), channels_(size_t(shape.c)), weights_(shape.c, shape.c, 1), convolution_(mix(shape), weights_, use) {}

    void forward(const float* src, float* dst, const ActivationPass::Learned& learned, AlignedBuffer& scratch) {
        bound(learned);
        squares_.resize(count_);
        norm_.resize(count_);
        kernels::square(src, squares_.data(), count_);
        convolution_.forward(squares_.data(), beta_.data(), norm_.data(), scratch);
        kernels::gdn(src, norm_.data(), dst, count_, inverse_);
    }

    void backward(const float* src, float* gradient, const ActivationPass::Learned& learned, const ActivationPass::LearnedGradient& into, AlignedBuffer& scratch) {
        // squares_ and norm_ are those of the last forward, which was this one's.
        norm_gradient_.resize(count_);
        kernels::gdn_backward(src, norm_.data(), gradient, norm_gradient_.data(), count_, inverse_);
        if (into.first != nullptr) {
            convolution_.backward_weights(squares_.data(), norm_gradient_.data(), into.second, into.first, scratch);
            for (size_t i = 0; i < channels_ * channels_; i++) {
                if (learned.second[i] <= 0.0f && into.second[i] > 0.0f) into.second[i] = 0.0f;
            }
            for (size_t i = 0; i < channels_; i++) {
                if (learned.first[i] <= kLeastBeta && into.first[i] > 0.0f) into.first[i] = 0.0f;
            }
        }
        convolution_.backward_data(norm_gradient_.data(), squares_.data(), scratch);
        kernels::add_twice_product(src, squares_.data(), gradient, count_);
    }

private:
    static ConvolutionShape mix(const Shape& shape) {
        ConvolutionShape s;
        s.src = s.dst = shape;
        return s;
    }

    void bound(const ActivationPass::Learned& learned) {
        beta_.assign(learned.first.begin(), learned.first.end());
        for (float& v : beta_) v = std::max(v, kLeastBeta);
        gamma_.assign(learned.second.begin(), learned.second.end());
        for (float& v : gamma_) v = std::max(v, 0.0f);
        weights_.set(gamma_);
    }

    const bool inverse_;
    const size_t count_, channels_;
    PackedWeights weights_;
    Convolution convolution_;
    std::vector<float> beta_, gamma_, squares_, norm_, norm_gradient_;
};

}  // namespace

struct ActivationPass::State {
    const Layer& layer;
    const Shape shape;
    const DataType type;
    float factor = 1.0f;  // on what the primitive gives
    std::optional<UnaryPass> unary;
    std::optional<PreluPass> prelu;
    std::optional<GdnPass> gdn;

    State(const Layer& l, const Shape& s, DataType t, Convolution::Use use) : layer(l), shape(s), type(t) {
        const bool training = use == Convolution::Use::training;
        switch (layer.activation) {
            case Activation::softmax: unary.emplace(softmax_pass(shape, training)); break;
            case Activation::prelu: prelu.emplace(shape, training); break;
            case Activation::gdn: gdn.emplace(shape, false, use); break;
            case Activation::inverse_gdn: gdn.emplace(shape, true, use); break;
            case Activation::jump_relu: break;
            default: {
                const onednn::Eltwise eltwise = *onednn::eltwise(pointwise(layer));
                factor = eltwise.scale;
                unary.emplace(eltwise_pass(eltwise, shape, type, training));
            }
        }
    }

    void scale(void* values) const {
        if (factor == 1.0f) return;
        if (type == DataType::bf16)
            kernels::multiply(static_cast<bf16*>(values), shape.elements(), factor);
        else
            kernels::multiply(static_cast<float*>(values), shape.elements(), factor);
    }
};

ActivationPass::ActivationPass(const Layer& layer, const Shape& shape, DataType type, Convolution::Use use) {
    onednn::guarded("creating an activation", [&] { state_ = std::make_unique<State>(layer, shape, type, use); });
}
ActivationPass::~ActivationPass() = default;
ActivationPass::ActivationPass(ActivationPass&&) noexcept = default;

void ActivationPass::forward(const void* src, void* dst, const Learned& learned, AlignedBuffer& scratch) {
    onednn::guarded("activation", [&] {
        State& s = *state_;
        if (s.unary) {
            s.unary->forward(src, dst);
            s.scale(dst);
        } else if (s.prelu) {
            s.prelu->forward(src, dst, learned.first);
        } else if (s.gdn) {
            s.gdn->forward(static_cast<const float*>(src), static_cast<float*>(dst), learned, scratch);
        } else {
            kernels::jump_relu(static_cast<const float*>(src), learned.first.data(), static_cast<float*>(dst), s.shape.pixels(), s.shape.c);
        }
    });
}

void ActivationPass::backward(const void* src, const void* dst, void* gradient, const Learned& learned, const LearnedGradient& into, float l0, AlignedBuffer& scratch) {
    onednn::guarded("activation, gradient", [&] {
        State& s = *state_;
        if (s.unary) {
            s.scale(gradient);
            s.unary->backward(src, dst, gradient);
        } else if (s.prelu) {
            s.prelu->backward(src, gradient, learned.first, into.first);
        } else if (s.gdn) {
            s.gdn->backward(static_cast<const float*>(src), static_cast<float*>(gradient), learned, into, scratch);
        } else {
            std::vector<float> threshold_gradient(learned.first.size(), 0.0f);
            kernels::jump_relu_backward(static_cast<const float*>(src), learned.first.data(), static_cast<float*>(gradient), threshold_gradient.data(),
                                        s.shape.pixels(), s.shape.c, s.layer.bandwidth, l0);
            if (into.first != nullptr) std::ranges::copy(threshold_gradient, into.first);
        }
    });
}

void BatchNormalisation::forward(float* x, float* dst, std::span<const float> scale, std::span<const float> shift) {
    const size_t channels = size_t(shape_.c), pixels = shape_.pixels();
    std::vector<double> sum(channels, 0.0), squares(channels, 0.0);
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) sum[c] += double(x[p * channels + c]);
    }
    mean_.resize(channels);
    for (size_t c = 0; c < channels; c++) mean_[c] = float(sum[c] / double(pixels));
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) {
            const double d = double(x[p * channels + c]) - double(mean_[c]);
            squares[c] += d * d;
        }
    }
    variance_.resize(channels);
    std::vector<float> inverse(channels);
    for (size_t c = 0; c < channels; c++) {
        variance_[c] = float(squares[c] / double(pixels));
        inverse[c] = 1.0f / std::sqrt(variance_[c] + kEpsilon);
    }
    kernels::normalise(x, dst, mean_.data(), inverse.data(), scale.data(), shift.data(), pixels, channels);
}

void BatchNormalisation::backward(const float* normalised, float* gradient, std::span<const float> scale, float* scale_gradient, float* shift_gradient) const {
    const size_t channels = size_t(shape_.c), pixels = shape_.pixels();
    std::vector<double> sum(channels, 0.0), product(channels, 0.0);
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) {
            sum[c] += double(gradient[p * channels + c]);
            product[c] += double(gradient[p * channels + c]) * double(normalised[p * channels + c]);
        }
    }
    std::vector<float> factor(channels), mean(channels), slope(channels);
    for (size_t c = 0; c < channels; c++) {
        if (scale_gradient != nullptr) {
            scale_gradient[c] = float(product[c]);
            shift_gradient[c] = float(sum[c]);
        }
        factor[c] = scale[c] / std::sqrt(variance_[c] + kEpsilon);
        mean[c] = float(sum[c] / double(pixels));
        slope[c] = float(product[c] / double(pixels));
    }
    kernels::normalise_backward(normalised, gradient, factor.data(), mean.data(), slope.data(), pixels, channels);
}

}  // namespace decant
