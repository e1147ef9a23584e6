// What a picture's file changes of the filter of its model (post_filter.h): the taps of the last stage, of all classes alike, and how colours follow luma. Pictures
// differ in how sharp and how noisy they are, so the best filter for many is not the best for one; as in VVC, whose encoder sends the coefficients of its adaptive
// loop filter. Where luma has an edge that the colours have lost, how these go along with it is a matter of the picture alone: as VVC's cross-component filter
// (Misra et al., DCC 2021).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/filter/filter_planes.h"
#include "codec/filter/filter_tables.h"
#include "codec/filter/post_filter.h"

namespace decant {

// How many of FilterChanges' values belong together.
std::vector<size_t> counts_of_changes(int planes);  // of taps: of each plane
std::vector<size_t> counts_of_cross(int planes);    // of cross: of Co and Cg; gray has none

// As the container's sections have them, in bits, the highest of a byte first:
//   4 bits       s: values are in multiples of 2^s units of taps
//   4 bits       k
//   of each group 1 bit, whether it has any that are not 0, and if so, of each of its values
//     1 bit      it is not 0; and if so 1 bit, the value is negative, and its magnitude less 1 as an Exp-Golomb code of order k: as many ones as the code
//                has bits more than k, a zero, and these bits
//   zeros up to the end of the byte
std::vector<uint8_t> pack_changes(std::span<const int16_t> values, std::span<const size_t> counts);
// Throws Error corrupt for anything else, and for values beyond 16 bits.
std::vector<int16_t> unpack_changes(std::span<const uint8_t> bytes, std::span<const size_t> counts);

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

    // Those with which squared errors, in steps of 8 bits, times bits_per_square, and their own bits and those of their sections, are least; empty if none are. pixels:
    // of the picture, of which what was added is a sample.
    FilterChanges solve(double bits_per_square, uint64_t pixels) const;

private:
    int channels_;
    bool is_mean_;
    uint64_t pixels_ = 0;
    std::vector<double> products_, with_error_;  // of each plane [features, features] and [features]: its own, and of colours those of luma
};

}  // namespace decant
