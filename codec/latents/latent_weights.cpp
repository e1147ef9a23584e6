#include "codec/latents/latent_weights.h"

#include <algorithm>
#include <string>

#include "codec/error.h"

namespace decant {
namespace {

std::string context_name(int step) { return "context" + std::to_string(step); }
std::string head_name(int step, int group) { return context_name(step) + ".head" + std::to_string(group); }

Description without_networks(const Description& d) {
    Description result;
    result.name = d.name;
    result.latent_channels = d.latent_channels;
    result.hyper_channels = d.hyper_channels;
    result.lambda = d.lambda;
    return result;
}

// The context network of a step, whose last layer can be cut into heads.
const Network& checked_context(const Description& d, int step) {
    const Network& network = d.network(context_name(step));
    if (network.layers.size() < 2) throw Error(ErrorCode::model_mismatch, network.name + ": at least two layers are needed");
    const Layer& last = network.layers.back();
    const bool plain = last.op == Operation::convolution && last.arithmetic == Arithmetic::integer && last.kernel == 1 && last.stride == 1 &&
                       last.activation == Activation::none && last.input.empty() && last.add.empty();
    if (!plain) throw Error(ErrorCode::model_mismatch, network.name + "." + last.name + ": the last layer must be 1×1, in integers, without activation");
    if (last.channels != 2 * d.latent_channels) {
        throw Error(ErrorCode::model_mismatch, network.name + ": the result must have " + std::to_string(2 * d.latent_channels) + " channels");
    }
    return network;
}

Description trunk_description(const Description& d) {
    Description result = without_networks(d);
    for (int step = 0; step < kContextSteps; step++) {
        result.networks.push_back(checked_context(d, step));
        result.networks.back().layers.pop_back();
    }
    return result;
}

Description head_description(const Description& d) {
    Description result = without_networks(d);
    for (int step = 0; step < kContextSteps; step++) {
        const Network& network = checked_context(d, step);
        const int channels = plan(network, {1, 64, 64, network.channels_in}).back().src_shape.c;
        for (int group = 0; group < kContextSteps; group++) {
            result.networks.push_back({head_name(step, group), channels, {network.layers.back()}});
            result.networks.back().layers.back().channels /= kContextSteps;
        }
    }
    return result;
}

Parameters head_parameters(const ModelContents& model, const Description& heads) {
    Parameters result(heads);
    const size_t channels = size_t(heads.latent_channels), count = channels / kContextSteps;
    for (int step = 0; step < kContextSteps; step++) {
        const std::string layer = "." + model.description.network(context_name(step)).layers.back().name;
        for (int group = 0; group < kContextSteps; group++) {
            // [rows, 2·M, per_output]: of each row the outputs of the group's means and scales.
            const auto copy = [&](const std::string& part, size_t per_output) {
                const auto from = model.parameters[context_name(step) + layer + part];
                auto* to = result[head_name(step, group) + layer + part].data();
                for (size_t at = size_t(group) * count * per_output; at < from.size(); at += channels * per_output) {
                    to = std::copy_n(from.data() + at, count * per_output, to);
                }
            };
            copy(".weight", model.parameters.find(context_name(step) + layer + ".weight").size / (2 * channels));
            copy(".bias", 1);
            if (model.parameters.contains(context_name(step) + layer + ".quality")) copy(".quality", 1);
        }
    }
    return result;
}

}  // namespace

LatentWeights::LatentWeights(const ModelContents& model, CodecWeights& weights)
    : model_(model),
      weights_(weights),
      trunk_description_(trunk_description(model.description)),
      head_description_(head_description(model.description)),
      head_parameters_(head_parameters(model, head_description_)),
      trunks_(trunk_description_, model.parameters),
      heads_(head_description_, head_parameters_),
      costs_(model.scales) {}

IntegerWeights& LatentWeights::context_trunk(int step) { return trunks_.integers(context_name(step)); }
IntegerWeights& LatentWeights::context_head(int step, int group) { return heads_.integers(head_name(step, group)); }

}  // namespace decant
