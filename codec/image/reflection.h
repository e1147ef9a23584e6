// Pictures continued beyond their edges by reflection, the edge pixels not repeated: … 2 1 | 0 1 2 … n-1 | n-2 n-3 …
#pragma once

#include <cstdint>

namespace decant {

// Index of the pixel that stands at `i` of a row of `size` pixels continued so, to both sides.
inline int reflect(int64_t i, int64_t size) {
    if (size == 1) return 0;
    const int64_t period = 2 * (size - 1), r = (i % period + period) % period;
    return int(r < size ? r : period - r);
}

}  // namespace decant
