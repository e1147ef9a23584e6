// What all coders of a model share: its tables, and its hyperprior and context networks ready to run.
//
// In a step of layout.h a position codes one group of channels, so that it needs a quarter of the context network's results. The last
// layer, 1×1, is therefore cut into one head a group, and each is run for the positions that code this group.
#pragma once

#include "codec/engine/codec_weights.h"
#include "codec/entropy/symbol_costs.h"
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

    const SymbolCosts& costs() const { return costs_; }

private:
    const ModelContents& model_;
    CodecWeights& weights_;
    Description trunk_description_, head_description_;
    Parameters head_parameters_;
    CodecWeights trunks_, heads_;
    SymbolCosts costs_;
};

}  // namespace decant
