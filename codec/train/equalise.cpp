#include "codec/train/equalise.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "codec/error.h"
#include "codec/train/network_value.h"
#include "codec/train/noisy_crop.h"

namespace decant {
namespace {

constexpr int kCrops = 24, kSide = 256;
constexpr float kMost = 16.0f;  // a unit that hardly ever says anything is not worth more

// The index of the convolution that alone reads layer `index`, and reads it directly; -1 if there is none.
int only_reader(const std::vector<PlannedLayer>& layers, int index) {
    int reader = -1;
    for (int i = 0; i < int(layers.size()); i++) {
        if (layers[size_t(i)].add == index) return -1;
        if (layers[size_t(i)].src != index) continue;
        if (reader >= 0 || layers[size_t(i)].layer->op != Operation::convolution) return -1;
        reader = i;
    }
    return reader;
}

// The largest value of each of `units` outputs.
std::vector<float> largest_outputs(NetworkValue value, size_t units, const std::vector<std::vector<float>>& inputs) {
    std::vector<float> largest(units, 0.0f);
    for (const std::vector<float>& input : inputs) {
        const auto outputs = value.of(input);
        for (size_t i = 0; i < outputs.size(); i++) largest[i % units] = std::max(largest[i % units], outputs[i]);
    }
    return largest;
}

}  // namespace

void equalise(const Description& d, const Dataset& dataset, uint64_t seed, Parameters& parameters) {
    if (d.task != Task::denoise) throw Error(ErrorCode::invalid_argument, "training.fit_rounding: is for denoisers");
    const Network& network = d.network(kDenoiseNetwork);
    const auto layers = plan(network, {1, 64, 64, network.channels_in});
    const auto inputs = noisy_inputs(d, dataset, seed, kCrops, kSide);
    for (int i = 0; i < int(layers.size()); i++) {
        const Layer& layer = *layers[size_t(i)].layer;
        if (layer.op != Operation::convolution || layer.arithmetic != Arithmetic::integer || layer.activation != Activation::relu || layer.normalisation != Normalisation::none) continue;
        const int reader = only_reader(layers, i);
        if (reader < 0) continue;
        const size_t units = size_t(layer.channels);
        const std::vector<float> largest = largest_outputs(NetworkValue(d, in_floats(network), parameters, i, kSide), units, inputs);
        const std::string name = network.name + "." + layer.name;
        const auto weight = parameters[name + ".weight"], bias = parameters[name + ".bias"];
        const auto read = parameters[network.name + "." + layers[size_t(reader)].layer->name + ".weight"];
        const size_t row = weight.size() / units, area = size_t(layers[size_t(reader)].layer->kernel * layers[size_t(reader)].layer->kernel);
        for (size_t u = 0; u < units; u++) {
            if (largest[u] <= 0) continue;
            constexpr float kRange = 255.0f / float(1 << kActivationExponent);
            const float factor = std::clamp(std::exp2(std::floor(std::log2(kRange / largest[u]))), 1.0f, kMost);
            for (float& w : weight.subspan(u * row, row)) w *= factor;
            bias[u] *= factor;
            for (size_t o = u * area; o < read.size(); o += units * area)
                for (float& w : read.subspan(o, area)) w /= factor;
        }
    }
}

}  // namespace decant
