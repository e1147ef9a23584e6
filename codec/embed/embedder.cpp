#include "codec/embed/embedder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <variant>

#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "codec/transform/transform.h"

namespace decant {

struct Embedder::State {
    std::shared_ptr<const Model> model;
    std::unique_ptr<Autoencoder> autoencoder;
    mutable CodecWeights weights;

    explicit State(std::shared_ptr<const Model> m) : model(std::move(m)), weights(model->description(), model->parameters()) {
        switch (model->description().task) {
            case Task::codec: break;
            case Task::autoencoder: autoencoder = std::make_unique<Autoencoder>(model, 1); break;
            case Task::denoise: throw Error(ErrorCode::model_mismatch, model->path() + ": a denoising model has no code; choose a codec or an autoencoder");
        }
    }

    Code latents(const Image& image) const {
        constexpr int kWindow = 32;  // positions a side
        const Description& d = model->description();
        SharedMemory memory;
        Transform transform(d, weights, memory);
        const Area whole = latent_area(image.width, image.height);
        const int margin = Transform::analysis_margin(d), channels = d.latent_channels;
        Code code{whole.h, whole.w, channels, std::vector<float>(size_t(whole.h) * size_t(whole.w) * size_t(channels))};
        const size_t row = size_t(whole.w) * size_t(channels);
        const float quality = std::clamp(0.5f * float(d.levels() - 1), float(d.first_level()), float(d.last_level()));
        for (int y = 0; y < whole.h; y += kWindow) {
            for (int x = 0; x < whole.w; x += kWindow) {
                const Area window{y, x, std::min(kWindow, whole.h - y), std::min(kWindow, whole.w - x)};
                const Area seen = widened_to(window, margin, whole, kWindow + 2 * margin, kWindow + 2 * margin);
                transform.analyse(image, window, seen, quality, code.values.data() + size_t(y) * row + size_t(x) * size_t(channels), row);
            }
        }
        return code;
    }
};

Embedder::Embedder(std::shared_ptr<const Model> model) : state_(std::make_unique<State>(std::move(model))) {}
Embedder::~Embedder() = default;

const Model& Embedder::model() const { return *state_->model; }

Code Embedder::embed(const Image& image) const {
    check_image(image);
    if (state_->autoencoder) return state_->autoencoder->encode(image);
    if (image.depth() != 8) throw Error(ErrorCode::unsupported, "a codec's latents are those of 8 bits a sample, not " + std::to_string(image.depth()));
    return state_->latents(image);
}

std::vector<float> pooled(const Code& code, int cells) {
    if (cells < 1) throw Error(ErrorCode::invalid_argument, "pooling needs at least one cell");
    const size_t channels = size_t(code.channels);
    std::vector<float> result;
    result.reserve(size_t(cells) * size_t(cells) * 2 * channels);
    // At least one position, whatever the size.
    const auto begin = [cells](int i, int size) { return std::min(int(int64_t(i) * size / cells), size - 1); };
    const auto end = [&](int i, int size) { return std::max(begin(i, size) + 1, int(int64_t(i + 1) * size / cells)); };
    for (int cy = 0; cy < cells; cy++) {
        for (int cx = 0; cx < cells; cx++) {
            std::vector<double> sum(2 * channels, 0.0);
            double count = 0;
            for (int y = begin(cy, code.height); y < end(cy, code.height); y++) {
                for (int x = begin(cx, code.width); x < end(cx, code.width); x++, count++) {
                    const float* v = code.at(y, x);
                    for (size_t c = 0; c < channels; c++) {
                        sum[c] += double(v[c]);
                        sum[channels + c] += double(std::abs(v[c]));
                    }
                }
            }
            for (const double s : sum) result.push_back(float(s / count));
        }
    }
    return result;
}

std::vector<uint8_t> write_npy(std::span<const float> values, std::span<const int64_t> shape) {
    constexpr size_t kAlignment = 64;
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
    for (const int64_t extent : shape) header += std::to_string(extent) + ", ";
    header += "), }";
    const std::string magic("\x93NUMPY\x01\x00", 8);
    const size_t before = magic.size() + 2;
    header.append((kAlignment - (before + header.size() + 1) % kAlignment) % kAlignment, ' ');
    header += '\n';
    std::vector<uint8_t> bytes(magic.begin(), magic.end());
    bytes.push_back(uint8_t(header.size() & 255));
    bytes.push_back(uint8_t(header.size() >> 8));
    bytes.insert(bytes.end(), header.begin(), header.end());
    const size_t at = bytes.size();
    bytes.resize(at + values.size_bytes());
    std::memcpy(bytes.data() + at, values.data(), values.size_bytes());
    return bytes;
}

}  // namespace decant
