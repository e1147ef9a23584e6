// The public header on top of Codec: pixels with alpha among the channels, and models by name.
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "codec/alpha/hidden_colours.h"
#include "codec/decant.h"
#include "codec/image/decoded.h"
#include "codec/image/reduction.h"
#include "codec/models/model_finder.h"
#include "decant/decant.h"

namespace decant {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, "pixels: " + what); }

Pixels copied(const PixelView& view) {
    if (view.samples == nullptr) refuse("there are none");
    if (view.width == 0 || view.height == 0) refuse(std::to_string(view.width) + "x" + std::to_string(view.height) + " is no size");
    if (view.channels < 1 || view.channels > 4) refuse(std::to_string(view.channels) + " channels; there may be 1 to 4");
    if (view.depth != 8 && view.depth != 16) refuse(std::to_string(view.depth) + " bits a sample; there may be 8 or 16");
    const std::size_t row_samples = std::size_t{view.width} * static_cast<std::size_t>(view.channels);
    const std::size_t row_size = row_samples * static_cast<std::size_t>(view.depth / 8);
    if (row_size > std::numeric_limits<std::ptrdiff_t>::max() / std::size_t{view.height}) refuse("more than memory can hold");
    const std::size_t step = view.row_bytes == 0 ? row_size : view.row_bytes;
    if (step < row_size) refuse("rows of " + std::to_string(row_size) + " bytes, " + std::to_string(step) + " bytes apart");
    Samples samples = make_samples(row_samples * view.height, view.depth);
    std::visit(
        [&](auto& dst) {
            const auto* src = static_cast<const std::uint8_t*>(view.samples);
            for (std::size_t y = 0; y < view.height; ++y) std::memcpy(dst.data() + y * row_samples, src + y * step, row_size);
        },
        samples);
    return separate_alpha(view.width, view.height, view.channels, std::move(samples));
}

PixelBuffer buffer_of(const Image& image, const std::optional<Image>& alpha) {
    PixelBuffer buffer;
    buffer.width = image.width;
    buffer.height = image.height;
    buffer.depth = image.depth();
    buffer.channels = image.channels + (alpha ? 1 : 0);
    const std::span<const std::uint8_t> samples = image.bytes();
    if (!alpha) {
        buffer.samples.assign(samples.begin(), samples.end());
        return buffer;
    }
    buffer.samples.resize(image.pixel_count() * static_cast<std::size_t>(buffer.channels * buffer.depth / 8));
    image.visit([&]<Sample T>(const std::vector<T>&) {
        auto* dst = reinterpret_cast<T*>(buffer.samples.data());  // as aligned as any memory of its own
        const std::size_t row_samples = std::size_t{image.width} * static_cast<std::size_t>(buffer.channels);
        for (std::uint32_t y = 0; y < image.height; ++y) interleave_row(image, *alpha, y, dst + y * row_samples);
    });
    return buffer;
}

}  // namespace

struct Encoder::State {
    Codec codec;
};

Encoder::Encoder(const std::string& model, int threads)
    : state_(new State{Codec(Model::load(find_model(model)), threads)}) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

std::vector<std::uint8_t> Encoder::encode(const PixelView& pixels, const EncodeSettings& settings) {
    Pixels picture = copied(pixels);
    if (picture.alpha && !settings.max_error) fill_hidden_colours(picture.image, *picture.alpha);
    EncodeOptions options;
    options.quality = settings.quality;
    options.effort = settings.effort;
    options.target = settings.target;
    options.metadata = settings.metadata;
    options.max_error = settings.max_error;
    options.alpha = std::move(picture.alpha);
    return state_->codec.encode(picture.image, options).bytes;
}

struct Decoder::State {
    CodecLibrary codecs;

    State(const std::string& model, int threads) : codecs(model, std::make_shared<WorkerPool>(threads)) {}
};

Decoder::Decoder(const std::string& model, int threads) : state_(std::make_unique<State>(model, threads)) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

PixelBuffer Decoder::decode(const void* bytes, std::size_t size, const DecodeSettings& settings) {
    const std::span file(static_cast<const std::uint8_t*>(bytes), size);
    DecodeOptions options;
    options.max_pixels = settings.max_pixels;
    Codec& codec = state_->codecs.get(inspect(file, options).header.model);
    const bool is_reduced = settings.largest_side > 0;
    const Image image = is_reduced ? codec.decode_preview(file, settings.largest_side, options) : codec.decode(file, options);
    std::optional<Image> alpha = decode_alpha(file, options);
    if (alpha && is_reduced) alpha = reduced(*alpha, settings.largest_side);
    if (alpha) alpha = with_depth(std::move(*alpha), image.depth());
    PixelBuffer buffer = buffer_of(image, alpha);
    buffer.metadata = decode_metadata(file, options);
    buffer.orientation = orientation_of(buffer.metadata);
    return buffer;
}

PictureInfo read_info(const void* bytes, std::size_t size) {
    DecodeOptions options;
    options.max_pixels = UINT64_MAX;  // nothing is decoded, so no number is too large
    const FileFacts facts = inspect({static_cast<const std::uint8_t*>(bytes), size}, options);
    return {facts.header.width, facts.header.height, facts.header.channels + (facts.has_alpha ? 1 : 0), facts.header.depth};
}

bool is_dcn(const void* bytes, std::size_t size) noexcept { return is_container({static_cast<const std::uint8_t*>(bytes), size}); }

const char* version() noexcept { return DECANT_VERSION; }

}  // namespace decant
