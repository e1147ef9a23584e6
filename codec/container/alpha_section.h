// The sections "ALPH" and "ALPL" of a .dcn file; container.h specifies them.
#pragma once

#include <optional>
#include <vector>

#include "codec/container/container.h"
#include "codec/image/image.h"

namespace decant {

// A picture of 1 channel, of 8 or 16 bits. Throws Error(invalid_argument) for any other.
std::vector<Section> pack_alpha(const Image& alpha);

// Of the depth of the picture; none if the container holds none. Throws Error(corrupt).
std::optional<Image> unpack_alpha(const Container& container);

// Bytes that it takes in the file, with what surrounds the sections; 0 if there is none.
std::size_t packed_alpha_size(const Container& container);

}  // namespace decant
