// Takes the noise out of pictures with a trained network.
//
//   picture ─ estimate_noise_level ─ σ map ┐
//      ├──────────────────────── pixels, σ ┴─ denoise ─ filter ─ r          result = picture + strength · r
//
// With more effort the network sees the picture turned by quarters and mirrored, too, and r is the mean of what comes of each: what it gets wrong differs from
// one to the other (self-ensemble; Timofte 2016, Lim 2017).
//
// A model may have a filter behind its network, for each level (codec/filter/post_filter.h); a tile's is that of its mean level.
//
// A network of integer and wide layers runs in integers: it sees pixels of 8 bits and whole levels, and what it gives is the same on every CPU.
//
// The picture is cut into tiles, one a task of one thread; each is computed with as much of its surroundings as the network can
// see, so that tiles and the picture as a whole give the same.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "codec/decant.h"
#include "codec/denoise/noise_level.h"
#include "codec/image/sample_view.h"

namespace decant {

struct DenoiseOptions {
    std::optional<double> sigma;   // of the noise, on the 8-bit scale, 0 … 255; none: estimated, from place to place
    double strength = 100;         // 0 … 100: how much of what the network calls noise is taken away
    Supervision supervision = {};  // to cancel
    int depth = 0;                 // bits a sample of the resulting Image, 8 or 16; 0: those of the picture
    bool filter = true;            // use the model's filter, if it has one
    // 1 … 9: the network sees the picture once, from 3 on twice, from 5 on 4 times, from 7 on 8 times. 0: as often as it takes for 2 megapixels in all, so that
    // small pictures, with which nobody waits, get what they can; large ones once.
    int effort = 0;
};

struct DenoiseResult {
    Image image;
    double sigma = 0;  // estimated, or as given
};

// Several threads may use one at once.
class Denoiser {
public:
    // threads: 0 = all cores. The result does not depend on it. Throws Error model_mismatch if the model is no denoising model.
    explicit Denoiser(std::shared_ptr<const Model> model, int threads = 0);
    // With a budget of threads that is shared with others.
    Denoiser(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> threads);
    ~Denoiser();

    const Model& model() const;

    // Gray or RGB of any size, of 8 or 16 bits a sample; the result is rounded once, to its own depth. A network for gray takes the
    // channels of RGB one by one; one for RGB sees gray as R = G = B.
    // Throws Error invalid_argument for options out of range or a malformed image.
    DenoiseResult denoise(const Image& image, const DenoiseOptions& options = {});
    // The same between any two depths; dst has as many samples as src, in memory of its own. The result is the level.
    double denoise(const SampleView& src, std::span<uint8_t> dst, const DenoiseOptions& options = {});
    double denoise(const SampleView& src, std::span<uint16_t> dst, const DenoiseOptions& options = {});

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace decant
