// What a kind of model brings to be trained. The trainer knows nothing else of it; it keeps the loop, the optimiser, the average of the
// weights, checkpoints and reports.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/engine/codec_weights.h"
#include "codec/train/dataset.h"
#include "codec/train/trainer.h"
#include "codec/train/validation_point.h"

namespace decant {

// Throws Error unsupported if this CPU has no bf16.
DataType compute_type(Precision precision);

struct StepMeasures {
    double loss = 0;           // as optimised: the part of this shard, so that shards are added
    double bpp = 0, psnr = 0;  // means over the shard's samples
};

// One shard's share of every step; for one thread.
class ShardStep {
public:
    virtual ~ShardStep() = default;
    // The batch is a function of seed, step and shard. gradients: as long as parameters.values(), set; shards are added.
    virtual StepMeasures run(int64_t step, const Parameters& parameters, std::span<float> gradients) = 0;
};

// Measures one held-out crop; for one thread.
class ValidationStep {
public:
    virtual ~ValidationStep() = default;
    // crop: [side, side, 3]. What is random depends on its index alone.
    virtual ValidationPoint run(std::span<const uint8_t> crop, size_t index, double level, const Parameters& parameters) = 0;
    // What went in and what came out in the last run, the original first.
    virtual std::vector<Example::Picture> pictures() const { return {}; }
};

struct ParameterRange {
    size_t offset = 0, size = 0;  // in Parameters::values()
};

class TrainingTask {
public:
    // All must outlive this.
    TrainingTask(const Description& description, const TrainOptions& options, const Dataset& dataset)
        : description_(description), options_(options), dataset_(dataset) {}
    virtual ~TrainingTask() = default;
    virtual std::unique_ptr<ShardStep> make_shard(CodecWeights& weights, int shard) const = 0;
    virtual std::unique_ptr<ValidationStep> make_validation(CodecWeights& weights, int side) const = 0;
    virtual std::vector<double> validation_levels() const = 0;  // of the points that are measured
    virtual std::vector<double> example_levels() const { return validation_levels(); }  // some of them, of which examples are shown
    virtual std::vector<Figure> figures(const Parameters&) const { return {}; }
    // After every step: may draw parameters anew that are of no use; the optimiser forgets what it knew of those ranges.
    virtual std::vector<ParameterRange> revive(int64_t, Parameters&) const { return {}; }
    // What schedules, early stopping and searches go by: one number of the points, the lower the better. Here minus the mean PSNR.
    virtual double validation_loss(std::span<const ValidationPoint> points) const;

protected:
    const Description& description_;
    const TrainOptions& options_;
    const Dataset& dataset_;
};

// Of an error of values in 0 … 1; no more than 100 dB, so that means of it stay finite.
inline double psnr_of(double mse) { return -10.0 * std::log10(std::max(mse, 1e-10)); }

// Turns the means over a shard's samples into the shard's part of the means over the batch: gradients become their share of a sum,
// statistics stay those of the shard.
void take_share(const Parameters& parameters, std::span<float> gradients, float share);

// All must outlive the task.
std::unique_ptr<TrainingTask> make_training_task(const Description& description, const TrainOptions& options,
                                                 const Dataset& dataset);

}  // namespace decant
