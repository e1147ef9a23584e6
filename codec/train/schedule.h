// The learning rate over the steps, and when a training ends.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace decant {

struct TrainOptions;

// Each begins with a linear rise over the warm-up.
enum class Schedule {
    cosine,    // level for the share `hold` of the training, then half a cosine to nearly nothing (Loshchilov & Hutter 2017)
    constant,
    step,      // times `decay` every `decay_every` steps
    plateau    // times `decay` when the validation's loss has not improved for `patience` validations
};

// What validations have told so far. A part of the checkpoint, so that a resumed training ends like one that was not interrupted.
struct ScheduleState {
    double best = std::numeric_limits<double>::infinity();  // loss
    int64_t best_step = 0;
    int64_t reductions = 0;   // of the rate, by plateau
    int64_t waited = 0;       // validations since the best one or the last reduction
    int64_t since_best = 0;   // validations since the best one

    bool operator==(const ScheduleState&) const = default;
};

// step: of those done; seconds: of training so far. No schedule goes below 0.002 of the rate, the warm-up aside.
double learning_rate(const TrainOptions& options, const ScheduleState& state, int64_t step, double seconds);

// After a validation at this step. Whether its loss is the best so far; NaN never is.
bool observe(const TrainOptions& options, ScheduleState& state, int64_t step, double loss);

// All steps are done, the time is up, or early stopping has waited long enough.
bool is_finished(const TrainOptions& options, const ScheduleState& state, int64_t step, double seconds);

std::string to_text(const ScheduleState& state);
ScheduleState parse_schedule_state(const std::string& text);  // Error corrupt

}  // namespace decant
