#include "codec/image/decoded.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "codec/error.h"

namespace decant {

void throw_corrupt(const Source& source, const std::string& what) { throw Error(ErrorCode::corrupt, source.name + ": " + what); }

void throw_unsupported(const Source& source, const std::string& what) {
    throw Error(ErrorCode::unsupported, source.name + ": " + what);
}

void check_dimensions(const Source& source, std::uint64_t width, std::uint64_t height, int depth, const ReadOptions& options) {
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    if (width == 0 || height == 0) throw_corrupt(source, "the header says " + size + " pixels; the file is damaged");
    if (width > options.max_pixels / height)
        throw Error(ErrorCode::limit, source.name + ": " + size + " is more than the limit of " +
                                          std::to_string(options.max_pixels) +
                                          " pixels; raise the limit if the file can be trusted");
    if (options.make_room) options.make_room(width * height, depth);
}

Pixels separate_alpha(std::uint32_t width, std::uint32_t height, int channels, Samples samples) {
    const bool has_alpha = channels == 2 || channels == 4;
    if (!has_alpha) return {Image(width, height, channels, std::move(samples)), {}};
    Pixels pixels;
    std::visit(
        [&]<Sample T>(std::vector<T>& values) {
            const auto step = static_cast<std::size_t>(channels);
            std::vector<T> alpha(values.size() / step);
            // In place: a target never overtakes the pixel it is copied from.
            std::size_t target = 0;
            for (std::size_t pixel = 0; pixel < alpha.size(); ++pixel) {
                for (std::size_t c = 0; c + 1 < step; ++c) values[target++] = values[pixel * step + c];
                alpha[pixel] = values[pixel * step + step - 1];
            }
            values.resize(target);
            const auto is_opaque = [](T value) { return value == std::numeric_limits<T>::max(); };
            if (!std::all_of(alpha.begin(), alpha.end(), is_opaque)) pixels.alpha = Image(width, height, 1, std::move(alpha));
        },
        samples);
    pixels.image = Image(width, height, channels - 1, std::move(samples));
    return pixels;
}

}  // namespace decant
