// Pictures to latents and back, window by window: memory stays bounded and the result is that of the whole picture at once, since
// each window is run with as much of its surroundings as the network can see.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "codec/engine/codec_weights.h"
#include "codec/image/image.h"

namespace decant {

// Rows × columns of latent positions; [h, w, M].
template <class T>
struct Plane {
    int h = 0, w = 0, channels = 0;
    std::vector<T> values;

    Plane() = default;
    Plane(int rows, int columns, int c) : h(rows), w(columns), channels(c), values(size_t(rows) * size_t(columns) * size_t(c)) {}
    T* at(int y, int x) { return values.data() + (size_t(y) * size_t(w) + size_t(x)) * size_t(channels); }
    const T* at(int y, int x) const { return values.data() + (size_t(y) * size_t(w) + size_t(x)) * size_t(channels); }
};
using LatentPlane = Plane<float>;     // as the analysis gives them
using DecodedPlane = Plane<int16_t>;  // as the synthesis reads them: multiples of 2^-kLatentExponent

// How far a network sees beyond each edge of what it computes, in pixels. start: pixels an input position is wide.
int receptive_margin(const Network& network, int start);

class Transform {
public:
    Transform(const Description& description, CodecWeights& weights);

    // The picture is continued by reflection to whole latents: ceil(height/16) × ceil(width/16). Gray is analysed as R = G = B.
    LatentPlane analyse(const Image& image, float quality);

    // Cut to width × height; channels 1 is the mean of R, G and B. Exact on every CPU if the network runs in integers.
    Image synthesise(const DecodedPlane& latents, uint32_t width, uint32_t height, int channels, float quality);

private:
    // A network in integers if it can be, else in floats.
    struct AnyGraph {
        std::unique_ptr<IntegerGraph> integers;
        std::unique_ptr<Graph> floats;

        TensorRef input() { return integers != nullptr ? integers->input() : floats->input(); }
        TensorRef output() { return integers != nullptr ? integers->output() : floats->output(); }
        void forward(float quality);
    };
    AnyGraph& graph(const char* network, Shape input);  // valid until the next call: all graphs share their memory

    const Description& description_;
    CodecWeights& weights_;
    int analysis_margin_, synthesis_margin_;  // latents
    std::map<std::pair<std::string, Shape>, AnyGraph> graphs_;
    AlignedBuffer memory_;
};

}  // namespace decant
