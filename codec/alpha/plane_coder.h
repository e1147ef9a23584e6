// A plane of 8 bits, such as alpha, without loss. Made for masks and their soft edges: what is 0 or 255 over large areas costs next
// to nothing, a straight edge a fraction of a bit a pixel. All of it is integer arithmetic.
//
// The plane is cut into bands of 64 rows (the last one may have fewer); a band is one rANS stream of decisions
// (codec/entropy/rans.h), written as
//   u32          length in bytes, little endian
//   length bytes the stream
// Each kind of decision in each context has an estimate of its own (codec/entropy/adaptive_bit.h), which lives on from band to band.
//
// A band is coded in blocks of 16 x 16 pixels, in rows; those at the right and bottom edges are cut off. A block is
//   decision     all pixels are the same; context: whether that was so in the block on the left (1) and in the one above (2)
//   pixels       the first one if all are the same, otherwise all in rows
// A pixel is predicted from those around it that come before it: W, NW, N, NE, WW, NN. Outside the plane, and where a block on the
// right has not been coded yet, the next of these that is there stands for one: NE by N, NW by W or N, N by W, W by N, WW by W, NN by N;
// the first pixel of the plane sees 0 everywhere. A pixel is
//   decision     it is 0 or 255; context: for each of W, N, NW, NE, WW and NN whether it is 0, 255 or another (base 3, W lowest)
//   decision     if so, it is 255; same context
//   8 decisions  otherwise, from the highest bit: those of r, where e = (value - prediction) mod 256 is taken as -128 … 127 and
//                r = 2e for e >= 0, -2e - 1 for e < 0. The prediction is N + W - NW within min(N, W) … max(N, W) (the MED of
//                LOCO-I, ITU-T T.87). Context: the bits before, and |W - NW| + |NW - N| + |N - NE| in six steps: 0, from 1, 4, 10,
//                26 and 71 on
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/image/image.h"

namespace decant {

// A picture of 1 channel and 8 bits. Throws Error(invalid_argument) for any other.
std::vector<uint8_t> encode_plane(const Image& plane);

// Throws Error(corrupt). Takes width x height bytes, whatever `bytes` holds: to be checked before.
Image decode_plane(std::span<const uint8_t> bytes, uint32_t width, uint32_t height);

}  // namespace decant
