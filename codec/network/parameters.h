// The numbers of a model: named arrays in one flat vector, so that optimiser, average and checkpoint are plain loops.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/network/description.h"

namespace decant {

struct Parameter {
    std::string name;
    std::vector<int> shape;  // convolution weights: [out, in, height, width]
    size_t offset = 0, size = 0;
    // How training changes it: by its gradient; not at all; or, in place of a gradient a step has a figure of its batch, which it follows.
    enum class Change { gradient, none, statistic } change = Change::gradient;
};

// Names: NETWORK.LAYER.weight, .bias, .quality [levels, out], of batch normalisation .scale, .shift and the statistics .mean, .variance
// [out], of activations .slope, .threshold, .beta [out], .gamma [out, in]; and of a codec
//   gain, inverse_gain [levels, M]: log2 of the factor on y before quantisation and of the one after it
//   latent_std [M]: the scale that latents are given to integer networks in (not trained)
//   prediction [kPredictionTaps, M]: weights of decoded latents of the same channel in the mean of a latent
//   hyper_mean, hyper_log2_scale [Hz]: the prior of z, a logistic a channel
// and of an autoencoder
//   codebook [codes, channels]: the vectors of a quantised bottleneck
//   activity [units]: share of the positions where a unit of a sparse code is not 0, or that have a vector (a statistic)
std::vector<std::string> activation_parameters(Activation activation);  // the suffixes of what it learns

class Parameters {
public:
    Parameters() = default;
    explicit Parameters(const Description& description);

    const std::vector<Parameter>& list() const { return list_; }
    FloatVector& values() { return values_; }
    const FloatVector& values() const { return values_; }

    const Parameter& find(std::string_view name) const;  // Error internal if there is none
    bool contains(std::string_view name) const;
    std::span<float> operator[](std::string_view name);
    std::span<const float> operator[](std::string_view name) const;

private:
    void add_codec(const Description& description);
    void add_bottleneck(const Description& description);
    void add(const std::string& name, std::vector<int> shape, Parameter::Change change = Parameter::Change::gradient);

    std::vector<Parameter> list_;
    FloatVector values_;
};

}  // namespace decant
