#include "codec/train/trainer.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cmath>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "codec/error.h"
#include "codec/network/safetensors.h"
#include "codec/train/autoencoder_task.h"
#include "codec/train/codec_task.h"
#include "codec/train/denoise_task.h"
#include "codec/train/equalise.h"
#include "codec/train/fit_rounding.h"
#include "codec/train/initialise.h"
#include "codec/train/optimiser.h"
#include "codec/train/recipe.h"
#include "codec/train/training_task.h"

namespace decant {
namespace {

constexpr int kValidationSide = 256;
constexpr int kValidationCrops = 24;
constexpr float kStatisticShare = 0.05f;  // by which statistics follow those of a step

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct State {
    Parameters parameters;
    OptimiserState optimiser;
    std::vector<float> best;  // averaged weights, with early stopping; empty before the first validation
    ScheduleState schedule;
    int64_t step = 0;
    double seconds = 0;

    const std::vector<float>& result() const { return best.empty() ? optimiser.average : best; }
};

constexpr const char* kStateKeys[] = {"description", "step", "seconds", "optimiser", "schedule"};  // metadata that are of the state

void assign(Parameters& parameters, std::span<const float> values) { parameters.values().assign(values.begin(), values.end()); }

void save_state(const State& s, const Description& d, Optimiser kind, const std::string& path) {
    std::vector<std::pair<std::string, std::span<const float>>> arrays{
        {"weights", s.parameters.values()}, {"first", s.optimiser.first}, {"second", s.optimiser.second}, {"average", s.optimiser.average}, {"rate", s.optimiser.rate}};
    if (!s.best.empty()) arrays.emplace_back("best", s.best);
    TensorMap tensors;
    for (const auto& [name, values] : arrays) tensors[name] = {Dtype::F32, {int64_t(values.size())}, std::as_bytes(values)};
    const std::string temporary = path + ".new";
    save_safetensors(temporary, tensors,
                     {{"description", to_json(d)},
                      {"step", std::to_string(s.step)},
                      {"seconds", std::to_string(s.seconds)},
                      {"optimiser", name_of(kind)},
                      {"schedule", to_text(s.schedule)}});
    std::filesystem::rename(temporary, path);
}

const std::string& checkpoint_text(const SafetensorsFile& file, const char* key, const std::string& path) {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end()) throw Error(ErrorCode::corrupt, path + ": not a checkpoint, \"" + key + "\" is missing");
    return found->second;
}

State load_state(const SafetensorsFile& file, const Description& d, const std::string& path) {
    State s;
    s.parameters = Parameters(d);
    const std::vector<int64_t> shape{int64_t(s.parameters.values().size())};
    const auto read = [&](const char* name) { return file.get(name, {Dtype::F32}, shape).values<float>(); };
    assign(s.parameters, read("weights"));
    s.optimiser = {read("first"), read("second"), read("average"), read("rate")};
    if (file.contains("best")) s.best = read("best");
    if (const auto found = file.metadata().find("schedule"); found != file.metadata().end()) s.schedule = parse_schedule_state(found->second);
    try {
        s.step = std::stoll(checkpoint_text(file, "step", path));
        s.seconds = std::stod(checkpoint_text(file, "seconds", path));
    } catch (const std::logic_error&) {
        throw Error(ErrorCode::corrupt, path + ": step and seconds are no numbers");
    }
    return s;
}

State resume(const std::string& path, const Description& d, Optimiser kind) {
    const SafetensorsFile file = SafetensorsFile::load(path);
    if (parse_description(checkpoint_text(file, "description", path)) != d) {
        throw Error(ErrorCode::model_mismatch, path + ": the checkpoint is of another network; move it away to begin anew");
    }
    const auto found = file.metadata().find("optimiser");
    const std::string was = found == file.metadata().end() ? name_of(Optimiser::adam) : found->second;
    if (was != name_of(kind)) {
        throw Error(ErrorCode::model_mismatch, path + ": the checkpoint is of the optimiser " + was + ", not " + name_of(kind) + "; move it away to begin anew");
    }
    return load_state(file, d, path);
}

// What the pictures of the model's domain may be turned into.
DatasetOptions dataset_options(const Description& description, const TrainOptions& options) {
    DatasetOptions o;
    o.min_side = std::max(options.crop, kValidationSide);
    o.max_bytes = options.max_bytes;
    if (description.task != Task::denoise) return o;
    o.patterns = 0.06f;
    if (description.noise == NoiseDomain::page) {
        // A clean page is white, and scanned at all resolutions. What a renderer makes of thin strokes, gray, need not be what was printed.
        o.other_colours = false;
        o.crispest = 2;
        o.patterns = 0.15f;  // hatching is not paper
        o.smallest_size = 0.5;
        o.largest_size = 1.25;
    }
    return o;
}

// How good `parameters` are on the held-out crops.
class Validation {
public:
    Validation(const Description& d, const TrainingTask& task, const Parameters& parameters, const Dataset& dataset, int threads)
        : levels_(task.validation_levels()), example_levels_(task.example_levels()), parameters_(parameters) {
        const size_t count = std::min<size_t>(kValidationCrops, dataset.held_out());
        weights_ = std::make_unique<CodecWeights>(d, parameters_);
        crops_.resize(count);
        for (size_t i = 0; i < count; i++) {
            crops_[i].resize(size_t(kValidationSide) * size_t(kValidationSide) * 3);
            dataset.validation_crop(i * dataset.held_out() / count, kValidationSide, crops_[i]);
        }
        for (int t = 0; t < threads; t++) steps_.push_back(task.make_validation(*weights_, kValidationSide));
    }

    // examples: of the first so many crops, at each of the task's example levels; null or 0: none.
    std::vector<ValidationPoint> measure(const Parameters& parameters, size_t example_crops = 0, std::vector<Example>* examples = nullptr) {
        parameters_ = parameters;
        weights_->update(parameters_);
        const size_t jobs = levels_.size() * crops_.size();
        std::vector<ValidationPoint> results(jobs);
        std::vector<std::vector<Example::Picture>> pictures(jobs);
        const auto is_example = [&](size_t j) { return j % crops_.size() < example_crops && std::ranges::find(example_levels_, levels_[j / crops_.size()]) != example_levels_.end(); };
        std::atomic<size_t> next{0};
        std::exception_ptr failure;
        std::mutex mutex;
        const auto work = [&](ValidationStep& step) {
            omp_set_num_threads(1);
            try {
                for (size_t j; (j = next++) < jobs;) {
                    results[j] = step.run(crops_[j % crops_.size()], j % crops_.size(), levels_[j / crops_.size()], parameters_);
                    results[j].level = levels_[j / crops_.size()];
                    if (is_example(j)) pictures[j] = step.pictures();
                }
            } catch (...) {
                std::lock_guard lock(mutex);
                failure = std::current_exception();
            }
        };
        {
            std::vector<std::jthread> threads;
            for (auto& s : steps_) threads.emplace_back([&work, &s] { work(*s); });
        }
        if (failure) std::rethrow_exception(failure);
        std::vector<ValidationPoint> points(levels_.size());
        const double share = 1.0 / double(crops_.size());
        for (size_t j = 0; j < jobs; j++) {
            ValidationPoint& p = points[j / crops_.size()];
            p.level = levels_[j / crops_.size()];
            p.bpp += share * results[j].bpp;
            p.bpp_hyper += share * results[j].bpp_hyper;
            p.active += share * results[j].active;
            p.channels += share * results[j].channels;
            p.psnr += share * results[j].psnr;
            p.psnr_noisy += share * results[j].psnr_noisy;
            p.loss += share * results[j].loss;
        }
        for (size_t crop = 0; crop < std::min(example_crops, crops_.size()); crop++) {
            for (size_t j = crop; j < jobs; j += crops_.size()) {
                if (is_example(j)) examples->push_back({kValidationSide, results[j], std::move(pictures[j])});
            }
        }
        return points;
    }

private:
    const std::vector<double> levels_, example_levels_;
    Parameters parameters_;
    std::unique_ptr<CodecWeights> weights_;
    std::vector<std::vector<uint8_t>> crops_;
    std::vector<std::unique_ptr<ValidationStep>> steps_;
};

class Trainer {
public:
    Trainer(const Description& d, const TrainOptions& o, const Parameters* start, const std::function<bool(const TrainProgress&)>& report, Ranks& ranks)
        : description_(d),
          options_(o),
          ranks_(ranks),
          shards_(o.shards / ranks.size()),
          report_(report),
          dataset_(o.data, dataset_options(d, o)),
          start_(start != nullptr ? std::optional(initial_parameters(d, dataset_, o.seed, *start)) : std::nullopt),
          task_(make_training_task(description_, options_, dataset_)) {
        if (!o.checkpoint.empty() && std::filesystem::exists(o.checkpoint)) {
            state_ = resume(o.checkpoint, d, o.optimiser.kind);
        } else {
            state_.parameters = start_ ? *start_ : initial_parameters(d, dataset_, o.seed);
            if (o.fit_rounding > 0) {
                equalise(d, dataset_, o.seed, state_.parameters);
                fit_rounding(d, dataset_, o.seed, o.fit_rounding, state_.parameters);
            }
            const size_t count = state_.parameters.values().size();
            const auto& weights = state_.parameters.values();
            state_.optimiser = {std::vector<float>(count, 0.0f), std::vector<float>(count, 0.0f), {weights.begin(), weights.end()}, learning_rates(d, state_.parameters)};
        }
        for (const Network& network : d.networks) {
            const auto layers = plan(network, {1, 64, 64, network.channels_in});
            for (size_t i = 0; i < layers.size(); i++) {
                if (reads_activations(layers, int(i))) centralised_.push_back(state_.parameters.find(network.name + "." + layers[i].layer->name + ".weight"));
            }
        }
        for (const Parameter& p : state_.parameters.list()) {
            if (p.shape.size() == 4) decayed_.push_back({p.offset, p.offset + p.size});  // of convolutions
            if (p.change == Parameter::Change::statistic) statistics_.push_back(p);
        }
        weights_ = std::make_unique<CodecWeights>(d, state_.parameters, WeightOptions{.fold = false});
        batch_statistics_.resize(size_t(shards_));
        gradients_.assign(size_t(shards_), std::vector<float>(state_.parameters.values().size(), 0.0f));
        sums_.assign(state_.parameters.values().size(), 0.0f);
        results_.resize(size_t(shards_));
        norms_.resize(size_t(shards_));
        if (o.early_stop == 0) state_.best.clear();
        elapsed_ = state_.seconds;
        done_ = is_finished(options_, state_.schedule, state_.step, elapsed_);
    }

    TrainResult run() {
        validation_ = std::make_unique<Validation>(description_, *task_, state_.parameters, dataset_, shards_);
        const int count = shards_;
        std::barrier<> barrier(count);
        std::vector<std::jthread> threads;
        reported_ = started_ = now();
        for (int shard = 0; shard < count; shard++) {
            threads.emplace_back([this, shard, &barrier] { work(shard, barrier); });
        }
        threads.clear();
        if (failure_) std::rethrow_exception(failure_);
        TrainResult result;
        result.parameters = state_.parameters;
        assign(result.parameters, state_.result());
        result.validation = validation_->measure(result.parameters);
        result.validation_loss = task_->validation_loss(result.validation);
        if (start_) result.start_validation = validation_->measure(*start_);
        result.figures = task_->figures(result.parameters);
        result.best_step = state_.best.empty() ? state_.step : state_.schedule.best_step;
        result.seconds = state_.seconds;
        result.steps = state_.step;
        result.pictures = dataset_.size();
        result.held_out = dataset_.held_out();
        return result;
    }

private:
    // All threads run the same steps, separated by barriers; what only one does is done by the first between two barriers.
    // shard: among those of this rank.
    void work(int shard, std::barrier<>& barrier) {
        omp_set_num_threads(1);
        const size_t total = state_.parameters.values().size(), of = size_t(shards_);
        const size_t begin = total * size_t(shard) / of, end = total * size_t(shard + 1) / of;
        std::unique_ptr<ShardStep> step;
        guard([&] { step = task_->make_shard(*weights_, ranks_.rank() * shards_ + shard); });
        barrier.arrive_and_wait();
        while (!stop_ && !done_) {
            guard([&] { compute(*step, shard); });
            barrier.arrive_and_wait();
            if (stop_) break;
            norms_[size_t(shard)] = sum_gradients(gradients_, sums_, begin, end);
            barrier.arrive_and_wait();
            if (shard == 0) guard([&] { combine_ranks(); });
            barrier.arrive_and_wait();
            if (stop_) break;
            const double norm = std::sqrt(squares_);
            const float scale = float(std::min(1.0, options_.clip / std::max(norm, 1e-12)));
            const float keep = std::min(float(options_.average), float(state_.step + 1) / float(state_.step + 100));
            if (std::isfinite(norm)) {
                const double rate = learning_rate(options_, state_.schedule, state_.step, elapsed_);
                optimiser_step(state_.parameters.values(), sums_, state_.optimiser, begin, end, float(rate), scale, state_.step + 1, keep, options_.optimiser,
                               decayed_);
            }
            barrier.arrive_and_wait();
            if (!statistics_.empty()) {
                if (shard == 0) guard([&] { follow_statistics(); });
                barrier.arrive_and_wait();
            }
            guard([&] { weights_->update(state_.parameters, shard, shards_); });
            if (shard == 0) guard([&] { finish_step(norm); });
            barrier.arrive_and_wait();
        }
    }

    template <class F>
    void guard(F&& f) {
        try {
            f();
        } catch (...) {
            std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
            stop_ = true;
        }
    }

    void compute(ShardStep& step, int shard) {
        results_[size_t(shard)] = step.run(state_.step, state_.parameters, gradients_[size_t(shard)]);
        for (const Parameter& p : centralised_) {
            centralise(std::span(gradients_[size_t(shard)]).subspan(p.offset, p.size), size_t(p.shape[0]));
        }
        // What came in the place of gradients is none: the optimiser sees 0.
        std::vector<float>& statistics = batch_statistics_[size_t(shard)];
        statistics.clear();
        for (const Parameter& p : statistics_) {
            const auto values = std::span(gradients_[size_t(shard)]).subspan(p.offset, p.size);
            statistics.insert(statistics.end(), values.begin(), values.end());
            std::ranges::fill(values, 0.0f);
        }
    }

    // From here on every rank has the sums over all of them.
    void combine_ranks() {
        totals_ = {};
        for (const StepMeasures& m : results_) {
            totals_.loss += m.loss;
            totals_.bpp += m.bpp / options_.shards;
            totals_.psnr += m.psnr / options_.shards;
        }
        statistics_sum_.assign(batch_statistics_[0].size(), 0.0f);
        for (const std::vector<float>& shard : batch_statistics_) {
            for (size_t i = 0; i < shard.size(); i++) statistics_sum_[i] += shard[i];
        }
        if (ranks_.size() == 1) {
            squares_ = std::accumulate(norms_.begin(), norms_.end(), 0.0);
            return;
        }
        ranks_.sum(sums_);
        const bool first = ranks_.rank() == 0;
        // The first rank decides what depends on time and on the caller.
        std::array<double, 5> values{totals_.loss, totals_.bpp, totals_.psnr, first ? state_.seconds + now() - started_ : 0.0, first && wants_stop_ ? 1.0 : 0.0};
        ranks_.sum(values);
        totals_ = {values[0], values[1], values[2], values[3], values[4] > 0};
        if (!statistics_sum_.empty()) ranks_.sum(statistics_sum_);
        squares_ = std::transform_reduce(sums_.begin(), sums_.end(), 0.0, std::plus<>(), [](float v) { return double(v) * double(v); });
    }

    void follow_statistics() {
        size_t at = 0;
        for (const Parameter& p : statistics_) {
            for (size_t i = 0; i < p.size; i++, at++) {
                float& value = state_.parameters.values()[p.offset + i];
                value += kStatisticShare * (statistics_sum_[at] / float(options_.shards) - value);
                state_.optimiser.average[p.offset + i] = value;
            }
        }
        for (const ParameterRange& r : task_->revive(state_.step + 1, state_.parameters)) {
            for (size_t i = r.offset; i < r.offset + r.size; i++) {
                state_.optimiser.first[i] = state_.optimiser.second[i] = 0.0f;
                state_.optimiser.average[i] = state_.parameters.values()[i];
            }
        }
    }

    void finish_step(double norm) {
        const double rate = learning_rate(options_, state_.schedule, state_.step, elapsed_);
        state_.step++;
        sum_loss_ += totals_.loss;
        sum_bpp_ += totals_.bpp;
        sum_psnr_ += totals_.psnr;
        sum_norm_ += norm;
        counted_++;
        const double time = now();
        elapsed_ = ranks_.size() == 1 ? state_.seconds + time - started_ : totals_.seconds;
        const bool validate = state_.step % options_.validate_every == 0;
        done_ = is_finished(options_, state_.schedule, state_.step, elapsed_);
        bool go_on = !totals_.stop;
        if (time - reported_ >= 1.0 || validate || done_) {
            state_.seconds += time - started_;
            started_ = time;
            TrainProgress p;
            p.step = state_.step;
            p.steps = options_.steps;
            p.pictures = dataset_.size();
            p.held_out = dataset_.held_out();
            p.left_out = dataset_.left_out();
            p.why_left_out = dataset_.why_left_out();
            p.loss = sum_loss_ / counted_;
            p.bpp = sum_bpp_ / counted_;
            p.psnr = sum_psnr_ / counted_;
            p.gradient_norm = sum_norm_ / counted_;
            p.rate = rate;
            p.crops_per_second = counted_ * options_.batch / std::max(time - reported_, 1e-9);
            p.seconds = state_.seconds;
            p.seconds_left = double(options_.steps - state_.step) * options_.batch / std::max(p.crops_per_second, 1e-9);
            if (validate) {
                Parameters averaged = state_.parameters;
                assign(averaged, state_.optimiser.average);
                p.validation = validation_->measure(averaged, size_t(options_.examples), &p.examples);
                p.validation_loss = task_->validation_loss(p.validation);
                if (ranks_.size() > 1) {
                    // Machines may differ in the last bits, the schedule must not.
                    std::array<double, 1> loss{ranks_.rank() == 0 ? p.validation_loss : 0.0};
                    ranks_.sum(loss);
                    p.validation_loss = loss[0];
                }
                p.figures = task_->figures(averaged);
                const bool is_best = observe(options_, state_.schedule, state_.step, p.validation_loss);
                if (is_best && options_.early_stop > 0) state_.best = state_.optimiser.average;
                done_ = is_finished(options_, state_.schedule, state_.step, elapsed_);
            }
            sum_loss_ = sum_bpp_ = sum_psnr_ = sum_norm_ = 0;
            counted_ = 0;
            if (ranks_.rank() == 0 && !report_(p)) {
                wants_stop_ = true;
                if (ranks_.size() == 1) go_on = false;  // the others hear of it with the next step
            }
            reported_ = now();
        }
        const bool save = done_ || !go_on || state_.step % options_.checkpoint_every == 0;
        if (save && !options_.checkpoint.empty() && ranks_.rank() == 0) {
            state_.seconds = elapsed_;
            started_ = time;
            save_state(state_, description_, options_.optimiser.kind, options_.checkpoint);
        }
        if (!go_on && ranks_.size() > 1) {
            // Whoever ends first ends all: not before the checkpoint is written.
            std::array<double, 1> nothing{};
            ranks_.sum(nothing);
        }
        if (!go_on) throw Error(ErrorCode::cancelled, "training stopped at step " + std::to_string(state_.step));
    }

    const Description& description_;
    const TrainOptions options_;
    Ranks& ranks_;
    const int shards_;  // of this rank
    const std::function<bool(const TrainProgress&)>& report_;
    const Dataset dataset_;
    const std::optional<Parameters> start_;
    const std::unique_ptr<TrainingTask> task_;
    State state_;
    std::unique_ptr<CodecWeights> weights_;
    std::unique_ptr<Validation> validation_;
    std::vector<Range> decayed_;
    std::vector<Parameter> centralised_;  // weights whose gradients are
    std::vector<Parameter> statistics_;
    std::vector<std::vector<float>> batch_statistics_;  // of each shard, in the order of statistics_
    std::vector<float> statistics_sum_;
    struct Totals {
        double loss = 0, bpp = 0, psnr = 0, seconds = 0;
        bool stop = false;
    } totals_;  // of a step, over all ranks
    double squares_ = 0;  // of the gradient
    bool wants_stop_ = false;
    std::vector<std::vector<float>> gradients_;
    std::vector<float> sums_;
    std::vector<StepMeasures> results_;
    std::vector<double> norms_;
    std::mutex mutex_;
    std::exception_ptr failure_;
    std::atomic<bool> stop_{false};
    double started_ = 0, reported_ = 0, sum_loss_ = 0, sum_bpp_ = 0, sum_psnr_ = 0, sum_norm_ = 0;
    double elapsed_ = 0;  // seconds of training in all
    bool done_ = false;
    int counted_ = 0;
};

}  // namespace

std::unique_ptr<TrainingTask> make_training_task(const Description& description, const TrainOptions& options, const Dataset& dataset) {
    switch (description.task) {
        case Task::codec: return std::make_unique<CodecTask>(description, options, dataset);
        case Task::denoise: return std::make_unique<DenoiseTask>(description, options, dataset);
        case Task::autoencoder: return std::make_unique<AutoencoderTask>(description, options, dataset);
    }
    throw Error(ErrorCode::internal, "a task that nobody trains");
}

void take_share(const Parameters& parameters, std::span<float> gradients, float share) {
    for (const Parameter& p : parameters.list()) {
        if (p.change == Parameter::Change::statistic) continue;
        for (float& g : gradients.subspan(p.offset, p.size)) g *= share;
    }
}

DataType compute_type(Precision precision) {
    switch (precision) {
        case Precision::automatic: return fastest_float();
        case Precision::f32: return DataType::f32;
        case Precision::bf16: break;
    }
    if (!has_bf16()) throw Error(ErrorCode::unsupported, "training.compute: this CPU has no bf16 (it takes AVX-512); auto and f32 do without");
    return DataType::bf16;
}

double TrainingTask::validation_loss(std::span<const ValidationPoint> points) const {
    double sum = 0;
    for (const ValidationPoint& p : points) sum += p.psnr;
    return -sum / double(points.size());
}

TrainResult train_model(const Description& description, const TrainOptions& options, const Parameters* start,
                        const std::function<bool(const TrainProgress&)>& report, Ranks* ranks) {
    check(options);
    const auto alone = ranks == nullptr ? Ranks::alone() : nullptr;
    if (ranks == nullptr) ranks = alone.get();
    if (options.shards % ranks->size() != 0) {
        throw Error(ErrorCode::invalid_argument, "training.shards: " + std::to_string(options.shards) + " is no multiple of the " + std::to_string(ranks->size()) +
                                                     " ranks that share them; --shards " + std::to_string(ranks->size()) + " gives each one");
    }
    return Trainer(description, options, start, report, *ranks).run();
}

Checkpoint read_checkpoint(const std::string& path) {
    const SafetensorsFile file = SafetensorsFile::load(path);
    Checkpoint result;
    result.description = parse_description(checkpoint_text(file, "description", path));
    State state = load_state(file, result.description, path);
    result.parameters = std::move(state.parameters);
    assign(result.parameters, state.result());
    result.steps = state.step;
    result.seconds = state.seconds;
    for (const auto& [key, value] : file.metadata()) {
        if (std::ranges::find(kStateKeys, key) == std::end(kStateKeys)) result.metadata.emplace_back(key, value);
    }
    return result;
}

}  // namespace decant
