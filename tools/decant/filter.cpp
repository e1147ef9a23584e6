#include "tools/decant/filter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "codec/denoise/denoiser.h"
#include "codec/error.h"
#include "codec/filter/filter_fit.h"
#include "codec/image/metrics.h"
#include "codec/network/model_file.h"
#include "codec/noise/mixture.h"
#include "codec/tensor/random.h"
#include "codec/train/crop_channels.h"
#include "codec/train/dataset.h"
#include "tools/decant/console.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

constexpr int kSide = 384;  // of crops, in pixels
// Of white noise, for which a denoiser's filter is fitted. At 0 there is none: what is clean stays as it is.
constexpr std::array kLevels{4.0, 8.0, 15.0, 25.0, 50.0, 75.0};

void each(WorkerPool& pool, size_t count, const std::function<void(size_t)>& work) {
    size_t next = 0;
    pool.run([&]() -> WorkerPool::Task {
        if (is_interrupted()) throw Error(ErrorCode::cancelled, "cancelled");
        if (next == count) return {};
        return [&work, i = next++] { work(i); };
    });
}

// A crop, 8 bits, and what the network makes of it, 16 bits, without a filter.
struct Sample {
    const Image* original;
    Image made;
};

FilterPoint fitted(int quality_q8, std::vector<Sample>& samples, WorkerPool& pool) {
    FilterPoint point;
    point.quality_q8 = quality_q8;
    for (int stage = 0; stage < kFilterStages; stage++) {
        if (stage > 0) each(pool, samples.size(), [&](size_t i) { samples[i].made = filtered(samples[i].made, point.stages[0]); });
        FilterFit fit(stage, samples[0].original->channels);
        each(pool, samples.size(), [&](size_t i) { fit.survey(*samples[i].original, samples[i].made); });
        each(pool, samples.size(), [&](size_t i) { fit.learn(*samples[i].original, samples[i].made); });
        point.stages[size_t(stage)] = fit.solve();
    }
    return point;
}

// A filter of the same classes that leaves everything as it is, for a quality of 0.
FilterPoint nothing(const FilterPoint& like) {
    FilterPoint point = like;
    point.quality_q8 = 0;
    for (FilterStage& stage : point.stages) std::ranges::fill(stage.taps, int16_t(0));
    return point;
}

// The crops that all filters are fitted on, and those that tell what they are worth.
struct Crops {
    std::vector<Image> learned, held_out;
    size_t pictures;

    Crops(const TrainOptions& options, size_t count, int channels) {
        DatasetOptions data_options;
        data_options.min_side = kSide;
        data_options.max_bytes = options.max_bytes;
        data_options.other_colours = false;
        const Dataset data(options.data, data_options);
        pictures = data.size();
        RandomStream random{random_key(options.seed, 0)};
        std::vector<uint8_t> rgb(size_t{3} * kSide * kSide);
        const auto image = [&] { return Image(kSide, kSide, channels, in_channels(rgb, channels)); };
        for (size_t i = 0; i < count; i++) {
            data.crop(random, kSide, rgb);
            learned.push_back(image());
        }
        for (size_t i = 0; i < data.held_out(); i++) {
            data.validation_crop(i, kSide, rgb);
            held_out.push_back(image());
        }
    }
};

void save(const Model& model, const Settings& settings, const std::vector<FilterPoint>& points, const Crops& crops) {
    clear_progress();
    save_filter(model.path(), settings.trained_model, points,
                std::to_string(crops.learned.size()) + " crops of " + std::to_string(kSide) + "x" + std::to_string(kSide) + " pixels of " + count_of(crops.pictures, "picture"));
}

// made(i, filter): held-out crop i without the filter or with it.
void tell_gain(const std::string& where, const Crops& crops, const std::function<Image(size_t, bool)>& made) {
    double gain = 0;
    for (size_t i = 0; i < crops.held_out.size(); i++)
        gain += (psnr(crops.held_out[i], made(i, true)) - psnr(crops.held_out[i], made(i, false))) / double(crops.held_out.size());
    note(where + ": " + fixed(gain, 3) + " dB more on " + count_of(crops.held_out.size(), "held-out picture"));
}

void fit_codec(const std::shared_ptr<const Model>& model, const TrainOptions& options, const Settings& settings) {
    const Description& d = model->description();
    const Crops crops(options, size_t(settings.filter_crops), picture_channels(d));
    const auto pool = std::make_shared<WorkerPool>(settings.threads);
    const auto decoded = [&](Codec& codec, const Image& image, int level, bool filter) {
        EncodeOptions o;
        o.quality = 100.0 * level / (d.levels() - 1);
        o.filter = filter;
        return codec.decode(codec.encode(image, o).bytes);
    };
    std::vector<FilterPoint> points;
    Codec codec(model, pool);
    for (int level = d.first_level(); level <= d.last_level(); level++) {
        std::vector<Sample> samples;
        for (const Image& original : crops.learned) {
            if (is_interrupted()) throw Error(ErrorCode::cancelled, "cancelled");
            show_progress("rate point " + std::to_string(level) + ", picture " + std::to_string(samples.size() + 1) + " of " + std::to_string(crops.learned.size()));
            samples.push_back({&original, decoded(codec, with_depth(original, 16), level, false)});
        }
        points.push_back(fitted(256 * level, samples, *pool));
    }
    save(*model, settings, points, crops);
    Codec with_filter(Model::load(settings.trained_model), pool);
    for (int level = d.first_level(); level <= d.last_level(); level++) {
        tell_gain("rate point " + std::to_string(level), crops, [&](size_t i, bool filter) { return decoded(with_filter, crops.held_out[i], level, filter); });
    }
}

struct Noisy {
    Image image;
    double sigma;  // on the 8-bit scale, as the denoiser is told
};

Noisy with_noise(const Image& clean, const std::function<double(Crop&)>& add) {
    Crop crop(clean);
    const double sigma = add(crop);
    return {to_image(crop), sigma};
}

Noisy with_white_noise(const Image& clean, double sigma, uint32_t key) {
    return with_noise(clean, [&](Crop& crop) {
        RandomStream random{key};
        add_gaussian(crop, float(sigma), random);
        finish(crop);
        return sigma;
    });
}

// Half of the crops that a filter is fitted on have white noise of its level; the others what the network was trained on, each at the nearest level.
void fit_denoiser(const std::shared_ptr<const Model>& model, const TrainOptions& options, const Settings& settings) {
    const Description& d = model->description();
    const Crops crops(options, size_t(settings.filter_crops), picture_channels(d));
    const auto pool = std::make_shared<WorkerPool>(settings.threads);
    Denoiser denoiser(model, pool);
    const auto denoised = [](Denoiser& by, const Noisy& noisy, bool filter, int depth) {
        DenoiseOptions o;
        o.sigma = noisy.sigma;
        o.filter = filter;
        o.depth = depth;
        o.effort = 1;
        return by.denoise(noisy.image, o).image;
    };
    std::array<std::vector<Sample>, kLevels.size()> samples;
    for (size_t i = 0; i < crops.learned.size(); i++) {
        if (is_interrupted()) throw Error(ErrorCode::cancelled, "cancelled");
        show_progress("noise of all kinds, picture " + std::to_string(i + 1) + " of " + std::to_string(crops.learned.size()));
        Noisy noisy = with_noise(crops.learned[i], [&](Crop& crop) {
            RandomStream random{random_key(options.seed, 7, i)};
            return double(add_noise(d.noise, crop, random));
        });
        noisy.sigma = estimate_noise_level(SampleView(noisy.image), pool.get()).sigma;  // as in use
        if (noisy.sigma < kLevels[0] / 2) continue;
        const auto nearest = std::ranges::min_element(kLevels, {}, [&](double level) { return std::abs(std::log(level / noisy.sigma)); });
        samples[size_t(nearest - kLevels.begin())].push_back({&crops.learned[i], denoised(denoiser, noisy, false, 16)});
    }
    std::vector<FilterPoint> points;
    for (size_t level = 0; level < kLevels.size(); level++) {
        std::vector<Sample>& own = samples[level];
        for (size_t i = 0; i < crops.learned.size(); i++) {
            if (is_interrupted()) throw Error(ErrorCode::cancelled, "cancelled");
            show_progress("sigma " + fixed(kLevels[level], 0) + ", picture " + std::to_string(i + 1) + " of " + std::to_string(crops.learned.size()));
            own.push_back({&crops.learned[i], denoised(denoiser, with_white_noise(crops.learned[i], kLevels[level], random_key(options.seed, 8, level, i)), false, 16)});
        }
        points.push_back(fitted(int(std::lround(kLevels[level] * 256)), own, *pool));
        if (level == 0) points.insert(points.begin(), nothing(points[0]));
        own.clear();
    }
    save(*model, settings, points, crops);
    Denoiser with_filter(Model::load(settings.trained_model), pool);
    for (size_t level = 0; level < kLevels.size(); level++) {
        tell_gain("sigma " + fixed(kLevels[level], 0), crops, [&](size_t i, bool filter) {
            return denoised(with_filter, with_white_noise(crops.held_out[i], kLevels[level], random_key(0, 9, level, i)), filter, 8);
        });
    }
}

}  // namespace

void fit_filter(const std::shared_ptr<const Model>& model, const TrainOptions& options, const Settings& settings) {
    switch (model->description().task) {
        case Task::codec: return fit_codec(model, options, settings);
        case Task::denoise: return fit_denoiser(model, options, settings);
        case Task::autoencoder: break;
    }
    throw Error(ErrorCode::model_mismatch, model->path() + ": has no network that a filter could be behind");
}

}  // namespace decant::cli
