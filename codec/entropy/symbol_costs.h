// ScaleTables::cost_bits of what is encoded now, looked up where a scale index has a table of its own; for an encoder's decisions only.
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

    // kind: none of the first files.
    float bits(int scale_index, int32_t symbol, SymbolKind kind) const {
        if (symbol >= -kReach && symbol <= kReach && scale_index < kDirectScales) [[likely]]
            return bits_[row(scale_index, kind) + std::size_t(symbol + kReach)];
        return float(tables_.cost_bits(scale_index, symbol, kind));
    }

    // The same at the symbols -kReach … kReach, from that of 0 on; scale_index below kDirectScales.
    const float* around_zero(int scale_index, SymbolKind kind) const { return bits_.data() + row(scale_index, kind) + kReach; }
    static constexpr int32_t kReach = 128;  // no table covers more

private:
    static constexpr std::size_t row(int scale_index, SymbolKind kind) {
        return (std::size_t(kind) * kDirectScales + std::size_t(scale_index)) * (2 * kReach + 1);
    }

    const ScaleTables& tables_;
    std::vector<float> bits_;  // [kind][scale index][-kReach … kReach]
};

}  // namespace decant
