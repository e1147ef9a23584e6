// Dependent quantisation (T. Wiegand, D. Marpe, H. Schwarz et al., "Trellis-coded quantization for transform coding in VVC", DCC 2019; its idea:
// Marcellin and Fischer, "Trellis coded quantization of memoryless and Gauss-Markov sources", 1990): two quantisers take turns, and which one is
// next follows from the parities of the symbols before. Each has steps of full size, both together half-size ones, so that an
// encoder that looks for the best path finds points nearly as close as those of half the step at the rate of the full one.
//
// In a state s, 0 … 7, a symbol k stands for, in quantisation steps beyond the mean,
//   s even: k                         s odd: k - sgn(k)/2
// and the next state is kNextState[s][k mod 2].
#pragma once

#include <cstdint>

namespace decant {

inline constexpr int kTrellisStates = 8;
inline constexpr uint8_t kNextState[kTrellisStates][2] = {{0, 2}, {5, 7}, {1, 3}, {6, 4}, {2, 0}, {4, 6}, {3, 1}, {7, 5}};

inline constexpr int kZeroPeriod = 4;  // zeros only permute the states, and so many of them give the same states again

constexpr bool has_offset(int state) { return (state & 1) != 0; }

// In multiples of half a quantisation step.
constexpr int32_t half_steps(int32_t symbol, bool offset) { return 2 * symbol - (offset ? (symbol > 0) - (symbol < 0) : 0); }

}  // namespace decant
