// One convolution of a fixed shape, forward and backward, on oneDNN's primitives.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/network/description.h"
#include "codec/network/rounding.h"
#include "codec/tensor/tensor.h"

namespace decant {

// An activation that goes value by value, with its constants (see Layer).
struct PointwiseActivation {
    Activation kind = Activation::none;
    float slope = 0.01f, alpha = 1.0f, beta = 1.0f;

    bool operator==(const PointwiseActivation&) const = default;
};

struct ConvolutionShape {
    Shape src, dst;
    int kernel = 1, stride = 1;
    bool padded = true;  // by (kernel - 1) / 2 zeros at the edges; or not at all
    DataType src_type = DataType::f32, weights_type = DataType::f32, dst_type = DataType::f32;
    DataType gradient_type = DataType::f32;  // f32 or bf16: what the backward functions read, multiply and write
    Layout src_layout = Layout::plain, dst_layout = Layout::plain;  // of the gradients, too; blocked: f32 alone
    bool bias = true;
    bool add = false;    // the result is added to what dst holds
    PointwiseActivation activation = {};  // on the result; is_fused() says which (codec/engine/activation.h)

    bool operator==(const ConvolutionShape&) const = default;
};

// The weights of one layer in the layouts that the primitives asked for. Filled once for inference, after every step in training.
class PackedWeights {
public:
    PackedWeights(int outputs, int inputs, int kernel);
    ~PackedWeights();
    PackedWeights(PackedWeights&&) noexcept;

    // oihw: outputs · inputs · kernel² values, which must stay where they are until the next call: layouts are made of them on request.
    // Every layout that was asked for so far is refreshed.
    void set(std::span<const float> oihw);
    // Weights to be rounded to integers·2^-exponent[output]: layouts of s8 hold the integers, the others the values.
    void set_rounded(std::span<const float> oihw);
    void set(RoundedWeights weights);

    const RoundedWeights& rounded() const;  // as set; empty after floats were

private:
    friend class Convolution;
    struct State;
    std::unique_ptr<State> state_;
};

// Bound to one thread at a time. Threads inside a call: what OpenMP allows the calling thread.
class Convolution {
public:
    enum class Use { inference, training };

    // Registers the layouts it wants with `weights`, which must outlive it.
    Convolution(const ConvolutionShape& shape, PackedWeights& weights, Use use);
    ~Convolution();
    Convolution(Convolution&&) noexcept;

    void forward(const void* src, const float* bias, void* dst, AlignedBuffer& scratch) const;
    // diff_dst: gradient of the result before activation and sum. All but weights' and bias' gradients, and src, are of gradient_type.
    void backward_data(const void* diff_dst, void* diff_src, AlignedBuffer& scratch) const;
    void backward_weights(const void* src, const void* diff_dst, float* diff_oihw, float* diff_bias, AlignedBuffer& scratch) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// For --version and the benchmarks: "oneDNN 2.6.3, AVX512_CORE_BF16".
std::string engine_version();
// Can this CPU compute in bf16 at all? With AVX-512 it can; without BF16 or AMX slower than in f32.
bool has_bf16();
// What this CPU multiplies fastest: bf16 if it has that in hardware, else f32.
DataType fastest_float();
// How arrays between convolutions in f32 should lie. AVX2 multiplies with a third to a half more speed where they are blocked, and takes half the time for the gradients
// of weights; with AVX-512 there is bf16, or it was not measured.
Layout fastest_layout();

}  // namespace decant
