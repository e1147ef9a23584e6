// The denoising models that a run may need, each loaded when the first picture asks for it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "codec/denoise/denoiser.h"

namespace decant::cli {

// For several threads.
class Denoisers {
public:
    // model: name or file; "auto" or empty: scan, gray or photo, by what each picture shows. All share the budget of threads.
    // Throws Error as Model::load if the one named is no denoising model; those of auto are looked for when they are needed.
    Denoisers(const std::string& model, std::shared_ptr<WorkerPool> threads);

    Denoiser& for_picture(const SampleView& picture);

private:
    Denoiser& get(const std::string& model);

    const std::string model_;
    const std::shared_ptr<WorkerPool> threads_;
    std::mutex mutex_;
    std::map<std::string, Denoiser> denoisers_;  // by name or file
};

}  // namespace decant::cli
