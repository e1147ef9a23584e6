// Dependent quantisation (T. Wiegand, D. Marpe, H. Schwarz et al., "Trellis-coded quantization for transform coding in VVC", DCC 2019; its idea:
// Marcellin and Fischer, "Trellis coded quantization of memoryless and Gauss-Markov sources", 1990): two quantisers take turns, and which one is
// next follows from the parities of the symbols before. Each has steps of full size, both together half-size ones, so that an
// encoder that looks for the best path finds points nearly as close as those of half the step at the rate of the full one.
//
// In a state s a symbol k stands for, in quantisation steps beyond the mean,
//   s even: k                         s odd: k - sgn(k)/2
// and the next state is kNextState[s][k mod 2] of the trellis. There are two of them: of 8 states in files of container version 1, of 64 since, which come nearer
// by 0.15 dB for the same bits; the more states, the more paths to choose among. A decoder does the same work for either.
#pragma once

#include <array>
#include <cstdint>

namespace decant {

// By state and parity.
using NextState = std::array<uint8_t, 2>;

inline constexpr std::array<NextState, 8> kFirstNextState{{{0, 2}, {5, 7}, {1, 3}, {6, 4}, {2, 0}, {4, 6}, {3, 1}, {7, 5}}};

// A shift register of 6 bits with feedback from the lowest one, a convolutional code as of G. Ungerboeck, "Channel coding with multilevel/phase signals", 1982: found
// by trying all of them on logistic sources.
inline constexpr int kTrellisStates = 64, kOffsetFeedback = 63, kParityFeedback = 19;
inline constexpr std::array<NextState, kTrellisStates> kNextState = [] {
    std::array<NextState, kTrellisStates> next{};
    for (int s = 0; s < kTrellisStates; s++) {
        for (int parity = 0; parity < 2; parity++) next[size_t(s)][size_t(parity)] = uint8_t((s >> 1) ^ ((s & 1) != 0 ? kOffsetFeedback : 0) ^ (parity != 0 ? kParityFeedback : 0));
    }
    return next;
}();

inline constexpr int kZeroPeriod = 7;  // zeros only permute the states, and so many of them give the same states again

constexpr bool has_offset(int state) { return (state & 1) != 0; }

// In multiples of half a quantisation step.
constexpr int32_t half_steps(int32_t symbol, bool offset) { return 2 * symbol - (offset ? (symbol > 0) - (symbol < 0) : 0); }

}  // namespace decant
