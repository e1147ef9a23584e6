// Pictures turned by quarters and mirrored: the eight symmetries of a square.
#pragma once

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

// A copy of a whole picture, turned.
Image turned(const SampleView& picture, Turn turn);
// Where a region of a picture of width × height lies in the turned picture. It must not reach beyond it.
Region turned(const Region& region, uint32_t width, uint32_t height, Turn turn);

}  // namespace decant
