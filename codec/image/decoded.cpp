#include "codec/image/decoded.h"

#include <utility>

#include "codec/error.h"

namespace decant {

void throw_corrupt(const Source& source, const std::string& what) { throw Error(ErrorCode::corrupt, source.name + ": " + what); }

void throw_unsupported(const Source& source, const std::string& what) {
    throw Error(ErrorCode::unsupported, source.name + ": " + what);
}

void check_dimensions(const Source& source, std::uint64_t width, std::uint64_t height, const ReadOptions& options) {
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    if (width == 0 || height == 0) throw_corrupt(source, "the header says " + size + " pixels; the file is damaged");
    if (width > options.max_pixels / height)
        throw Error(ErrorCode::limit, source.name + ": " + size + " is more than the limit of " +
                                          std::to_string(options.max_pixels) +
                                          " pixels; raise the limit if the file can be trusted");
    if (options.make_room) options.make_room(width * height);
}

void check_depth(const Source& source, int bits) {
    if (bits != 8) throw_unsupported(source, std::to_string(bits) + " bits a sample are not supported yet; convert to 8 bit");
}

Image without_alpha(const Source& source, std::uint32_t width, std::uint32_t height, int channels,
                    std::vector<std::uint8_t> samples) {
    Image image;
    image.width = width;
    image.height = height;
    const bool has_alpha = channels == 2 || channels == 4;
    image.channels = has_alpha ? channels - 1 : channels;
    if (has_alpha) {
        const auto step = static_cast<std::size_t>(channels);
        for (std::size_t alpha = step - 1; alpha < samples.size(); alpha += step)
            if (samples[alpha] != 255)
                throw_unsupported(source,
                                  "has transparent pixels, which are not supported; "
                                  "flatten the picture onto a background first");
        // In place: a target never overtakes the pixel it is copied from.
        std::size_t target = 0;
        for (std::size_t pixel = 0; pixel < samples.size(); pixel += step)
            for (std::size_t c = 0; c + 1 < step; ++c) samples[target++] = samples[pixel + c];
        samples.resize(target);
    }
    image.samples = std::move(samples);
    return image;
}

}  // namespace decant
