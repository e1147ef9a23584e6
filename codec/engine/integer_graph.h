// Runs a network of `wide` and `integer` layers in inference, in integers throughout: results are the same bit for bit on every CPU and
// for any number of threads. They are what training calculates in floats but for the rounding of sums to s16.
//
// Values, in multiples of 2^-exponent:
//   u8   results of integer layers with a ReLU, exponent kActivationExponent; and what integer layers read
//   s16  results of other layers, and sums: exponent `trunk_exponent`, saturated. Integer layers read 8 bits of them (to_view in kernels.h)
//   s32  the network's result, if no ReLU comes last: exponent `output_exponent`
//
// Convolutions are oneDNN's, u8 · s8 → s32, with weights and sums that every instruction set calculates exactly (network/rounding.h). A
// wide layer's weights have two digits and its s16 values two bytes, so that it is four such convolutions in one: both bytes are samples
// of a batch, both digits outputs. All that comes after the sums is our own integer code (kernels.h), in the same pass: bias, shift,
// addend, saturation, the copy that the next layer reads, the places of a shuffle. A layer runs by strips of rows, so that its sums stay in
// the cache. What 3×3 layers read has a border of zeros in memory, since oneDNN's padding is the byte 0, which does not stand for the
// value 0 where values are signed.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "codec/engine/convolution.h"
#include "codec/network/description.h"
#include "codec/network/parameters.h"

namespace decant {

// A network's parameters as integers; shared by the threads that run it.
class IntegerWeights {
public:
    struct Layer {
        PackedWeights packed;           // of a wide layer both digits (wide_digits)
        std::vector<int8_t> exponents;  // [outputs]
        std::vector<int32_t> sums;      // [rows of packed]
        std::vector<float> bias;        // [outputs]
        std::vector<float> quality;     // [levels, outputs], empty without quality_bias
    };

    IntegerWeights(const Network& network, const Parameters& parameters);

    const Network& network() const { return *network_; }
    Layer& layer(int index) { return *layers_[size_t(index)]; }

private:
    const Network* network_;
    std::vector<std::unique_ptr<Layer>> layers_;  // null where a layer has no weights
};

inline constexpr int kInputZero = 128;

struct IntegerGraphOptions {
    DataType input_type = DataType::u8;  // or s16
    // u8: input channels from this one on are signed and come with kInputZero added. Only 1×1 layers may read them.
    int signed_from = std::numeric_limits<int>::max();
    int input_exponent = kPixelExponent;        // of an input that a wide layer reads; an integer layer knows its own
    int trunk_exponent = kTrunkExponent;        // of s16 results and sums
    int output_exponent = kParameterExponent;   // of s32 results
    bool borrows_memory = false;                // as in GraphOptions
    std::vector<Area> crops;                    // as there
};

class IntegerGraph {
public:
    // The weights must outlive the graph. Throws Error model_mismatch for a network that does not run in integers.
    IntegerGraph(IntegerWeights& weights, Shape input, const IntegerGraphOptions& options);
    ~IntegerGraph();
    IntegerGraph(IntegerGraph&&) noexcept;

    TensorRef input();   // stays as it is
    TensorRef output();  // u8 or s32
    void forward(int quality_q8 = 0);  // rate point times 256
    void move_crops(std::vector<Area> crops);  // as in Graph

    size_t memory() const;
    void bind(std::byte* memory);  // as in Graph

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace decant
