// How the squared error of a decoded picture changes with its latents, for a window of the picture.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "codec/engine/codec_weights.h"
#include "codec/filter/filter_changes.h"
#include "codec/image/sample_view.h"
#include "codec/network/model_file.h"
#include "codec/transform/transform.h"

namespace decant {

// A part of a picture, and what lies around it.
struct Surroundings {
    SampleView picture;
    Area area, window;               // window: with margin() more positions on each side, as far as the picture has them
    std::span<const float> latents;  // [window.h, window.w, M] in quantisation steps
    const PostFilter* filter = nullptr;  // behind the synthesis, if there is one
};

class ErrorGradient {
public:
    // Everything must outlive this.
    ErrorGradient(const ModelContents& model, CodecWeights& weights);

    // Latent positions around an area that are decoded with it.
    static int margin(const Description& description);

    void start(const Surroundings& surroundings, int quality_q8);

    // latents: [h, w, M] of the area, in multiples of 1/64 step. Σ (x̂ - x)² over the pixels that count, x̂ as the decoder gives them, values as
    // pixel_value gives them.
    double run(std::span<const int32_t> latents);
    // After run, once: its gradient, [h, w, M], a step. Through a filter it is half of it: the error itself and the error through the filter's slopes, of the same size,
    // are halved and added. Alone the latter, what the gradient is, hardly mends what the filter smooths, and the former mends what the filter does not let through.
    void gradient(std::span<float> result);
    // After run: [M], the mean curvature of half the squared error along one latent of a channel, Σ (∂x̂/∂y)². Estimated with random
    // signs in the place of the error (Hutchinson 1990); run() must be called again before gradient().
    std::vector<float> curvature(int probes);
    // After run, through a filter: what to change of `filter`, by each `step`-th row of pixels of the area.
    ChangesFit fit(const PostFilter& filter, int step);

private:
    Graph& graph(Shape input);
    void backward(std::span<float> result);
    void filter(const std::vector<int32_t>& sums, std::vector<float>& result);
    void through_filter(float* gradient);  // half of it

    const ModelContents& model_;
    CodecWeights& weights_;
    int margin_;
    size_t colours_;       // that the network makes
    size_t channels_ = 3;  // of the picture: as many, or 1
    std::map<Shape, std::unique_ptr<Graph>> graphs_;
    AlignedBuffer memory_;

    Graph* current_ = nullptr;
    Area area_, window_;
    int picture_height_ = 0, picture_width_ = 0;
    float quality_ = 0;
    const PostFilter* filter_ = nullptr;
    std::vector<int32_t> sums_, moved_;        // the graph's output as the decoder's integers; the same, a little against the error
    std::vector<int32_t> original_sums_;       // where a filter is fitted
    std::vector<float> filtered_, response_;  // what the filter makes of it, and what becomes of the error in it
    std::vector<float> step_, surroundings_, original_, weight_;  // of the window; original: [pixels, channels]; weight: [pixels], 0 or 1
};

}  // namespace decant
