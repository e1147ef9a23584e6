#include "codec/train/trainer.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "codec/decant.h"
#include "codec/models/model_finder.h"
#include "codec/network/model_file.h"
#include "codec/train/recipe.h"
#include "tools/decant/console.h"
#include "tools/decant/filter.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/search.h"
#include "tools/decant/text.h"
#include "tools/decant/training.h"
#include "tools/decant/training_log.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

namespace fs = std::filesystem;

ExitCode export_checkpoint(const Settings& settings) {
    const Checkpoint checkpoint = read_checkpoint(settings.train.checkpoint);
    std::vector<std::pair<std::string, std::string>> metadata = checkpoint.metadata;
    metadata.emplace_back("program", "decant " DECANT_VERSION);  // unless another one trained and left its name: the first counts
    metadata.emplace_back("steps", std::to_string(checkpoint.steps));
    metadata.emplace_back("seconds", fixed(checkpoint.seconds, 0));
    save_model(settings.trained_model, checkpoint.description, checkpoint.parameters, metadata);
    note(settings.trained_model + ": " + std::to_string(checkpoint.steps) + " steps in " + duration(checkpoint.seconds));
    return ExitCode::done;
}

// What fine-tuning has brought, on the same held-out crops.
std::string gain_text(const std::string& name, const TrainResult& result) {
    std::string text = name + ", which it started from: " + validation_text(result.start_validation, {});
    const double rate = bd_rate_of(result.start_validation, result.validation);
    if (result.validation.front().bpp_hyper > 0) return text + "; BD-rate " + fixed(rate, 1) + " %";
    double gain = 0;
    for (size_t i = 0; i < result.validation.size(); ++i)
        gain += (result.validation[i].psnr - result.start_validation[i].psnr) / static_cast<double>(result.validation.size());
    return text + "; " + fixed(gain, 2) + " dB more than that, in the mean";
}

void tell_data(const TrainProgress& progress) {
    std::string text = "pictures to train on: " + std::to_string(progress.pictures) + ", held out: " + std::to_string(progress.held_out);
    if (progress.left_out > 0) text += ", files left out: " + std::to_string(progress.left_out) + ", such as " + progress.why_left_out;
    note(text);
}

}  // namespace

ExitCode train(const Settings& settings) {
    const std::string results = results_file(settings);
    std::error_code error;
    check_model_output(settings.trained_model, settings.force || (!settings.search.empty() && fs::exists(results, error)));
    if (settings.export_checkpoint) return export_checkpoint(settings);
    std::shared_ptr<const Model> start;
    if (!settings.start_model.empty()) start = Model::load(find_model(settings.start_model));
    if (!settings.search.empty() && settings.ranks->size() > 1)
        throw Error(ErrorCode::invalid_argument, "train: --search does not share its trials among ranks; run it without mpirun");
    if (!settings.search.empty()) return search_models(settings, start.get());
    const auto [description, training] = read_recipe(settings, start.get());
    TrainOptions options = with_settings(training, settings);
    if (settings.filter_crops > 0) {
        fit_filter(start, options, settings);
        return ExitCode::done;
    }
    const bool keeps_checkpoint = !options.checkpoint.empty();
    if (!keeps_checkpoint) options.checkpoint = settings.trained_model + ".checkpoint";
    if (fs::exists(options.checkpoint, error)) note("going on from " + options.checkpoint);

    const bool is_first = settings.ranks->rank() == 0;  // which speaks and writes for all
    TrainingLog log(is_first ? settings.log : "", is_first ? settings.html : "", fs::path(settings.trained_model).stem().string(), fs::exists(options.checkpoint, error), settings.force);
    options.examples = log.has_page() ? TrainingLog::kExamples : 0;
    TrainResult result;
    bool is_data_told = false;
    try {
        result = train_model(description, options, start ? &start->parameters() : nullptr, [&](const TrainProgress& progress) {
            if (!std::exchange(is_data_told, true)) tell_data(progress);
            show(progress);
            log.add(progress);
            return !is_interrupted();
        }, settings.ranks);
    } catch (const Error& stop) {
        log.finish("stopped");
        if (stop.code() != ErrorCode::cancelled) throw;
        throw Error(ErrorCode::cancelled, std::string(stop.what()) + "; the same command goes on from " + options.checkpoint);
    }
    log.finish("finished");
    clear_progress();
    if (!is_first) return ExitCode::done;
    save_model(settings.trained_model, description, result.parameters, metadata_of(result, options, start.get()));
    if (!keeps_checkpoint) fs::remove(options.checkpoint, error);
    note(settings.trained_model + ": " + std::to_string(result.steps) + " steps in " + duration(result.seconds) +
         ", held out: " + validation_text(result.validation, result.figures));
    if (start) note(gain_text(start->name(), result));
    return ExitCode::done;
}

}  // namespace decant::cli
