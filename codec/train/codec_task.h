// A codec's rate and distortion over all rate points; validated at each.
#pragma once

#include "codec/train/training_task.h"

namespace decant {

class CodecTask : public TrainingTask {
public:
    using TrainingTask::TrainingTask;

    std::unique_ptr<ShardStep> make_shard(CodecWeights& weights, int shard) const override;
    std::unique_ptr<ValidationStep> make_validation(CodecWeights& weights, int side) const override;
    std::vector<double> validation_levels() const override;
    std::vector<double> example_levels() const override;
    double validation_loss(std::span<const ValidationPoint> points) const override;  // mean log(R + λ·255²·D) over the rate points
};

}  // namespace decant
