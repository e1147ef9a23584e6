// Models by name, by file, and by the identity that a .dcn file asks for. They lie in the folders of codec/io/installation.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "codec/decant.h"

namespace decant {

inline constexpr const char* kDefaultModel = "photo";

// The model files in these folders, the default one of each folder first, then by name.
std::vector<std::string> model_files();

// A file in a model folder, such as "recipes/photo.json". Throws Error not_found, naming the folders.
std::string find_in_model_folders(const std::string& name);

// "photo" and "path/to/photo.safetensors" alike; empty: the default. Throws Error not_found.
std::string find_model(const std::string& name_or_file);

// The same among denoising models, of which "photo" is short for "denoise-photo". There is no default.
std::string find_denoiser(const std::string& name_or_file);

// A codec for each model and those that it names, loaded as .dcn files ask for it; for all threads that decode.
class CodecLibrary {
public:
    // only: name or file of the one model to use; empty: all that are at hand. Throws Error not_found.
    CodecLibrary(const std::string& only, std::shared_ptr<WorkerPool> threads);

    // Throws Error model_mismatch if no model at hand is the one.
    Codec& get(uint64_t identity);

private:
    const std::shared_ptr<WorkerPool> threads_;
    std::mutex mutex_;
    struct File {
        std::string path;
        std::function<std::shared_ptr<const Model>()> load;
    };
    std::vector<File> unread_;  // the next one last: what a model names comes before all others, as it most likely made a file that this did not
    std::set<std::string> read_;
    std::map<uint64_t, Codec> codecs_;
    std::string unreadable_;  // what was wrong with files that are no good
};

}  // namespace decant
