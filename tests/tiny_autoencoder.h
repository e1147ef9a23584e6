// A small autoencoder of pictures, in the variants that tests need: a fixture.
#pragma once

#include <cmath>
#include <random>
#include <string>

#include "codec/network/description.h"
#include "codec/network/parameters.h"

namespace decant::test {

// 16×16 pixels become 4×4 positions of 8 channels. variant: "variational" gives twice as many, "odd" 9, "normalised" has batch
// normalisation and dropout, "jump" ends the encoder in jump_relu, "linear" ends the decoder without a sigmoid.
inline Description tiny_autoencoder(const std::string& bottleneck, const std::string& variant = "", const std::string& loss = R"({"mse": 1})") {
    const std::string channels = variant == "variational" ? "16" : variant == "odd" ? "9" : "8";
    const std::string normalisation = variant == "normalised" ? R"(, "normalisation": "batch")" : "";
    return parse_description(R"({"name": "tiny", "task": "autoencoder", "bottleneck": )" + bottleneck + R"(, "loss": )" + loss + R"(, "networks": {
        "encoder": {"channels_in": 3, "layers": [
            {"name": "pixels", "op": "unshuffle", "factor": 2},
            {"name": "a", "channels": 10, "kernel": 3, "activation": "silu")" + normalisation + (normalisation.empty() ? "" : R"(, "dropout": 0.1)") + R"(},
            {"name": "down", "op": "unshuffle", "factor": 2},
            {"name": "code", "channels": )" + channels + (variant == "jump" ? R"(, "activation": "jump_relu")" : "") + R"(}]},
        "decoder": {"channels_in": 8, "layers": [
            {"name": "a", "channels": 40, "activation": "silu")" + normalisation + R"(},
            {"name": "up", "op": "shuffle", "factor": 2},
            {"name": "b", "channels": 12, "kernel": 3)" + (variant == "linear" ? "" : R"(, "activation": "sigmoid")") + R"(},
            {"name": "pixels", "op": "shuffle", "factor": 2}]}}})");
}

// Of about the size that training begins with.
inline Parameters autoencoder_parameters(const Description& d) {
    Parameters parameters(d);
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (const Parameter& p : parameters.list()) {
        const float scale = p.shape.size() == 4 ? std::sqrt(1.5f / float(p.size / size_t(p.shape[0]))) : 0.2f;
        for (float& v : parameters[p.name]) v = scale * normal(random) + (p.name.ends_with(".scale") || p.name.ends_with(".variance") ? 1.0f : 0.0f);
    }
    return parameters;
}

}  // namespace decant::test
