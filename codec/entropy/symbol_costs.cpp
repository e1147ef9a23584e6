#include "codec/entropy/symbol_costs.h"

namespace decant {

SymbolCosts::SymbolCosts(const ScaleTables& tables) : tables_(tables) {
    for (const SymbolKind kind : {SymbolKind::independent, SymbolKind::centred, SymbolKind::offset}) {
        for (int index = 0; index < kDirectScales; index++) {
            for (int32_t symbol = -kReach; symbol <= kReach; symbol++) bits_.push_back(float(tables.cost_bits(index, symbol, kind)));
        }
    }
}

}  // namespace decant
