#include "codec/refine/effort.h"

namespace decant {

Effort effort_of(int effort) {
    Effort result;
    if (effort == 1) result.settings.quantiser = Quantiser::scalar;
    result.fits_filter = effort > 2;
    result.tries_turns = effort > 4;
    if (effort > 2) result.settings.quantiser = Quantiser::large_trellis;
    if (effort > 3) result.rounds = 2 << (effort - 3);  // twice the work with each
    return result;
}

}  // namespace decant
