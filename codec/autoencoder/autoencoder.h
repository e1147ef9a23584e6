// Pictures to the code of a trained autoencoder and back, tile by tile; and pictures drawn from a variational one.
//
// A tile is computed with as much of its surroundings as the networks can see, so tiles leave no seams. Floats (bf16 where the CPU has it):
// a code is for searching and comparing, not for keeping; what a file is decoded from has integers alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "codec/decant.h"

namespace decant {

// [height, width, channels], one position for stride × stride pixels.
struct Code {
    int height = 0, width = 0, channels = 0;
    std::vector<float> values;

    const float* at(int y, int x) const { return values.data() + (size_t(y) * size_t(width) + size_t(x)) * size_t(channels); }
};

// Several threads may use one at once.
class Autoencoder {
public:
    // threads: 0 = all cores. The result does not depend on it. Throws Error model_mismatch if the model is no autoencoder.
    explicit Autoencoder(std::shared_ptr<const Model> model, int threads = 0);
    ~Autoencoder();

    const Model& model() const;
    int stride() const;    // pixels a position of the code, each way
    int channels() const;  // of the pictures: 1 or 3

    // 8 or 16 bits, gray or RGB; brought to the network's channels (gray from luma; RGB as R = G = B). The picture is continued by
    // reflection to whole positions. What the bottleneck makes of it is what decode() reads: of a variational one the means.
    Code encode(const Image& image) const;
    // 8 bits. Throws Error invalid_argument unless the code is as large as such a picture's.
    Image decode(const Code& code, uint32_t width, uint32_t height) const;
    Image reconstruct(const Image& image) const { return decode(encode(image), image.width, image.height); }
    // Decodes a code drawn from N(0, 1), a function of the seed. Throws Error model_mismatch unless the bottleneck is variational.
    Image sample(uint32_t width, uint32_t height, uint64_t seed) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace decant
