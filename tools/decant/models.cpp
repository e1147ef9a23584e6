#include "codec/decant.h"
#include "codec/io/installation.h"
#include "codec/models/model_finder.h"
#include "tools/decant/console.h"
#include "tools/decant/json.h"
#include "tools/decant/text.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

std::string describe(const Model& model) {
    const Description& description = model.description();
    const std::string parameters = fixed(static_cast<double>(model.parameters().values().size()) / 1e6, 2) + " M parameters";
    if (description.task == Task::denoise) return "denoising, " + parameters;
    if (description.task == Task::autoencoder) return "autoencoder, " + parameters;
    std::string points = std::to_string(description.levels()) + " rate points";
    if (description.serves) points = std::to_string(description.first_level()) + " to " + std::to_string(description.last_level()) + " of " + points;
    return points + ", " + std::to_string(description.latent_channels) + " latent channels, " + parameters;
}

}  // namespace

ExitCode models(const Settings& settings) {
    ExitStatus status;
    Table table({"name", "identity", "file", "description"});
    table.align_left(2);
    table.align_left(3);
    bool found = false;
    for (const std::string& path : model_files()) {
        attempt(path, status, [&] {
            const auto model = Model::load(path);
            found = true;
            if (settings.json)
                print(to_line({{"name", model->name()},
                               {"identity", hexadecimal(model->identity())},
                               {"file", path},
                               {"description", describe(*model)}}));
            else
                table.add({model->name(), hexadecimal(model->identity()), path, describe(*model)});
        });
    }
    if (found && !settings.json) print(table.text());
    if (found || status.code() != ExitCode::done) return status.code();
    std::string folders;
    for (const std::string& folder : model_folders()) folders += "\n  " + folder;
    complain("no model is at hand; looked for NAME.safetensors in" + folders + "; set DECANT_MODELS to the folder that has one");
    return ExitCode::failed;
}

}  // namespace decant::cli
