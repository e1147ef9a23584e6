#include "codec/decant.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "codec/container/alpha_section.h"
#include "codec/container/metadata_section.h"
#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "codec/filter/filter_changes.h"
#include "codec/image/metrics.h"
#include "codec/image/reduction.h"
#include "codec/latents/latent_weights.h"
#include "codec/network/model_file.h"
#include "codec/pipeline/tile_pipeline.h"
#include "codec/refine/effort.h"
#include "codec/residual/residual_coder.h"
#include "codec/target/target.h"

namespace decant {
namespace {

constexpr int kTile = 64;          // latents a side that the encoder puts into one stream
constexpr double kPreviewQuality = 0.3;  // of the range of qualities, at most
constexpr int kPreviewEffort = 2;
constexpr uint32_t kPreviewSide = 256;
constexpr uint64_t kPreviewPixels = uint64_t{1} << 20;  // at most, as previews are read
constexpr int kStretch = 128;      // beyond what a model serves, in 1/256 of a rate point, when a target is looked for
constexpr int kLargestTile = 256;  // that a decoder takes: memory for a tile is asked for before its stream can prove itself

void check_options(const EncodeOptions& options) {
    if (!(options.quality >= 0.0 && options.quality <= 100.0)) {
        throw Error(ErrorCode::invalid_argument, "quality " + std::to_string(options.quality) + " is not in 0 … 100");
    }
    if (options.effort < 1 || options.effort > 9) {
        throw Error(ErrorCode::invalid_argument, "effort " + std::to_string(options.effort) + " is not in 1 … 9");
    }
    if (options.max_error && options.target.kind != EncodeTarget::Kind::none) {
        throw Error(ErrorCode::invalid_argument, "a target size or quality and a largest error exclude each other");
    }
}

std::vector<Section> sections_of(const EncodeOptions& options) {
    std::vector<Section> sections;
    if (options.alpha) sections = pack_alpha(*options.alpha);
    if (!options.metadata.empty()) sections.push_back(pack_metadata(options.metadata));
    return sections;
}

Region whole(const Header& header) { return {0, 0, header.width, header.height}; }

void check_region(const Region& region, const Header& header) {
    if (region.width == 0 || region.height == 0 || region.right() > header.width || region.bottom() > header.height) {
        throw Error(ErrorCode::invalid_argument, "a region of " + std::to_string(region.width) + "x" + std::to_string(region.height) + " pixels at " +
                                                     std::to_string(region.x) + "," + std::to_string(region.y) + " is not in a picture of " +
                                                     std::to_string(header.width) + "x" + std::to_string(header.height));
    }
}

// The sections alone: tiles are neither read nor checked.
Container parse_sections(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    return parse_container(bytes, {options.max_pixels, options.fetch, [](const Container&, size_t) { return false; }});
}

}  // namespace

struct Model::State {
    std::string path;
    AnyModel contents;
    const NetworkModel& networks;
    mutable CodecWeights weights;  // prepares networks when they are first asked for; locks itself
    mutable std::optional<LatentWeights> latent_weights;  // of a codec
    struct Partner {
        std::mutex mutex;
        std::shared_ptr<const Model> model;  // null until it is asked for
    };
    mutable Partner companion, gray;

    // check: throws where the model is of no use as that.
    std::shared_ptr<const Model> load(Partner& partner, const std::string& name, const char* as, const std::function<void(const Model&)>& check) const {
        if (name.empty()) return nullptr;
        const std::lock_guard lock(partner.mutex);
        if (partner.model == nullptr) {
            const std::shared_ptr<const Model> found = Model::load(std::filesystem::path(path).replace_filename(name + kModelExtension).string());
            if (found->description().lambda != networks.description.lambda) {
                throw Error(ErrorCode::model_mismatch, found->path() + ": has other rate points than " + path + ", so it cannot be its " + as);
            }
            check(*found);
            partner.model = found;
        }
        return partner.model;
    }

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
const std::vector<FilterTables>& Model::filters() const { return state_->networks.filters; }
const std::vector<std::pair<std::string, std::string>>& Model::metadata() const { return state_->networks.metadata; }

std::shared_ptr<const Model> Model::companion() const {
    return state_->load(state_->companion, description().companion, "companion", [](const Model&) {});
}

std::shared_ptr<const Model> Model::gray() const {
    return state_->load(state_->gray, description().gray, "model for gray pictures", [](const Model& found) {
        const Description& d = found.description();
        if (picture_channels(d) != 1) throw Error(ErrorCode::model_mismatch, found.path() + ": is not for gray pictures");
    });
}

namespace {

// A model at work.
struct Part {
    std::shared_ptr<const Model> model;
    const ModelContents& contents;
    TilePipeline pipeline;

    Part(std::shared_ptr<const Model> m, const std::shared_ptr<WorkerPool>& pool)
        : model(std::move(m)), contents(model->state().codec()), pipeline(contents, model->state().weights, *model->state().latent_weights, pool) {}

    int channels() const { return picture_channels(contents.description); }
    bool serves(int quality_q8) const {
        return quality_q8 >= 256 * contents.description.first_level() && quality_q8 <= 256 * contents.description.last_level();
    }
};

// A model and its companions, in the order in which they name each other; each is loaded when it is first looked for.
class Family {
public:
    using Loader = std::function<std::shared_ptr<const Model>()>;
    // first: null if there is none.
    Family(Loader first, std::shared_ptr<WorkerPool> pool) : first_(std::move(first)), pool_(std::move(pool)) {}

    // The first one that `wanted` is true of, or null; without `load` among those that are there. Throws what Model::companion throws, if it gets to it.
    Part* find(const std::function<bool(const Part&)>& wanted, bool load = true) {
        const std::lock_guard lock(mutex_);
        for (size_t i = 0; i < parts_.size() || (load && load_next()); i++)
            if (wanted(parts_[i])) return &parts_[i];
        return nullptr;
    }
    Part* first() {
        return find([](const Part&) { return true; });
    }
    std::vector<Part*> all() {
        find([](const Part&) { return false; });
        std::vector<Part*> parts;
        for (Part& part : parts_) parts.push_back(&part);
        return parts;
    }

private:
    // The last one names the first again, or none.
    bool load_next() {
        const std::shared_ptr<const Model> next = parts_.empty() ? first_() : parts_.back().model->companion();
        if (next == nullptr || std::ranges::any_of(parts_, [&](const Part& p) { return p.model->identity() == next->identity(); })) return false;
        parts_.emplace_back(next, pool_);
        return true;
    }

    const Loader first_;
    const std::shared_ptr<WorkerPool> pool_;
    std::mutex mutex_;
    std::deque<Part> parts_;  // which stay where they are as more are loaded
};

}  // namespace

struct Codec::State {
    std::shared_ptr<WorkerPool> pool;
    Family models, gray;
    Part& own;

    State(const std::shared_ptr<const Model>& model, std::shared_ptr<WorkerPool> threads)
        : pool(std::move(threads)),
          models([model] { return model; }, pool),
          gray([model] { return model->gray(); }, pool),
          own(*models.first()) {}

    // For pictures of so many channels.
    Family& family(int channels) {
        if (channels > own.channels()) throw Error(ErrorCode::invalid_argument, "the model " + own.model->name() + " is for gray pictures only");
        return channels < own.channels() && gray.first() != nullptr ? gray : models;
    }

    // The model that encodes such a picture at a quality.
    Part& serving(int quality_q8, int channels) {
        Family& candidates = family(channels);
        if (Part* part = candidates.find([&](const Part& p) { return p.serves(quality_q8); })) return *part;
        const Description& d = candidates.first()->contents.description;
        const auto quality = [&](int level) { return std::to_string(100 * level / (d.levels() - 1)); };
        throw Error(ErrorCode::invalid_argument, "the model " + d.name + " serves qualities from " + quality(d.first_level()) + " to " + quality(d.last_level()) + " only");
    }

    // Where a target is looked for: all qualities of the model for the lowest ones, then all of that for the next. Each model has its own rate at a
    // quality, so that the one below goes on a little, until that above can be expected to give no less: no size is left out between the two.
    struct Place {
        Part* part;
        int first, last;  // qualities
        int count() const { return last - first + 1; }
    };
    std::vector<Place> search_places(int channels) {
        std::vector<Place> places;
        for (Part* part : family(channels).all()) {
            const Description& d = part->contents.description;
            places.push_back({part, 256 * d.first_level(), 256 * d.last_level()});
        }
        std::ranges::stable_sort(places, {}, &Place::first);
        for (size_t i = 1; i < places.size(); i++) {
            Place &below = places[i - 1], &above = places[i];
            above.first = std::max(above.first, below.last);  // where both serve, the one that `serving` takes: that which comes first
            below.last = std::min(below.last + kStretch, last_quality());
        }
        std::erase_if(places, [](const Place& p) { return p.first > p.last; });
        return places;
    }

    // The model that a file was made with.
    Part& maker(uint64_t identity) {
        const auto is_it = [&](const Part& p) { return p.contents.identity == identity; };
        // What this codec made itself needs no other model: a gray picture's file none of those for colours.
        for (Family* candidates : {&models, &gray})
            if (Part* part = candidates->find(is_it, false)) return *part;
        std::string why;
        for (const auto& [name, candidates] : {std::pair("companion", &models), {"model for gray pictures", &gray}}) {
            try {
                if (Part* part = candidates->find(is_it)) return *part;
            } catch (const Error& error) {
                why += std::string("; its ") + name + " cannot be used: " + error.what();
            }
        }
        throw Error(ErrorCode::model_mismatch, "the file was made with the model " + hexadecimal(identity) + ", this one is " + hexadecimal(own.contents.identity) + " (" +
                                                   own.contents.description.name + ")" + why);
    }

    // picture: a SampleView or a RowReader. sections() are what stands before the tiles, asked for when these are done, with the container so far.
    EncodeResult encode(Part& part, auto& picture, const PictureShape& shape, int quality_q8, int effort, const EncodeOptions& options,
                        const std::function<std::vector<Section>(const Container&)>& sections) {
        Container container;
        Header& header = container.header;
        header.model = part.contents.identity;
        header.width = shape.width;
        header.height = shape.height;
        header.channels = uint8_t(shape.channels);
        header.depth = uint8_t(shape.depth);
        header.quality = uint16_t(quality_q8);
        header.tile = kTile;
        const Effort work = effort_of(effort);
        header.quantiser = work.settings.quantiser;
        if (options.filter && !part.contents.filters.empty()) header.filter = part.contents.filters.back().check;
        const EncodedTiles tiles = part.pipeline.encode(picture, header, work, options.predict_bits, options.supervision);
        container.tiles.assign(tiles.streams.begin(), tiles.streams.end());
        if (!tiles.turn.is_none()) container.sections.push_back({kSectionTurn, {uint8_t(tiles.turn.code())}});
        const int planes = filter_planes(part.channels());
        if (const auto& taps = tiles.filter_changes.taps; !taps.empty()) container.sections.push_back({kSectionFilter, pack_changes(taps, counts_of_changes(planes))});
        if (const auto& cross = tiles.filter_changes.cross; !cross.empty()) container.sections.push_back({kSectionFilterCross, pack_changes(cross, counts_of_cross(planes))});
        for (Section& section : sections(container)) container.sections.push_back(std::move(section));
        EncodeResult result;
        result.bytes = write_container(container);
        result.model_bits = tiles.model_bits;
        result.quality_q8 = quality_q8;
        result.quality = 100.0 * quality_q8 / last_quality();
        return result;
    }

    // What the decoded picture lacks; the container has its tiles.
    Section residual_section(const Container& container, const Image& image, uint16_t bound, const Supervision& supervision) {
        const Image decoded = maker(container.header.model).pipeline.decode(container, whole(container.header), supervision);
        return {kSectionResidual, encode_residual(image, decoded, bound, each_of(supervision))};
    }

    Section residual_section(const Container& container, RowReader& original, uint16_t bound, const Supervision& supervision) {
        ResidualMaker residual(original, bound);
        maker(container.header.model).pipeline.decode(container, whole(container.header), residual, supervision);
        return {kSectionResidual, residual.finish()};
    }

    // Of a picture that was decoded without it, or of a region.
    void complete(const Container& container, const Region& region, Image& image, const Supervision& supervision) {
        const Section* section = find_section(container, kSectionResidual);
        if (section == nullptr) return;
        add_residual(section->payload, container.header.width, container.header.height, region.x, region.y, image, each_of(supervision));
    }

    ForEach each_of(const Supervision& supervision) {
        return [this, &supervision](size_t count, const std::function<void(size_t)>& f) {
            size_t next = 0;
            pool->run([&]() -> WorkerPool::Task {
                if (supervision.is_cancelled && supervision.is_cancelled()) throw Error(ErrorCode::cancelled, "cancelled");
                if (next == count) return {};
                return [&f, i = next++] { f(i); };
            });
        };
    }

    // At a quality that costs few bytes.
    Section preview_section(const Image& preview, int quality_q8, const EncodeOptions& options) {
        const int quality = std::min(quality_q8, int(kPreviewQuality * last_quality()));
        const SampleView view = preview;
        EncodeOptions preview_options;
        preview_options.supervision = options.supervision;
        return {kSectionPreview, encode(serving(quality, preview.channels), view, shape_of(preview), quality, kPreviewEffort, preview_options, [](const Container&) { return std::vector<Section>(); }).bytes};
    }

    int last_quality() const { return (own.contents.description.levels() - 1) * 256; }
    int quality_q8_of(double quality) const { return int(std::lround(quality / 100.0 * last_quality())); }

    Container parse(std::span<const uint8_t> bytes, const DecodeOptions& options) {
        ParseOptions parse_options{options.max_pixels, options.fetch, {}};
        if (options.region) {
            parse_options.is_wanted = [&](const Container& container, size_t tile) {
                check_header(container.header);
                check_region(*options.region, container.header);
                return maker(container.header.model).pipeline.is_needed(container, *options.region, tile);
            };
        }
        Container c = parse_container(bytes, parse_options);
        check_header(c.header);
        return c;
    }

    void check_header(const Header& header) {
        if (header.channels > maker(header.model).channels()) throw Error(ErrorCode::corrupt, "a picture in colour, made with a model for gray pictures");
        if (header.tile > kLargestTile) {
            throw Error(ErrorCode::unsupported, "tiles of " + std::to_string(header.tile) + " latents a side; up to " + std::to_string(kLargestTile) + " are supported");
        }
        if (header.filter != 0) maker(header.model).contents.filter(header.filter);
        if (header.quality > last_quality()) throw Error(ErrorCode::corrupt, "the header's quality is beyond the model's range");
    }
};

Codec::Codec(std::shared_ptr<const Model> model, int threads) : Codec(std::move(model), std::make_shared<WorkerPool>(threads)) {}
Codec::Codec(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> threads) : state_(std::make_unique<State>(model, std::move(threads))) {}
Codec::~Codec() = default;

const Model& Codec::model() const { return *state_->own.model; }

EncodeResult Codec::encode(const Image& image, const EncodeOptions& options) {
    check_image(image);
    check_options(options);
    if (options.alpha) check_alpha(image, *options.alpha);
    State& s = *state_;
    const std::vector<Section> given = sections_of(options);
    std::optional<Image> preview;
    if (image.pixel_count() >= options.preview_from) preview = reduced(image, kPreviewSide);
    const SampleView view = image;
    const auto encode = [&](Part& part, int quality_q8, int effort) {
        return s.encode(part, view, shape_of(image), quality_q8, effort, options, [&](const Container& container) {
            std::vector<Section> sections = given;
            if (options.max_error) sections.push_back(s.residual_section(container, image, *options.max_error, options.supervision));
            if (preview) sections.push_back(s.preview_section(*preview, quality_q8, options));
            return sections;
        });
    };
    if (options.target.kind == EncodeTarget::Kind::none) {
        const int quality_q8 = s.quality_q8_of(options.quality);
        return encode(s.serving(quality_q8, image.channels), quality_q8, options.effort);
    }
    const auto places = s.search_places(image.channels);
    TargetEncoder encoder;
    encoder.pixels = image.pixel_count();
    encoder.last = -1;
    for (const auto& place : places) encoder.last += place.count();
    encoder.encode = [&](int position, int effort) {
        auto place = places.begin();
        for (; position >= place->count(); ++place) position -= place->count();
        return encode(*place->part, place->first + position, effort);
    };
    encoder.psnr = [&](const EncodeResult& r) {
        DecodeOptions decode_options;
        decode_options.max_pixels = image.pixel_count();
        decode_options.supervision = options.supervision;
        return psnr(image, decode(r.bytes, decode_options));
    };
    return encode_to_target(options.target, options.effort, encoder);
}

EncodeResult Codec::encode(RowReader& rows, const EncodeOptions& options, const Reopen& again) {
    check_options(options);
    if (options.target.kind != EncodeTarget::Kind::none || options.alpha || (options.max_error && !again))
        throw Error(ErrorCode::invalid_argument, "a target size or quality and alpha need the whole picture in memory, a largest error needs it twice");
    State& s = *state_;
    const PictureShape shape = rows.shape();
    const int quality_q8 = s.quality_q8_of(options.quality);
    std::optional<ReducingReader> reducing;
    if (shape.pixel_count() >= options.preview_from) reducing.emplace(rows, kPreviewSide);
    RowReader& picture = reducing ? *reducing : rows;
    return s.encode(s.serving(quality_q8, shape.channels), picture, shape, quality_q8, options.effort, options, [&](const Container& container) {
        std::vector<Section> sections = sections_of(options);
        if (options.max_error) sections.push_back(s.residual_section(container, *again(), *options.max_error, options.supervision));
        if (reducing) sections.push_back(s.preview_section(reducing->result(), quality_q8, options));
        return sections;
    });
}

Image Codec::decode(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    const Container container = state_->parse(bytes, options);
    const Region region = options.region.value_or(whole(container.header));
    Image image = state_->maker(container.header.model).pipeline.decode(container, region, options.supervision);
    state_->complete(container, region, image, options.supervision);
    return image;
}

void Codec::decode(std::span<const uint8_t> bytes, RowWriter& rows, const DecodeOptions& options) {
    const Container container = state_->parse(bytes, options);
    const Region region = options.region.value_or(whole(container.header));
    const Section* section = find_section(container, kSectionResidual);
    std::optional<ResidualAdder> adder;
    if (section != nullptr) adder.emplace(section->payload, container.header.width, container.header.height, region, rows);
    RowWriter& target = adder ? *adder : rows;
    state_->maker(container.header.model).pipeline.decode(container, region, target, options.supervision);
}

Image Codec::decode_preview(std::span<const uint8_t> bytes, uint32_t side, const DecodeOptions& options) {
    if (side == 0) throw Error(ErrorCode::invalid_argument, "a preview of 0 pixels a side");
    const Container container = parse_sections(bytes, options);
    if (const Section* section = find_section(container, kSectionPreview)) {
        DecodeOptions preview_options;
        preview_options.max_pixels = kPreviewPixels;
        preview_options.supervision = options.supervision;
        const Header header = parse_sections(section->payload, preview_options).header;
        if (std::max(header.width, header.height) >= side) return reduced(decode(section->payload, preview_options), side);
    }
    ReducingWriter reducing(side);
    DecodeOptions whole_options = options;
    whole_options.region.reset();
    decode(bytes, reducing, whole_options);
    return reducing.result();
}

uint64_t Codec::symbol_hash(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    DecodeOptions whole_options = options;
    whole_options.region.reset();
    uint64_t hash = 0;
    const Container container = state_->parse(bytes, whole_options);
    state_->maker(container.header.model).pipeline.decode_latents(container, [&](std::span<const int32_t> latents) {
        hash = XXH3_64bits_withSeed(latents.data(), latents.size_bytes(), hash);
    });
    return hash;
}

FileFacts inspect(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    const Container container = parse_sections(bytes, options);
    FileFacts facts{container.header, find_section(container, kSectionAlpha) != nullptr, {}};
    if (const Section* section = find_section(container, kSectionResidual); section != nullptr) facts.max_error = residual_bound(section->payload);
    return facts;
}

Metadata decode_metadata(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    return unpack_metadata(parse_sections(bytes, options));
}

std::optional<Image> decode_alpha(std::span<const uint8_t> bytes, const DecodeOptions& options) {
    const Container container = parse_sections(bytes, options);
    std::optional<Image> alpha = unpack_alpha(container);
    if (!alpha || !options.region) return alpha;
    check_region(*options.region, container.header);
    return cropped(*alpha, *options.region);
}

uint64_t required_model(std::span<const uint8_t> bytes) { return inspect(bytes).header.model; }

}  // namespace decant
