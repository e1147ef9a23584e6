// What follows a convolution as a pass of its own: activations that learn, that look at all channels of a position, or whose gradient
// needs what they read; and batch normalisation. ReLU and leaky ReLU are part of the convolution instead, as are in inference the others
// that go value by value (is_fused).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "codec/engine/convolution.h"
#include "codec/network/description.h"
#include "codec/tensor/tensor.h"

namespace decant {

// Is the activation part of the convolution's primitive?
bool is_fused(Activation activation, Convolution::Use use);
PointwiseActivation pointwise(const Layer& layer);
// Does it calculate in f32 whatever the layer does? The others take bf16 as well.
bool needs_f32(Activation activation);

// For one thread at a time.
class ActivationPass {
public:
    // Of what the layer's activation learns (codec/network/parameters.h), in that order: values, and where their gradients go (set, not
    // added to; both null: not wanted).
    struct Learned {
        std::span<const float> first;   // slope, threshold or beta [c]
        std::span<const float> second;  // gamma [c, c]
    };
    struct LearnedGradient {
        float* first = nullptr;
        float* second = nullptr;
    };

    ActivationPass(const Layer& layer, const Shape& shape, DataType type, Convolution::Use use);
    ~ActivationPass();
    ActivationPass(ActivationPass&&) noexcept;

    void forward(const void* src, void* dst, const Learned& learned, AlignedBuffer& scratch);
    // gradient: of the result; becomes that of src. dst: what forward gave.
    // l0: jump_relu's threshold also gets the gradient of l0·(number of values above it), estimated from the values around it
    // (Rajamanoharan 2024, eq. 12).
    void backward(const void* src, const void* dst, void* gradient, const Learned& learned, const LearnedGradient& into, float l0, AlignedBuffer& scratch);

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Batch normalisation (Ioffe & Szegedy 2015) over the positions of `shape`, a channel each: dst = scale·x̂ + shift, x̂ = (x - mean)/√(variance + ε).
class BatchNormalisation {
public:
    static constexpr float kEpsilon = 1e-5f;

    explicit BatchNormalisation(const Shape& shape) : shape_(shape) {}

    // x becomes x̂, which backward reads.
    void forward(float* x, float* dst, std::span<const float> scale, std::span<const float> shift);
    // gradient: of dst; becomes that of x.
    void backward(const float* normalised, float* gradient, std::span<const float> scale, float* scale_gradient, float* shift_gradient) const;
    // Of the last batch; the variance is that of the batch, over n.
    std::span<const float> mean() const { return mean_; }
    std::span<const float> variance() const { return variance_; }

private:
    Shape shape_;
    std::vector<float> mean_, variance_;
};

}  // namespace decant
