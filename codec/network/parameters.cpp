#include "codec/network/parameters.h"

#include <algorithm>

#include "codec/error.h"

namespace decant {

Parameters::Parameters(const Description& d) {
    for (const Network& network : d.networks) {
        for (const PlannedLayer& p : plan(network, {1, 64, 64, network.channels_in})) {
            if (p.layer->op != Operation::convolution) continue;
            const std::string name = network.name + "." + p.layer->name;
            add(name + ".weight", {p.layer->channels, p.src_shape.c, p.layer->kernel, p.layer->kernel});
            add(name + ".bias", {p.layer->channels});
            if (p.layer->quality_bias) add(name + ".quality", {d.levels(), p.layer->channels});
            if (p.layer->normalisation == Normalisation::batch) {
                add(name + ".scale", {p.layer->channels});
                add(name + ".shift", {p.layer->channels});
                add(name + ".mean", {p.layer->channels}, Parameter::Change::statistic);
                add(name + ".variance", {p.layer->channels}, Parameter::Change::statistic);
            }
            for (const auto& suffix : activation_parameters(p.layer->activation)) {
                std::vector<int> shape(suffix == "gamma" ? 2 : 1, p.layer->channels);
                add(name + "." + suffix, std::move(shape));
            }
        }
    }
    if (d.task == Task::codec) add_codec(d);
    if (d.task == Task::autoencoder) add_bottleneck(d);
    values_.resize(list_.empty() ? 0 : list_.back().offset + list_.back().size);  // zeros: new memory
}

void Parameters::add_codec(const Description& d) {
    add("gain", {d.levels(), d.latent_channels});
    add("inverse_gain", {d.levels(), d.latent_channels});
    add("latent_std", {d.latent_channels}, Parameter::Change::none);
    add("prediction", {kPredictionTaps, d.latent_channels});
    add("hyper_mean", {d.hyper_channels});
    add("hyper_log2_scale", {d.hyper_channels});
}

void Parameters::add_bottleneck(const Description& d) {
    const int channels = latent_shape(d, {1, 64, 64, d.network(kEncoderNetwork).channels_in}).c;
    if (d.bottleneck.kind == Bottleneck::Kind::quantised) add("codebook", {d.bottleneck.codes, channels});
    if (d.bottleneck.kind == Bottleneck::Kind::quantised || d.bottleneck.kind == Bottleneck::Kind::sparse) {
        const int units = d.bottleneck.kind == Bottleneck::Kind::quantised ? d.bottleneck.codes : channels;
        add("activity", {units}, Parameter::Change::statistic);
    }
}

void Parameters::add(const std::string& name, std::vector<int> shape, Parameter::Change change) {
    size_t size = 1;
    for (int extent : shape) size *= size_t(extent);
    const size_t offset = list_.empty() ? 0 : list_.back().offset + list_.back().size;
    list_.push_back({name, std::move(shape), offset, size, change});
}

bool Parameters::contains(std::string_view name) const {
    return std::any_of(list_.begin(), list_.end(), [&](const Parameter& p) { return p.name == name; });
}

const Parameter& Parameters::find(std::string_view name) const {
    const auto found = std::find_if(list_.begin(), list_.end(), [&](const Parameter& p) { return p.name == name; });
    if (found == list_.end()) throw Error(ErrorCode::internal, "there is no parameter " + std::string(name));
    return *found;
}

std::span<float> Parameters::operator[](std::string_view name) {
    const Parameter& p = find(name);
    return {values_.data() + p.offset, p.size};
}

std::span<const float> Parameters::operator[](std::string_view name) const {
    const Parameter& p = find(name);
    return {values_.data() + p.offset, p.size};
}

std::vector<std::string> activation_parameters(Activation activation) {
    switch (activation) {
        case Activation::prelu: return {"slope"};
        case Activation::jump_relu: return {"threshold"};
        case Activation::gdn:
        case Activation::inverse_gdn: return {"beta", "gamma"};
        default: return {};
    }
}

}  // namespace decant
