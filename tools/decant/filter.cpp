#include "tools/decant/filter.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "codec/error.h"
#include "codec/filter/filter_fit.h"
#include "codec/image/metrics.h"
#include "codec/network/model_file.h"
#include "codec/tensor/random.h"
#include "codec/train/crop_channels.h"
#include "codec/train/dataset.h"
#include "tools/decant/console.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

constexpr int kSide = 384;  // of crops, in pixels

void each(WorkerPool& pool, size_t count, const std::function<void(size_t)>& work) {
    size_t next = 0;
    pool.run([&]() -> WorkerPool::Task {
        if (is_interrupted()) throw Error(ErrorCode::cancelled, "cancelled");
        if (next == count) return {};
        return [&work, i = next++] { work(i); };
    });
}

Image picture_of(std::span<const uint8_t> rgb, int channels) { return {kSide, kSide, channels, in_channels(rgb, channels)}; }

}  // namespace

void fit_filter(const std::shared_ptr<const Model>& model, const TrainOptions& options, const Settings& settings) {
    const Description& d = model->description();
    if (d.task != Task::codec) throw Error(ErrorCode::model_mismatch, model->path() + ": is no codec, so it has no synthesis that a filter could be behind");
    DatasetOptions data_options;
    data_options.min_side = kSide;
    data_options.max_bytes = options.max_bytes;
    data_options.other_colours = false;
    const Dataset data(options.data, data_options);
    const auto crops = size_t(settings.filter_crops);
    const int channels = picture_channels(d);
    RandomStream random{random_key(options.seed, 0)};
    std::vector<Image> originals, held_out;
    std::vector<uint8_t> rgb(size_t{3} * kSide * kSide);
    for (size_t i = 0; i < crops; i++) {
        data.crop(random, kSide, rgb);
        originals.push_back(picture_of(rgb, channels));
    }
    for (size_t i = 0; i < data.held_out(); i++) {
        data.validation_crop(i, kSide, rgb);
        held_out.push_back(picture_of(rgb, channels));
    }

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
        std::vector<Image> pictures;
        for (const Image& original : originals) {
            if (is_interrupted()) throw Error(ErrorCode::cancelled, "cancelled");
            show_progress("rate point " + std::to_string(level) + ", picture " + std::to_string(pictures.size() + 1) + " of " + std::to_string(crops));
            pictures.push_back(decoded(codec, with_depth(original, 16), level, false));
        }
        FilterPoint& point = points.emplace_back();
        point.quality_q8 = 256 * level;
        for (int stage = 0; stage < kFilterStages; stage++) {
            if (stage > 0) each(*pool, crops, [&](size_t i) { pictures[i] = filtered(pictures[i], point.stages[0]); });
            FilterFit fit(stage, channels);
            each(*pool, crops, [&](size_t i) { fit.survey(originals[i], pictures[i]); });
            each(*pool, crops, [&](size_t i) { fit.learn(originals[i], pictures[i]); });
            point.stages[size_t(stage)] = fit.solve();
        }
    }
    clear_progress();
    save_filter(model->path(), settings.trained_model, points,
                std::to_string(crops) + " crops of " + std::to_string(kSide) + "x" + std::to_string(kSide) + " pixels of " + count_of(data.size(), "picture"));

    Codec with_filter(Model::load(settings.trained_model), pool);
    for (int level = d.first_level(); level <= d.last_level(); level++) {
        double gain = 0;
        for (const Image& image : held_out) gain += (psnr(image, decoded(with_filter, image, level, true)) - psnr(image, decoded(with_filter, image, level, false))) / double(held_out.size());
        note("rate point " + std::to_string(level) + ": " + fixed(gain, 3) + " dB more on " + count_of(held_out.size(), "held-out picture"));
    }
}

}  // namespace decant::cli
