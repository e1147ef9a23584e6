// What stands between the encoder and the decoder of an autoencoder (the kinds are in codec/network/description.h), forward and backward.
//
//   picture ─ encoder ─ code ─ bottleneck ─ latent ─ decoder ─ picture
//                                 └ penalty, a part of the loss
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "codec/network/description.h"
#include "codec/tensor/tensor.h"

namespace decant {

class BottleneckPass {
public:
    // code: what the encoder gives. Of a contractive one with training on, the second half of its samples are those of the first with
    // a little noise on the picture (kJitter); they are not decoded.
    BottleneckPass(const Bottleneck& bottleneck, const Shape& code, bool training);

    const Shape& latent() const { return latent_; }  // what the decoder reads
    size_t units() const;                            // whose activity is counted

    struct Result {
        double penalty = 0;           // with its weight; mean over the samples
        std::vector<double> bits;     // of each sample, where the bottleneck says how many: variational (KL), quantised (log2 of the codes)
        std::vector<float> activity;  // of each unit: share of the positions where it is not 0, or that have that code; of kl its mean
    };
    // key: of the noise of a variational bottleneck; none: the mean, as in use. values: of the picture a sample, which the weight of KL
    // refers to. weight: of the penalty, in the place of the description's.
    Result forward(std::span<const float> code, std::span<float> latent, std::span<const float> codebook, std::optional<uint32_t> key, size_t values, float weight);
    // After forward with the same arguments. latent_gradient: of the loss, mean over the samples; code_gradient is set, that of the
    // codebook as well (may be empty).
    void backward(std::span<const float> code, std::span<const float> latent, std::span<const float> latent_gradient, std::span<float> code_gradient,
                  std::span<const float> codebook, std::span<float> codebook_gradient);

    // Standard deviation of the noise by which the Jacobian of a contractive encoder is seen, on the scale of the networks' pixels:
    // E‖f(x + εu) - f(x)‖²/ε² is ‖J‖²_F for u of N(0, 1) where f is as good as linear over ε.
    static constexpr float kJitter = 0.01f;

private:
    Bottleneck bottleneck_;
    Shape code_, latent_;
    bool training_;
    // Of the last forward:
    float weight_ = 0;
    size_t values_ = 0;
    std::vector<float> noise_, mean_activity_;
    std::vector<int> chosen_;
};

}  // namespace decant
