// Dependent quantisation (T. Wiegand, D. Marpe, H. Schwarz et al., "Trellis-coded quantization for transform coding in VVC", DCC 2019; its idea:
// Marcellin and Fischer, "Trellis coded quantization of memoryless and Gauss-Markov sources", 1990): two quantisers take turns, and which one is
// next follows from the parities of the symbols before. Each has steps of full size, both together half-size ones, so that an
// encoder that looks for the best path finds points nearly as close as those of half the step at the rate of the full one.
//
// In a state s a symbol k stands for, in quantisation steps beyond the mean,
//   s even: k                         s odd: k - sgn(k)/2
// and the next state follows from s and k mod 2. There are three trellises. The more states, the more paths to choose among, and the nearer comes the best for the
// same bits: at equal error 64 states take 1.4 % less than 8, and 4096 states another 1.1 %. A decoder does the same work for all of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace decant {

// What latents are quantised with; the numbers are part of the file format.
enum class Quantiser : uint8_t {
    scalar = 0,         // each latent by itself
    first_trellis = 1,  // 8 states; of files before decant 0.5, and of decoders only
    trellis = 2,        // 64 states
    large_trellis = 3   // 4096 states
};

// By parity of the symbol.
using NextState = std::array<uint16_t, 2>;

inline constexpr std::array<NextState, 8> kFirstNextState{{{0, 2}, {5, 7}, {1, 3}, {6, 4}, {2, 0}, {4, 6}, {3, 1}, {7, 5}}};

// A shift register with feedback from the lowest bit to all others, a convolutional code as of G. Ungerboeck, "Channel coding with multilevel/phase signals", 1982;
// an odd symbol flips the bits of Parity. Zeros only permute its states, and kPeriod of them give the same states again.
template <int Bits, int Parity>
struct ShiftRegister {
    static constexpr int kBits = Bits, kStates = 1 << Bits, kParity = Parity, kPeriod = Bits + 1;
    static constexpr std::array<NextState, size_t(kStates)> kNext = [] {
        std::array<NextState, size_t(kStates)> next{};
        for (int s = 0; s < kStates; s++) {
            const int after_zero = (s >> 1) ^ ((s & 1) != 0 ? kStates - 1 : 0);
            next[size_t(s)] = {uint16_t(after_zero), uint16_t(after_zero ^ kParity)};
        }
        return next;
    }();
};

// Found by trying them on logistic sources of 0.35 to 4 steps: all, and every seventh.
using Trellis = ShiftRegister<6, 19>;
using LargeTrellis = ShiftRegister<12, 1191>;

// By state. Empty for a scalar quantiser.
constexpr std::span<const NextState> next_states(Quantiser quantiser) {
    switch (quantiser) {
        case Quantiser::scalar: break;
        case Quantiser::first_trellis: return kFirstNextState;
        case Quantiser::trellis: return Trellis::kNext;
        case Quantiser::large_trellis: return LargeTrellis::kNext;
    }
    return {};
}

constexpr bool has_offset(int state) { return (state & 1) != 0; }

// In multiples of half a quantisation step.
constexpr int32_t half_steps(int32_t symbol, bool offset) { return 2 * symbol - (offset ? (symbol > 0) - (symbol < 0) : 0); }

}  // namespace decant
