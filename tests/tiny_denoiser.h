// Descriptions of denoisers as small as can be, with everything that the real one has: unshuffle, skips that are added, three
// resolutions; and a set of random weights. A fixture for tests of training and of use.
#pragma once

#include <cmath>
#include <string>

#include "codec/network/description.h"
#include "codec/network/parameters.h"
#include "codec/tensor/random.h"

namespace decant::test {

inline Description tiny_denoiser(int colours = 3, const std::string& noise = "photo") {
    const std::string in = std::to_string(colours + 1), out = std::to_string(4 * colours);
    return parse_description(R"({"name": "tiny", "task": "denoise", "noise": ")" + noise + R"(", "networks": {"denoise": {"channels_in": )" + in + R"(, "layers": [
      {"name": "pixels", "op": "unshuffle", "factor": 2},
      {"name": "head", "channels": 8, "kernel": 3},
      {"name": "enc1.a", "channels": 8, "kernel": 3, "activation": "relu"},
      {"name": "enc1.b", "channels": 8, "kernel": 3, "add": "head"},
      {"name": "down2", "op": "unshuffle", "factor": 2},
      {"name": "mid.in", "channels": 16},
      {"name": "mid.a", "channels": 16, "kernel": 3, "activation": "relu"},
      {"name": "mid.b", "channels": 16, "kernel": 3, "add": "mid.in"},
      {"name": "up1", "op": "shuffle", "factor": 2},
      {"name": "dec1.in", "channels": 8, "kernel": 3, "add": "enc1.b"},
      {"name": "dec1.a", "channels": 8, "kernel": 3, "activation": "relu"},
      {"name": "dec1.b", "channels": 8, "kernel": 3, "add": "dec1.in"},
      {"name": "tail", "channels": )" + out + R"(, "kernel": 3, "init": "zero"},
      {"name": "residual", "op": "shuffle", "factor": 2}]}}})");
}

// The same with layers that run in integers: 8 bits of pixels, and of sums the range of ±2.
inline Description in_integers(Description d) {
    for (Network& network : d.networks) {
        for (size_t i = 0; i < network.layers.size(); i++) {
            Layer& layer = network.layers[i];
            if (layer.op != Operation::convolution) continue;
            layer.arithmetic = Arithmetic::integer;
            if (layer.name == "head") {
                layer.input_exponent = kPixelExponent;
            } else if (network.layers[i - 1].activation == Activation::none) {
                layer.input_exponent = 6;
            }
        }
    }
    return d;
}

// Weights by He's rule, times `scale`.
inline Parameters random_parameters(const Description& d, float scale = 1.0f, uint64_t seed = 1) {
    Parameters parameters(d);
    RandomStream random{random_key(seed, 9)};
    for (const Parameter& p : parameters.list()) {
        const float std = p.shape.size() == 4 ? scale * std::sqrt(2.0f * float(p.shape[0]) / float(p.size)) : 0.05f;
        for (float& v : parameters[p.name]) v = std * random.normal();
    }
    return parameters;
}

}  // namespace decant::test
