#include "codec/train/autoencoder_step.h"

#include <algorithm>
#include <cmath>

#include "codec/autoencoder/bottleneck.h"
#include "codec/autoencoder/decoder_values.h"
#include "codec/error.h"
#include "codec/tensor/random.h"
#include "codec/train/losses.h"

namespace decant {

struct AutoencoderStep::State {
    const Description& description;
    const AutoencoderStepOptions options;
    const Shape picture;
    const bool jitters;  // a contractive encoder sees each picture twice
    const float offset;
    Graph encoder;
    BottleneckPass bottleneck;
    Graph decoder;
    std::vector<float> target, result, gradient, code, code_gradient, latent, latent_gradient;

    State(const Description& d, CodecWeights& weights, const AutoencoderStepOptions& o)
        : description(d),
          options(o),
          picture{o.samples, o.height, o.width, d.network(kEncoderNetwork).channels_in},
          jitters(o.training && d.bottleneck.kind == Bottleneck::Kind::contractive),
          offset(decoder_offset(d)),
          encoder(weights[kEncoderNetwork], seen(), graph_options(false)),
          bottleneck(d.bottleneck, encoder.output().shape, o.training),
          decoder(weights[kDecoderNetwork], bottleneck.latent(), graph_options(true)),
          target(picture.elements()),
          result(picture.elements()),
          gradient(picture.elements()),
          code(encoder.output().shape.elements()),
          code_gradient(code.size()),
          latent(bottleneck.latent().elements()),
          latent_gradient(latent.size()) {}

    Shape seen() const { return {jitters ? 2 * picture.n : picture.n, picture.h, picture.w, picture.c}; }

    GraphOptions graph_options(bool input_gradient) const {
        GraphOptions g;
        g.use = Convolution::Use::training;
        // Differences of a little noise would drown in bf16.
        g.compute = jitters ? DataType::f32 : options.compute;
        g.input_gradient = input_gradient;
        return g;
    }

    void fill(const Batch& batch) {
        float* input = encoder.input().as<float>();
        const size_t count = picture.elements();
        for (size_t i = 0; i < count; i++) {
            input[i] = pixel_value(batch.corrupted[i]);
            target[i] = float(batch.pictures[i]) * (1.0f / 255.0f);
        }
        if (!jitters) return;
        RandomStream random{random_key(batch.key.value_or(0), 1)};
        for (size_t i = 0; i < count; i++) input[count + i] = input[i] + BottleneckPass::kJitter * random.normal();
    }

    std::optional<uint32_t> key(const Batch& batch, uint64_t part) const {
        if (!batch.key) return {};
        return random_key(*batch.key, part);
    }

    AutoencoderStepResult run(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
        if (batch.pictures.size() != picture.elements() || batch.corrupted.size() != picture.elements()) {
            throw Error(ErrorCode::internal, "a batch of another size than the step was made for");
        }
        const size_t samples = size_t(picture.n), a_sample = picture.elements() / samples;
        const bool has_codebook = parameters.contains("codebook");
        const auto codebook = has_codebook ? parameters["codebook"] : std::span<const float>();
        fill(batch);
        encoder.forward({}, key(batch, 2));
        std::copy_n(encoder.output().as<float>(), code.size(), code.begin());
        const auto passed = bottleneck.forward(code, latent, codebook, options.training ? key(batch, 3) : std::nullopt, a_sample, batch.weight * description.bottleneck.weight);
        std::copy_n(latent.begin(), latent.size(), decoder.input().as<float>());
        decoder.forward({}, key(batch, 4));
        const float* y = decoder.output().as<float>();
        for (size_t i = 0; i < result.size(); i++) result[i] = y[i] + offset;

        AutoencoderStepResult r;
        r.penalty = passed.penalty;
        r.loss = reconstruction_loss(description.loss, picture, result, target, gradient) + passed.penalty;
        for (size_t n = 0; n < samples; n++) {
            double squares = 0;
            for (size_t i = n * a_sample; i < (n + 1) * a_sample; i++) squares += std::pow(double(result[i]) - double(target[i]), 2);
            r.mse.push_back(squares / double(a_sample));
            r.bits.push_back(passed.bits.empty() ? 0.0 : passed.bits[n] / double(picture.h) / double(picture.w));
        }
        if (gradients.empty()) return r;

        std::copy_n(gradient.begin(), gradient.size(), decoder.output_gradient().as<float>());
        decoder.backward(parameters, gradients);
        copy_gradient(decoder.input_gradient());
        const auto codebook_gradient = has_codebook ? gradients.subspan(parameters.find("codebook").offset, codebook.size()) : std::span<float>();
        bottleneck.backward(code, latent, latent_gradient, code_gradient, codebook, codebook_gradient);
        std::copy_n(code_gradient.begin(), code_gradient.size(), encoder.output_gradient().as<float>());
        const bool l0 = description.bottleneck.kind == Bottleneck::Kind::sparse && description.bottleneck.sparsity == Bottleneck::Sparsity::l0;
        encoder.backward(parameters, gradients, {}, l0 ? batch.weight * description.bottleneck.weight / float(code.size()) : 0.0f);
        if (!passed.activity.empty()) std::ranges::copy(passed.activity, gradients.begin() + std::ptrdiff_t(parameters.find("activity").offset));
        return r;
    }

    void copy_gradient(const TensorRef& g) {
        for (size_t i = 0; i < latent_gradient.size(); i++) latent_gradient[i] = g.type == DataType::bf16 ? to_float(g.as<bf16>()[i]) : g.as<float>()[i];
    }
};

AutoencoderStep::AutoencoderStep(const Description& description, CodecWeights& weights, const AutoencoderStepOptions& options)
    : state_(std::make_unique<State>(description, weights, options)) {}
AutoencoderStep::~AutoencoderStep() = default;

int AutoencoderStep::channels() const { return state_->picture.c; }

AutoencoderStepResult AutoencoderStep::run(const Batch& batch, const Parameters& parameters, std::span<float> gradients) {
    return state_->run(batch, parameters, gradients);
}

std::span<const float> AutoencoderStep::reconstruction() const { return state_->result; }

}  // namespace decant
