// The order in which latents are coded: four steps over 2×2 cells of positions and four groups of channels (He 2022, Li 2023).
//
// In each step every position codes one group of M/4 neighbouring channels, and the four positions of a cell code four different
// groups; so from the second step on each symbol is predicted from its spatial neighbours and from its position's other channels.
#pragma once

#include "codec/network/description.h"

namespace decant {

// The group that position (y, x) codes in `step`.
constexpr int context_group(int step, int y, int x) {
    constexpr int kPhase[2][2] = {{0, 2}, {3, 1}};
    return (kPhase[y & 1][x & 1] - step + kContextSteps) % kContextSteps;
}
// The step in which position (y, x) codes `group`.
constexpr int context_step(int group, int y, int x) { return context_group(group, y, x); }

// What the context networks see of a latent: its size in standard deviations, in multiples of 2^-kActivationExponent, up to this.
inline constexpr int kContextLimit = 127;

}  // namespace decant
