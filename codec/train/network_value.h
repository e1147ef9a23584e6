// A value inside a network, input by input: what a layer gives, by a graph that ends with it.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "codec/engine/codec_weights.h"

namespace decant {

class NetworkValue {
public:
    // The result of layer `index` of the network, or its input for -1. The parameters must outlive this.
    NetworkValue(Description description, const Network& network, const Parameters& parameters, int index, int side) : description_(std::move(description)) {
        if (index < 0) return;
        Network beginning = network;
        beginning.layers.resize(size_t(index) + 1);
        description_.networks = {std::move(beginning)};
        weights_ = std::make_unique<CodecWeights>(description_, parameters);
        graph_.emplace((*weights_)[network.name], Shape{1, side, side, network.channels_in}, GraphOptions{});
    }

    // input: [side, side, channels]. The result is good until the next call.
    std::span<const float> of(std::span<const float> input) {
        if (!graph_) return input;
        std::ranges::copy(input, graph_->input().as<float>());
        graph_->forward();
        return {graph_->output().as<float>(), graph_->output().shape.elements()};
    }

private:
    Description description_;
    std::unique_ptr<CodecWeights> weights_;
    std::optional<Graph> graph_;
};

// The same network in floats: nothing is rounded or cut off.
inline Network in_floats(Network network) {
    for (Layer& layer : network.layers) layer.arithmetic = Arithmetic::compute;
    return network;
}

}  // namespace decant
