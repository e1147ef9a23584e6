// The pictures that a model learns from, in memory, and crops of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/image/image.h"
#include "codec/tensor/random.h"

namespace decant {

struct DatasetOptions {
    int min_side = 0;                     // smaller pictures are left out
    uint64_t max_bytes = 4ull << 30;      // of decoded pictures; those that do not fit are left out
    int held_out_every = 20;              // one photograph in so many is kept for validation, chosen by a hash of its name
    bool other_colours = true;            // crops of other contrast, brightness, saturation and primaries among them
    float patterns = 0;                   // share of the crops with lines, dots, rings or checks drawn on a part of them
    float crispest = 1;                   // ink is up to so many times as crisp: type is black even where strokes are thin
    double smallest_size = 1, largest_size = 1;  // crops are of pictures so many times as large, each way
};

class Dataset {
public:
    // Reads all pictures below `folder`, in the order of their names. Crops of one photograph (names alike up to the last '_' or
    // '-') stay together on one side of the validation split.
    // Throws Error not_found if there is nothing to train on or nothing to validate with.
    Dataset(const std::string& folder, const DatasetOptions& options);

    size_t size() const { return training_.size(); }
    size_t held_out() const { return validation_.size(); }
    size_t left_out() const { return left_out_; }  // unreadable, too small or too many
    const std::string& why_left_out() const { return why_left_out_; }  // of the first of these: its name and the reason

    // A random crop, [side, side, 3], flipped and transposed at random, some with other colours, of another size,
    // crisper or with a pattern. Pictures are drawn in proportion to their mean absolute gradient, within bounds, so that smooth ones do not
    // dominate.
    void crop(RandomStream& random, int side, std::span<uint8_t> dst) const;
    // The middle of a held-out picture, [side, side, 3]; index 0 … held_out() - 1.
    void validation_crop(size_t index, int side, std::span<uint8_t> dst) const;

private:
    std::vector<Image> training_, validation_;
    std::vector<double> cumulative_;  // of the weights of training_
    DatasetOptions options_;
    size_t left_out_ = 0;
    std::string why_left_out_;
};

}  // namespace decant
