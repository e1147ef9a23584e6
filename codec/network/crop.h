// Networks that compute no more of a tile than its window needs. Each layer sees a little further than the next one, so that what the first layers of a deep network
// have to know of a tile's surroundings is many times what the last ones have to; cut off at each change of resolution, a tile costs little more than its window.
#pragma once

#include <span>
#include <vector>

#include "codec/network/description.h"

namespace decant {

// A network with layers that cut off, for Graph and IntegerGraph to run. All values of a stage have one area; stage 0 is the input's.
struct CroppedNetwork {
    struct Crop {
        int from, to;  // stages
        int position;  // width of a position of that value, in pixels
    };

    Network network;             // the same parameters
    std::vector<Crop> crops;     // in the order of its crop layers
    std::vector<int> margins{0};  // of each stage, in pixels beyond the window: of stage 0 what all layers together need; they fall from stage to stage

    // What each crop layer cuts out, in positions of what it reads; areas: of the stages, in units of `unit` pixels, each within the one before.
    std::vector<Area> windows(const std::vector<Area>& areas, int unit) const;
};

// start: pixels an input position is wide; margin: in pixels, what is wanted of the result beyond the window.
CroppedNetwork with_crops(const Network& network, int start, int margin);

// Are windows as large as others? Then a graph that was made for these does for them, too.
bool same_sizes(std::span<const Area> windows, std::span<const Area> others);
// Throws Error internal unless windows stay as large as they were.
void check_moved(std::span<const Area> before, std::span<const Area> after);

}  // namespace decant
