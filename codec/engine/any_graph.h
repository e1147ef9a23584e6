// A network for one shape, in integers if it can run in them, else in floats.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "codec/engine/codec_weights.h"

namespace decant {

class AnyGraph {
public:
    // The weights must outlive the graph.
    AnyGraph(CodecWeights& weights, const Network& network, Shape input, const IntegerGraphOptions& integers, const GraphOptions& floats) {
        if (is_integer(network)) {
            integers_ = std::make_unique<IntegerGraph>(weights.integers(network.name), input, integers);
        } else {
            floats_ = std::make_unique<Graph>(weights[network.name], input, floats);
        }
    }

    TensorRef input() { return integers_ != nullptr ? integers_->input() : floats_->input(); }
    TensorRef output() { return integers_ != nullptr ? integers_->output() : floats_->output(); }
    // quality: the rate point, for networks that have such.
    void forward(float quality = 0.0f) {
        if (integers_ != nullptr) return integers_->forward(int(std::lround(quality * 256.0f)));
        floats_->forward({&quality, 1});
    }

    void move_crops(std::vector<Area> crops) { integers_ != nullptr ? integers_->move_crops(std::move(crops)) : floats_->move_crops(std::move(crops)); }

    // With borrows_memory.
    size_t memory() const { return integers_ != nullptr ? integers_->memory() : floats_->memory(); }
    void bind(std::byte* memory) { integers_ != nullptr ? integers_->bind(memory) : floats_->bind(memory); }

private:
    std::unique_ptr<IntegerGraph> integers_;
    std::unique_ptr<Graph> floats_;
};

}  // namespace decant
