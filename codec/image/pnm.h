// Binary PPM (P6) and PGM (P5).
#pragma once

#include <cstdint>
#include <vector>

#include "codec/image/decoded.h"

namespace decant {

// A largest value of up to 255 gives 8 bits a sample, a greater one 16; one that does not fill them is scaled up to 255 or 65535,
// rounded to nearest.
Image read_pnm(const Source& source, const ReadOptions& options);
// With the largest value 255 or 65535.
std::vector<std::uint8_t> write_pnm(const Image& image);

}  // namespace decant
