// Pictures turned by quarters and mirrored: the eight symmetries of a square.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/image/sample_view.h"

namespace decant {

// First rows and columns are exchanged, where they are, and then mirrored.
struct Turn {
    bool transposed = false, upside_down = false, mirrored = false;

    // 0, as it is, … 7.
    static constexpr Turn from_code(int code) { return {(code & 4) != 0, (code & 2) != 0, (code & 1) != 0}; }
    constexpr int code() const { return 4 * transposed + 2 * upside_down + mirrored; }
    // What undoes it.
    constexpr Turn inverse() const { return transposed ? Turn{true, mirrored, upside_down} : *this; }
    constexpr bool is_none() const { return code() == 0; }
    bool operator==(const Turn&) const = default;
};

// A row of a turned raster: where its first position lies in the raster as it was, in reading order, and how far from there the next ones are.
struct TurnedRow {
    ptrdiff_t first, step;
};
// height, width: of the raster as it was; y: a row of the turned one.
constexpr TurnedRow turned_row(ptrdiff_t height, ptrdiff_t width, Turn turn, ptrdiff_t y) {
    const ptrdiff_t rows = turn.transposed ? width : height, columns = turn.transposed ? height : width;
    const ptrdiff_t across = turn.upside_down ? rows - 1 - y : y, along = turn.mirrored ? columns - 1 : 0;
    return {turn.transposed ? along * width + across : across * width + along, (turn.transposed ? width : 1) * (turn.mirrored ? -1 : 1)};
}

// A copy of a whole picture, turned.
Image turned(const SampleView& picture, Turn turn);
// Where a region of a picture of width × height lies in the turned picture. It must not reach beyond it.
Region turned(const Region& region, uint32_t width, uint32_t height, Turn turn);

}  // namespace decant
