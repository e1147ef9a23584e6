#include "codec/entropy/scale_tables.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "codec/error.h"

namespace decant {

namespace {

// Distances are below 2^25 for any integer within the limit and any table, whose range is within 16 bits.
constexpr int kEscapeBits = 24;

bool covers(const Table& table, int32_t value) { return value >= table.first() && value <= table.last(); }

// Of a value that the table does not cover: how far it is from the range, at least 1.
uint32_t distance_from(const Table& table, int32_t value) {
    return static_cast<uint32_t>(value < table.first() ? table.first() - value : value - table.last());
}

// A scale index without a table of its own is `raw_bits` octaves above one that has.
int raw_bits_of(int scale_index) {
    return scale_index < kDirectScales ? 0 : (scale_index - kDirectScales) / kScalesPerOctave + 1;
}

void check_scale_index(int scale_index) {
    if (scale_index < 0 || scale_index >= kScaleCount)
        throw Error(ErrorCode::invalid_argument, "scale index " + std::to_string(scale_index) + ", from 0 to " +
                                                     std::to_string(kScaleCount - 1) + " are possible");
}

struct SplitSymbol {
    int raw_bits;
    std::size_t table;
    int32_t high;
    uint32_t low;
};

// |symbol| ≤ kIntegerLimit.
SplitSymbol split(int scale_index, int32_t symbol) {
    const int raw_bits = raw_bits_of(scale_index);
    if (raw_bits == 0) return {0, static_cast<std::size_t>(scale_index), symbol, 0};
    const int32_t shifted = symbol + (1 << (raw_bits - 1));
    const uint32_t low = static_cast<uint32_t>(shifted) & ((1u << raw_bits) - 1);
    return {raw_bits, static_cast<std::size_t>(scale_index - kScalesPerOctave * raw_bits), shifted >> raw_bits, low};
}

}  // namespace

namespace {

using Frequencies = uint16_t[kDirectScales];

// How often the search for the best path takes 0, and each of 1 and -1, in the tables of dependent quantisation, centred and offset: counted on training pictures
// coded with the models photo, photo-low and photo-high at eight qualities. The latter are less frequent than logistics have them: the search avoids them where it
// can. Part of the file format.
constexpr struct {
    Frequencies zero, one;
} kFrequencies[2] =
  {{{
      32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32761, 32757, 32747, 32729, 32691, 32631, 32532, 32472, 32461, 32401, 32271,
      32044, 31673, 31152, 30395, 29402, 28125, 26587, 24951, 23124, 21216, 19472, 17692, 16033, 14478, 13180, 11964, 10761, 9775, 8818,
      8051, 7274, 6590, 6004, 5471, 5021, 4576, 4121, 3792, 3449, 3116, 2929, 2613, 2432, 2183, 2049, 1875, 1695, 1574, 1420, 1353, 1258,
      1156, 1084, 902, 889, 855},
     {
      1, 1, 1, 1, 1, 1, 1, 1, 3, 5, 10, 19, 38, 68, 117, 147, 152, 181, 244, 354, 534, 785, 1148, 1628, 2233, 2959, 3700, 4514, 5325,
      6003, 6624, 7133, 7511, 7696, 7764, 7808, 7667, 7508, 7230, 6936, 6571, 6228, 5845, 5456, 5096, 4760, 4416, 4074, 3788, 3490, 3241,
      2957, 2755, 2553, 2330, 2134, 1942, 1841, 1662, 1519, 1373, 1293, 1207, 1152, 1013}},
    {{
      32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32764, 32298, 30946, 28890, 26286,
      23285, 20134, 17081, 14364, 12113, 10302, 8910, 7836, 7032, 6392, 5867, 5485, 5172, 4797, 4441, 4174, 3987, 3702, 3446, 3213, 3014,
      2778, 2626, 2443, 2269, 2081, 1977, 1803, 1695, 1567, 1481, 1271, 1235, 1128, 1038, 1056, 931, 823, 765, 757, 702, 629, 608, 580,
      497, 462},
     {
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 233, 907, 1926, 3219, 4707, 6262, 7756, 9069, 10117, 10912, 11459, 11785, 11904, 11881,
      11708, 11409, 11019, 10590, 10127, 9563, 9007, 8447, 7904, 7387, 6855, 6357, 5844, 5426, 4964, 4595, 4216, 3893, 3560, 3250, 2998,
      2774, 2533, 2345, 2116, 1881, 1798, 1658, 1502, 1346, 1190, 1123, 1021, 936, 840, 774}}};

// Those of 0 for the first kinds.
constexpr Frequencies kFirstZero[2] = {
    {
    32440, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32760, 32751, 32734, 32707, 32669, 32608,
    32572, 32510, 32456, 32318, 32148, 31828, 31340, 30625, 29695, 28461, 27081, 25452, 23738, 21791, 20039,
    18280, 16666, 15270, 13843, 12707, 11276, 10304, 9392, 8504, 7703, 7049, 6256, 5971, 5268, 4742, 4361,
    4143, 3739, 3434, 3067, 2999, 2682, 2401, 2014, 1948, 1945, 1770, 1672, 1528, 1385, 1259, 1166, 1107, 888,
    1025},
    {
    32440, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32765, 32762, 32692,
    32334, 31396, 29793, 27475, 24576, 21404, 18319, 15560, 13127, 11368, 9918, 8736, 7569, 6876, 6121, 5591,
    5375, 4741, 4409, 3983, 3869, 3404, 3240, 2729, 2563, 2436, 2175, 1983, 1889, 1709, 1561, 1392, 1295,
    1145, 1129, 1049, 889, 792, 824, 885, 773, 629, 553, 582, 512, 539, 512, 512, 535, 512}};

}  // namespace

Table dependent_table(const Table& independent, int scale_index, SymbolKind kind) {
    const bool is_offset = kind == SymbolKind::offset || kind == SymbolKind::first_offset, is_first = kind == SymbolKind::first_centred || kind == SymbolKind::first_offset;
    const auto index = static_cast<std::size_t>(scale_index);
    const uint32_t zero = is_first ? kFirstZero[is_offset][index] : kFrequencies[is_offset].zero[index];
    const auto middle = static_cast<uint32_t>(-independent.first());
    const uint32_t escape = independent.escape();
    std::vector<uint16_t> frequencies(escape + 1);
    uint32_t used = 0;
    const auto is_set = [&](uint32_t position) { return position == middle || (!is_first && position != escape && (position + 1 == middle || position == middle + 1)); };
    std::vector<uint32_t> weights(escape + 1);
    uint32_t sum = 0;
    for (uint32_t position = 0; position <= escape; ++position) {
        if (is_set(position)) {
            if (position != middle) used += frequencies[position] = kFrequencies[is_offset].one[index];
            continue;
        }
        uint32_t weight = independent.frequency(position);
        if (is_offset) weight += position == escape ? weight : independent.frequency(position < middle ? position + 1 : position - 1);
        sum += weights[position] = weight;
    }
    const uint32_t left = kProbabilityScale - zero - used;
    for (uint32_t position = 0; position <= escape; ++position) {
        if (!is_set(position)) used += frequencies[position] = static_cast<uint16_t>(std::max(1u, weights[position] * left / sum));
    }
    frequencies[middle] = static_cast<uint16_t>(kProbabilityScale - used);
    return Table(static_cast<int16_t>(independent.first()), frequencies);
}

void encode_integer(RansEncoder& encoder, const Table& table, int32_t value) {
    if (value < -kIntegerLimit || value > kIntegerLimit)
        throw Error(ErrorCode::invalid_argument,
                    "symbol " + std::to_string(value) + " is beyond the limit of the format, " + std::to_string(kIntegerLimit));
    if (covers(table, value)) {
        encoder.put(table, static_cast<uint32_t>(value - table.first()));
        return;
    }
    encoder.put(table, table.escape());
    encoder.put_bits(value < table.first() ? 1 : 0, 1);
    const uint32_t distance = distance_from(table, value);
    const int bits = std::bit_width(distance) - 1;
    for (int i = 0; i < bits; ++i) encoder.put_bits(0, 1);
    encoder.put_bits(1, 1);
    const uint32_t low = distance - (1u << bits);
    const int upper = std::max(bits - kProbabilityBits, 0);
    const int lower = bits - upper;
    if (upper > 0) encoder.put_bits(low >> lower, upper);
    if (lower > 0) encoder.put_bits(low & ((1u << lower) - 1), lower);
}

int32_t decode_escaped_integer(RansDecoder& decoder, const Table& table) {
    const bool below = decoder.get_bits(1) != 0;
    int bits = 0;
    while (decoder.get_bits(1) == 0)
        if (++bits > kEscapeBits)
            throw Error(ErrorCode::corrupt,
                        "entropy-coded data: escaped symbol of more than " + std::to_string(kEscapeBits) + " bits");
    const int upper = std::max(bits - kProbabilityBits, 0);
    const int lower = bits - upper;
    uint32_t distance = 1;
    if (upper > 0) distance = distance << upper | decoder.get_bits(upper);
    if (lower > 0) distance = distance << lower | decoder.get_bits(lower);
    const int32_t value = below ? table.first() - static_cast<int32_t>(distance) : table.last() + static_cast<int32_t>(distance);
    if (value < -kIntegerLimit || value > kIntegerLimit)
        throw Error(ErrorCode::corrupt, "entropy-coded data: symbol " + std::to_string(value) +
                                            " is beyond the limit of the format, " + std::to_string(kIntegerLimit));
    return value;
}

double integer_cost_bits(const Table& table, int32_t value) {
    const bool covered = covers(table, value);
    const uint32_t position = covered ? static_cast<uint32_t>(value - table.first()) : table.escape();
    const double cost = kProbabilityBits - std::log2(static_cast<double>(table.frequency(position)));
    if (covered) return cost;
    const int bits = std::bit_width(distance_from(table, value)) - 1;
    return cost + 1 + 2 * bits + 1;
}

ScaleTables::ScaleTables(std::vector<Table> tables) {
    if (tables.size() != kDirectScales)
        throw Error(ErrorCode::corrupt, "scale tables: " + std::to_string(tables.size()) + " tables, " +
                                            std::to_string(kDirectScales) + " are needed");
    for (std::size_t index = 0; index < tables.size(); ++index) {
        const Table& table = tables[index];
        if (table.first() != -table.last())
            throw Error(ErrorCode::corrupt,
                        "scale table " + std::to_string(index) + ": covers " + std::to_string(table.first()) +
                            " to " + std::to_string(table.last()) + ", not a range that is symmetric about 0");
        for (const SymbolKind kind : {SymbolKind::centred, SymbolKind::offset, SymbolKind::first_centred, SymbolKind::first_offset})
            tables_[static_cast<std::size_t>(kind)].push_back(dependent_table(table, static_cast<int>(index), kind));
    }
    tables_[static_cast<std::size_t>(SymbolKind::independent)] = std::move(tables);
}

void ScaleTables::encode_other_symbol(RansEncoder& encoder, int scale_index, int32_t symbol, SymbolKind kind) const {
    check_scale_index(scale_index);
    if (symbol < -kIntegerLimit || symbol > kIntegerLimit)
        throw Error(ErrorCode::invalid_argument,
                    "symbol " + std::to_string(symbol) + " is beyond the limit of the format, " + std::to_string(kIntegerLimit));
    if (scale_index < kFirstCodedScale) {
        if (symbol != 0)
            throw Error(ErrorCode::invalid_argument, "symbol " + std::to_string(symbol) + " at scale index " +
                                                         std::to_string(scale_index) + ", where only 0 is possible");
        return;
    }
    const SplitSymbol parts = split(scale_index, symbol);
    encode_integer(encoder, tables(parts.raw_bits == 0 ? kind : SymbolKind::independent)[parts.table], parts.high);
    if (parts.raw_bits > 0) encoder.put_bits(parts.low, parts.raw_bits);
}

int32_t ScaleTables::decode_other_symbol(RansDecoder& decoder, int scale_index) const {
    check_scale_index(scale_index);
    if (scale_index < kFirstCodedScale) return 0;
    const int raw_bits = raw_bits_of(scale_index);
    const auto table = static_cast<std::size_t>(scale_index - kScalesPerOctave * raw_bits);
    // At most 2^24 · 2^6 in magnitude, so this cannot overflow even if the stream is damaged.
    const int32_t high = decode_integer(decoder, tables(SymbolKind::independent)[table]);
    const auto low = static_cast<int32_t>(decoder.get_bits(raw_bits));
    const int32_t symbol = high * (1 << raw_bits) + low - (1 << (raw_bits - 1));
    if (symbol < -kIntegerLimit || symbol > kIntegerLimit)
        throw Error(ErrorCode::corrupt, "entropy-coded data: symbol " + std::to_string(symbol) +
                                            " is beyond the limit of the format, " + std::to_string(kIntegerLimit));
    return symbol;
}

double ScaleTables::cost_bits(int scale_index, int32_t symbol, SymbolKind kind) const {
    check_scale_index(scale_index);
    if (symbol < -kIntegerLimit || symbol > kIntegerLimit) return std::numeric_limits<double>::infinity();
    if (scale_index < kFirstCodedScale) return symbol == 0 ? 0 : std::numeric_limits<double>::infinity();
    const SplitSymbol parts = split(scale_index, symbol);
    return integer_cost_bits(tables(parts.raw_bits == 0 ? kind : SymbolKind::independent)[parts.table], parts.high) + parts.raw_bits;
}

FactorizedTables::FactorizedTables(std::vector<Table> tables) : tables_(std::move(tables)) {
    if (tables_.empty()) throw Error(ErrorCode::corrupt, "factorized tables: there are none");
}

}  // namespace decant
