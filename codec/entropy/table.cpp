#include "codec/entropy/table.h"

#include <string>

#include "codec/error.h"

namespace decant {

Table::Table(int16_t first, std::span<const uint16_t> frequencies) : first_(first) {
    if (frequencies.size() < 2 || frequencies.size() > kMaxSymbols)
        throw Error(ErrorCode::corrupt, "probability table: " + std::to_string(frequencies.size()) + " symbols, from 2 to " +
                                            std::to_string(kMaxSymbols) + " are possible");
    escape_ = static_cast<uint32_t>(frequencies.size() - 1);
    uint32_t sum = 0;
    for (std::size_t position = 0; position < frequencies.size(); ++position) {
        if (frequencies[position] == 0)
            throw Error(ErrorCode::corrupt, "probability table: symbol " + std::to_string(position) + " has no probability");
        cumulative_[position] = static_cast<uint16_t>(sum);
        sum += frequencies[position];
        if (sum > kProbabilityScale) break;
    }
    if (sum != kProbabilityScale)
        throw Error(ErrorCode::corrupt, "probability table: frequencies sum to " + std::to_string(sum) +
                                            (sum > kProbabilityScale ? " or more" : "") + ", not to " +
                                            std::to_string(kProbabilityScale));
    // The rest is never looked up, but a copied object should not carry undefined values.
    for (std::size_t position = frequencies.size(); position < cumulative_.size(); ++position)
        cumulative_[position] = static_cast<uint16_t>(kProbabilityScale);

    uint32_t position = 0;
    for (uint32_t bucket = 0; bucket < coarse_.size(); ++bucket) {
        while (cumulative_[position + 1] <= bucket << kCoarseShift) ++position;
        coarse_[bucket] = static_cast<uint8_t>(position);
    }
}

std::vector<uint16_t> serialise_tables(std::span<const Table> tables) {
    if (tables.empty() || tables.size() > 65535)
        throw Error(ErrorCode::invalid_argument,
                    "probability tables: " + std::to_string(tables.size()) + ", from 1 to 65535 are possible");
    std::vector<uint16_t> flat{static_cast<uint16_t>(tables.size())};
    for (const Table& table : tables) {
        flat.push_back(static_cast<uint16_t>(table.first()));
        flat.push_back(static_cast<uint16_t>(table.escape() + 1));
        for (uint32_t position = 0; position <= table.escape(); ++position)
            flat.push_back(static_cast<uint16_t>(table.frequency(position)));
    }
    return flat;
}

std::vector<Table> parse_tables(std::span<const uint16_t> flat) {
    if (flat.empty() || flat[0] == 0) throw Error(ErrorCode::corrupt, "probability tables: there are none");
    const std::size_t table_count = flat[0];
    std::span<const uint16_t> rest = flat.subspan(1);
    std::vector<Table> tables;
    for (std::size_t index = 0; index < table_count; ++index) {
        const std::string where = "probability table " + std::to_string(index) + " of " + std::to_string(table_count);
        if (rest.size() < 2) throw Error(ErrorCode::corrupt, where + ": missing, the data end before it");
        const auto first = static_cast<int16_t>(rest[0]);
        const std::size_t count = rest[1];
        rest = rest.subspan(2);
        if (count > rest.size())
            throw Error(ErrorCode::corrupt, where + ": " + std::to_string(count) + " frequencies announced, " +
                                                std::to_string(rest.size()) + " values left");
        try {
            tables.emplace_back(first, rest.first(count));
        } catch (const Error& error) {
            throw Error(error.code(), where + ": " + error.what());
        }
        rest = rest.subspan(count);
    }
    if (!rest.empty())
        throw Error(ErrorCode::corrupt, "probability tables: " + std::to_string(rest.size()) +
                                            " values left over after the last of " + std::to_string(table_count) + " tables");
    return tables;
}

}  // namespace decant
