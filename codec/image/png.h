// PNG through libpng: 16 bits a sample as they are, fewer as 8.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/image/decoded.h"
#include "codec/image/rows.h"

namespace decant {

Pixels read_png(const Source& source, const ReadOptions& options, Remarks& remarks);

// The rows of a file that is neither interlaced nor transparent; null for one that is.
std::unique_ptr<RowReader> open_png_rows(ByteAccess file, const std::string& name, const ReadOptions& options, Remarks& remarks);
// The file without its pixels, for its metadata; empty if these are more than `most` bytes, or the file is damaged.
std::vector<std::uint8_t> png_without_pixels(const ByteAccess& file, std::size_t most);

// Lossless. `begin`: what to put in the place of the signature and the IHDR chunk, which it is given.
std::unique_ptr<RowWriter> make_png_writer(int level, std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin, ByteSink sink);

// Lossless. `alpha`: null, or of the same size and depth. `level` is zlib's: 1 fastest .. 9 smallest; values outside are clamped.
std::vector<std::uint8_t> write_png(const Image& image, const Image* alpha, int level);

}  // namespace decant
