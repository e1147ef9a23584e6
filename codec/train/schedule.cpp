#include "codec/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <sstream>

#include "codec/error.h"
#include "codec/train/trainer.h"

namespace decant {
namespace {

constexpr double kLeast = 0.002;  // of the rate

double factor(const TrainOptions& o, const ScheduleState& state, int64_t step, double seconds) {
    switch (o.schedule) {
        case Schedule::cosine: {
            const double done = std::min(1.0, std::max(double(step) / double(o.steps), o.seconds > 0 ? seconds / o.seconds : 0.0));
            return done <= o.hold ? 1.0 : 0.5 * (1.0 + std::cos(std::numbers::pi * (done - o.hold) / (1.0 - o.hold)));
        }
        case Schedule::constant: return 1.0;
        case Schedule::step: return std::pow(o.decay, double(step / o.decay_every));
        case Schedule::plateau: return std::pow(o.decay, double(state.reductions));
    }
    throw Error(ErrorCode::internal, "a schedule that nobody follows");
}

}  // namespace

double learning_rate(const TrainOptions& o, const ScheduleState& state, int64_t step, double seconds) {
    const double rise = std::min(1.0, double(step + 1) / double(std::max<int64_t>(o.warm_up, 1)));
    return o.rate * rise * std::max(factor(o, state, step, seconds), kLeast);
}

bool observe(const TrainOptions& o, ScheduleState& state, int64_t step, double loss) {
    if (loss < state.best - o.improvement) {
        state.best = loss;
        state.best_step = step;
        state.waited = state.since_best = 0;
        return true;
    }
    state.waited++;
    state.since_best++;
    if (state.waited >= o.patience) {
        state.reductions++;
        state.waited = 0;
    }
    return false;
}

bool is_finished(const TrainOptions& o, const ScheduleState& state, int64_t step, double seconds) {
    return step >= o.steps || (o.seconds > 0 && seconds >= o.seconds) || (o.early_stop > 0 && state.since_best >= o.early_stop);
}

std::string to_text(const ScheduleState& s) {
    std::ostringstream text;
    text << std::hexfloat << s.best << ' ' << s.best_step << ' ' << s.reductions << ' ' << s.waited << ' ' << s.since_best;
    return text.str();
}

ScheduleState parse_schedule_state(const std::string& text) {
    std::istringstream in(text);
    ScheduleState s;
    std::string best;
    if (!(in >> best >> s.best_step >> s.reductions >> s.waited >> s.since_best)) throw Error(ErrorCode::corrupt, "the state of the schedule is no list of numbers");
    char* end = nullptr;
    s.best = std::strtod(best.c_str(), &end);
    if (end != best.c_str() + best.size()) throw Error(ErrorCode::corrupt, "the state of the schedule is no list of numbers");
    return s;
}

}  // namespace decant
