// Decisions with learned probabilities into a stream and out of one, behind one interface: a model is written once for both directions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/entropy/adaptive_bit.h"
#include "codec/entropy/rans.h"
#include "codec/error.h"

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

// Streams one behind the other, each with its length in bytes before it: u32, little endian.
inline void append_stream(std::vector<uint8_t>& bytes, std::span<const uint8_t> stream) {
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(stream.size() >> shift));
    bytes.insert(bytes.end(), stream.begin(), stream.end());
}

// The first of them, which is taken off `bytes`. what: several things, such as "plane: the rows from 64 on", for the message of
// Error corrupt where they are cut short.
inline std::span<const uint8_t> take_stream(std::span<const uint8_t>& bytes, const std::string& what) {
    if (bytes.size() < 4) throw Error(ErrorCode::corrupt, what + ": truncated");
    const size_t length = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | size_t{bytes[3]} << 24;
    if (length > bytes.size() - 4)
        throw Error(ErrorCode::corrupt, what + " announce " + std::to_string(length) + " bytes, " + std::to_string(bytes.size() - 4) + " are left");
    const auto stream = bytes.subspan(4, length);
    bytes = bytes.subspan(4 + length);
    return stream;
}

}  // namespace decant
