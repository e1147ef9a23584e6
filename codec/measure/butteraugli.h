// A perceptual measure, through libjxl.
#pragma once

#include "codec/image/image.h"
#include "codec/image/shared_module.h"
#include "codec/measure/butteraugli_abi.h"

namespace decant {

// Butteraugli (Alakuijala and others 2017), a model of early vision that JPEG XL is tuned with: 0 for equal pictures, about 1 where
// differences begin to be seen from near, 5 and more where they are plain. The 3-norm over the pixels, as JPEG XL's comparisons
// report it; pictures are taken for sRGB on a screen of 80 cd/m².
class Butteraugli {
public:
    // Loads libjxl, which the program is not linked with. threads: 0 = all cores. Throws Error(unsupported), saying what is missing.
    explicit Butteraugli(int threads = 0);

    // Gray or RGB, of 8 or 16 bits. Throws Error: invalid_argument unless the pictures are of one shape, internal if libjxl fails.
    double distance(const Image& reference, const Image& distorted) const;

private:
    int threads_;
    SharedModule module_;
    decant_butteraugli_function function_;
};

}  // namespace decant
