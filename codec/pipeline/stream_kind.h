// What a file says of how its latents were quantised: by its version and a flag (codec/container/container.h).
#pragma once

#include "codec/container/container.h"
#include "codec/entropy/trellis.h"

namespace decant {

constexpr Quantiser quantiser_of(const Header& header) {
    if (!header.is_dependent()) return Quantiser::scalar;
    return header.version == 1 ? Quantiser::first_trellis : header.version == 2 ? Quantiser::trellis : Quantiser::large_trellis;
}

// The lowest version that has it, so that older decoders read what they can. Not first_trellis: no encoder has that any more.
constexpr void set_quantiser(Header& header, Quantiser quantiser) {
    header.version = quantiser == Quantiser::large_trellis ? 3 : 2;
    header.flags = uint16_t((header.flags & ~kFlagDependent) | (quantiser == Quantiser::scalar ? 0 : kFlagDependent));
}

}  // namespace decant
