// What all coders of a model share: its tables, and its hyperprior and context networks ready to run.
//
// In a step of layout.h a position codes one group of channels, so that it needs a quarter of the context network's results. The last
// layer, 1×1, is therefore cut into one head a group, and each is run for the positions that code this group.
#pragma once

#include "codec/engine/codec_weights.h"
#include "codec/network/model_file.h"

namespace decant {

class LatentWeights {
public:
    // Both must outlive this. Throws Error model_mismatch for context networks that do not fit the description.
    LatentWeights(const ModelContents& model, CodecWeights& weights);

    const ModelContents& model() const { return model_; }
    NetworkWeights& hyper_analysis() { return weights_["hyper_analysis"]; }
    IntegerWeights& hyper_synthesis() { return weights_.integers("hyper_synthesis"); }
    IntegerWeights& context_trunk(int step);            // all layers but the last
    IntegerWeights& context_head(int step, int group);  // of the last layer: means, then scales of the group, [2·M/4]

    // ScaleTables::cost_bits of a scale index that has a table of its own, looked up.
    double cost_bits(int scale_index, int32_t symbol) const {
        const Costs& costs = costs_[size_t(scale_index)];
        const int64_t at = int64_t(symbol) - costs.first;
        return at >= 0 && at < int64_t(costs.bits.size()) ? costs.bits[size_t(at)] : model_.scales.cost_bits(scale_index, symbol);
    }

private:
    struct Costs {
        int32_t first = 0;
        std::vector<double> bits;
    };

    const ModelContents& model_;
    CodecWeights& weights_;
    Description trunk_description_, head_description_;
    Parameters head_parameters_;
    CodecWeights trunks_, heads_;
    std::vector<Costs> costs_;  // a scale index each; empty where it has no table of its own
};

}  // namespace decant
