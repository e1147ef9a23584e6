// The order in which latents are coded: four steps over 2×2 cells of positions and four groups of channels (He 2022, Li 2023).
//
// In each step every position codes one group of M/4 neighbouring channels, and the four positions of a cell code four different
// groups; so from the second step on each symbol is predicted from its spatial neighbours and from its position's other channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "codec/network/description.h"

namespace decant {

// The group that position (y, x) codes in `step`.
constexpr int context_group(int step, int y, int x) {
    constexpr int kPhase[2][2] = {{0, 2}, {3, 1}};
    return (kPhase[y & 1][x & 1] - step + kContextSteps) % kContextSteps;
}
// The step in which position (y, x) codes `group`.
constexpr int context_step(int group, int y, int x) { return context_group(group, y, x); }

// Beside its network's prediction, the mean of a latent is predicted linearly from decoded latents of its channel at other positions, in
// full precision: context networks see latents in 8 bits, too coarse for the mean brightness of flat regions. In the first step
// these are the nearest positions of the same step before it, in the order of coding, in the later ones the neighbours that are known.
struct Offset {
    int y, x;
};
inline constexpr Offset kOffsetsBefore[] = {{0, -2}, {-2, 0}, {-2, -2}, {-2, 2}};
inline constexpr Offset kOffsetsAround[] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
inline constexpr size_t kMostPredictionOffsets = std::size(kOffsetsAround);  // of a step
constexpr std::span<const Offset> prediction_offsets(int step) {
    return step == 0 ? std::span<const Offset>(kOffsetsBefore) : std::span<const Offset>(kOffsetsAround);
}
// The first row of a step in the table of weights [kPredictionTaps, M].
constexpr int first_prediction_tap(int step) { return step == 0 ? 0 : 8 * step - 4; }
static_assert(first_prediction_tap(kContextSteps - 1) + prediction_offsets(kContextSteps - 1).size() == kPredictionTaps);

// Where the latent at an offset from (y, x), which `step` codes, lies on a plane of h × w, or what stands for it at the edges: in the first
// step the position two above or else two to the left, in later ones the mirror image. −1 if there is none or it is not known yet.
constexpr int64_t prediction_position(int step, Offset offset, int y, int x, int h, int w) {
    int ty = y + offset.y, tx = x + offset.x;
    if (step == 0) {
        if (ty < 0 || tx < 0 || tx >= w) {
            if (y < 2 && x < 2) return -1;
            ty = y >= 2 ? y - 2 : y;
            tx = y >= 2 ? x : x - 2;
        }
        return int64_t(ty) * w + tx;
    }
    ty = ty < 0 || ty >= h ? y - offset.y : ty;
    tx = tx < 0 || tx >= w ? x - offset.x : tx;
    if (ty < 0 || ty >= h || tx < 0 || tx >= w) return -1;
    return context_step(context_group(step, y, x), ty, tx) < step ? int64_t(ty) * w + tx : -1;
}

// What the context networks see of a latent: its size in standard deviations, in multiples of 2^-kActivationExponent, up to this,
// companded. A latent of an edge is dozens of standard deviations, and at low rates one quantisation step is several.
inline constexpr int kContextLimit = 2047;

// Linear to one standard deviation, from there 16 numbers an octave: |v| ≤ kContextLimit to at most 127. Odd.
constexpr int32_t compand(int32_t v) {
    const int32_t size = v < 0 ? -v : v;
    const int32_t octave = (size >= 64) + (size >= 128) + (size >= 256) + (size >= 512) + (size >= 1024);
    const int32_t companded = size <= 32 ? size : 32 + 16 * octave + ((size - (32 << octave)) >> (octave + 1));
    return v < 0 ? -companded : companded;
}
static_assert(compand(32) == 32 && compand(-35) == -33 && compand(64) == 48 && compand(2047) == 127);

}  // namespace decant
