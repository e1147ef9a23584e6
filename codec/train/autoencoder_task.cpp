#include "codec/train/autoencoder_task.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "codec/noise/mixture.h"
#include "codec/train/autoencoder_step.h"
#include "codec/train/crop_channels.h"

namespace decant {
namespace {

// Corrupts a crop in place.
void corrupt(const Corruption& corruption, Crop& crop, RandomStream& random) {
    switch (corruption.kind) {
        case Corruption::Kind::none: return;
        case Corruption::Kind::gaussian: add_gaussian(crop, corruption.amount, random); break;
        case Corruption::Kind::photo: add_photo_noise(crop, random); return;
        case Corruption::Kind::page: add_page_noise(crop, random); return;
        case Corruption::Kind::mask:
            for (size_t p = 0; p < crop.pixels(); p++) {
                if (random.next() >= corruption.amount) continue;
                std::fill_n(crop.values.begin() + std::ptrdiff_t(p * size_t(crop.channels)), crop.channels, float(kPixelZero));
            }
            return;
    }
    finish(crop);
}

class AutoencoderShard : public ShardStep {
public:
    AutoencoderShard(const Description& d, const TrainOptions& o, const Dataset& dataset, CodecWeights& weights, int shard)
        : description_(d), options_(o), dataset_(dataset), shard_(shard), samples_(o.batch / o.shards), step_(d, weights, {samples_, o.crop, o.crop, compute_type(o.compute), true}) {}

    StepMeasures run(int64_t step, const Parameters& parameters, std::span<float> gradients) override {
        const int side = options_.crop, channels = step_.channels();
        std::vector<uint8_t> rgb(size_t(side) * size_t(side) * 3), pictures, corrupted;
        for (int n = 0; n < samples_; n++) {
            RandomStream random{random_key(options_.seed, 7, uint64_t(step), uint64_t(shard_ * samples_ + n))};
            dataset_.crop(random, side, rgb);
            const std::vector<uint8_t> pixels = in_channels(rgb, channels);
            Crop crop(side, side, channels, pixels);
            corrupt(description_.corruption, crop, random);
            const std::vector<uint8_t> bytes = to_bytes(crop);
            pictures.insert(pictures.end(), pixels.begin(), pixels.end());
            corrupted.insert(corrupted.end(), bytes.begin(), bytes.end());
        }
        const int64_t warm_up = description_.bottleneck.warm_up;
        const float weight = warm_up == 0 ? 1.0f : float(std::min(1.0, double(step) / double(warm_up)));
        const AutoencoderStepResult r = step_.run({pictures, corrupted, random_key(options_.seed, 8, uint64_t(step), uint64_t(shard_)), weight}, parameters, gradients);
        const float share = 1.0f / float(options_.shards);
        take_share(parameters, gradients, share);
        StepMeasures m;
        m.loss = r.loss * double(share);
        for (size_t n = 0; n < r.mse.size(); n++) {
            m.psnr += psnr_of(r.mse[n]) / samples_;
            m.bpp += r.bits[n] / samples_;
        }
        return m;
    }

private:
    const Description& description_;
    const TrainOptions& options_;
    const Dataset& dataset_;
    const int shard_, samples_;
    AutoencoderStep step_;
};

class AutoencoderValidation : public ValidationStep {
public:
    AutoencoderValidation(const Description& d, DataType compute, CodecWeights& weights, int side)
        : description_(d), side_(side), step_(d, weights, {1, side, side, compute, false}) {}

    ValidationPoint run(std::span<const uint8_t> rgb, size_t index, double, const Parameters& parameters) override {
        const std::vector<uint8_t> picture = in_channels(rgb, step_.channels());
        RandomStream random{random_key(0, 9, index)};
        Crop crop(side_, side_, step_.channels(), picture);
        const Crop before = crop;
        corrupt(description_.corruption, crop, random);
        const std::vector<uint8_t> corrupted = to_bytes(crop);
        const AutoencoderStepResult r = step_.run({picture, corrupted, {}, 1.0f}, parameters, {});
        ValidationPoint p;
        p.psnr = psnr_of(r.mse[0]);
        p.bpp = r.bits[0];
        p.loss = r.loss;
        if (description_.corruption.kind != Corruption::Kind::none) {
            const double rms = rms_difference(crop, before) / 255.0;
            p.psnr_noisy = psnr_of(rms * rms);
        }
        original_ = picture;
        corrupted_ = corrupted;
        return p;
    }

    std::vector<Example::Picture> pictures() const override {
        const int channels = step_.channels();
        std::vector<uint8_t> result(original_.size());
        std::ranges::transform(step_.reconstruction(), result.begin(), [](float v) { return uint8_t(std::clamp(255.0f * v + 0.5f, 0.0f, 255.0f)); });
        std::vector<Example::Picture> pictures{{"original", channels, original_}};
        if (description_.corruption.kind != Corruption::Kind::none) pictures.push_back({"corrupted", channels, corrupted_});
        pictures.push_back({"reconstruction", channels, std::move(result)});
        return pictures;
    }

private:
    const Description& description_;
    const int side_;
    AutoencoderStep step_;
    std::vector<uint8_t> original_, corrupted_;
};

// The activity that a unit should have.
float wanted_activity(const Bottleneck& b, std::span<const float> activity) {
    if (b.kind == Bottleneck::Kind::quantised) return 1.0f / float(activity.size());
    return std::accumulate(activity.begin(), activity.end(), 0.0f) / float(activity.size());
}

bool is_dead(float activity, float wanted) { return activity < AutoencoderTask::kDead * wanted; }

}  // namespace

std::unique_ptr<ShardStep> AutoencoderTask::make_shard(CodecWeights& weights, int shard) const {
    return std::make_unique<AutoencoderShard>(description_, options_, dataset_, weights, shard);
}

std::unique_ptr<ValidationStep> AutoencoderTask::make_validation(CodecWeights& weights, int side) const {
    return std::make_unique<AutoencoderValidation>(description_, compute_type(options_.compute), weights, side);
}

std::vector<double> AutoencoderTask::validation_levels() const { return {description_.corruption.kind == Corruption::Kind::none ? 0 : kMixtureLevel}; }

double AutoencoderTask::validation_loss(std::span<const ValidationPoint> points) const { return points[0].loss; }

std::vector<Figure> AutoencoderTask::figures(const Parameters& parameters) const {
    if (!parameters.contains("activity")) return {};
    const auto activity = parameters["activity"];
    const float wanted = wanted_activity(description_.bottleneck, activity);
    const auto count = [&](auto&& what) { return double(std::ranges::count_if(activity, what)); };
    const double dead = count([&](float a) { return is_dead(a, wanted); });
    if (description_.bottleneck.kind == Bottleneck::Kind::quantised) {
        double entropy = 0;
        for (const float a : activity) entropy -= a > 0 ? double(a) * std::log2(double(a)) : 0.0;
        return {{"codes in use", double(activity.size()) - dead}, {"bits of a code", entropy}};
    }
    return {{"active", double(wanted)}, {"dead units", dead}, {"hyperactive units", count([](float a) { return a > kHyperactive; })}};
}

std::vector<ParameterRange> AutoencoderTask::revive(int64_t step, Parameters& parameters) const {
    if (!parameters.contains("activity") || step % kReviveEvery != 0 || double(step) > kReviveUntil * double(options_.steps)) return {};
    const auto activity = parameters["activity"];
    const float wanted = wanted_activity(description_.bottleneck, activity);
    RandomStream random{random_key(options_.seed, 10, uint64_t(step))};
    std::vector<ParameterRange> changed;
    if (description_.bottleneck.kind == Bottleneck::Kind::quantised) {
        const Parameter& codebook = parameters.find("codebook");
        const size_t channels = size_t(codebook.shape[1]);
        const auto vectors = parameters["codebook"];
        for (size_t k = 0; k < activity.size(); k++) {
            if (!is_dead(activity[k], wanted)) continue;
            // The busiest one shares its cell with the newcomer, as when a codebook is split (Linde, Buzo & Gray 1980).
            const size_t busiest = size_t(std::ranges::max_element(activity) - activity.begin());
            for (size_t c = 0; c < channels; c++) {
                const float v = vectors[busiest * channels + c];
                vectors[k * channels + c] = v + 0.05f * (std::abs(v) + 0.01f) * random.normal();
            }
            activity[k] = activity[busiest] = 0.5f * activity[busiest];
            changed.push_back({codebook.offset + k * channels, channels});
        }
        return changed;
    }
    const Network& encoder = description_.network(kEncoderNetwork);
    const Layer& last = encoder.layers.back();
    // Where the code is shuffled, its channels are not those of the layer.
    if (last.op != Operation::convolution) return {};
    const std::string name = encoder.name + "." + last.name;
    const Parameter& weights = parameters.find(name + ".weight");
    const size_t row = weights.size / size_t(weights.shape[0]);
    const float spread = std::sqrt(1.0f / float(row));
    for (size_t u = 0; u < activity.size(); u++) {
        if (!is_dead(activity[u], wanted) && activity[u] <= kHyperactive) continue;
        for (float& w : parameters[name + ".weight"].subspan(u * row, row)) w = spread * random.normal();
        changed.push_back({weights.offset + u * row, row});
        for (const std::string& suffix : {std::string(".bias"), std::string(".threshold")}) {
            if (!parameters.contains(name + suffix)) continue;
            parameters[name + suffix][u] = suffix == ".bias" ? 0.0f : last.threshold;
            changed.push_back({parameters.find(name + suffix).offset + u, 1});
        }
        activity[u] = wanted;
    }
    return changed;
}

}  // namespace decant
