// ScaleTables::cost_bits, looked up where a scale index has a table of its own; for an encoder's decisions only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/entropy/scale_tables.h"

namespace decant {

class SymbolCosts {
public:
    // tables must outlive this.
    explicit SymbolCosts(const ScaleTables& tables);

    float bits(int scale_index, int32_t symbol, SymbolKind kind) const {
        if (symbol >= -kReach && symbol <= kReach && scale_index < kDirectScales) [[likely]]
            return bits_[row(scale_index, kind) + std::size_t(symbol + kReach)];
        return float(tables_.cost_bits(scale_index, symbol, kind));
    }

private:
    static constexpr int32_t kReach = 128;  // no table covers more
    static constexpr std::size_t row(int scale_index, SymbolKind kind) {
        return (std::size_t(kind) * kDirectScales + std::size_t(scale_index)) * (2 * kReach + 1);
    }

    const ScaleTables& tables_;
    std::vector<float> bits_;  // [kind][scale index][-kReach … kReach]
};

}  // namespace decant
