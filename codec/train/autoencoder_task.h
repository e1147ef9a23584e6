// An autoencoder on pictures, corrupted or not; validated on whole pictures as they are. Every kReviveEvery steps of the first kReviveUntil of
// the training, units of a sparse code that are dead (hardly ever active) or hyperactive are drawn anew, and vectors of a codebook that
// nobody chooses move next to one that many do.
#pragma once

#include "codec/train/training_task.h"

namespace decant {

class AutoencoderTask : public TrainingTask {
public:
    static constexpr int64_t kReviveEvery = 200;
    static constexpr double kReviveUntil = 0.6;  // share of the steps
    static constexpr float kDead = 0.1f;         // a unit is dead below this share of what it should be active, or of the mean
    static constexpr float kHyperactive = 0.9f;  // share of the positions; of a sparse code

    using TrainingTask::TrainingTask;

    std::unique_ptr<ShardStep> make_shard(CodecWeights& weights, int shard) const override;
    std::unique_ptr<ValidationStep> make_validation(CodecWeights& weights, int side) const override;
    std::vector<double> validation_levels() const override;
    double validation_loss(std::span<const ValidationPoint> points) const override;
    std::vector<Figure> figures(const Parameters& parameters) const override;
    std::vector<ParameterRange> revive(int64_t step, Parameters& parameters) const override;
};

}  // namespace decant
