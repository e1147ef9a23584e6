// Loads the OpenCV module on first use. Loading OpenCV takes about 0.1 s, which whoever only meets PNG and PPM is spared.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/image/image.h"
#include "codec/image/opencv_abi.h"
#include "codec/image/shared_module.h"

namespace decant {

class OpencvModule {
public:
    static constexpr int webp_lossless = 101;  // as a quality

    // Loads decant_opencv.so from the first of the folders that has it.
    // Throws Error(unsupported) that names the folders, or the library that is missing.
    explicit OpencvModule(std::span<const std::string> folders);

    // Pixels as OpenCV found them, channels in the order R, G, B, A: 1 to 4 channels, depth in bits (0: not unsigned
    // integers). `samples` is filled only for depths 8 and 16.
    struct Picture {
        std::uint32_t width = 0;
        std::uint32_t height = 0;
        int channels = 0;
        int depth = 0;
        Samples samples;
    };
    // Both may be called from several threads at once. `name` only appears in messages.
    // Throws Error(corrupt).
    Picture decode(std::span<const std::uint8_t> bytes, const std::string& name) const;
    // `extension` with its dot; `quality` as decant_opencv_encode_function has it. Throws Error(internal).
    // `alpha`: null, or of the same size and depth; gray becomes RGB with it.
    std::vector<std::uint8_t> encode(const Image& image, const std::string& extension, int quality, const Image* alpha = nullptr) const;
    // Of OpenCV, such as "4.6.0".
    std::string version() const { return version_(); }

private:
    SharedModule module_;
    decant_opencv_decode_function decode_;
    decant_opencv_encode_function encode_;
    decant_opencv_version_function version_;
};

// The module in the first of module_folders() that has it. Loaded by the first call; after a failure the
// next call tries again.
const OpencvModule& opencv_module();

}  // namespace decant
