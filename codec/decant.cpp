#include "codec/decant.h"

#include <xxhash.h>

#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <variant>

#include "codec/container/alpha_section.h"
#include "codec/container/metadata_section.h"
#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "codec/image/metrics.h"
#include "codec/latents/latent_weights.h"
#include "codec/network/model_file.h"
#include "codec/pipeline/tile_pipeline.h"
#include "codec/refine/effort.h"
#include "codec/target/target.h"

namespace decant {
namespace {

constexpr int kTile = 64;          // latents a side that the encoder puts into one stream
constexpr int kLargestTile = 256;  // that a decoder takes: memory for a tile is asked for before its stream can prove itself

}  // namespace

struct Model::State {
    std::string path;
    AnyModel contents;
    const NetworkModel& networks;
    mutable CodecWeights weights;  // prepares networks when they are first asked for; locks itself
    mutable std::optional<LatentWeights> latent_weights;  // of a codec

    State(std::string p, AnyModel c)
        : path(std::move(p)),
          contents(std::move(c)),
          networks(std::visit([](const NetworkModel& m) -> const NetworkModel& { return m; }, contents)),
          weights(networks.description, networks.parameters) {
        if (const auto* codec = std::get_if<ModelContents>(&contents)) latent_weights.emplace(*codec, weights);
    }

    const ModelContents& codec() const {
        if (const auto* c = std::get_if<ModelContents>(&contents)) return *c;
        throw Error(ErrorCode::model_mismatch, path + ": is no codec, so it cannot encode or decode; choose another model");
    }
};

std::string hexadecimal(uint64_t identity) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(identity));
    return text;
}

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::~Model() = default;

std::shared_ptr<const Model> Model::load(const std::string& path) {
    return std::shared_ptr<const Model>(new Model(std::make_unique<State>(path, load_any_model(path))));
}

const std::string& Model::path() const { return state_->path; }
const std::string& Model::name() const { return state_->networks.description.name; }
uint64_t Model::identity() const { return state_->networks.identity; }
const Description& Model::description() const { return state_->networks.description; }
const Parameters& Model::parameters() const { return state_->networks.parameters; }
const std::vector<std::pair<std::string, std::string>>& Model::metadata() const { return state_->networks.metadata; }

struct Codec::State {
    std::shared_ptr<const Model> model;
    const ModelContents& contents;
    TilePipeline pipeline;

    State(std::shared_ptr<const Model> m, std::shared_ptr<WorkerPool> pool)
        : model(std::move(m)),
          contents(model->state().codec()),
          pipeline(contents, model->state().weights, *model->state().latent_weights, std::move(pool)) {}

    EncodeResult encode(const Image& image, int quality_q8, int effort, const EncodeOptions& options, const std::vector<Section>& sections) {
        Container container;
        container.sections = sections;
        Header& header = container.header;
        header.model = contents.identity;
        header.width = image.width;
        header.height = image.height;
        header.channels = uint8_t(image.channels);
        header.quality = uint16_t(quality_q8);
        header.tile = kTile;
        const EncodedTiles tiles = pipeline.encode(image, header, effort_of(effort), options.predict_bits, options.supervision);
        container.tiles.assign(tiles.streams.begin(), tiles.streams.end());
        EncodeResult result;
        result.bytes = write_container(container);
        result.model_bits = tiles.model_bits;
        result.quality_q8 = quality_q8;
        return result;
    }

    Container parse(std::span<const uint8_t> bytes, const DecodeOptions& options) const {
        Container c = parse_container(bytes, {options.max_pixels});
        if (c.header.model != contents.identity) {
            throw Error(ErrorCode::model_mismatch, "the file was made with the model " + hexadecimal(c.header.model) + ", this one is " + hexadecimal(contents.identity) + " (" +
                                                       contents.description.name + ")");
        }
        if (c.header.tile > kLargestTile) {
            throw Error(ErrorCode::unsupported, "tiles of " + std::to_string(c.header.tile) + " latents a side; up to " + std::to_string(kLargestTile) + " are supported");
        }
        if (c.header.quality > (contents.description.levels() - 1) * 256) throw Error(ErrorCode::corrupt, "the header's quality is beyond the model's range");
        return c;
    }
};

Codec::Codec(std::shared_ptr<const Model> model, int threads) : Codec(std::move(model), std::make_shared<WorkerPool>(threads)) {}
Codec::Codec(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> threads) : state_(std::make_unique<State>(std::move(model), std::move(threads))) {}
Codec::~Codec() = default;

const Model& Codec::model() const { return *state_->model; }

EncodeResult Codec::encode(const Image& image, const EncodeOptions& options) {
    check_image(image);
    if (image.depth() != 8) {
        throw Error(ErrorCode::unsupported, std::to_string(image.depth()) +
                                                " bits a sample: a .dcn file cannot hold them yet; nothing was reduced or written. "
                                                "Convert the picture to 8 bits to encode it");
    }
    if (!(options.quality >= 0.0 && options.quality <= 100.0)) {
        throw Error(ErrorCode::invalid_argument, "quality " + std::to_string(options.quality) + " is not in 0 … 100");
    }
    if (options.effort < 1 || options.effort > 9) {
        throw Error(ErrorCode::invalid_argument, "effort " + std::to_string(options.effort) + " is not in 1 … 9");
    }
    State& s = *state_;
    const int last = (s.contents.description.levels() - 1) * 256;
    std::vector<Section> sections;
    if (options.alpha) {
        check_alpha(image, *options.alpha);
        sections.push_back(pack_alpha(*options.alpha));
    }
    if (!options.metadata.empty()) sections.push_back(pack_metadata(options.metadata));
    EncodeResult result;
    if (options.target.kind == EncodeTarget::Kind::none) {
        result = s.encode(image, int(std::lround(options.quality / 100.0 * last)), options.effort, options, sections);
    } else {
        TargetEncoder encoder;
        encoder.pixels = image.pixel_count();
        encoder.last_quality = last;
        encoder.encode = [&](int quality_q8, int effort) { return s.encode(image, quality_q8, effort, options, sections); };
        encoder.psnr = [&](const EncodeResult& r) { return psnr(image, decode(r.bytes, {image.pixel_count(), options.supervision})); };
        result = encode_to_target(options.target, options.effort, encoder);
    }
    result.quality = 100.0 * result.quality_q8 / last;
    return result;
}

Image Codec::decode(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    return state_->pipeline.decode(state_->parse(bytes, options), options.supervision);
}

uint64_t Codec::symbol_hash(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    uint64_t hash = 0;
    state_->pipeline.decode_latents(state_->parse(bytes, options), [&](std::span<const int32_t> latents) {
        hash = XXH3_64bits_withSeed(latents.data(), latents.size_bytes(), hash);
    });
    return hash;
}

Metadata decode_metadata(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    return unpack_metadata(parse_container(bytes, {options.max_pixels}));
}

std::optional<Image> decode_alpha(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    return unpack_alpha(parse_container(bytes, {options.max_pixels}));
}

uint64_t required_model(std::span<const uint8_t> bytes) { return parse_container(bytes).header.model; }

}  // namespace decant
