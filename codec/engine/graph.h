// Runs a network in floating point for one input shape: forward, and in training backward. Built from the network's description.
// What decoding depends on runs in codec/engine/integer_graph.h instead, with the same numbers.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/engine/activation.h"
#include "codec/engine/convolution.h"
#include "codec/network/description.h"
#include "codec/network/parameters.h"

namespace decant {

struct WeightOptions {
    bool round = true;  // false leaves integer layers unrounded (to check gradients, which rounding does not have)
    // Batch normalisation by the statistics that training gathered, as part of the convolution; false: by each batch's own.
    bool fold = true;
};

// A network's parameters as the engine uses them. Integer layers are rounded here, for training and inference alike: weights to
// w·2^-exponent[o] with |w| ≤ 63, biases to multiples of 2^-(exponent[o] + input_exponent).
class NetworkWeights {
public:
    struct LayerWeights {
        PackedWeights packed;
        std::vector<float> bias;
        std::vector<float> quality;     // [levels, outputs], empty without quality_bias
        std::string prefix;             // of the parameter names
        std::vector<std::vector<float>> learned;  // of the activation, in the order of activation_parameters()
        std::vector<float> scale, shift;          // of batch normalisation, empty where it is folded
        std::vector<float> folded;                // weights with the normalisation in them
    };

    // The parameters must stay where they are until the next update.
    NetworkWeights(const Network& network, const Parameters& parameters, WeightOptions options = {});
    // Takes new values of all layers, or (to share the work) of every `of`-th layer from `first` on.
    void update(const Parameters& parameters, int first = 0, int of = 1);

    const Network& network() const { return *network_; }
    const WeightOptions& options() const { return options_; }
    LayerWeights& layer(int index) { return *layers_[index]; }

private:
    void normalise(LayerWeights& weights, const Parameters& parameters) const;

    const Network* network_;
    WeightOptions options_;
    std::vector<PlannedLayer> plan_;
    std::vector<std::unique_ptr<LayerWeights>> layers_;  // null where a layer has no weights
};

// What a graph needs while it runs and not afterwards.
struct GraphScratch {
    AlignedBuffer primitives, sums;
};

struct GraphOptions {
    Convolution::Use use = Convolution::Use::inference;
    DataType compute = DataType::f32;       // f32 or bf16, for Arithmetic::compute
    DataType input_type = DataType::f32;
    bool round = true;                      // see NetworkWeights
    bool input_gradient = true;             // training: is the gradient of the input wanted?
    std::optional<Layout> layout;           // of what lies between input and output, where it can; none: fastest_layout()
    // The graph has no memory of its own: bind() lends it some before its input is filled. For graphs that run one after the other.
    bool borrows_memory = false;
    GraphScratch* scratch = nullptr;  // to be shared by such graphs; null: one of its own
    std::vector<Area> crops;  // of the network's crop layers; inference only
};

// Memory for graphs that run one after the other: what `borrows_memory` and `scratch` refer to.
struct SharedMemory {
    AlignedBuffer activations;
    GraphScratch scratch;
};

// Types: wide layers, sums and the network's result are f32, `compute` layers options.compute; integer layers calculate in that type, too, with an
// activation in it and without one in f32.
class Graph {
public:
    Graph(NetworkWeights& weights, Shape input, const GraphOptions& options);

    TensorRef input() { return nodes_[0].value; }
    TensorRef output() { return nodes_.back().value; }
    // quality: the rate point of each sample, 0 … levels - 1, continuous; used where layers have a quality bias.
    // dropout: key of the values that are left out; none: nothing is, as in use.
    void forward(std::span<const float> quality = {}, std::optional<uint32_t> dropout = {});

    // Other windows for the crop layers, of the same sizes.
    void move_crops(std::vector<Area> crops);

    // Training: fill this (it may be overwritten), then call backward with the quality of forward. `gradients` is as long as
    // Parameters::values; the parts of this network's parameters are set, not added to (statistics: to those of the batch). Empty: the
    // gradient of the input alone.
    TensorRef output_gradient() { return nodes_.back().gradient; }
    // l0: see ActivationPass::backward.
    void backward(const Parameters& layout, std::span<float> gradients, std::span<const float> quality = {}, float l0 = 0.0f);
    TensorRef input_gradient() { return nodes_[0].gradient; }

    size_t memory() const { return memory_; }  // bytes of activations and gradients
    // memory() bytes, aligned like an AlignedBuffer, for the graph alone until its output was read.
    void bind(std::byte* memory);

private:
    struct Node {
        const Layer* layer = nullptr;  // null for the input, node 0
        int src = -1, add = -1;        // nodes
        TensorRef value, low, gradient;  // low: the copy that convolutions of another type, or of integers, read
        int low_exponent = -1;           // low holds multiples of 2^-low_exponent; -1: no rounding
        std::unique_ptr<Convolution> convolution;
        int weights = -1;
        int crop = -1;           // number among the crop layers
        bool reads_low = false;  // of its source
        // Where normalisation or activation are passes of their own: what the convolution gave (x̂ where it is normalised), and what the
        // activation reads.
        TensorRef convolved, normal;
        std::unique_ptr<ActivationPass> activation;
        std::unique_ptr<BatchNormalisation> normalisation;
        bool last = false, add_in_place = false, wants_gradient = false, has_gradient = false;
    };

    GraphScratch& scratch() { return options_.scratch != nullptr ? *options_.scratch : own_scratch_; }
    DataType source_type(const Layer& layer) const;
    DataType gradient_type(const Layer& layer) const;
    void choose_layouts();
    void lower(Node& node) const;
    TensorRef source(const Node& node) const;
    void allocate();
    void run(Node& node, std::span<const float> quality);
    void finish(Node& node);
    uint32_t dropout_key(const Node& node) const;
    void run_crop(const Node& node) const;
    void run_shuffle(const Node& node, const TensorRef& src, const TensorRef& dst, bool down) const;
    void accumulate_gradient(Node& node, const TensorRef& gradient);
    void backward_convolution(Node& node, const Parameters& layout, std::span<float> gradients, std::span<const float> quality);

    NetworkWeights* weights_;
    GraphOptions options_;
    std::vector<Node> nodes_;
    struct Place {
        size_t value, low, gradient, convolved, normal;  // offsets in the memory
    };
    std::vector<Place> places_;
    AlignedBuffer buffer_;
    GraphScratch own_scratch_;
    AlignedBuffer low_gradient_, low_source_;
    std::vector<float> row_;
    size_t memory_ = 0;
    std::optional<uint32_t> dropout_;
    float l0_ = 0.0f;
};

// The weights with which rate point `quality` mixes the levels: at most two neighbours, Σ = 1.
struct LevelMix {
    int level = 0;        // the lower one; the upper is level + 1
    float upper = 0.0f;   // its share
};
LevelMix mix_levels(float quality, int levels);
// Gains at a rate point: 2^(the logarithms of a table [levels, channels], interpolated).
std::vector<float> gains_at(std::span<const float> log2_table, int levels, float quality);

}  // namespace decant
