// The section "ALPH" of a .dcn file; container.h specifies it.
#pragma once

#include <optional>

#include "codec/container/container.h"
#include "codec/image/image.h"

namespace decant {

// A picture of 1 channel and 8 bits. Throws Error(invalid_argument) for any other.
Section pack_alpha(const Image& alpha);

// None if the container holds none. Throws Error(corrupt).
std::optional<Image> unpack_alpha(const Container& container);

// Bytes that it takes in the file, with what surrounds the section; 0 if there is none.
std::size_t packed_alpha_size(const Container& container);

}  // namespace decant
