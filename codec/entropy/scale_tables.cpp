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

ScaleTables::ScaleTables(std::vector<Table> tables) : tables_(std::move(tables)) {
    if (tables_.size() != kDirectScales)
        throw Error(ErrorCode::corrupt, "scale tables: " + std::to_string(tables_.size()) + " tables, " +
                                            std::to_string(kDirectScales) + " are needed");
    for (std::size_t index = 0; index < tables_.size(); ++index)
        if (tables_[index].first() != -tables_[index].last())
            throw Error(ErrorCode::corrupt,
                        "scale table " + std::to_string(index) + ": covers " + std::to_string(tables_[index].first()) +
                            " to " + std::to_string(tables_[index].last()) + ", not a range that is symmetric about 0");
}

void ScaleTables::encode_symbol(RansEncoder& encoder, int scale_index, int32_t symbol) const {
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
    encode_integer(encoder, tables_[parts.table], parts.high);
    if (parts.raw_bits > 0) encoder.put_bits(parts.low, parts.raw_bits);
}

int32_t ScaleTables::decode_other_symbol(RansDecoder& decoder, int scale_index) const {
    check_scale_index(scale_index);
    if (scale_index < kFirstCodedScale) return 0;
    const int raw_bits = raw_bits_of(scale_index);
    const auto table = static_cast<std::size_t>(scale_index - kScalesPerOctave * raw_bits);
    // At most 2^24 · 2^6 in magnitude, so this cannot overflow even if the stream is damaged.
    const int32_t high = decode_integer(decoder, tables_[table]);
    const auto low = static_cast<int32_t>(decoder.get_bits(raw_bits));
    const int32_t symbol = high * (1 << raw_bits) + low - (1 << (raw_bits - 1));
    if (symbol < -kIntegerLimit || symbol > kIntegerLimit)
        throw Error(ErrorCode::corrupt, "entropy-coded data: symbol " + std::to_string(symbol) +
                                            " is beyond the limit of the format, " + std::to_string(kIntegerLimit));
    return symbol;
}

double ScaleTables::cost_bits(int scale_index, int32_t symbol) const {
    check_scale_index(scale_index);
    if (symbol < -kIntegerLimit || symbol > kIntegerLimit) return std::numeric_limits<double>::infinity();
    if (scale_index < kFirstCodedScale) return symbol == 0 ? 0 : std::numeric_limits<double>::infinity();
    const SplitSymbol parts = split(scale_index, symbol);
    return integer_cost_bits(tables_[parts.table], parts.high) + parts.raw_bits;
}

FactorizedTables::FactorizedTables(std::vector<Table> tables) : tables_(std::move(tables)) {
    if (tables_.empty()) throw Error(ErrorCode::corrupt, "factorized tables: there are none");
}

}  // namespace decant
