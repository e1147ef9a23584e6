// Integer probability tables: what the entropy coder shares with the model file.
//
// A Table covers the integers first() … last() and one escape symbol. Each symbol owns `frequency` of the 2^15 slots of the
// coder's probability scale, at least one. Tables are read from the model file and never computed while decoding, so that no
// floating-point rounding of one machine can disagree with another.
//
// Flat form, an array of u16 (a tensor of the model file):
//   word 0                  number of tables, 1 … 65535
//   then for each table:
//     first                 smallest integer covered, two's complement
//     count                 number of frequencies, 2 … 256; the last one belongs to the escape symbol
//     frequency × count     each at least 1, together exactly 32768
// Nothing follows the last table.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace decant {

// Probabilities are multiples of 2^-15; part of the file format.
inline constexpr int kProbabilityBits = 15;
inline constexpr uint32_t kProbabilityScale = 1u << kProbabilityBits;

class Table {
public:
    static constexpr std::size_t kMaxSymbols = 256;  // with the escape symbol; a symbol's position fits one byte

    // frequencies: for the integers first, first + 1, … and then the escape symbol.
    // Throws Error corrupt if there are fewer than 2 or more than 256, one is zero, or they do not sum to 2^15.
    Table(int16_t first, std::span<const uint16_t> frequencies);

    int first() const { return first_; }
    int last() const { return first_ + static_cast<int>(escape_) - 1; }

    // Position of the escape symbol; the integer v has position v - first().
    uint32_t escape() const { return escape_; }

    // position: 0 … escape().
    uint32_t start(uint32_t position) const { return cumulative_[position]; }
    uint32_t frequency(uint32_t position) const { return uint32_t{cumulative_[position + 1]} - cumulative_[position]; }

    // The position of the symbol that owns the slot, 0 … 2^15 - 1. The coarse table almost always answers at once: a symbol that
    // is narrower than one of its 256 buckets is rare by construction.
    uint32_t find(uint32_t slot) const {
        uint32_t position = coarse_[slot >> kCoarseShift];
        while (cumulative_[position + 1] <= slot) ++position;
        return position;
    }

private:
    static constexpr int kCoarseShift = kProbabilityBits - 8;

    int16_t first_;
    uint32_t escape_;
    // Inside the object: a decoder switches tables at every symbol, and a pointer to follow would cost it a cache line each.
    std::array<uint8_t, 256> coarse_;
    std::array<uint16_t, kMaxSymbols + 1> cumulative_;
};

std::vector<uint16_t> serialise_tables(std::span<const Table> tables);

// Throws Error corrupt, naming the table, for anything that the flat form above does not allow.
std::vector<Table> parse_tables(std::span<const uint16_t> flat);

}  // namespace decant
