#include "codec/autoencoder/autoencoder.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string>

#include "codec/autoencoder/bottleneck.h"
#include "codec/autoencoder/decoder_values.h"
#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "codec/image/luma.h"
#include "codec/image/reflection.h"
#include "codec/image/sample_view.h"
#include "codec/tensor/random.h"
#include "codec/transform/transform.h"

namespace decant {
namespace {

constexpr int kTile = 512;  // pixels a side that a task computes, about

int ceil_div(int a, int b) { return (a + b - 1) / b; }

const Description& checked(const Model& model) {
    if (model.description().task == Task::autoencoder) return model.description();
    throw Error(ErrorCode::model_mismatch, model.path() + ": is no autoencoder; choose another model, or train one (models/recipes)");
}

}  // namespace

struct Autoencoder::State {
    std::shared_ptr<const Model> model;
    const Description& description;
    mutable WorkerPool pool;
    mutable CodecWeights weights;
    const int channels, stride, code_channels, encoder_margin, decoder_margin;  // margins in positions of the code

    State(std::shared_ptr<const Model> m, int threads)
        : model(std::move(m)),
          description(checked(*model)),
          pool(threads),
          weights(description, model->parameters()),
          channels(description.network(kEncoderNetwork).channels_in),
          stride(code_stride(description)),
          code_channels(latent_shape(description, {1, stride, stride, channels}).c),
          encoder_margin(ceil_div(receptive_margin(description.network(kEncoderNetwork), 1), stride)),
          decoder_margin(ceil_div(receptive_margin(description.network(kDecoderNetwork), stride), stride)) {
        for (const char* network : {kEncoderNetwork, kDecoderNetwork}) static_cast<void>(weights[network]);  // before threads ask for them
    }

    Area whole(uint32_t width, uint32_t height) const { return {0, 0, ceil_div(int(height), stride), ceil_div(int(width), stride)}; }

    // work(window, seen, graph) for all windows of `area`, each on one thread; the graph was made for `seen`, to be filled and run.
    template <class Work>
    void for_windows(const char* network, const Area& area, int margin, int scale, int graph_channels, const Work& work) const {
        const int side = std::max(1, kTile / stride), down = ceil_div(area.h, side), across = ceil_div(area.w, side);
        std::mutex mutex;
        std::vector<std::unique_ptr<Graph>> free;
        int next = 0;
        pool.run([&]() -> WorkerPool::Task {
            if (next == down * across) return {};
            const int tile = next++;
            return [&, tile] {
                const int y = tile / across * side, x = tile % across * side;
                const Area window{y, x, std::min(side, area.h - y), std::min(side, area.w - x)};
                // All of one size, for which a network is made once.
                const Area seen = widened_to(window, margin, area, side + 2 * margin, side + 2 * margin);
                std::unique_ptr<Graph> graph;
                {
                    const std::lock_guard lock(mutex);
                    if (!free.empty()) {
                        graph = std::move(free.back());
                        free.pop_back();
                    }
                }
                if (graph == nullptr) {
                    GraphOptions o;
                    o.compute = fastest_float();
                    graph = std::make_unique<Graph>(weights[network], Shape{1, seen.h * scale, seen.w * scale, graph_channels}, o);
                }
                work(window, seen, *graph);
                const std::lock_guard lock(mutex);
                free.push_back(std::move(graph));
            };
        });
    }

    Code encode(const Image& image) const {
        check_image(image);
        const SampleView src(image);
        const Area area = whole(image.width, image.height);
        Code code{area.h, area.w, code_channels, std::vector<float>(size_t(area.h) * size_t(area.w) * size_t(code_channels))};
        for_windows(kEncoderNetwork, area, encoder_margin, stride, channels, [&](const Area& window, const Area& seen, Graph& graph) {
            fill(src, seen, graph.input());
            graph.forward();
            // Windows have the code before the bottleneck, which goes position by position.
            const Shape raw = graph.output().shape;
            BottleneckPass bottleneck(description.bottleneck, raw, false);
            std::vector<float> latent(bottleneck.latent().elements());
            const auto codebook = model->parameters().contains("codebook") ? model->parameters()["codebook"] : std::span<const float>();
            bottleneck.forward({graph.output().as<float>(), raw.elements()}, latent, codebook, {}, 1, 0.0f);
            for (int y = window.y; y < window.bottom(); y++) {
                const size_t from = (size_t(y - seen.y) * size_t(seen.w) + size_t(window.x - seen.x)) * size_t(code_channels);
                const size_t to = (size_t(y) * size_t(area.w) + size_t(window.x)) * size_t(code_channels);
                std::copy_n(latent.begin() + std::ptrdiff_t(from), size_t(window.w) * size_t(code_channels), code.values.begin() + std::ptrdiff_t(to));
            }
        });
        return code;
    }

    void fill(const SampleView& src, const Area& seen, const TensorRef& input) const {
        std::vector<float> row(size_t(src.width()) * size_t(src.channels()));
        float* dst = input.as<float>();
        for (int y = seen.y * stride; y < seen.bottom() * stride; y++) {
            src.read(reflect(y, src.height()), 0, src.width(), row.data());
            for (int x = seen.x * stride; x < seen.right() * stride; x++, dst += channels) {
                const float* p = row.data() + size_t(reflect(x, src.width())) * size_t(src.channels());
                if (channels == 1) {
                    dst[0] = pixel_value(src.channels() == 1 ? p[0] : luma(p[0], p[1], p[2]));
                } else {
                    for (int c = 0; c < 3; c++) dst[c] = pixel_value(p[src.channels() == 1 ? 0 : c]);
                }
            }
        }
    }

    Image decode(const Code& code, uint32_t width, uint32_t height) const {
        const Area area = whole(width, height);
        if (width == 0 || height == 0 || code.height != area.h || code.width != area.w || code.channels != code_channels ||
            code.values.size() != size_t(area.h) * size_t(area.w) * size_t(code_channels)) {
            throw Error(ErrorCode::invalid_argument, "the code is not that of a picture of " + std::to_string(width) + "x" + std::to_string(height) + " pixels");
        }
        Image image(width, height, channels);
        const float offset = decoder_offset(description);
        for_windows(kDecoderNetwork, area, decoder_margin, 1, code_channels, [&](const Area& window, const Area& seen, Graph& graph) {
            float* input = graph.input().as<float>();
            for (int y = seen.y; y < seen.bottom(); y++) {
                std::copy_n(code.at(y, seen.x), size_t(seen.w) * size_t(code_channels), input + size_t(y - seen.y) * size_t(seen.w) * size_t(code_channels));
            }
            graph.forward();
            const int right = std::min(window.right() * stride, int(width)), bottom = std::min(window.bottom() * stride, int(height));
            for (int y = window.y * stride; y < bottom; y++) {
                const float* from = graph.output().as<float>() +
                                    (size_t(y - seen.y * stride) * size_t(seen.w * stride) + size_t((window.x - seen.x) * stride)) * size_t(channels);
                uint8_t* to = image.row(uint32_t(y)) + size_t(window.x * stride) * size_t(channels);
                for (size_t i = 0; i < size_t(right - window.x * stride) * size_t(channels); i++) {
                    to[i] = uint8_t(std::clamp((from[i] + offset) * 255.0f + 0.5f, 0.0f, 255.0f));
                }
            }
        });
        return image;
    }
};

Autoencoder::Autoencoder(std::shared_ptr<const Model> model, int threads) : state_(std::make_unique<State>(std::move(model), threads)) {}
Autoencoder::~Autoencoder() = default;

const Model& Autoencoder::model() const { return *state_->model; }
int Autoencoder::stride() const { return state_->stride; }
int Autoencoder::channels() const { return state_->channels; }

Code Autoencoder::encode(const Image& image) const { return state_->encode(image); }
Image Autoencoder::decode(const Code& code, uint32_t width, uint32_t height) const { return state_->decode(code, width, height); }

Image Autoencoder::sample(uint32_t width, uint32_t height, uint64_t seed) const {
    if (state_->description.bottleneck.kind != Bottleneck::Kind::variational) {
        throw Error(ErrorCode::model_mismatch, model().path() + ": is no variational autoencoder, so there is nothing to draw from");
    }
    const Area area = state_->whole(width, height);
    Code code{area.h, area.w, state_->code_channels, std::vector<float>(size_t(area.h) * size_t(area.w) * size_t(state_->code_channels))};
    RandomStream random{random_key(seed, 11)};
    for (float& v : code.values) v = random.normal();
    return decode(code, width, height);
}

}  // namespace decant
