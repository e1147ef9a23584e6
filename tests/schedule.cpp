// The learning rate over the steps, by the formula of each schedule; early stopping.
#include "codec/train/schedule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "codec/error.h"
#include "codec/train/trainer.h"

using namespace decant;

namespace {

constexpr double kRate = 0.01;

TrainOptions options(Schedule schedule) {
    TrainOptions o;
    o.schedule = schedule;
    o.rate = kRate;
    o.steps = 1000;
    o.warm_up = 10;
    o.hold = 0.25;
    o.decay = 0.1;
    o.decay_every = 300;
    o.patience = 2;
    o.improvement = 0.01;
    return o;
}

double rate(const TrainOptions& o, int64_t step, double seconds = 0) { return learning_rate(o, {}, step, seconds) / kRate; }

}  // namespace

TEST_CASE("every schedule begins with a linear rise") {
    for (const Schedule s : {Schedule::cosine, Schedule::constant, Schedule::step, Schedule::plateau}) {
        const TrainOptions o = options(s);
        for (int step = 0; step < 10; step++) CHECK(rate(o, step) == doctest::Approx((step + 1) / 10.0));
        CHECK(rate(o, 10) == doctest::Approx(1));
        TrainOptions none = o;
        none.warm_up = 0;
        CHECK(rate(none, 0) == doctest::Approx(1));
    }
}

TEST_CASE("cosine: level, then half a cosine") {
    TrainOptions o = options(Schedule::cosine);
    CHECK(rate(o, 250) == doctest::Approx(1));
    CHECK(rate(o, 500) == doctest::Approx(0.5 * (1 + std::cos(std::numbers::pi / 3))));
    CHECK(rate(o, 625) == doctest::Approx(0.5));
    CHECK(rate(o, 999) == doctest::Approx(0.002));  // not less
    CHECK(rate(o, 5000) == doctest::Approx(0.002));
    o.hold = 0;
    CHECK(rate(o, 500) == doctest::Approx(0.5));
    // By the clock where that is ahead of the steps.
    o.seconds = 60;
    CHECK(rate(o, 250, 30) == doctest::Approx(0.5));
    CHECK(rate(o, 500, 6) == doctest::Approx(0.5));
    CHECK(rate(o, 20, 600) == doctest::Approx(0.002));
}

TEST_CASE("constant") {
    const TrainOptions o = options(Schedule::constant);
    for (int64_t step : {10, 500, 999}) CHECK(rate(o, step) == doctest::Approx(1));
}

TEST_CASE("step: a factor every so many steps") {
    const TrainOptions o = options(Schedule::step);
    CHECK(rate(o, 299) == doctest::Approx(1));
    CHECK(rate(o, 300) == doctest::Approx(0.1));
    CHECK(rate(o, 599) == doctest::Approx(0.1));
    CHECK(rate(o, 600) == doctest::Approx(0.01));
    CHECK(rate(o, 999) == doctest::Approx(0.002));
}

TEST_CASE("plateau: a factor after validations that were no better") {
    const TrainOptions o = options(Schedule::plateau);
    ScheduleState state;
    const auto factor = [&] { return learning_rate(o, state, 500, 0) / kRate; };
    //                                best  best  less than the improvement, worse: reduced; better; three without: reduced again
    const std::vector<double> losses{1.00, 0.90, 0.895, 0.95, 0.80, 0.90, 0.80, 0.80};
    const std::vector<double> factors{1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01};
    const std::vector<bool> best{true, true, false, false, true, false, false, false};
    for (size_t i = 0; i < losses.size(); i++) {
        CAPTURE(i);
        CHECK(observe(o, state, int64_t(100 * (i + 1)), losses[i]) == best[i]);
        CHECK(factor() == doctest::Approx(factors[i]));
        CHECK(parse_schedule_state(to_text(state)) == state);
    }
    CHECK(state.best == 0.8);
    CHECK(state.best_step == 500);
    // What is no number is no improvement.
    ScheduleState fresh;
    CHECK_FALSE(observe(o, fresh, 1, std::numeric_limits<double>::quiet_NaN()));
    CHECK(observe(o, fresh, 2, -5.0));
}

TEST_CASE("a training ends with its steps, its time, or its patience") {
    TrainOptions o = options(Schedule::constant);
    ScheduleState state;
    CHECK_FALSE(is_finished(o, state, 999, 1e9));
    CHECK(is_finished(o, state, 1000, 0));
    o.seconds = 60;
    CHECK_FALSE(is_finished(o, state, 10, 59));
    CHECK(is_finished(o, state, 10, 60));
    o.early_stop = 3;
    CHECK_FALSE(is_finished(o, state, 10, 0));
    observe(o, state, 1, 1.0);
    for (int i = 0; i < 3; i++) {
        CHECK_FALSE(is_finished(o, state, 10, 0));
        observe(o, state, 2 + i, 1.0);
    }
    CHECK(is_finished(o, state, 10, 0));
    // Reductions of the rate do not count as improvements.
    CHECK(state.reductions == 1);
}

TEST_CASE("the state of a schedule as text") {
    ScheduleState state;
    CHECK(parse_schedule_state(to_text(state)) == state);  // with its infinity
    state = {-1.0 / 3.0, 12345678901, 3, 2, 7};
    CHECK(parse_schedule_state(to_text(state)) == state);
    for (const char* wrong : {"", "1 2 3", "x 1 2 3 4", "1x 1 2 3 4"}) CHECK_THROWS_AS(parse_schedule_state(wrong), Error);
}
