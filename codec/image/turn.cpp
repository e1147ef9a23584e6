#include "codec/image/turn.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace decant {

Image turned(const SampleView& picture, Turn turn) {
    const auto width = uint32_t(picture.width()), height = uint32_t(picture.height());
    const auto channels = ptrdiff_t(picture.channels());
    Image result(turn.transposed ? height : width, turn.transposed ? width : height, picture.channels(), picture.depth());
    result.visit([&]<class T>(std::vector<T>& samples) {
        T* to = samples.data();
        for (uint32_t y = 0; y < result.height; y++) {
            const TurnedRow row = turned_row(height, width, turn, y);
            const T* from = picture.row<T>(0) + row.first * channels;
            for (uint32_t x = 0; x < result.width; x++, from += row.step * channels) to = std::copy_n(from, channels, to);
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
