#include "codec/image/reduction.h"

#include <algorithm>
#include <utility>

namespace decant {
namespace {

PictureShape reduced_shape(const PictureShape& shape, uint32_t side) {
    const uint64_t longest = std::max(shape.width, shape.height);
    const auto length = [&](uint64_t v) { return uint32_t(std::max<uint64_t>(1, (v * std::min<uint64_t>(side, longest) + longest / 2) / longest)); };
    return {length(shape.width), length(shape.height), shape.channels, 8};
}

template <Sample T>
void add_weighted(const T* row, float weight, std::vector<float>& sums) {
    for (size_t i = 0; i < sums.size(); i++) sums[i] += weight * float(row[i]);
}

}  // namespace

// Lengths are counted in parts of which an input row has as many as the result has rows, and a row of the result as many as the input has
// rows: whole numbers, so that no part is left over.
Reducer::Reducer(const PictureShape& shape, uint32_t side) : shape_(shape), weight_left_(shape.height) {
    const PictureShape small = reduced_shape(shape, side);
    image_ = Image(small.width, small.height, small.channels);
    sums_.resize(size_t{shape.width} * size_t(shape.channels));
}

void Reducer::add(const void* row) {
    for (uint64_t left = image_.height; left > 0;) {
        const uint64_t part = std::min(left, weight_left_);
        const float weight = float(part) / float(shape_.height);
        if (shape_.depth == 8) {
            add_weighted(static_cast<const uint8_t*>(row), weight, sums_);
        } else {
            add_weighted(static_cast<const uint16_t*>(row), weight / 257.0f, sums_);
        }
        left -= part;
        if ((weight_left_ -= part) == 0) finish_row();
    }
}

void Reducer::finish_row() {
    uint8_t* dst = image_.row(rows_done_++);
    const size_t channels = size_t(shape_.channels);
    for (size_t c = 0; c < channels; c++) {
        uint64_t weight_left = shape_.width;
        float sum = 0;
        size_t at = c;
        for (size_t x = c; x < sums_.size(); x += channels) {
            for (uint64_t left = image_.width; left > 0;) {
                const uint64_t part = std::min(left, weight_left);
                sum += sums_[x] * float(part);
                left -= part;
                if ((weight_left -= part) > 0) continue;
                dst[at] = uint8_t(std::clamp(sum / float(shape_.width) + 0.5f, 0.0f, 255.0f));
                at += channels;
                sum = 0;
                weight_left = shape_.width;
            }
        }
    }
    std::fill(sums_.begin(), sums_.end(), 0.0f);
    weight_left_ = shape_.height;
}

Image Reducer::result() { return std::move(image_); }

Image reduced(const Image& image, uint32_t side) {
    Reducer reducer(shape_of(image), side);
    image.visit([&](const auto& samples) {
        for (uint32_t y = 0; y < image.height; y++) reducer.add(samples.data() + y * image.row_size());
    });
    return reducer.result();
}

}  // namespace decant
