// What a model does with the held-out crops.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace decant {

// In the place of a level: the noise that the model is trained with.
inline constexpr double kMixtureLevel = -1;

// Means over the crops; PSNR of the mean error of each crop, in dB.
struct ValidationPoint {
    double level = 0;  // rate point of a codec; σ of white noise (8-bit units), or kMixtureLevel, for a denoiser
    double bpp = 0, bpp_hyper = 0;  // codec; bpp also of an autoencoder whose bottleneck says how many bits a code has
    double active = 0, channels = 0;  // codec: share of the latents that are not 0; channels with such latents
    double psnr = 0;
    double psnr_noisy = 0;  // denoiser, and autoencoder that is to undo a corruption: of what it was given
    double loss = 0;        // autoencoder: with the penalty
};

// A figure of the model beside loss and validation, for reports.
struct Figure {
    std::string name;
    double value = 0;
};

// A held-out crop on its way through the model.
struct Example {
    struct Picture {
        std::string label;  // "original", "decoded"
        int channels = 3;
        std::vector<uint8_t> samples;  // [side, side, channels]
    };
    int side = 0;
    ValidationPoint figures;  // of this crop
    std::vector<Picture> pictures;
};

}  // namespace decant
