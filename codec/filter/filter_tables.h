// The coefficients of the filter behind the synthesis transform (post_filter.h): part of a model, found by filter_fit.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace decant {

inline constexpr int kFilterActivities = 12, kFilterDirections = 9, kFilterClasses = kFilterActivities * kFilterDirections;
inline constexpr int kFilterUnit = 32;   // planes are in 1/32 of a step of 8 bits
inline constexpr int kFilterClips = 3;   // of differences; the last is none
inline constexpr int kFilterStages = 2;
inline constexpr int kTapExponent = 15;  // taps are multiples of 2^-15

// Planes are luma, (R + 2G + B) / 4, and of colours Co = R - B and Cg = G - (R + B) / 2. Pairs of neighbours, opposite each other, share taps.
inline constexpr int filter_planes(int channels) { return channels == 1 ? 1 : 3; }
// The second stage has fewer: what the first one leaves is worth less.
inline constexpr int filter_pairs(int stage, int plane) { return stage == 0 ? (plane == 0 ? 18 : 12) : (plane == 0 ? 12 : 6); }
inline constexpr size_t filter_taps(int stage, int planes) {
    return size_t(kFilterClips) * size_t(planes == 1 ? filter_pairs(stage, 0) : filter_pairs(stage, 0) + 2 * filter_pairs(stage, 1));
}

// What a file may add for each colour to the last stage, with differences of luma (filter_changes.h): so many pairs, with luma's clips.
inline constexpr int kCrossPairs = 6;
inline constexpr size_t cross_taps(int planes) { return planes == 1 ? 0 : 2 * size_t(kCrossPairs) * kFilterClips; }

// One of the filters that stand one behind the other.
struct FilterStage {
    std::array<int32_t, kFilterActivities - 1> activity{};  // the least of the second class, of the third …: a block's sum (filter_planes.h), rising
    std::array<std::array<int16_t, kFilterClips - 1>, 3> clips{};  // of each plane, 0 …
    std::vector<int16_t> taps;                              // [kFilterClasses, of each plane: pairs, kFilterClips]

    bool operator==(const FilterStage&) const = default;
};

// For one quality.
struct FilterPoint {
    int quality_q8 = 0;  // rate point in 1/256
    std::array<FilterStage, kFilterStages> stages;

    bool operator==(const FilterPoint&) const = default;
};

// What a file changes of the last stage, of all classes alike.
struct FilterChanges {
    std::vector<int16_t> taps;   // that are added, the sums cut to 16 bits: [filter_taps(kFilterStages - 1, planes)]; empty: none
    std::vector<int16_t> cross;  // of Co and Cg, for pairs of luma: [2, kCrossPairs, kFilterClips]; empty: none

    bool empty() const { return taps.empty() && cross.empty(); }
    bool operator==(const FilterChanges&) const = default;
};

// For a range of qualities: points of rising quality, at least one; between two of them everything is interpolated, beyond the last it stays.
struct FilterTables {
    std::vector<FilterPoint> points;
    // By which files name their filter among those of their model: 15 bits of a hash of the tables, not 0.
    uint16_t check = 0;
};

uint16_t filter_check(const std::vector<FilterPoint>& points);

// At a quality. Error internal without points.
FilterPoint interpolated(const FilterTables& tables, int quality_q8);

}  // namespace decant
