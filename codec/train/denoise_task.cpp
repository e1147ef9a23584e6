#include "codec/train/denoise_task.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "codec/denoise/denoiser.h"
#include "codec/denoise/network_input.h"
#include "codec/denoise/noise_level.h"
#include "codec/image/turn.h"
#include "codec/models/model_finder.h"
#include "codec/noise/mixture.h"
#include "codec/train/crop_channels.h"
#include "codec/train/denoise_step.h"
#include "codec/train/noisy_crop.h"

namespace decant {
namespace {

// What the network is told in use about a square crop.
float blind_level(int side, int channels, std::span<const uint8_t> samples) {
    return std::min(kMaxLevel, float(estimate_noise_level(SampleView(uint32_t(side), uint32_t(side), channels, samples)).sigma));
}

// What another denoiser's network makes of noisy crops, without its filter.
class Teacher {
public:
    explicit Teacher(std::shared_ptr<const Model> model) : denoiser_(std::move(model), 1) {}

    std::vector<uint8_t> denoise(const SampleView& noisy, float sigma) {
        std::vector<uint8_t> result(size_t(noisy.width()) * size_t(noisy.height()) * size_t(noisy.channels()));
        DenoiseOptions options;
        options.sigma = sigma;
        options.filter = false;
        options.effort = 1;
        denoiser_.denoise(noisy, std::span(result), options);
        return result;
    }

private:
    Denoiser denoiser_;
};

class DenoiseShard : public ShardStep {
public:
    DenoiseShard(const Description& d, const TrainOptions& o, const Dataset& dataset, CodecWeights& weights, int shard, const std::shared_ptr<const Model>& teacher)
        : description_(d),
          options_(o),
          dataset_(dataset),
          shard_(shard),
          samples_(o.batch / o.shards),
          step_(d, weights, {samples_, o.crop, o.crop, compute_type(o.compute), float(o.charbonnier), o.psnr_loss, teacher ? float(o.teacher_share) : 0.0f}) {
        if (teacher && o.teacher_share > 0) teacher_.emplace(teacher);
    }

    StepMeasures run(int64_t step, const Parameters& parameters, std::span<float> gradients) override {
        const int side = options_.crop, channels = step_.channels();
        std::vector<uint8_t> clean, noisy, taught;
        std::vector<float> sigma;
        for (int n = 0; n < samples_; n++) {
            RandomStream random{random_key(options_.seed, 5, uint64_t(step), uint64_t(shard_ * samples_ + n))};
            auto [pixels, bytes, level] = draw_noisy_crop(description_, dataset_, side, random);
            // The mosaic of a camera begins with any of its colours, and is turned where a picture is. Pages stay as they are read.
            if (description_.noise == NoiseDomain::photo) {
                const Turn turn = Turn::from_code(std::min(7, int(random.next() * 8)));
                for (auto* samples : {&pixels, &bytes}) *samples = turned(SampleView(uint32_t(side), uint32_t(side), channels, *samples), turn).samples<uint8_t>();
            }
            // Half of the time what the user would know, about; half what is estimated in use, with the errors that texture brings.
            constexpr float kDoubt = 0.1f;
            const float known = level * std::exp(kDoubt * random.normal());
            const bool blind = random.next() < 0.5f;
            sigma.push_back(blind ? blind_level(side, channels, bytes) : std::min(kMaxLevel, known));
            clean.insert(clean.end(), pixels.begin(), pixels.end());
            noisy.insert(noisy.end(), bytes.begin(), bytes.end());
            if (!teacher_) continue;
            const std::vector<uint8_t> lesson = teacher_->denoise(SampleView(uint32_t(side), uint32_t(side), channels, bytes), sigma.back());
            taught.insert(taught.end(), lesson.begin(), lesson.end());
        }
        const DenoiseStepResult r = step_.run({noisy, clean, taught, sigma, random_key(options_.seed, 6, uint64_t(step), uint64_t(shard_))}, parameters, gradients);
        const float share = 1.0f / float(options_.shards);
        take_share(parameters, gradients, share);
        StepMeasures m;
        m.loss = r.loss * share;
        for (double mse : r.mse) m.psnr += psnr_of(mse) / samples_;
        return m;
    }

private:
    const Description& description_;
    const TrainOptions& options_;
    const Dataset& dataset_;
    const int shard_, samples_;
    DenoiseStep step_;
    std::optional<Teacher> teacher_;
};

class DenoiseValidation : public ValidationStep {
public:
    DenoiseValidation(const Description& d, DataType compute, CodecWeights& weights, int side)
        : domain_(d.noise), step_(d, weights, {1, side, side, compute}), side_(side) {}

    ValidationPoint run(std::span<const uint8_t> rgb, size_t index, double level, const Parameters& parameters) override {
        const std::vector<uint8_t> clean = in_channels(rgb, step_.channels());
        Crop crop(side_, side_, step_.channels(), clean);
        const Crop before = crop;
        RandomStream random{random_key(0, 6, index, uint64_t(int64_t(level * 1000)))};
        const bool is_mixture = level == kMixtureLevel;
        if (is_mixture) {
            add_noise(domain_, crop, random);
        } else {
            add_gaussian(crop, float(level), random);
            finish(crop);
        }
        const std::vector<uint8_t> noisy = to_bytes(crop);
        const float sigma = is_mixture ? blind_level(side_, step_.channels(), noisy) : float(level);
        ValidationPoint p;
        p.psnr = psnr_of(step_.run({noisy, clean, {}, {&sigma, 1}}, parameters, {}).mse[0]);
        const double rms = rms_difference(crop, before) / 255.0;
        p.psnr_noisy = psnr_of(rms * rms);
        clean_ = clean;
        noisy_ = noisy;
        return p;
    }

    std::vector<Example::Picture> pictures() const override {
        const int channels = step_.channels();
        return {{"original", channels, clean_}, {"noisy", channels, noisy_}, {"denoised", channels, step_.denoised()}};
    }

private:
    const NoiseDomain domain_;
    DenoiseStep step_;
    const int side_;
    std::vector<uint8_t> clean_, noisy_;
};

}  // namespace

DenoiseTask::DenoiseTask(const Description& description, const TrainOptions& options, const Dataset& dataset)
    : TrainingTask(description, options, dataset), teacher_(options.teacher.empty() ? nullptr : Model::load(find_denoiser(options.teacher))) {}

std::unique_ptr<ShardStep> DenoiseTask::make_shard(CodecWeights& weights, int shard) const {
    return std::make_unique<DenoiseShard>(description_, options_, dataset_, weights, shard, teacher_);
}

std::unique_ptr<ValidationStep> DenoiseTask::make_validation(CodecWeights& weights, int side) const {
    return std::make_unique<DenoiseValidation>(description_, compute_type(options_.compute), weights, side);
}

std::vector<double> DenoiseTask::validation_levels() const { return {0, 15, 25, 50, kMixtureLevel}; }
std::vector<double> DenoiseTask::example_levels() const { return {25, 50, kMixtureLevel}; }

}  // namespace decant
