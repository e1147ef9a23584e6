// Interleaved range asymmetric numeral systems (rANS): J. Duda, "Asymmetric numeral systems", 2013 (arXiv:1311.2540);
// interleaving: F. Giesen, "Interleaved entropy coders", 2014 (arXiv:1402.3392). Integer arithmetic only.
//
// The stream. A stream is a sequence of symbols, each a slice [start, start + frequency) of 2^15 slots (codec/entropy/table.h); a
// raw field of n bits with value v is the slice [v·2^(15-n), (v+1)·2^(15-n)); a decision of probability p is the slice [0, p) if it
// is yes, [p, 2^15) if it is no. Symbol i (from 0, in decoding order, raw fields
// included) belongs to state i mod 4. The bytes are
//   u32 × 4   the states at the start of decoding, each in [2^16, 2^32)
//   u16 × n   words in the order in which the decoder takes them
// all little endian; a stream whose four states are 2^16 and that has no words is written as zero bytes instead. To decode one
// symbol with the state x of its turn:
//   slot = x mod 2^15; the symbol is the one whose slice holds slot;
//   x = frequency · floor(x / 2^15) + slot - start;
//   if x < 2^16: x = 2^16 · x + next word.
// After the last symbol all four states are 2^16 and all words are used: 64 bits of redundancy, checked by RansDecoder::finish().
// This finds truncation and loss of step, but not each changed bit (a raw field can change and nothing else): that is left to the
// container.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/entropy/table.h"
#include "codec/tensor/tensor.h"

namespace decant {

// Independent states taken in turn, so that the processor can overlap their chains of dependent operations; part of the file
// format.
inline constexpr uint32_t kRansStates = 4;
inline constexpr uint32_t kRansLowerBound = 1u << 16;  // states are in [2^16, 2^32); also the state of an empty stream

// Collects symbols in decoding order; rANS encodes backwards, so bytes exist only once all symbols are known.
class RansEncoder {
public:
    // position: 0 … table.escape().
    void put(const Table& table, uint32_t position) {
        slices_.push_back({static_cast<uint16_t>(table.start(position)), static_cast<uint16_t>(table.frequency(position))});
    }

    // A raw field: count 1 … 15 bits, value < 2^count. Throws Error invalid_argument otherwise.
    void put_bits(uint32_t value, int count);

    // A decision; `probability` of yes in 1/2^15, 1 … 2^15 - 1 (not checked).
    void put_bit(bool yes, uint32_t probability) {
        slices_.push_back(yes ? Slice{0, static_cast<uint16_t>(probability)}
                              : Slice{static_cast<uint16_t>(probability), static_cast<uint16_t>(kProbabilityScale - probability)});
    }

    // Forgets the symbols, but keeps their memory.
    void clear() { slices_.clear(); }

    // The finished stream; the encoder is empty afterwards, with its memory ready for the next one.
    std::vector<uint8_t> finish();

private:
    struct Slice {
        uint16_t start;
        uint16_t frequency;  // 1 … 2^15 - 1
    };
    LargeVector<Slice> slices_;
};

// Decodes symbols in the order in which they were put. Never reads outside the given bytes, whatever they hold.
class RansDecoder {
public:
    // Throws Error corrupt if the bytes cannot be a stream: too short, an odd number, a state out of range. The bytes are copied.
    explicit RansDecoder(std::span<const uint8_t> bytes);
    RansDecoder(const RansDecoder&) = delete;
    RansDecoder& operator=(const RansDecoder&) = delete;

    // The position of the next symbol. Throws Error corrupt when the stream ends too early.
    uint32_t decode(const Table& table) {
        const uint32_t slot = states_[turn_] & (kProbabilityScale - 1);
        const uint32_t position = table.find(slot);
        advance(slot - table.start(position), table.frequency(position));
        return position;
    }

    // A raw field of count 1 … 15 bits (not checked: the count never comes from the stream). Throws as decode() does.
    uint32_t get_bits(int count) {
        const int rest = kProbabilityBits - count;
        const uint32_t slot = states_[turn_] & (kProbabilityScale - 1);
        advance(slot & ((1u << rest) - 1), 1u << rest);
        return slot >> rest;
    }

    // A decision that put_bit() was given with the same probability. Throws as decode() does.
    bool get_bit(uint32_t probability) {
        const uint32_t slot = states_[turn_] & (kProbabilityScale - 1);
        const bool yes = slot < probability;
        advance(yes ? slot : slot - probability, yes ? probability : kProbabilityScale - probability);
        return yes;
    }

    // To be called after the last symbol: throws Error corrupt unless all input is used and all states are back at their start
    // value.
    void finish() const;

private:
    void advance(uint32_t offset, uint32_t frequency) {
        uint32_t state = frequency * (states_[turn_] >> kProbabilityBits) + offset;
        // Whether a word is needed is as good as random, so it must not become a branch: the word is loaded in any case (one word
        // of padding makes that safe at the end) and used if needed.
        const bool needed = state < kRansLowerBound;
        const uint32_t refilled = state << 16 | *next_;
        state = needed ? refilled : state;
        next_ += needed;
        if (next_ > end_) [[unlikely]]
            fail_exhausted();
        states_[turn_] = state;
        turn_ = (turn_ + 1) % kRansStates;
    }

    [[noreturn]] void fail_exhausted();

    std::array<uint32_t, kRansStates> states_;
    uint32_t turn_ = 0;
    std::vector<uint16_t> words_;
    const uint16_t* next_;
    const uint16_t* end_;
};

}  // namespace decant
