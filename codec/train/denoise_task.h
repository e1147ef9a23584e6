// A denoiser on pictures with the noise of its domain; validated with white noise of a few levels, which is comparable,
// and with that of the domain.
#pragma once

#include <memory>

#include "codec/decant.h"
#include "codec/train/training_task.h"

namespace decant {

class DenoiseTask : public TrainingTask {
public:
    // Throws Error not_found or model_mismatch if the options name a teacher that is none.
    DenoiseTask(const Description& description, const TrainOptions& options, const Dataset& dataset);

    std::unique_ptr<ShardStep> make_shard(CodecWeights& weights, int shard) const override;
    std::unique_ptr<ValidationStep> make_validation(CodecWeights& weights, int side) const override;
    std::vector<double> validation_levels() const override;
    std::vector<double> example_levels() const override;

private:
    std::shared_ptr<const Model> teacher_;  // null: none
};

}  // namespace decant
