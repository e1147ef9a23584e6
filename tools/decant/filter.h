// decant train --fit-filter.
#pragma once

#include <memory>

#include "codec/decant.h"
#include "codec/train/trainer.h"
#include "tools/decant/options.h"

namespace decant::cli {

// Fits the filter behind the synthesis of a codec, or behind a denoiser, on crops of pictures (codec/filter/filter_fit.h), and saves the model with it. Says what it
// brings on held-out pictures. Throws Error model_mismatch for other models, cancelled when interrupted.
void fit_filter(const std::shared_ptr<const Model>& model, const TrainOptions& options, const Settings& settings);

}  // namespace decant::cli
