// PNG through libpng: 16 bits a sample as they are, fewer as 8.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/image/decoded.h"

namespace decant {

Pixels read_png(const Source& source, const ReadOptions& options, Remarks& remarks);

// Lossless. `alpha`: null, or of the same size and depth. `level` is zlib's: 1 fastest .. 9 smallest; values outside are clamped.
std::vector<std::uint8_t> write_png(const Image& image, const Image* alpha, int level);

}  // namespace decant
