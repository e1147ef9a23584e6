#include "codec/image/turn.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace decant {

Image turned(const SampleView& picture, Turn turn) {
    const auto width = uint32_t(picture.width()), height = uint32_t(picture.height());
    const size_t channels = size_t(picture.channels()), row = width * channels;
    Image result(turn.transposed ? height : width, turn.transposed ? width : height, picture.channels(), picture.depth());
    result.visit([&]<class T>(std::vector<T>& samples) {
        // From one pixel of the result's row to the next.
        const ptrdiff_t step = ptrdiff_t(turn.transposed ? row : channels) * (turn.mirrored ? -1 : 1);
        T* to = samples.data();
        for (uint32_t y = 0; y < result.height; y++) {
            const uint32_t across = turn.upside_down ? result.height - 1 - y : y, along = turn.mirrored ? result.width - 1 : 0;
            const T* from = picture.row<T>(0) + (turn.transposed ? along * row + across * channels : across * row + along * channels);
            for (uint32_t x = 0; x < result.width; x++, from += step) to = std::copy_n(from, channels, to);
        }
    });
    return result;
}

Region turned(const Region& region, uint32_t width, uint32_t height, Turn turn) {
    Region result = region;
    if (turn.transposed) {
        std::swap(width, height);
        result = {region.y, region.x, region.height, region.width};
    }
    if (turn.upside_down) result.y = height - uint32_t(result.bottom());
    if (turn.mirrored) result.x = width - uint32_t(result.right());
    return result;
}

}  // namespace decant
