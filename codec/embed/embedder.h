// What a model makes of a picture, as numbers to search and compare by: the latents of a codec, or the code of an autoencoder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/autoencoder/autoencoder.h"
#include "codec/decant.h"

namespace decant {

// Several threads may use one at once; a call uses one thread.
class Embedder {
public:
    // A codec or an autoencoder; Error model_mismatch for others.
    explicit Embedder(std::shared_ptr<const Model> model);
    ~Embedder();

    const Model& model() const;
    // Of a codec [height/16, width/16, M], as the analysis transform gives them at the middle of the qualities, or the nearest that the model
    // serves; of an autoencoder its code.
    Code embed(const Image& image) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Means over cells × cells equal parts of the picture, of the values and of their magnitudes: [cells · cells, 2 · channels], row by
// row. A cell of a code smaller than that takes the nearest position.
std::vector<float> pooled(const Code& code, int cells);

// A NumPy file (format 1.0) of 32-bit floats in C order.
std::vector<uint8_t> write_npy(std::span<const float> values, std::span<const int64_t> shape);

}  // namespace decant
