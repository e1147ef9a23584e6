#include "tools/decant/denoisers.h"

#include "codec/denoise/page_detector.h"
#include "codec/models/model_finder.h"

namespace decant::cli {

Denoisers::Denoisers(const std::string& model, std::shared_ptr<WorkerPool> threads)
    : model_(model == "auto" ? "" : model), threads_(std::move(threads)) {
    if (!model_.empty()) get(model_);
}

Denoiser& Denoisers::for_picture(const SampleView& picture) {
    if (!model_.empty()) return get(model_);
    if (is_page(picture)) return get("denoise-scan");
    return get(picture.channels() == 1 ? "denoise-gray" : "denoise-photo");
}

Denoiser& Denoisers::get(const std::string& model) {
    const std::lock_guard lock(mutex_);
    if (const auto found = denoisers_.find(model); found != denoisers_.end()) return found->second;
    return denoisers_.try_emplace(model, Model::load(find_denoiser(model)), threads_).first->second;
}

}  // namespace decant::cli
