#include "tests/tiny_model.h"

#include <omp.h>
#include <stdlib.h>

#include <cerrno>
#include <cmath>
#include <random>
#include <system_error>

#include "tests/image_samples.h"

namespace decant::test {
namespace {

std::string context(const std::string& name, int channels_in) {
    return R"("context)" + name + R"(": {"channels_in": )" + std::to_string(channels_in) + R"(, "layers": [
      {"name": "conv1", "channels": 16, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 16, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
      {"name": "conv3", "channels": 32, "arithmetic": "integer", "quality_bias": true, "init": "small"}]})";
}

std::string transforms(int colours) {
    return R"(
    "analysis": {"channels_in": )" + std::to_string(colours) + R"(, "layers": [
      {"name": "pixels", "op": "unshuffle", "factor": 4},
      {"name": "klt1", "channels": 12, "arithmetic": "wide", "init": "klt"},
      {"name": "block1.a", "channels": 8, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block1.b", "channels": 12, "kernel": 3, "arithmetic": "integer", "add": "klt1", "init": "zero"},
      {"name": "down2", "op": "unshuffle", "factor": 2},
      {"name": "klt2", "channels": 24, "arithmetic": "wide", "init": "klt"},
      {"name": "block2.a", "channels": 16, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block2.b", "channels": 24, "kernel": 3, "arithmetic": "integer", "add": "klt2", "init": "zero"},
      {"name": "down3", "op": "unshuffle", "factor": 2},
      {"name": "klt3", "channels": 32, "arithmetic": "wide", "quality_bias": true, "init": "klt"},
      {"name": "block3.a", "channels": 16, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block3.b", "channels": 32, "kernel": 3, "arithmetic": "integer", "add": "klt3", "init": "zero"},
      {"name": "latents", "channels": 16, "arithmetic": "wide", "init": "klt"}]},
    "synthesis": {"channels_in": 16, "layers": [
      {"name": "latents", "channels": 32, "arithmetic": "wide", "quality_bias": true, "init": "klt"},
      {"name": "block3.a", "channels": 16, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block3.b", "channels": 32, "kernel": 3, "arithmetic": "integer", "add": "latents", "init": "zero"},
      {"name": "klt3", "channels": 96, "arithmetic": "wide", "init": "klt"},
      {"name": "up3", "op": "shuffle", "factor": 2},
      {"name": "block2.a", "channels": 16, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block2.b", "channels": 24, "kernel": 3, "arithmetic": "integer", "add": "up3", "init": "zero"},
      {"name": "klt2", "channels": 48, "arithmetic": "wide", "quality_bias": true, "init": "klt"},
      {"name": "up2", "op": "shuffle", "factor": 2},
      {"name": "block1.a", "channels": 8, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block1.b", "channels": 12, "kernel": 3, "arithmetic": "integer", "add": "up2", "init": "zero"},
      {"name": "klt1", "channels": )" + std::to_string(16 * colours) + R"(, "arithmetic": "wide", "init": "klt"},
      {"name": "pixels", "op": "shuffle", "factor": 4}]},
    "hyper_analysis": {"channels_in": 32, "layers": [
      {"name": "conv1", "channels": 16, "activation": "leaky_relu"},
      {"name": "conv2", "channels": 16, "kernel": 3, "stride": 2, "activation": "leaky_relu"},
      {"name": "conv3", "channels": 8, "kernel": 3, "stride": 2}]},
    "hyper_synthesis": {"channels_in": 16, "layers": [
      {"name": "conv1", "channels": 32, "arithmetic": "integer", "activation": "relu", "input_exponent": 2},
      {"name": "up1", "op": "shuffle", "factor": 2},
      {"name": "conv2", "channels": 32, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
      {"name": "up2", "op": "shuffle", "factor": 2}]},)";
}

class Random {
public:
    explicit Random(uint32_t seed) : engine_(seed) {}
    float normal() { return normal_(engine_); }
    float uniform(float low, float high) { return low + (high - low) * uniform_(engine_); }
    bool coin() { return engine_() % 2 == 0; }

private:
    std::mt19937 engine_;
    std::normal_distribution<float> normal_;
    std::uniform_real_distribution<float> uniform_;
};

// [out, in, k, k]; size: of a typical result, where inputs are about 1.
void fill_integer_weights(std::span<float> weights, const std::vector<int>& shape, float size, Random& random) {
    const size_t taps = size_t(shape[2]) * size_t(shape[3]), per_output = size_t(shape[1]) * taps;
    for (size_t o = 0; o < size_t(shape[0]); o++) {
        const auto row = weights.subspan(o * per_output, per_output);
        const float scale = size * random.uniform(0.5f, 1.5f) / std::sqrt(float(per_output));
        if (o % 8 == 3) {
            std::fill(row.begin(), row.end(), 0.0f);
        } else if (o % 4 == 0) {
            float sign = 1;
            for (size_t i = 0; i < per_output; i++) {
                if (i % (4 * taps) == 0) sign = random.coin() ? 1.0f : -1.0f;
                row[i] = sign * scale;
            }
        } else {
            const float octaves = std::exp2(random.uniform(-8, 1));
            for (float& v : row) v = octaves * scale * random.normal();
        }
    }
}

void fill_layer(const Description& d, const std::string& network, const Layer& layer, Parameters& parameters, Random& random) {
    const std::string name = network + "." + layer.name;
    const Parameter& p = parameters.find(name + ".weight");
    const auto weights = parameters[p.name], bias = parameters[name + ".bias"];
    const bool integer = layer.arithmetic == Arithmetic::integer, transforms = network == "analysis" || network == "synthesis";
    const bool predicts = integer && !transforms && layer.activation == Activation::none;
    if (integer) {
        fill_integer_weights(weights, p.shape, transforms ? (layer.init == Init::zero ? 0.3f : 1.0f) : predicts ? 0.5f : 2.0f, random);
    } else {
        // Inside the transforms values are of the order of 1, as those of a trained model are; pixels and latents are smaller.
        const std::string first = network == "analysis" ? "klt1" : "latents", last = network == "analysis" ? "latents" : "klt1";
        const float inside = !transforms ? 1.0f : layer.name == first ? 4.0f : layer.name == last ? 0.2f : 1.0f;
        const float size = inside * (network == "hyper_analysis" && layer.name == "conv3" ? 8.0f : 1.0f);
        for (float& v : weights) v = size * random.normal() / std::sqrt(float(p.size) / float(p.shape[0]));
    }
    for (size_t o = 0; o < bias.size(); o++) {
        if (predicts) {
            bias[o] = o < size_t(d.latent_channels) ? random.uniform(-2, 2) : random.uniform(-5, 2);
        } else {
            bias[o] = integer && !transforms ? 0.5f + random.normal() : (integer ? 0.2f : 0.02f) * random.normal();
        }
    }
    if (layer.quality_bias) {
        for (float& v : parameters[name + ".quality"]) v = (integer ? 0.3f : 0.05f) * random.normal();
    }
}

}  // namespace

Description tiny_description(int colours) {
    return parse_description(
        R"({"name": "tiny", "latent_channels": 16, "hyper_channels": 8, "lambda": [0.001, 0.01, 0.1], "networks": {)" +
        transforms(colours) + context("0", 8) + "," + context("1", 24) + "," + context("2", 24) + "," + context("3", 24) +
        "}}");
}

Parameters tiny_parameters(const Description& d, uint32_t seed) {
    Parameters parameters(d);
    Random random(seed);
    for (const Network& network : d.networks) {
        for (const Layer& layer : network.layers) {
            if (layer.op == Operation::convolution) fill_layer(d, network.name, layer, parameters, random);
        }
    }
    const auto gain = parameters["gain"], inverse = parameters["inverse_gain"];
    for (size_t i = 0; i < gain.size(); i++) {
        gain[i] = 1.0f + 2.0f * float(i / size_t(d.latent_channels)) + 0.5f * random.normal();
        inverse[i] = -gain[i];
    }
    for (float& v : parameters["latent_std"]) v = 0.3f * std::exp2(random.normal());
    for (float& v : parameters["prediction"]) v = 0.2f * random.normal();
    for (float& v : parameters["hyper_mean"]) v = random.uniform(-3, 3);
    for (float& v : parameters["hyper_log2_scale"]) v = random.uniform(0, 6);
    return parameters;
}

ModelContents tiny_contents(uint32_t seed, int colours) {
    const TemporaryFolder folder;
    const Description d = tiny_description(colours);
    save_model(folder / "tiny.safetensors", d, tiny_parameters(d, seed), {});
    return load_model(folder / "tiny.safetensors");
}

std::shared_ptr<const Model> tiny_model(uint32_t seed) {
    const TemporaryFolder folder;
    const Description d = tiny_description();
    save_model(folder / "tiny.safetensors", d, tiny_parameters(d, seed), {});
    return Model::load(folder / "tiny.safetensors");
}

std::string shipped_model_path() { return DECANT_SOURCE_DIR "/models/photo.safetensors"; }

std::shared_ptr<const Model> shipped_model() {
    return std::filesystem::exists(shipped_model_path()) ? Model::load(shipped_model_path()) : nullptr;
}

Image mixed_image(uint32_t width, uint32_t height, int channels, uint32_t seed) {
    Image image = smooth_image(width, height, channels);
    const Image noise = noise_image(width, height, channels, seed);
    const size_t row = image.row_size();
    for (size_t y = 0; y < height; y++) {
        for (size_t i = row / 2; i < row; i++) image.samples()[y * row + i] = noise.samples()[y * row + i];
    }
    return image;
}

ThreadCount::ThreadCount(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
ThreadCount::~ThreadCount() { omp_set_num_threads(before_); }

TemporaryFolder::TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "decant-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace decant::test
