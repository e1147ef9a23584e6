// What the modules of peer_abi.h have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <vector>

#include "codec/measure/peer_abi.h"

namespace decant {

// A handle of a C library that frees itself.
template <auto Free>
struct Freeing {
    template <typename T>
    void operator()(T* handle) const {
        Free(handle);
    }
};
template <typename T, auto Free>
using Handle = std::unique_ptr<T, Freeing<Free>>;

inline void check(bool good, const char* what) {
    if (!good) throw std::runtime_error(what);
}

// Runs work(); an exception becomes the text of the error.
template <typename Work>
int run_in_module(char* error, std::size_t error_size, const Work& work) {
    try {
        work();
        return 0;
    } catch (const std::exception& e) {
        std::snprintf(error, error_size, "%s", e.what());
    }
    return 1;
}

// Three equal channels of gray.
inline std::vector<std::uint8_t> as_rgb(const decant_peer_picture& picture) {
    const std::size_t pixels = std::size_t{picture.width} * picture.height;
    if (picture.channels == 3) return {picture.samples, picture.samples + 3 * pixels};
    std::vector<std::uint8_t> rgb(3 * pixels);
    for (std::size_t i = 0; i < pixels; ++i) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = picture.samples[i];
    return rgb;
}

}  // namespace decant
