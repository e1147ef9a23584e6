// Pictures that give their rows, and take them. A fixture for tests of what passes row by row.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "codec/error.h"
#include "codec/image/rows.h"

namespace decant::test {

// Gives the rows of a picture, and remembers how many.
class ImageRows : public RowReader {
public:
    explicit ImageRows(const Image& image) : image_(image) {}
    PictureShape shape() const override { return shape_of(image_); }
    void read(void* row) override {
        REQUIRE(rows_read < image_.height);
        if (rows_read == fails_at) throw Error(ErrorCode::io, "no more rows");
        const size_t bytes = shape().row_bytes();
        std::copy_n(image_.bytes().data() + rows_read * bytes, bytes, static_cast<uint8_t*>(row));
        rows_read++;
    }

    size_t rows_read = 0, fails_at = SIZE_MAX;

private:
    const Image& image_;
};

// Keeps the rows that it is given as a picture.
class RowImage : public RowWriter {
public:
    Image image;
    size_t rows = 0, fails_at = SIZE_MAX;

    void begin(const PictureShape& shape) override {
        CHECK(image.width == 0);
        image = Image(shape.width, shape.height, shape.channels, shape.depth);
    }
    void write(const void* row) override {
        REQUIRE(rows < image.height);
        if (rows == fails_at) throw Error(ErrorCode::io, "no space");
        image.visit([&]<class T>(std::vector<T>& samples) {
            std::copy_n(static_cast<const T*>(row), image.row_size(), samples.data() + rows * image.row_size());
        });
        rows++;
    }
};

}  // namespace decant::test
