// Decisions with learned probabilities into a stream and out of one, behind one interface: a model is written once for both directions.
#pragma once

#include <cstdint>

#include "codec/entropy/adaptive_bit.h"
#include "codec/entropy/rans.h"

namespace decant {

struct DecisionWriter {
    RansEncoder stream;
    bool decide(bool yes, AdaptiveBit& bit) {
        stream.put_bit(yes, bit.probability());
        bit.learn(yes);
        return yes;
    }
    // 0 … 15 bits.
    uint32_t raw(uint32_t value, int count) {
        if (count > 0) stream.put_bits(value, count);
        return value;
    }
};

// What it is given is not looked at. Throws Error corrupt as RansDecoder does.
struct DecisionReader {
    RansDecoder stream;
    bool decide(bool, AdaptiveBit& bit) {
        const bool yes = stream.get_bit(bit.probability());
        bit.learn(yes);
        return yes;
    }
    uint32_t raw(uint32_t, int count) { return count > 0 ? stream.get_bits(count) : 0; }
};

}  // namespace decant
