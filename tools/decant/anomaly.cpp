#include "codec/anomaly/normality.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "codec/image/writer.h"
#include "codec/io/file.h"
#include "codec/models/model_finder.h"
#include "codec/network/model_file.h"
#include "codec/train/recipe.h"
#include "tools/decant/console.h"
#include "tools/decant/inputs.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/json.h"
#include "tools/decant/pictures.h"
#include "tools/decant/text.h"
#include "tools/decant/training.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

constexpr const char* kNormality = "normality";  // among a model's metadata
constexpr const char* kRecipe = "recipes/autoencoder-anomaly.json";

// An autoencoder of the pictures in --learn.
void train_autoencoder(const Settings& settings) {
    const std::vector<uint8_t> bytes = read_file(find_in_model_folders(kRecipe));
    std::vector<Assignment> assignments = settings.assignments;
    assignments.push_back({"training.data", Json(settings.learn).dump(), "--learn"});
    const Recipe recipe = parse_recipe({bytes.begin(), bytes.end()}, assignments);
    const TrainResult result = train_model(recipe.description, recipe.training, nullptr, [](const TrainProgress& p) {
        show_progress("step " + std::to_string(p.step) + " of " + std::to_string(p.steps) + "  " + fixed(p.psnr, 2) + " dB  " + duration(p.seconds_left) + " left");
        return !is_interrupted();
    });
    clear_progress();
    save_model(settings.trained_model, recipe.description, result.parameters,
               {{"program", "decant " DECANT_VERSION}, {"recipe", to_json(recipe.training)}, {"steps", std::to_string(result.steps)}});
}

ExitCode learn(const Settings& settings) {
    check_model_output(settings.trained_model, settings.force);
    Settings folder = settings;
    folder.inputs = {settings.learn};
    const std::vector<Input> inputs = collect_inputs(folder, is_picture_name);
    if (inputs.empty()) {
        complain_of_no_input(folder);
        return ExitCode::no_input;
    }
    if (settings.model.empty()) train_autoencoder(settings);
    const auto model = Model::load(settings.model.empty() ? settings.trained_model : find_model(settings.model));
    const Autoencoder autoencoder(model, settings.threads);
    Normality::Learner learner(autoencoder);
    ExitStatus status;
    for (const Input& input : inputs) {
        if (is_interrupted()) throw Error(ErrorCode::cancelled, "stopped; " + settings.trained_model + " does not know yet what is normal");
        attempt(input.path, status, [&] {
            if (input.problem) throw *input.problem;
            learner.add(read_opaque_picture(input.path, settings.max_pixels).image);
        });
    }
    auto metadata = model->metadata();
    std::erase_if(metadata, [](const auto& entry) { return entry.first == kNormality; });
    metadata.emplace_back(kNormality, learner.fit().to_json());
    save_model(settings.trained_model, model->description(), model->parameters(), metadata);
    return status.code();
}

// The picture in gray, red where it is not normal: half at the threshold.
Image heat_map(const Image& image, const AnomalyMap& map, int stride) {
    Image result(image.width, image.height, 3);
    for (uint32_t y = 0; y < image.height; y++) {
        // Between the middles of the positions.
        const double fy = std::clamp((y + 0.5) / stride - 0.5, 0.0, map.height - 1.0);
        const int y0 = int(fy), y1 = std::min(y0 + 1, map.height - 1);
        for (uint32_t x = 0; x < image.width; x++) {
            const double fx = std::clamp((x + 0.5) / stride - 0.5, 0.0, map.width - 1.0);
            const int x0 = int(fx), x1 = std::min(x0 + 1, map.width - 1);
            const auto at = [&](int row, int column) { return double(map.values[size_t(row) * size_t(map.width) + size_t(column)]); };
            const double value = (at(y0, x0) * (x0 + 1 - fx) + at(y0, x1) * (fx - x0)) * (y0 + 1 - fy) + (at(y1, x0) * (x0 + 1 - fx) + at(y1, x1) * (fx - x0)) * (fy - y0);
            const double red = std::clamp(value / 2, 0.0, 1.0);
            const uint8_t* p = image.row(y) + size_t(x) * size_t(image.channels);
            const double gray = image.channels == 1 ? p[0] : (p[0] + p[1] + p[2]) / 3.0;
            uint8_t* d = result.row(y) + 3 * size_t(x);
            d[0] = uint8_t(gray * (1 - red) + 255 * red + 0.5);
            d[1] = d[2] = uint8_t(gray * (1 - red) + 0.5);
        }
    }
    return result;
}

}  // namespace

ExitCode anomaly(const Settings& settings) {
    if (!settings.learn.empty()) return learn(settings);
    const std::vector<Input> inputs = collect_inputs(settings, is_picture_name);
    if (inputs.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    const auto model = Model::load(find_model(settings.model));
    const auto found = std::ranges::find(model->metadata(), kNormality, &std::pair<std::string, std::string>::first);
    if (found == model->metadata().end())
        throw Error(ErrorCode::model_mismatch, model->path() + ": does not know what is normal; decant anomaly --learn makes a model that does");
    const Normality normality = in_file(model->path(), [&] { return Normality::parse(found->second); });
    const Autoencoder autoencoder(model, settings.threads);
    ExitStatus status;
    Table table({"picture", "score", "", "worst at"});
    table.align_left(2);
    for (const Input& input : inputs) {
        if (is_interrupted()) throw Error(ErrorCode::cancelled, "stopped");
        attempt(input.path, status, [&] {
            if (input.problem) throw *input.problem;
            const PictureFile picture = read_opaque_picture(input.path, settings.max_pixels);
            const AnomalyMap map = in_file(input.path, [&] { return normality.measure(autoencoder, picture.image); });
            const int x = map.peak_x * autoencoder.stride() + autoencoder.stride() / 2, y = map.peak_y * autoencoder.stride() + autoencoder.stride() / 2;
            if (!settings.output_dir.empty()) {
                const std::string path = output_path(input, settings, ".png");
                std::filesystem::create_directories(std::filesystem::path(path).parent_path());
                write_file_atomically(path, encode_image(heat_map(picture.image, map, autoencoder.stride()), ImageFormat::png), {.overwrite = settings.force});
            }
            if (settings.json)
                print(to_line({{"file", input.path}, {"score", map.score}, {"anomalous", map.score > 1}, {"x", x}, {"y", y}}));
            else
                table.add({input.path, fixed(map.score, 3), map.score > 1 ? "not normal" : "", map.score > 1 ? std::to_string(x) + "," + std::to_string(y) : ""});
        });
    }
    if (!settings.json) print(table.text());
    return status.code();
}

}  // namespace decant::cli
