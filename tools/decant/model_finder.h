// Models by name, by file, and by the identity that a .dcn file asks for.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "codec/decant.h"

namespace decant::cli {

inline constexpr const char* kDefaultModel = "photo";

// Where models are looked for, in this order: $DECANT_MODELS, models beside the program, ../share/decant/models from there.
std::vector<std::string> model_folders();

// The model files in those folders, the default one of each folder first, then by name.
std::vector<std::string> model_files();

// A file in a model folder, such as "recipes/photo.json". Throws Error not_found, naming the folders.
std::string find_in_model_folders(const std::string& name);

// "photo" and "path/to/photo.safetensors" alike; empty: the default. Throws Error not_found.
std::string find_model(const std::string& name_or_file);

// The same among denoising models, of which "photo" is short for "denoise-photo". There is no default.
std::string find_denoiser(const std::string& name_or_file);

// Whether a model can be written there: better said now than after days of training. Throws Error invalid_argument, exists, not_found.
void check_model_output(const std::string& path, bool overwrite);

// Loads models as .dcn files ask for them; shared by all threads that decode.
class ModelLibrary {
public:
    // only: name or file of the one model to use; empty: all that are at hand.
    explicit ModelLibrary(const std::string& only);

    // Throws Error model_mismatch if no model at hand is the one.
    std::shared_ptr<const Model> get(uint64_t identity);

private:
    std::mutex mutex_;
    std::vector<std::string> unread_;  // files, the next one last
    std::map<uint64_t, std::shared_ptr<const Model>> models_;
    std::string unreadable_;  // what was wrong with files that are no good
};

}  // namespace decant::cli
