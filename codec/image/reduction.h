// Pictures made smaller, each pixel the mean of the area that it stands for.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codec/image/rows.h"

namespace decant {

// Takes a picture row by row. The result has at most `side` pixels a side, as many as the picture if that is no larger, and 8 bits a sample.
class Reducer {
public:
    Reducer(const PictureShape& shape, uint32_t side);

    void add(const void* row);  // the next
    Image result();             // after the last row

private:
    void finish_row();

    PictureShape shape_;
    Image image_;
    std::vector<float> sums_;  // of a row of the result, before columns are put together; [width, channels]
    uint64_t weight_left_;     // until the row of the result is full, in parts of an input row
    uint32_t rows_done_ = 0;
};

// Hands rows on and reduces them on the way.
class ReducingReader : public RowReader {
public:
    ReducingReader(RowReader& rows, uint32_t side) : rows_(rows), reducer_(rows.shape(), side) {}
    PictureShape shape() const override { return rows_.shape(); }
    void read(void* row) override {
        rows_.read(row);
        reducer_.add(row);
    }
    Image result() { return reducer_.result(); }

private:
    RowReader& rows_;
    Reducer reducer_;
};

// Keeps of a picture what it is reduced to.
class ReducingWriter : public RowWriter {
public:
    explicit ReducingWriter(uint32_t side) : side_(side) {}
    void begin(const PictureShape& shape) override { reducer_.emplace(shape, side_); }
    void write(const void* row) override { reducer_->add(row); }
    Image result() { return reducer_->result(); }

private:
    uint32_t side_;
    std::optional<Reducer> reducer_;  // from the beginning on
};

Image reduced(const Image& image, uint32_t side);

}  // namespace decant
