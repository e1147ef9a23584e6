#include "codec/models/model_finder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "codec/error.h"
#include "codec/io/installation.h"
#include "codec/network/model_file.h"

namespace decant {
namespace {

namespace fs = std::filesystem;

std::string folder_list() {
    std::string list;
    for (const std::string& folder : model_folders()) list += (list.empty() ? "" : ", ") + folder;
    return list;
}

bool is_file_name(const std::string& name_or_file) {
    return name_or_file.find('/') != std::string::npos || name_or_file.ends_with(kModelExtension);
}

}  // namespace

std::vector<std::string> model_files() {
    std::vector<std::string> files;
    for (const std::string& folder : model_folders()) {
        std::vector<fs::path> found;
        std::error_code error;
        for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
            if (it->path().extension() == kModelExtension) found.push_back(it->path());
        const auto order = [](const fs::path& path) { return std::pair(path.stem() != kDefaultModel, path); };
        std::sort(found.begin(), found.end(), [&](const fs::path& a, const fs::path& b) { return order(a) < order(b); });
        for (const fs::path& path : found) files.push_back(path.string());
    }
    return files;
}

std::string find_in_model_folders(const std::string& name) {
    for (const std::string& folder : model_folders()) {
        const fs::path path = fs::path(folder) / name;
        std::error_code error;
        if (fs::exists(path, error)) return path.string();
    }
    throw Error(ErrorCode::not_found,
                name + ": is in none of the model folders (" + folder_list() + "); set DECANT_MODELS to the folder that has it");
}

std::string find_model(const std::string& name_or_file) {
    if (name_or_file.empty()) return find_model(kDefaultModel);
    return is_file_name(name_or_file) ? name_or_file : find_in_model_folders(name_or_file + kModelExtension);
}

std::string find_denoiser(const std::string& name_or_file) {
    if (is_file_name(name_or_file)) return name_or_file;
    try {
        return find_in_model_folders("denoise-" + name_or_file + kModelExtension);
    } catch (const Error&) {
        return find_in_model_folders(name_or_file + kModelExtension);
    }
}

CodecLibrary::CodecLibrary(const std::string& only, std::shared_ptr<WorkerPool> threads)
    : threads_(std::move(threads)) {
    for (const std::string& path : only.empty() ? model_files() : std::vector<std::string>{find_model(only)}) unread_.push_back({path, [path] { return Model::load(path); }});
    std::reverse(unread_.begin(), unread_.end());
}

Codec& CodecLibrary::get(uint64_t identity) {
    const std::lock_guard lock(mutex_);
    while (!codecs_.contains(identity) && !unread_.empty()) {
        const File file = std::move(unread_.back());
        unread_.pop_back();
        if (read_.contains(file.path)) continue;  // loaded once more, it would stay with the model that names it
        try {
            const std::shared_ptr<const Model> model = file.load();
            read_.insert(file.path);
            const Description& d = model->description();
            if (d.task != Task::codec || !codecs_.try_emplace(model->identity(), model, threads_).second) continue;
            const auto beside = [&](const std::string& name) { return std::filesystem::path(model->path()).replace_filename(name + kModelExtension).string(); };
            if (!d.gray.empty()) unread_.push_back({beside(d.gray), [model] { return model->gray(); }});
            if (!d.companion.empty()) unread_.push_back({beside(d.companion), [model] { return model->companion(); }});
        } catch (const Error& error) {
            unreadable_ += std::string("; ") + error.what();
        }
    }
    if (const auto found = codecs_.find(identity); found != codecs_.end()) return found->second;
    std::string known;
    for (const auto& [other, codec] : codecs_) known += (known.empty() ? "" : ", ") + codec.model().name() + " " + hexadecimal(other);
    throw Error(ErrorCode::model_mismatch, "made with model " + hexadecimal(identity) + ", which is not at hand (" +
                                               (known.empty() ? "no model is" : "only " + known) + unreadable_ +
                                               "); give its file with --model, or set DECANT_MODELS to its folder");
}

}  // namespace decant
