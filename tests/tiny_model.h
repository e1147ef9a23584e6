// A model of the same structure as models/recipes/photo.json, small enough to run thousands of times, with random parameters.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "codec/decant.h"
#include "codec/network/model_file.h"

namespace decant::test {

// 16 latent channels, 8 hyper-latent channels, 3 rate points. colours: 3, or 1 for gray pictures.
Description tiny_description(int colours = 3);

// The integer networks have rows of very different scales, rows of zeros, and rows of ±63 in which neighbours have the same sign,
// so that a sum of two products that saturates at 16 bits would show. Means and scales of the latents vary over many octaves, so
// that symbols of all kinds occur: left out, by table, with raw bits, escaped.
Parameters tiny_parameters(const Description& description, uint32_t seed = 1);

// Through a file and back, as every model comes. The file is gone afterwards.
ModelContents tiny_contents(uint32_t seed = 1, int colours = 3);
std::shared_ptr<const Model> tiny_model(uint32_t seed = 1);

// The model that comes with decant; null while there is none.
std::shared_ptr<const Model> shipped_model();
std::string shipped_model_path();

// Waves and noise side by side: symbols both probable and improbable.
Image mixed_image(uint32_t width, uint32_t height, int channels, uint32_t seed = 1);

// OpenMP uses this many threads while it lives.
class ThreadCount {
public:
    explicit ThreadCount(int count);
    ~ThreadCount();
    ThreadCount(const ThreadCount&) = delete;
    ThreadCount& operator=(const ThreadCount&) = delete;

private:
    int before_;
};

// A folder of its own that goes away with everything in it.
class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace decant::test
