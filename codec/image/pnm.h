// Binary PPM (P6) and PGM (P5).
#pragma once

#include <cstdint>
#include <vector>

#include "codec/image/decoded.h"
#include "codec/image/rows.h"

namespace decant {

// A largest value of up to 255 gives 8 bits a sample, a greater one 16; one that does not fill them is scaled up to 255 or 65535,
// rounded to nearest.
Image read_pnm(const Source& source, const ReadOptions& options);
// The rows of a file whose samples need no scaling; null for others, and for one that is not whole.
std::unique_ptr<RowReader> open_pnm_rows(ByteAccess file, const std::string& name, const ReadOptions& options);
// begin: is given the header, and may change it.
std::unique_ptr<RowWriter> make_pnm_writer(std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin, ByteSink sink);

// With the largest value 255 or 65535.
std::vector<std::uint8_t> write_pnm(const Image& image);

}  // namespace decant
