// A model described once: training, inference, the model file and `decant info` all read this description.
//
// A network is a list of named layers in the order of execution. A layer reads the previous layer's output unless `input` names
// another one ("input" alone is the network's own input); `add` names a layer whose output is added to the result.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/tensor/tensor.h"

namespace decant {

enum class Operation {
    convolution,
    unshuffle,
    shuffle,
    crop  // a part of the positions: not in descriptions, but in what codec/network/crop.h makes of them
};

// What follows a convolution, value by value unless it says otherwise. x: the convolution's result.
enum class Activation {
    none,
    relu,         // max(x, 0)
    leaky_relu,   // x or slope·x (Maas 2013)
    prelu,        // the same with a learned slope a channel (He 2015), which begins at `slope`
    elu,          // x or alpha·(eˣ - 1) (Clevert 2016)
    selu,         // 1.0507·elu(x) with alpha 1.6733 (Klambauer 2017); goes with init lecun
    swish,        // x·sigmoid(beta·x); SiLU at beta 1 (Ramachandran 2017, Elfwing 2018)
    gelu,         // x·Φ(x) (Hendrycks & Gimpel 2016)
    mish,         // x·tanh(softplus(x)) (Misra 2020)
    hard_swish,   // x·min(max(x + 3, 0), 6)/6 (Howard 2019)
    sigmoid,      // 1/(1 + e⁻ˣ)
    tanh,
    softplus,     // ln(1 + eˣ)
    softmax,      // over the channels of a position
    gdn,          // x/√(β + Σ γ·x²) over the channels of a position, β and γ learned (Ballé 2016)
    inverse_gdn,  // x·√(β + Σ γ·x²)
    jump_relu     // x where x > θ, else 0; θ is learned, a channel each, and begins at `threshold` (Rajamanoharan 2024)
};

enum class Normalisation {
    none,
    batch  // Ioffe & Szegedy 2015: by mean and variance of the batch in training; in use folded into the convolution
};

// What a convolution calculates in.
//   wide:    the linear path; latents of hundreds of quantisation steps need more than 8 bits. f32 in training (its gradients as
//            `compute`); in inference integers, 16-bit activations and 13-bit weights (codec/engine/integer_graph.h).
//   compute: bf16 or f32, as the caller prefers (bf16 is twice as fast where the CPU has it); for networks that only the encoder runs
//   integer: u8 activations, weights in [-63, 63] times a power of two a channel, 32-bit sums, rounding shifts. Exact on every CPU
//            and in training (bf16 holds such integers exactly), so what stands between bits and symbols uses nothing else.
//            A layer that reads a `wide` one, or a sum, sees signed values: multiples of 2^-input_exponent in [-128, 127] of them.
enum class Arithmetic { wide, compute, integer };

enum class Init {
    he,     // He et al. 2015, normal
    lecun,  // LeCun 1998, normal: variance 1/inputs, which keeps that of selu
    zero,   // the layer adds nothing at the start: a residual block begins as the identity
    klt,    // set from the data, see train/initialise.h
    small   // normal, σ = 0.01: close to the constant given by the bias
};

struct Layer {
    std::string name;
    Operation op = Operation::convolution;
    std::string input;                          // "" = the previous layer
    std::string add;                            // "" = none
    int channels = 0;                           // outputs of a convolution
    int kernel = 1;                             // odd; padded by (kernel - 1) / 2 zeros
    int stride = 1;
    int factor = 1;                             // of (un)shuffle
    Activation activation = Activation::none;
    float slope = 0.01f;                        // of leaky_relu; of prelu at the start
    float alpha = 1.0f;                         // of elu
    float beta = 1.0f;                          // of swish
    float threshold = 0.01f;                    // of jump_relu at the start
    float bandwidth = 0.1f;                     // of jump_relu: values so near the threshold say how it should move
    Normalisation normalisation = Normalisation::none;  // between convolution and sum or activation
    float dropout = 0.0f;                       // share of the values that a training step leaves out (Srivastava 2014)
    Arithmetic arithmetic = Arithmetic::compute;
    bool quality_bias = false;                  // a further bias for each rate point, interpolated between rate points
    int input_exponent = 5;                     // integer: inputs are multiples of 2^-input_exponent
    Init init = Init::he;
    float init_scale = 1.0f;                    // times the standard deviation of `he` and `lecun`

    bool operator==(const Layer&) const = default;
};

struct Network {
    std::string name;
    int channels_in = 0;
    std::vector<Layer> layers;

    bool operator==(const Network&) const = default;
};

enum class Task {
    codec,   // of Ballé 2018 / Minnen 2018 with a context in four steps (He 2022, Li 2023); see codec/latents/README.md
    denoise,     // one network, "denoise": picture and noise level in, the negative noise out; see codec/denoise/denoiser.h
    autoencoder  // "encoder" and "decoder" with a bottleneck between them; see codec/autoencoder/bottleneck.h
};

// The noise that a denoising network learns to take away: codec/noise/mixture.h.
enum class NoiseDomain { photo, page };

// What stands between the encoder and the decoder of an autoencoder. Its penalty is part of the loss.
struct Bottleneck {
    enum class Kind {
        plain,        // nothing: undercomplete, the size of the code is what narrows it (Hinton & Salakhutdinov 2006)
        sparse,       // few of the code's units are active at a time: see Sparsity
        contractive,  // weight·‖∂code/∂picture‖²_F a value of the code (Rifai 2011)
        variational,  // the encoder gives means, then logarithms of variances; weight·KL(·‖N(0, 1)) a sample of the picture (Kingma & Welling 2014)
        quantised     // of each position the nearest of `codes` vectors; weight is that of the commitment (van den Oord 2017)
    };
    enum class Sparsity {
        l1,    // weight·mean |code|
        kl,    // weight·Σ KL(target‖mean activity) over the units, which go through a sigmoid (Ng 2011)
        top_k, // of each position the `active` largest units, the others become 0 (Makhzani & Frey 2014)
        l0     // weight·share of the units that are active; the encoder ends in jump_relu (Rajamanoharan 2024)
    };

    Kind kind = Kind::plain;
    Sparsity sparsity = Sparsity::l1;
    float weight = 1.0f;
    float target = 0.05f;  // of kl: the mean activity wanted
    int active = 8;        // of top_k
    int codes = 256;       // of quantised
    int warm_up = 0;       // steps in which the weight rises from 0 (Bowman 2016)

    bool operator==(const Bottleneck&) const = default;
};

// What an autoencoder's reconstruction costs: the sum of these, each times its weight; over values in 0 … 1.
struct Losses {
    float mse = 0.0f;
    float l1 = 0.0f;
    float charbonnier = 0.0f;    // √(d² + ε²), ε half a step of 8 bits (Charbonnier 1994)
    float cross_entropy = 0.0f;  // binary, of values as probabilities; the decoder ends in a sigmoid
    float ms_ssim = 0.0f;        // 1 - MS-SSIM (Wang 2003)

    bool operator==(const Losses&) const = default;
};

// What the encoder of an autoencoder sees in training in the place of the picture (Vincent 2008).
struct Corruption {
    enum class Kind {
        none,
        gaussian,  // white noise of standard deviation `amount`, 8-bit scale
        mask,      // a share `amount` of the pixels is gray
        photo,     // the mixtures of codec/noise/mixture.h
        page
    };
    Kind kind = Kind::none;
    float amount = 25.0f;

    bool operator==(const Corruption&) const = default;
};

struct Description {
    std::string name;
    Task task = Task::codec;
    NoiseDomain noise = NoiseDomain::photo;  // of a denoising network
    // Of an autoencoder:
    Bottleneck bottleneck;
    Losses loss;
    Corruption corruption;
    // Of a codec:
    int latent_channels = 0;  // M, of y, at 1/16 of the picture's resolution; a multiple of 4
    int hyper_channels = 0;   // of z, at 1/64
    std::vector<double> lambda;  // rate points in rising order, R[bit/pixel] + λ·255²·MSE
    // The rate points that the model is trained for, from the first to the last; none: all. One set of weights for all rates is good for none:
    // those of high rates pull them one way, those of low rates the other.
    std::optional<std::array<int, 2>> serves;
    std::string companion;  // name of a model, in the same folder, that serves others of the same rate points; "" = none
    std::string gray;       // name of the model, in the same folder, for gray pictures, of the same rate points; "" = none
    std::vector<Network> networks;

    const Network& network(std::string_view name) const;  // Error model_mismatch if there is none
    int levels() const { return int(lambda.size()); }
    int first_level() const { return serves ? (*serves)[0] : 0; }
    int last_level() const { return serves ? (*serves)[1] : levels() - 1; }
    bool operator==(const Description&) const = default;
};

inline constexpr const char* kAnalysisNetwork = "analysis";  // of a codec
inline constexpr const char* kSynthesisNetwork = "synthesis";
inline constexpr const char* kDenoiseNetwork = "denoise";  // of a denoising model, its only one
inline constexpr const char* kEncoderNetwork = "encoder";   // of an autoencoder
inline constexpr const char* kDecoderNetwork = "decoder";

// A pixel p of 8 bits stands in the networks as (p - kPixelZero)·2^-kPixelExponent.
inline constexpr int kPixelZero = 128, kPixelExponent = 8;
// The same of one that is no integer, such as 16 bits on the scale of 8.
inline float pixel_value(float pixel) { return (pixel - float(kPixelZero)) * (1.0f / float(1 << kPixelExponent)); }
inline float pixel_value(uint8_t pixel) { return pixel_value(float(pixel)); }
inline uint8_t pixel_of(float value) {  // the nearest pixel
    const float v = value * float(1 << kPixelExponent) + float(kPixelZero) + 0.5f;
    return uint8_t(v < 0.0f ? 0.0f : v > 255.0f ? 255.0f : v);
}
// The square of the largest pixel's distance to 0: errors in R + λ·255²·MSE are relative to it.
inline constexpr double kPixelPeak2 = (255.0 / (1 << kPixelExponent)) * (255.0 / (1 << kPixelExponent));

inline constexpr int kLatentStride = 16;  // pixels a latent position, each way
inline constexpr int kHyperStride = 4;    // latent positions a hyper-latent position, each way
inline constexpr int kContextSteps = 4;
inline constexpr int kPredictionTaps = 28;  // of all steps (codec/latents/layout.h)
inline constexpr int kActivationExponent = 5;  // integer layers' activations: u8, multiples of 1/32
inline constexpr int kParameterExponent = 10;  // integer networks' results: multiples of 1/1024

inline constexpr int kTrunkExponent = 8;       // wide layers' results and sums, in integers: s16, multiples of 1/256
inline constexpr int kLatentExponent = 10;     // decoded latents, as the synthesis reads them in integers: s16
inline constexpr int kTransformExponent = 16;  // what analysis and synthesis give in integers: s32

// JSON with comments allowed. Error model_mismatch names the line, the network, the layer and the key that is wrong.
Description parse_description(const std::string& json);
std::string to_json(const Description& description);

// A network laid out for one input shape.
struct PlannedLayer {
    const Layer* layer = nullptr;
    int src = -1;  // index of the layer read; -1 is the network's input
    int add = -2;  // index of the layer added; -1 is the network's input, -2 none
    Shape src_shape, dst_shape;

    int64_t multiplications() const;  // of the whole layer
    int64_t parameters(int levels) const;  // as many as codec/network/parameters.h lists for it
};
// crops: what the crop layers cut out, in their order; none: all.
std::vector<PlannedLayer> plan(const Network& network, Shape input, std::span<const Area> crops = {});
// Pixels that a position of each value is wide, the input's `start` first.
std::vector<int> position_widths(const std::vector<PlannedLayer>& layers, int start);

// How far beyond each edge of a window of the result, at whole positions of all values, each value has to be known so that the result is known `margin` pixels
// beyond it; in pixels, the input's first.
std::vector<int> margins_of(const std::vector<PlannedLayer>& layers, int start, int margin);

// What a network sees, in pixels. start: pixels an input position is wide.
struct Reach {
    int margin = 0;    // beyond each edge of what it computes
    int coarsest = 1;  // width of the widest position of any of its values: inputs are cut at multiples of it
};
Reach reach_of(const Network& network, int start);
inline int receptive_margin(const Network& network, int start) { return reach_of(network, start).margin; }
// What an autoencoder's decoder reads for a picture of that shape; Error model_mismatch if its networks do not fit.
Shape latent_shape(const Description& description, Shape picture);
// Of the pictures that a codec or a denoiser is for: 3, or 1 for gray ones only.
int picture_channels(const Description& description);
int code_stride(const Description& description);  // pixels a position of an autoencoder's code, each way
// The convolution that a network ends in, but for (un)shuffles; null if it has none.
const Layer* last_convolution(const Network& network);
// Can this network run in integers? Its convolutions are `integer`, or `wide` with a kernel of 1, a stride of 1 and no activation.
bool is_integer(const Network& network);
// Does this convolution read what a convolution with an activation gives, directly or through (un)shuffles?
bool reads_activations(const std::vector<PlannedLayer>& layers, int index);
// Does this integer layer read signed values: those of a convolution without activation, directly or through (un)shuffles?
bool reads_signed(const std::vector<PlannedLayer>& layers, int index);

}  // namespace decant
