// Options of an encoding in short.
#pragma once

#include "codec/decant.h"

namespace decant::test {

inline EncodeOptions at(double quality, int effort = 2) {
    EncodeOptions options;
    options.quality = quality;
    options.effort = effort;
    return options;
}

}  // namespace decant::test
