#include "codec/alpha/hidden_colours.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace decant {
namespace {

// Pull and push (Gortler et al., "The Lumigraph", 1996, section 3.4.2): what can be seen is averaged into ever smaller pictures; on
// the way back each hidden pixel is interpolated from the next smaller one.
template <Sample T>
struct Level {
    size_t width, height, channels;
    std::vector<T> own_samples;
    T* samples;
    std::vector<uint8_t> visible;

    T* at(size_t x, size_t y) { return samples + (y * width + x) * channels; }
};

template <Sample T>
Level<T> half_of(Level<T>& fine) {
    Level<T> half{(fine.width + 1) / 2, (fine.height + 1) / 2, fine.channels, {}, nullptr, {}};
    half.own_samples.resize(half.width * half.height * half.channels);
    half.samples = half.own_samples.data();
    half.visible.resize(half.width * half.height);
    for (size_t y = 0; y < half.height; ++y)
        for (size_t x = 0; x < half.width; ++x) {
            std::array<uint64_t, 3> sum{};
            uint64_t count = 0;
            for (size_t fy = 2 * y; fy < std::min(2 * y + 2, fine.height); ++fy)
                for (size_t fx = 2 * x; fx < std::min(2 * x + 2, fine.width); ++fx) {
                    if (fine.visible[fy * fine.width + fx] == 0) continue;
                    ++count;
                    for (size_t c = 0; c < fine.channels; ++c) sum[c] += fine.at(fx, fy)[c];
                }
            if (count == 0) continue;
            half.visible[y * half.width + x] = 1;
            for (size_t c = 0; c < half.channels; ++c) half.at(x, y)[c] = static_cast<T>((sum[c] + count / 2) / count);
        }
    return half;
}

template <Sample T>
void fill(Level<T>& fine) {
    if (std::find(fine.visible.begin(), fine.visible.end(), 0) == fine.visible.end()) return;
    if (fine.width == 1 && fine.height == 1) {
        std::fill_n(fine.samples, fine.channels, T{0});
        return;
    }
    Level<T> half = half_of(fine);
    fill(half);
    for (size_t y = 0; y < fine.height; ++y) {
        // The pixel lies at a quarter between the nearest two of the half, along each side.
        const size_t y_near = y / 2, y_far = y % 2 == 0 ? (y_near > 0 ? y_near - 1 : 0) : std::min(y_near + 1, half.height - 1);
        for (size_t x = 0; x < fine.width; ++x) {
            if (fine.visible[y * fine.width + x] != 0) continue;
            const size_t x_near = x / 2, x_far = x % 2 == 0 ? (x_near > 0 ? x_near - 1 : 0) : std::min(x_near + 1, half.width - 1);
            for (size_t c = 0; c < fine.channels; ++c)
                fine.at(x, y)[c] = static_cast<T>((9u * half.at(x_near, y_near)[c] + 3u * half.at(x_far, y_near)[c] +
                                                   3u * half.at(x_near, y_far)[c] + half.at(x_far, y_far)[c] + 8u) / 16u);
        }
    }
}

}  // namespace

void fill_hidden_colours(Image& image, const Image& alpha) {
    check_alpha(image, alpha);
    std::vector<uint8_t> visible(image.pixel_count());
    alpha.visit([&](const auto& values) {
        std::transform(values.begin(), values.end(), visible.begin(), [](auto value) { return uint8_t(value != 0); });
    });
    image.visit([&]<Sample T>(std::vector<T>& samples) {
        Level<T> level{image.width, image.height, static_cast<size_t>(image.channels), {}, samples.data(), std::move(visible)};
        fill(level);
    });
}

Image in_front_of_white(const Image& image, const Image& alpha) {
    check_alpha(image, alpha);
    Image result = image;
    result.visit([&]<Sample T>(std::vector<T>& samples) {
        const std::vector<T>& values = alpha.samples<T>();
        constexpr uint64_t white = std::numeric_limits<T>::max();
        const auto channels = static_cast<size_t>(image.channels);
        for (size_t i = 0; i < samples.size(); ++i) {
            const uint64_t a = values[i / channels];
            samples[i] = static_cast<T>((samples[i] * a + white * (white - a) + white / 2) / white);
        }
    });
    return result;
}

}  // namespace decant
