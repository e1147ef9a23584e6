#include "codec/decant.h"

#include <omp.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "codec/engine/parallel.h"
#include "codec/error.h"
#include "codec/image/metrics.h"
#include "codec/latents/dequantise.h"
#include "codec/latents/latent_coder.h"
#include "codec/network/model_file.h"
#include "codec/target/target.h"
#include "codec/transform/transform.h"

namespace decant {
namespace {

constexpr int kTile = 64;           // latents a side that the encoder puts into one stream
constexpr int kLargestTile = 256;   // that a decoder takes: memory for a tile is asked for before its stream can prove itself
constexpr size_t kCoderLimit = 8;   // tile shapes kept; a picture has at most four

// Lets OpenMP use a number of threads while a call lasts.
class ThreadBudget {
public:
    explicit ThreadBudget(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs()); }
    ~ThreadBudget() { omp_set_num_threads(before_); }
    ThreadBudget(const ThreadBudget&) = delete;
    ThreadBudget& operator=(const ThreadBudget&) = delete;

private:
    int before_;
};

std::string hex(uint64_t v) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
    return text;
}

struct TileArea {
    int y, x, h, w;  // latents
};

TileArea tile_area(const Header& header, uint64_t number) {
    const int rows = int((uint64_t(header.height) + kLatentStride - 1) / kLatentStride), columns = int((uint64_t(header.width) + kLatentStride - 1) / kLatentStride);
    const uint64_t across = tile_grid(header).columns;
    const int y = int(number / across) * header.tile, x = int(number % across) * header.tile;
    return {y, x, std::min<int>(header.tile, rows - y), std::min<int>(header.tile, columns - x)};
}

}  // namespace

struct Model::State {
    std::string path;
    ModelContents contents;
    mutable CodecWeights weights;  // prepares networks when they are first asked for; locks itself

    State(std::string p, ModelContents c) : path(std::move(p)), contents(std::move(c)), weights(contents.description, contents.parameters) {}
};

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::~Model() = default;

std::shared_ptr<const Model> Model::load(const std::string& path) {
    return std::shared_ptr<const Model>(new Model(std::make_unique<State>(path, load_model(path))));
}

const std::string& Model::path() const { return state_->path; }
const std::string& Model::name() const { return state_->contents.description.name; }
uint64_t Model::identity() const { return state_->contents.identity; }
const Description& Model::description() const { return state_->contents.description; }
const Parameters& Model::parameters() const { return state_->contents.parameters; }
const std::vector<std::pair<std::string, std::string>>& Model::metadata() const { return state_->contents.metadata; }

struct Codec::State {
    std::shared_ptr<const Model> model;
    int threads;
    const ModelContents& contents;
    CodecWeights& weights;
    Transform transform;
    std::map<std::pair<int, int>, std::unique_ptr<LatentCoder>> coders;

    State(std::shared_ptr<const Model> m, int t)
        : model(std::move(m)), threads(t), contents(model->state().contents), weights(model->state().weights), transform(contents.description, weights) {}

    LatentCoder& coder(int h, int w) {
        auto& slot = coders[{h, w}];
        if (slot == nullptr) {
            if (coders.size() > kCoderLimit) {
                coders.clear();
                return coder(h, w);
            }
            slot = std::make_unique<LatentCoder>(contents, weights, h, w);
        }
        return *slot;
    }

    // [M] factors at a rate point: 2^(a level's logarithms, interpolated).
    std::vector<float> gains(float quality) const {
        const auto table = contents.parameters["gain"];
        const LevelMix m = mix_levels(quality, contents.description.levels());
        std::vector<float> result(size_t(contents.description.latent_channels));
        for (size_t c = 0; c < result.size(); c++) {
            const size_t at = size_t(m.level) * result.size() + c;
            result[c] = std::exp2(table[at] * (1 - m.upper) + table[at + result.size()] * m.upper);
        }
        return result;
    }

    EncodeResult encode(const Image& image, int quality_q8, const EncodeOptions& options) {
        Container container;
        Header& header = container.header;
        header.model = contents.identity;
        header.width = image.width;
        header.height = image.height;
        header.channels = uint8_t(image.channels);
        header.quality = uint16_t(quality_q8);
        header.tile = kTile;

        const float quality = float(header.quality) / 256.0f;
        LatentPlane plane = transform.analyse(image, quality);
        const std::vector<float> gain = gains(quality);
        const size_t channels = gain.size();
        parallel_for(size_t(plane.h) * size_t(plane.w), 16, [&](size_t begin, size_t end) {
            for (size_t p = begin; p < end; p++) {
                for (size_t c = 0; c < channels; c++) plane.values[p * channels + c] *= gain[c];
            }
        });

        EncodeResult result;
        result.quality_q8 = quality_q8;
        std::vector<std::vector<uint8_t>> streams;
        for (uint64_t i = 0; i < tile_grid(header).count(); i++) {
            const TileArea area = tile_area(header, i);
            std::vector<float> y(size_t(area.h) * size_t(area.w) * channels);
            for (int r = 0; r < area.h; r++) {
                std::copy_n(plane.at(area.y + r, area.x), size_t(area.w) * channels, y.begin() + std::ptrdiff_t(size_t(r) * size_t(area.w) * channels));
            }
            streams.push_back(coder(area.h, area.w).encode(y, header.quality, options.predict_bits ? &result.model_bits : nullptr));
        }
        container.tiles.assign(streams.begin(), streams.end());
        result.bytes = write_container(container);
        return result;
    }

    Container parse(std::span<const uint8_t> bytes, const DecodeOptions& options) const {
        Container c = parse_container(bytes, {options.max_pixels});
        if (c.header.model != contents.identity) {
            throw Error(ErrorCode::model_mismatch, "the file was made with the model " + hex(c.header.model) + ", this one is " + hex(contents.identity) + " (" +
                                                       contents.description.name + ")");
        }
        if (c.header.tile > kLargestTile) {
            throw Error(ErrorCode::unsupported, "tiles of " + std::to_string(c.header.tile) + " latents a side; up to " + std::to_string(kLargestTile) + " are supported");
        }
        if (c.header.quality > (contents.description.levels() - 1) * 256) throw Error(ErrorCode::corrupt, "the header's quality is beyond the model's range");
        return c;
    }

    // f(area, latents [h, w, M] in multiples of 1/64 step) for each tile.
    template <class F>
    void decode_tiles(const Container& c, F&& f) {
        for (size_t i = 0; i < c.tiles.size(); i++) {
            const TileArea area = tile_area(c.header, i);
            LatentCoder& tile = coder(area.h, area.w);
            tile.decode(c.tiles[i], c.header.quality);
            f(area, tile.latents());
        }
    }
};

Codec::Codec(std::shared_ptr<const Model> model, int threads) : state_(std::make_unique<State>(std::move(model), threads)) {}
Codec::~Codec() = default;

const Model& Codec::model() const { return *state_->model; }

EncodeResult Codec::encode(const Image& image, const EncodeOptions& options) {
    check_image(image);
    if (!(options.quality >= 0.0 && options.quality <= 100.0)) {
        throw Error(ErrorCode::invalid_argument, "quality " + std::to_string(options.quality) + " is not in 0 … 100");
    }
    State& s = *state_;
    const ThreadBudget budget(s.threads);
    const int last = (s.contents.description.levels() - 1) * 256;
    EncodeResult result;
    if (options.target.kind == EncodeTarget::Kind::none) {
        result = s.encode(image, int(std::lround(options.quality / 100.0 * last)), options);
    } else {
        TargetEncoder encoder;
        encoder.pixels = image.pixel_count();
        encoder.last_quality = last;
        encoder.encode = [&](int quality_q8, int) { return s.encode(image, quality_q8, options); };
        encoder.psnr = [&](const EncodeResult& r) { return psnr(image, decode(r.bytes, {image.pixel_count()})); };
        result = encode_to_target(options.target, 1, encoder);
    }
    result.quality = 100.0 * result.quality_q8 / last;
    return result;
}

Image Codec::decode(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    State& s = *state_;
    const Container container = s.parse(bytes, options);
    const Header& header = container.header;
    const ThreadBudget budget(s.threads);
    const float quality = float(header.quality) / 256.0f;
    const Dequantiser dequantise(s.contents.step, s.contents.description.levels(), header.quality);
    DecodedPlane plane;
    s.decode_tiles(container, [&](const TileArea& area, std::span<const int32_t> latents) {
        if (plane.values.empty()) {  // a stream that decodes comes before memory for a whole picture
            plane = DecodedPlane(int((uint64_t(header.height) + kLatentStride - 1) / kLatentStride), int((uint64_t(header.width) + kLatentStride - 1) / kLatentStride),
                                s.contents.description.latent_channels);
        }
        parallel_for(size_t(area.h), 1, [&](size_t begin, size_t end) {
            for (size_t r = begin; r < end; r++) {
                dequantise(latents.data() + r * size_t(area.w) * size_t(plane.channels), plane.at(area.y + int(r), area.x), size_t(area.w));
            }
        });
    });
    return s.transform.synthesise(plane, header.width, header.height, header.channels, quality);
}

uint64_t Codec::symbol_hash(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    State& s = *state_;
    const Container container = s.parse(bytes, options);
    const ThreadBudget budget(s.threads);
    uint64_t hash = 0;
    s.decode_tiles(container, [&](const TileArea&, std::span<const int32_t> latents) { hash = XXH3_64bits_withSeed(latents.data(), latents.size_bytes(), hash); });
    return hash;
}

uint64_t required_model(std::span<const uint8_t> bytes) { return parse_container(bytes).header.model; }

}  // namespace decant
