// What a picture's file changes of the filter of its model (post_filter.h): the taps of the last stage, of all classes alike. Pictures differ in how sharp and how
// noisy they are, so the best filter for many is not the best for one; as in VVC, whose encoder sends the coefficients of its adaptive loop filter.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/filter/filter_planes.h"
#include "codec/filter/filter_tables.h"
#include "codec/filter/post_filter.h"

namespace decant {

// As the container's section has them, in bits, the highest of a byte first:
//   4 bits       s: values are in multiples of 2^s units of taps
//   4 bits       k
//   of each plane 1 bit, whether it has changes, and if so, of each of its taps
//     1 bit      it is changed; and if so 1 bit, the value is negative, and its magnitude less 1 as an Exp-Golomb code of order k: as many ones as the code
//                has bits more than k, a zero, and these bits
//   zeros up to the end of the byte
// changes: [filter_taps(last stage, planes)], all multiples of 2^s.
std::vector<uint8_t> pack_changes(const FilterChanges& changes, int planes);
// Throws Error corrupt for anything else, and for values beyond 16 bits.
FilterChanges unpack_changes(std::span<const uint8_t> bytes, int planes);

// Finds them by least squares, a picture's parts one after the other.
class ChangesFit {
public:
    // channels: that the filter has. is_mean: the picture is gray, and the mean of three channels will be taken.
    ChangesFit(int channels, bool is_mean);

    // decoded: [h, w, channels] as the synthesis gives it, original likewise. Of an area, in multiples of kFilterBlock, its first rows and columns count, and of these
    // rows each `step`-th.
    void add(const PostFilter& filter, const int32_t* decoded, const int32_t* original, int h, int w, const FilterArea& area, int rows, int columns, int step,
             PostFilter::Workspace& workspace);
    void add(const ChangesFit& other);

    // Those with which squared errors, in steps of 8 bits, times bits_per_square, and their own bits and those of a section, are least; empty if none are. pixels: of the
    // picture, of which what was added is a sample.
    FilterChanges solve(double bits_per_square, uint64_t pixels) const;

private:
    int channels_;
    bool is_mean_;
    uint64_t pixels_ = 0;
    std::vector<double> products_, with_error_;  // of each plane [features, features] and [features]
};

}  // namespace decant
