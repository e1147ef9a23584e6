// The probability of a decision, learned from how it was taken before. Integers only: encoder and decoder agree on every machine.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codec/entropy/table.h"

namespace decant {

// Two averages of the past, a quick and a slow one (1/2^4 and 1/2^7 of the way at each decision); their mean is the estimate.
class AdaptiveBit {
public:
    // Of yes, in 1/2^15, 1 … 2^15 - 1.
    uint32_t probability() const {
        constexpr uint32_t scale = kProbabilityScale;
        return std::clamp<uint32_t>((uint32_t{quick_} + slow_) >> 2, 1, scale - 1);
    }

    void learn(bool yes) {
        move(quick_, yes, 4);
        move(slow_, yes, 7);
    }

private:
    static void move(uint16_t& average, bool yes, int shift) {
        if (yes)
            average = static_cast<uint16_t>(average + ((65535 - average) >> shift));
        else
            average = static_cast<uint16_t>(average - (average >> shift));
    }

    uint16_t quick_ = 1 << 15, slow_ = 1 << 15;  // in 1/2^16
};

}  // namespace decant
