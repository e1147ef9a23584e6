#include "tools/decant/training.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "codec/error.h"
#include "codec/io/file.h"
#include "codec/measure/bd_rate.h"
#include "codec/models/model_finder.h"
#include "tools/decant/console.h"
#include "tools/decant/text.h"
#include "tools/decant/training_log.h"

namespace decant::cli {

namespace fs = std::filesystem;

void check_model_output(const std::string& name, bool overwrite) {
    const fs::path path = name;
    std::error_code error;
    if (path.extension() != ".safetensors")
        throw Error(ErrorCode::invalid_argument, "--out " + name + ": the name of a model ends in .safetensors");
    if (fs::exists(path, error) && !overwrite)
        throw Error(ErrorCode::exists, name + ": exists already; choose another name, or overwrite it with -f");
    const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
    if (!fs::is_directory(folder, error))
        throw Error(ErrorCode::not_found, folder.string() + ": there is no such folder; make it first");
}

Recipe read_recipe(const Settings& settings, const Model* start, const std::vector<Assignment>& assignments) {
    const std::string path =
        settings.recipe.empty() && start == nullptr ? find_in_model_folders("recipes/photo.json") : settings.recipe;
    std::vector<uint8_t> bytes;
    if (!path.empty()) bytes = read_file(path);
    const std::string text(bytes.begin(), bytes.end());
    std::vector<Assignment> all = settings.assignments;
    all.insert(all.end(), assignments.begin(), assignments.end());
    Recipe recipe = [&] {
        try {
            return parse_recipe(text, all, start != nullptr ? &start->description() : nullptr);
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

TrainOptions with_settings(TrainOptions options, const Settings& settings) {
    options.checkpoint = settings.train.checkpoint;
    options.checkpoint_every = settings.train.checkpoint_every;
    options.max_bytes = settings.train.max_bytes;
    return options;
}

void show(const TrainProgress& p, const std::string& prefix) {
    show_progress(prefix + "step " + std::to_string(p.step) + " of " + std::to_string(p.steps) + "  loss " + fixed(p.loss, 3) + "  " +
                  (p.bpp > 0 ? fixed(p.bpp, 3) + " bpp  " : "") + fixed(p.psnr, 2) + " dB  " + fixed(p.crops_per_second, 1) +
                  " crops/s  " + duration(p.seconds_left) + " left");
    if (!p.validation.empty()) note(prefix + "step " + std::to_string(p.step) + ", held out: " + validation_text(p.validation, p.figures));
}

std::string validation_text(const std::vector<ValidationPoint>& points, const std::vector<Figure>& figures) {
    std::string text;
    for (const ValidationPoint& point : points) {
        text += text.empty() ? "" : ", ";
        if (point.bpp > 0)
            text += fixed(point.bpp, 3) + " bpp ";
        else if (point.psnr_noisy > 0)
            text += level_name(point) + " " + fixed(point.psnr_noisy, 2) + " -> ";
        text += fixed(point.psnr, 2) + " dB";
    }
    for (const Figure& figure : figures) text += ", " + figure.name + " " + (figure.value == std::floor(figure.value) ? plain(figure.value) : fixed(figure.value, 3));
    return text;
}

Json to_json(const std::vector<ValidationPoint>& points) {
    Json list = Json::array();
    for (const ValidationPoint& p : points) {
        Json point = Json::object();
        if (p.bpp_hyper > 0)
            point["level"] = p.level;
        else if (p.psnr_noisy > 0)
            p.level == kMixtureLevel ? point["noise"] = "mixture" : point["sigma"] = p.level;
        if (p.bpp > 0) point["bpp"] = p.bpp;
        if (p.bpp_hyper > 0) point["bpp_hyper"] = p.bpp_hyper;
        if (p.channels > 0) {
            point["active"] = p.active;
            point["channels"] = p.channels;
        }
        if (p.psnr_noisy > 0) point["psnr_noisy"] = p.psnr_noisy;
        point["psnr"] = p.psnr;
        list.push_back(std::move(point));
    }
    return list;
}

std::vector<ValidationPoint> parse_validation(const Json& list) {
    std::vector<ValidationPoint> points;
    try {
        for (const Json& point : list) {
            ValidationPoint p;
            p.level = point.contains("noise") ? kMixtureLevel : point.value("level", point.value("sigma", 0.0));
            p.bpp = point.value("bpp", 0.0);
            p.bpp_hyper = point.value("bpp_hyper", 0.0);
            p.active = point.value("active", 0.0);
            p.channels = point.value("channels", 0.0);
            p.psnr_noisy = point.value("psnr_noisy", 0.0);
            p.psnr = point.at("psnr").get<double>();
            points.push_back(p);
        }
    } catch (const Json::exception&) {
        throw Error(ErrorCode::corrupt, "a validation without its figures");
    }
    return points;
}

double bd_rate_of(const std::vector<ValidationPoint>& anchor, const std::vector<ValidationPoint>& test) {
    const auto curve = [](const std::vector<ValidationPoint>& points) {
        std::vector<CurvePoint> result;
        for (const ValidationPoint& p : points) result.push_back({p.bpp, p.psnr});
        return result;
    };
    try {
        return bd_rate(curve(anchor), curve(test)).value;
    } catch (const Error&) {
        return std::numeric_limits<double>::quiet_NaN();
    }
}

std::vector<std::pair<std::string, std::string>> metadata_of(const TrainResult& result, const TrainOptions& options,
                                                             const Model* start) {
    Json points = to_json(result.validation);
    for (Json& point : points)
        for (const Figure& f : result.figures) point[f.name] = f.value;
    std::vector<std::pair<std::string, std::string>> metadata{
        {"program", "decant " DECANT_VERSION},
        {"recipe", decant::to_json(options)},
        {"steps", std::to_string(result.steps)},
        {"seconds", fixed(result.seconds, 0)},
        {"data", std::to_string(result.pictures) + " pictures to learn from, " + std::to_string(result.held_out) + " held out"},
        {"results", points.dump()}};
    if (start != nullptr) {
        metadata.emplace_back("start", start->name() + " " + hexadecimal(start->identity()));
        metadata.emplace_back("start_results", to_json(result.start_validation).dump());
    }
    return metadata;
}

}  // namespace decant::cli
