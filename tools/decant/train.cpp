#include "codec/train/trainer.h"

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "codec/decant.h"
#include "codec/io/file.h"
#include "codec/network/model_file.h"
#include "codec/train/recipe.h"
#include "tools/decant/console.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/json.h"
#include "tools/decant/model_finder.h"
#include "tools/decant/text.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

namespace fs = std::filesystem;

Recipe read_recipe(const Settings& settings, const Model* start) {
    const std::string path =
        settings.recipe.empty() && start == nullptr ? find_in_model_folders("recipes/photo.json") : settings.recipe;
    std::vector<uint8_t> bytes;
    if (!path.empty()) bytes = read_file(path);
    const std::string text(bytes.begin(), bytes.end());
    Recipe recipe = [&] {
        try {
            return parse_recipe(text, settings.assignments, start != nullptr ? &start->description() : nullptr);
        } catch (const Error& error) {
            // Of what was set, the command line is the place.
            if (error.code() == ErrorCode::invalid_argument || path.empty()) throw;
            throw Error(error.code(), path + ": " + error.what());
        }
    }();
    if (recipe.training.data.empty())
        throw Error(ErrorCode::invalid_argument, "train: pictures to learn from are needed: --data FOLDER, or \"data\" in the training of a recipe");
    return recipe;
}

std::string validation_text(const std::vector<ValidationPoint>& points, const std::vector<Figure>& figures) {
    std::string text;
    for (const ValidationPoint& point : points) {
        text += text.empty() ? "" : ", ";
        if (point.bpp > 0)
            text += fixed(point.bpp, 3) + " bpp ";
        else if (point.psnr_noisy > 0)
            text += (point.level == kMixtureLevel ? "mixture" : "sigma " + plain(point.level)) + " " + fixed(point.psnr_noisy, 2) + " -> ";
        text += fixed(point.psnr, 2) + " dB";
    }
    for (const Figure& figure : figures) text += ", " + figure.name + " " + (figure.value == std::floor(figure.value) ? plain(figure.value) : fixed(figure.value, 3));
    return text;
}

void show(const TrainProgress& p) {
    show_progress("step " + std::to_string(p.step) + " of " + std::to_string(p.steps) + "  loss " + fixed(p.loss, 3) + "  " +
                  (p.bpp > 0 ? fixed(p.bpp, 3) + " bpp  " : "") + fixed(p.psnr, 2) + " dB  " + fixed(p.crops_per_second, 1) +
                  " crops/s  " + duration(p.seconds_left) + " left");
    if (!p.validation.empty()) note("step " + std::to_string(p.step) + ", held out: " + validation_text(p.validation, p.figures));
}

std::vector<std::pair<std::string, std::string>> metadata_of(const TrainResult& result, const TrainOptions& options,
                                                             const Model* start) {
    Json points = Json::array();
    for (const ValidationPoint& p : result.validation) {
        Json point = Json::object();
        if (p.bpp > 0) {
            point = {{"level", p.level}, {"bpp", p.bpp}, {"bpp_hyper", p.bpp_hyper}};
        } else if (p.psnr_noisy > 0) {
            point = {p.level == kMixtureLevel ? Json{"noise", "mixture"} : Json{"sigma", p.level}, {"psnr_noisy", p.psnr_noisy}};
        }
        point["psnr"] = p.psnr;
        for (const Figure& f : result.figures) point[f.name] = f.value;
        points.push_back(std::move(point));
    }
    std::vector<std::pair<std::string, std::string>> metadata{
        {"program", "decant " DECANT_VERSION},
        {"recipe", to_json(options)},
        {"steps", std::to_string(result.steps)},
        {"seconds", fixed(result.seconds, 0)},
        {"data", std::to_string(result.pictures) + " pictures to learn from, " + std::to_string(result.held_out) + " held out"},
        {"results", points.dump()}};
    if (start != nullptr) metadata.emplace_back("start", start->name() + " " + hexadecimal(start->identity()));
    return metadata;
}

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

}  // namespace

ExitCode train(const Settings& settings) {
    check_model_output(settings.trained_model, settings.force);
    if (settings.export_checkpoint) return export_checkpoint(settings);
    std::shared_ptr<const Model> start;
    if (!settings.start_model.empty()) start = Model::load(find_model(settings.start_model));
    const auto [description, training] = read_recipe(settings, start.get());
    TrainOptions options = training;
    options.checkpoint = settings.train.checkpoint;
    options.checkpoint_every = settings.train.checkpoint_every;
    options.max_bytes = settings.train.max_bytes;
    const bool keeps_checkpoint = !options.checkpoint.empty();
    if (!keeps_checkpoint) options.checkpoint = settings.trained_model + ".checkpoint";
    std::error_code error;
    if (fs::exists(options.checkpoint, error)) note("going on from " + options.checkpoint);

    TrainResult result;
    try {
        result = train_model(description, options, start ? &start->parameters() : nullptr, [](const TrainProgress& progress) {
            show(progress);
            return !is_interrupted();
        });
    } catch (const Error& stop) {
        if (stop.code() != ErrorCode::cancelled) throw;
        throw Error(ErrorCode::cancelled, std::string(stop.what()) + "; the same command goes on from " + options.checkpoint);
    }
    clear_progress();
    save_model(settings.trained_model, description, result.parameters, metadata_of(result, options, start.get()));
    if (!keeps_checkpoint) fs::remove(options.checkpoint, error);
    note(settings.trained_model + ": " + std::to_string(result.steps) + " steps in " + duration(result.seconds) +
         ", held out: " + validation_text(result.validation, result.figures));
    return ExitCode::done;
}

}  // namespace decant::cli
