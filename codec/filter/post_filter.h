// A filter behind the synthesis transform, in integers: what it gives is the same on every CPU.
//
// It is what video codecs call an adaptive loop filter with non-linear clipping (VVC, H.266, 8.8.5; Taquet et al. 2019), here with all of its
// coefficients in the model. A value p of a plane (filter_tables.h) becomes
//   p + Σ over pairs i and clips k of tap[class, i, k] · (clip_k(a_i - p) + clip_k(b_i - p))
// where a_i and b_i are neighbours opposite each other, and clip_k cuts to ± that, the last one not at all: smoothing among what is alike, sharpening
// across what is not. The class of a block of 4×4 pixels is how much luma changes around it, and in which direction. A second such filter, with taps of its
// own, works on what the first one gives, cut to the range of the plane; a picture's file may add to its taps, and to colours the same with pairs of luma.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "codec/filter/filter_planes.h"
#include "codec/filter/filter_tables.h"

namespace decant {

// For one quality; read-only, for any number of threads.
class PostFilter {
public:
    // channels: of the pictures; taps as many as they need.
    PostFilter(const FilterTables& tables, int quality_q8, int channels);

    // What it works with, from area to area; afterwards `between` is what the last stage was given.
    struct Workspace {
        FilterPlanes before, between;
    };
    // The area, in multiples of kFilterBlock, of a picture [h, w, channels] as the synthesis gives it, filtered: result, [area.h, area.w, channels]. Pixels are
    // cut to 0 … 255 before. It depends on kFilterMargin pixels around the area, and beyond the picture's edges on these.
    void apply(const int32_t* sums, int h, int w, const FilterArea& area, Workspace& workspace, int32_t* result) const;

    // The same with what a picture's file changes (filter_changes.h).
    PostFilter with(const FilterChanges& changes) const;
    // Of the last stage, of a plane.
    const std::array<int16_t, kFilterClips - 1>& clips(int plane) const { return stages_.back().clips[size_t(plane)]; }

private:
    struct Stage {
        std::array<int32_t, kFilterActivities - 1> activity;
        std::array<std::array<int16_t, kFilterClips - 1>, 3> clips;
        std::vector<std::array<int16_t, kFilterBlock>> taps;  // [kFilterClasses, taps], each for all pixels of a block's row
    };
    // use(y, x, count, corrections): of `count` pixels from (y, x) of the planes' area on, what is to be added: a row of each plane.
    template <class Use>
    void run(int stage, const FilterPlanes& planes, Use&& use) const;

    int channels_;
    std::array<Stage, kFilterStages> stages_;
    std::vector<int16_t> cross_;  // [2, kCrossPairs, kFilterClips, kFilterRun], each for all pixels of a run
};

}  // namespace decant
