// OpenCV's non-local means (Buades, Coll & Morel 2005), to compare with.
#pragma once

#include <span>
#include <string>

#include "codec/image/image.h"
#include "codec/image/shared_module.h"

namespace decant {

// OpenCV's photo library is in a module that is loaded with the first of these.
class NonlocalMeans {
public:
    // threads: 0 = all cores. Throws Error(unsupported) where the module is missing or does not load.
    explicit NonlocalMeans(int threads = 0);
    // With the module from the first of these folders that has it.
    NonlocalMeans(int threads, std::span<const std::string> folders);

    // With 7×7 patches in 21×21 windows, the sizes that OpenCV recommends, and filter strengths in proportion to the noise's
    // standard deviation `sigma` (8-bit scale, at least 0). Gray by fastNlMeansDenoising, RGB by fastNlMeansDenoisingColored.
    // Not to be called by several threads at once. Throws Error invalid_argument for a malformed image or sigma, and
    // for samples of 16 bits.
    Image denoise(const Image& image, double sigma) const;

    // What is computed, with OpenCV's version and the filter strengths.
    std::string description() const;

private:
    int threads_;
    SharedModule module_;
};

}  // namespace decant
