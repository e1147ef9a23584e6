#include "codec/train/codec_task.h"

#include <algorithm>
#include <cmath>

#include "codec/train/codec_step.h"
#include "codec/train/crop_channels.h"

namespace decant {
namespace {

float hyper_rate(const TrainOptions& o, int64_t step) {
    const double done = o.hyper_warm_up == 0 ? 1.0 : double(step) / double(o.hyper_warm_up);
    return float(std::clamp(done, 0.05, 1.0));
}

class CodecShard : public ShardStep {
public:
    CodecShard(const Description& d, const TrainOptions& o, const Dataset& dataset, CodecWeights& weights, int shard)
        : description_(d),
          options_(o),
          dataset_(dataset),
          shard_(shard),
          samples_(o.batch / o.shards),
          step_(d, weights, {samples_, o.crop, o.crop, compute_type(o.compute), Quantisation::mixed, o.quantiser}) {}

    StepMeasures run(int64_t step, const Parameters& parameters, std::span<float> gradients) override {
        const int side = options_.crop;
        const size_t bytes = size_t(side) * size_t(side) * 3;
        std::vector<uint8_t> pixels(bytes * size_t(samples_));
        std::vector<float> quality(size_t(samples_), 0.0f), weight(size_t(samples_), 0.0f);
        const double middle = description_.lambda[description_.lambda.size() / 2];
        const auto [first, last] = trained_range(description_);
        for (int n = 0; n < samples_; n++) {
            RandomStream random{random_key(options_.seed, 3, uint64_t(step), uint64_t(shard_ * samples_ + n))};
            dataset_.crop(random, side, std::span(pixels).subspan(size_t(n) * bytes, bytes));
            quality[size_t(n)] = float(first) + random.next() * float(last - first);
            weight[size_t(n)] =
                float(std::pow(lambda_at(description_, quality[size_t(n)]) / middle, -options_.balance)) / float(options_.shards);
        }
        const StepResult r = step_.run(
            {in_channels(pixels, picture_channels(description_)), quality, weight, random_key(options_.seed, 4, uint64_t(step), uint64_t(shard_)), hyper_rate(options_, step)},
            parameters, gradients);
        StepMeasures m;
        m.loss = r.loss;
        for (size_t n = 0; n < r.mse.size(); n++) {
            m.bpp += (r.bits_y[n] + r.bits_z[n]) / samples_;
            m.psnr += psnr_of(r.mse[n]) / samples_;
        }
        return m;
    }

private:
    const Description& description_;
    const TrainOptions& options_;
    const Dataset& dataset_;
    const int shard_, samples_;
    CodecStep step_;
};

class CodecValidation : public ValidationStep {
public:
    CodecValidation(const Description& d, const TrainOptions& o, CodecWeights& weights, int side)
        : colours_(picture_channels(d)), step_(d, weights, {1, side, side, compute_type(o.compute), Quantisation::round, o.quantiser}) {}

    ValidationPoint run(std::span<const uint8_t> crop, size_t, double level, const Parameters& parameters) override {
        const float quality = float(level), weight = 1.0f;
        original_ = in_channels(crop, colours_);
        const StepResult r = step_.run({original_, {&quality, 1}, {&weight, 1}, 0, 1.0f}, parameters, {});
        ValidationPoint p;
        p.bpp = r.bits_y[0] + r.bits_z[0];
        p.bpp_hyper = r.bits_z[0];
        const CodecStep::LatentStatistics latents = step_.latent_statistics();
        p.active = latents.active;
        p.channels = latents.channels;
        p.psnr = psnr_of(r.mse[0]);
        return p;
    }

    std::vector<Example::Picture> pictures() const override { return {{"original", colours_, original_}, {"decoded", colours_, step_.decoded()}}; }

private:
    const int colours_;
    CodecStep step_;
    std::vector<uint8_t> original_;
};

}  // namespace

std::unique_ptr<ShardStep> CodecTask::make_shard(CodecWeights& weights, int shard) const {
    return std::make_unique<CodecShard>(description_, options_, dataset_, weights, shard);
}

std::unique_ptr<ValidationStep> CodecTask::make_validation(CodecWeights& weights, int side) const {
    return std::make_unique<CodecValidation>(description_, options_, weights, side);
}

std::vector<double> CodecTask::validation_levels() const {
    std::vector<double> levels;
    for (int level = description_.first_level(); level <= description_.last_level(); level++) levels.push_back(level);
    return levels;
}

std::vector<double> CodecTask::example_levels() const { 
    const int first = description_.first_level(), last = description_.last_level();
    return {double(first), double((first + last + 1) / 2), double(last)};
}

double CodecTask::validation_loss(std::span<const ValidationPoint> points) const {
    double sum = 0;
    for (const ValidationPoint& p : points) sum += std::log(p.bpp + lambda_at(description_, p.level) * 255 * 255 * std::pow(10.0, -p.psnr / 10));
    return sum / double(points.size());
}

}  // namespace decant
