// Binary PPM (P6) and PGM (P5) with 8 bits a sample.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/image/decoded.h"

namespace decant {

Image read_pnm(const Source& source, const ReadOptions& options);
std::vector<std::uint8_t> write_pnm(const Image& image);

}  // namespace decant
