// The coefficients of the filter behind the synthesis (post_filter.h) by least squares: in each class those with which decoded pictures come nearest to
// the originals (Wiener 1949). No training: two passes over pictures, and a system of equations a class and plane.
#pragma once

#include <array>
#include <mutex>
#include <vector>

#include "codec/filter/filter_planes.h"
#include "codec/filter/filter_tables.h"
#include "codec/image/image.h"

namespace decant {

// Of one stage, for one quality. First all pictures are surveyed, then learned from, then solve(). Functions may run in several threads at once.
// Original: 8 bits; decoded: 16 bits, without any filter; sides in multiples of kFilterBlock, channels as many as given. Throws Error invalid_argument for others.
class FilterFit {
public:
    FilterFit(int stage, int channels);  // stage: 0 …

    void survey(const Image& original, const Image& decoded);  // how large errors are, and how busy blocks
    void learn(const Image& original, const Image& decoded);
    FilterStage solve() const;

private:
    struct Pictures;
    Pictures prepared(const Image& original, const Image& decoded) const;
    void decide();  // thresholds and clips, of what was surveyed

    const int number_, channels_;
    std::mutex mutex_;
    std::array<double, 3> squared_errors_{};
    double pixels_ = 0;
    std::vector<int32_t> activities_;
    bool is_decided_ = false;
    FilterStage stage_;                          // without taps
    std::vector<double> products_, with_error_;  // of each plane: [classes, features, features] and [classes, features]
};

// What the taps of a plane of a stage are multiplied with.
constexpr size_t filter_features(int stage, int plane) { return size_t(filter_pairs(stage, plane)) * kFilterClips; }
// These of `count` pixels from `at` on of planes with that stride: feature f of pixel x to result[f·step + x].
void filter_features_of(const int16_t* at, ptrdiff_t stride, int pairs, const std::array<int16_t, kFilterClips - 1>& clips, size_t count, size_t step, float* result);

// A picture of 8 or 16 bits as the synthesis would give it.
std::vector<int32_t> sums_of(const Image& image);

// What the first stage makes of a picture of 16 bits, whose sides are multiples of kFilterBlock: what the second one is fitted on.
Image filtered(const Image& decoded, const FilterStage& stage);

}  // namespace decant
