// Integers coded with tables: the latents y with logistics of quantised scale, and the hyper-latents z with one table per channel
// (the two kinds of entropy model of Ballé et al., "Variational image compression with a scale hyperprior", 2018). All arithmetic
// between the bits and the symbols is in integers.
//
// An integer v with a table of the integers first … last (codec/entropy/table.h):
//   first ≤ v ≤ last: the symbol v - first.
//   otherwise:        the escape symbol; a raw bit, 1 if v < first; then m = (distance of v from the nearer of first and last) as
//   an
//                     Exp-Golomb code in raw bits: with n = floor(log2 m), n raw bits 0, one raw bit 1, and the low n bits of m,
//                     the upper max(n - 15, 0) of them as one field and then the lower min(n, 15) as another (empty fields are
//                     left out). n is at most 24.
//
// A latent s = round(y - mean) of scale index i, 0 … 111, which stands for the standard deviation σ = 0.06 · 2^(i/8):
//   i < kFirstCodedScale: nothing is coded and s is 0.
//   i < kDirectScales:    s with table i.
//   otherwise:            b = ceil((i - kDirectScales + 1) / 8); floor((s + 2^(b-1)) / 2^b) with table i - 8·b, whose σ is 2^b
//   times
//                         smaller; then (s + 2^(b-1)) mod 2^b as a raw field of b bits.
//
// Under dependent quantisation (codec/entropy/trellis.h) the tables of i < kDirectScales are others, made of these: see
// dependent_table().
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/entropy/rans.h"
#include "codec/entropy/table.h"

namespace decant {

// Integers beyond ± this are not coded.
inline constexpr int32_t kIntegerLimit = 1 << 24;

// Throws Error invalid_argument if |value| > kIntegerLimit.
void encode_integer(RansEncoder& encoder, const Table& table, int32_t value);

// The integer behind an escape symbol, within ± kIntegerLimit. Throws Error corrupt.
int32_t decode_escaped_integer(RansDecoder& decoder, const Table& table);

// Throws Error corrupt, as RansDecoder::decode() does and if the integer is beyond ± kIntegerLimit.
inline int32_t decode_integer(RansDecoder& decoder, const Table& table) {
    const uint32_t position = decoder.decode(table);
    if (position == table.escape()) [[unlikely]]
        return decode_escaped_integer(decoder, table);
    return table.first() + static_cast<int32_t>(position);
}

// What encode_integer() spends, in bits; for an encoder's decisions only.
double integer_cost_bits(const Table& table, int32_t value);

inline constexpr int kScalesPerOctave = 8;
inline constexpr double kSmallestScale = 0.06;  // σ of index 0
inline constexpr int kScaleCount = 112;     // σ up to about 900
inline constexpr int kDirectScales = 65;    // σ up to 15.4 has a table of its own
inline constexpr int kFirstCodedScale = 1;  // part of the file format

// What the symbols of a latent are: those of one quantiser, or of one of the two that take turns. The latter had other tables in the first files.
enum class SymbolKind { independent, centred, offset, first_centred, first_offset };
inline constexpr std::size_t kSymbolKinds = 5;

// The tables of the scale indices 0 … kDirectScales - 1; table i covers -r_i … r_i.
class ScaleTables {
public:
    // Throws Error corrupt if the tables are not kDirectScales many, or one does not cover a range that is symmetric about 0.
    explicit ScaleTables(std::vector<Table> tables);

    // From the flat form of codec/entropy/table.h. Throws Error corrupt.
    explicit ScaleTables(std::span<const uint16_t> flat) : ScaleTables(parse_tables(flat)) {}
    std::vector<uint16_t> serialise() const { return serialise_tables(tables(SymbolKind::independent)); }

    // scale_index: 0 … kScaleCount - 1. Throws Error invalid_argument if it is not, if |symbol| > kIntegerLimit, or if the symbol
    // of a skipped scale index is not 0.
    void encode_symbol(RansEncoder& encoder, int scale_index, int32_t symbol, SymbolKind kind = SymbolKind::independent) const {
        if (scale_index >= kFirstCodedScale && scale_index < kDirectScales) [[likely]] {
            const Table& table = tables(kind)[static_cast<std::size_t>(scale_index)];
            const uint32_t position = static_cast<uint32_t>(symbol) - static_cast<uint32_t>(table.first());
            if (position < table.escape()) [[likely]]
                return encoder.put(table, position);
        }
        encode_other_symbol(encoder, scale_index, symbol, kind);
    }

    // scale_index: 0 … kScaleCount - 1. Throws Error invalid_argument if it is not; corrupt as decode_integer() does.
    int32_t decode_symbol(RansDecoder& decoder, int scale_index, SymbolKind kind = SymbolKind::independent) const {
        if (scale_index >= kFirstCodedScale && scale_index < kDirectScales) [[likely]]
            return decode_integer(decoder, tables(kind)[static_cast<std::size_t>(scale_index)]);
        return decode_other_symbol(decoder, scale_index);
    }

    // What encode_symbol() spends, in bits, infinite if it would refuse the symbol; for an encoder's decisions only.
    double cost_bits(int scale_index, int32_t symbol, SymbolKind kind = SymbolKind::independent) const;

private:
    const std::vector<Table>& tables(SymbolKind kind) const { return tables_[static_cast<std::size_t>(kind)]; }
    void encode_other_symbol(RansEncoder& encoder, int scale_index, int32_t symbol, SymbolKind kind) const;
    int32_t decode_other_symbol(RansDecoder& decoder, int scale_index) const;

    std::array<std::vector<Table>, kSymbolKinds> tables_;
};

// The table of dependent quantisation for a scale index below kDirectScales, of that of independent symbols, in integers. F(k) are the
// frequencies of the latter, including the escape symbol's; G(k) = F(k), with offset F(k) + F(|k| - 1), the escape symbol's G twice its F;
// z and e are of the kind and index (kFrequencies, scale_tables.cpp). 1 and -1 have e each, of the first kinds as all others have
//   G(k) · (2^15 - z - 2e) / Σ G, of these others alone; e is 0 for the first kinds
// rounded down but at least 1; 0 has the rest.
Table dependent_table(const Table& independent, int scale_index, SymbolKind kind);

// One table per channel.
class FactorizedTables {
public:
    // Throws Error corrupt if there is no table.
    explicit FactorizedTables(std::vector<Table> tables);

    // From the flat form of codec/entropy/table.h. Throws Error corrupt.
    explicit FactorizedTables(std::span<const uint16_t> flat) : FactorizedTables(parse_tables(flat)) {}
    std::vector<uint16_t> serialise() const { return serialise_tables(tables_); }

    std::size_t channel_count() const { return tables_.size(); }

    // channel: 0 … channel_count() - 1, not checked. Errors as for encode_integer() and decode_integer().
    void encode_symbol(RansEncoder& encoder, std::size_t channel, int32_t symbol) const {
        encode_integer(encoder, tables_[channel], symbol);
    }
    int32_t decode_symbol(RansDecoder& decoder, std::size_t channel) const { return decode_integer(decoder, tables_[channel]); }
    double cost_bits(std::size_t channel, int32_t symbol) const { return integer_cost_bits(tables_[channel], symbol); }

private:
    std::vector<Table> tables_;
};

}  // namespace decant
