// The state that training starts from.
#pragma once

#include "codec/network/parameters.h"
#include "codec/train/dataset.h"

namespace decant {

// Random weights by each layer's Init, and for Init::klt the Karhunen–Loève transform of the training crops, stage by stage: every
// stage of the analysis whitens its input with the eigenvectors of its covariance, the last one restores the true scale, and the
// synthesis layer of the same name is the inverse. So training starts from a good linear transform codec. The gains start at the
// quantisation steps that high-rate theory gives for each λ: with R = 3·(h - log2 Δ) bit/pixel and D = Δ²/12, the sum R + λ·255²·D
// is smallest at Δ² = 18 / (ln 2 · λ · 255²), for errors relative to the peak.
// Throws Error model_mismatch if the klt layers of analysis and synthesis do not fit together.
Parameters initial_parameters(const Description& description, const Dataset& dataset, uint64_t seed);

// The same with the weights of a model that has others: whatever there is under the same name and in the same shape. With "init": "zero" in the last layer of each block that is
// new, a deeper network begins as the one that it grew from.
// Throws Error model_mismatch if nothing fits.
Parameters initial_parameters(const Description& description, const Dataset& dataset, uint64_t seed, const Parameters& start);

// A factor for the learning rate of each parameter: 1, but less in the linear (f32) layers where weights are small. Adam moves every
// weight by about the learning rate; in a transform whose rows and columns have scales from 0.001 to 1 that would drown the small
// ones. The scale of a weight is estimated from the mean squares of its row and its column (as in Adafactor, Shazeer & Stern 2018).
std::vector<float> learning_rates(const Description& description, const Parameters& parameters);

}  // namespace decant
