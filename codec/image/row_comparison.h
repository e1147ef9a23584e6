// The metrics of pictures that pass row by row, and a fingerprint of what passes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "codec/image/differences.h"
#include "codec/image/rows.h"

namespace decant {

// Takes a picture and reads another one beside it.
class RowComparison : public RowWriter {
public:
    // Must outlive this.
    explicit RowComparison(RowReader& reference) : reference_(reference) {}

    void begin(const PictureShape& shape) override;  // Throws Error invalid_argument, with both shapes, unless it is the reference's.
    void write(const void* row) override;            // Throws what the reference does.

    // After the last row, as psnr() and max_error() of metrics.h.
    double psnr() const;
    uint32_t max_error() const { return differences_.largest; }

private:
    RowReader& reference_;
    PictureShape shape_;
    std::vector<uint8_t> row_;  // of the reference
    Differences differences_;
};

// Hands rows on, if anybody is to have them; equal hashes are equal pictures.
class HashingWriter : public RowWriter {
public:
    explicit HashingWriter(RowWriter* rows = nullptr);
    ~HashingWriter() override;

    void begin(const PictureShape& shape) override;
    void write(const void* row) override;

    struct Hash {
        uint64_t low = 0, high = 0;
        bool operator==(const Hash&) const = default;
    };
    Hash hash() const;  // XXH3 of 128 bits, over the shape and all rows so far

private:
    struct State;
    RowWriter* rows_;
    std::unique_ptr<State> state_;
    size_t row_bytes_ = 0;
};

}  // namespace decant
