// Pictures for tests: those of samples/, others made on the spot from fixed seeds.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/image/image.h"
#include "codec/image/reader.h"
#include "codec/io/file.h"
#include "codec/noise/noise.h"

namespace decant::test {

// Noise: every sample value occurs, nothing is alike.
inline Image noise_image(std::uint32_t width, std::uint32_t height, int channels, std::uint32_t seed = 1, int depth = 8) {
    Image image(width, height, channels, depth);
    std::mt19937 random(seed);
    image.visit([&]<Sample T>(std::vector<T>& samples) {
        for (T& sample : samples) sample = static_cast<T>(random());
    });
    return image;
}

// Soft waves, another phase in each channel: what a lossy format keeps well.
inline Image smooth_image(std::uint32_t width, std::uint32_t height, int channels) {
    Image image(width, height, channels);
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c) {
                const std::uint32_t ramp = (x * 2 + y * 3 + static_cast<std::uint32_t>(c) * 40) % 510;
                image.row(y)[x * static_cast<std::uint32_t>(channels) + static_cast<std::uint32_t>(c)] =
                    static_cast<std::uint8_t>(ramp < 255 ? ramp : 509 - ramp);
            }
    return image;
}

// One of samples/.
inline Image sample_image(const std::string& name) { return read_image(read_file(DECANT_SOURCE_DIR "/samples/" + name), name); }

// What add(crop, random) makes of a picture of 8 bits.
template <class Add>
Image spoilt(const Image& clean, RandomStream random, const Add& add) {
    Crop crop(clean);
    add(crop, random);
    return to_image(crop);
}

// As PNG and PPM store 16 bits.
inline std::vector<std::uint8_t> big_endian(const std::vector<std::uint16_t>& samples) {
    std::vector<std::uint8_t> bytes;
    for (const std::uint16_t sample : samples) {
        bytes.push_back(static_cast<std::uint8_t>(sample >> 8));
        bytes.push_back(static_cast<std::uint8_t>(sample));
    }
    return bytes;
}

struct Failure {
    bool failed = false;
    ErrorCode code = ErrorCode::internal;
    std::string message;
};

// Runs `work` and tells which decant::Error it threw; any other exception passes through and fails the test.
template <typename Work>
Failure failure_of(const Work& work) {
    try {
        work();
    } catch (const Error& error) {
        return {true, error.code(), error.what()};
    }
    return {};
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace decant::test
