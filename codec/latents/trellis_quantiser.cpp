#include "codec/latents/trellis_quantiser.h"

#include <algorithm>
#include <cmath>

#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr float kLimit = float(1 << 20);  // symbols are below it
// Bits by which one path can be behind another and still win, as good as always. What costs more than that is not tried.
constexpr float kMargin = 5.0f;

constexpr size_t kStates = kTrellisStates;
using States = std::array<uint8_t, kStates>;

// The states from which an even, and an odd symbol lead to each.
constexpr States origins(int parity) {
    States result{};
    for (uint8_t s = 0; s < kStates; s++) result[kNextState[s][parity]] = s;
    return result;
}
constexpr States kEvenOrigin = origins(0), kOddOrigin = origins(1);

// The states after n zeros, and before them.
constexpr std::array<States, kZeroPeriod> kAfterZeros = [] {
    std::array<States, kZeroPeriod> result{};
    for (uint8_t s = 0; s < kStates; s++) result[0][s] = s;
    for (size_t n = 1; n < kZeroPeriod; n++) {
        for (size_t s = 0; s < kStates; s++) result[n][s] = kNextState[result[n - 1][s]][0];
    }
    return result;
}();
constexpr std::array<States, kZeroPeriod> kBeforeZeros = [] {
    std::array<States, kZeroPeriod> result{};
    for (size_t n = 0; n < kZeroPeriod; n++) {
        for (uint8_t s = 0; s < kStates; s++) result[n][kAfterZeros[n][s]] = s;
    }
    return result;
}();
static_assert([] {
    for (size_t s = 0; s < kStates; s++) {
        if (kNextState[kAfterZeros[kZeroPeriod - 1][s]][0] != s) return false;
    }
    return true;
}());

template <class Costs>
DECANT_INLINE Costs permuted(const Costs& costs, const States& from) {
    Costs result;
    for (size_t s = 0; s < kStates; s++) result[s] = costs[from[s]];
    return result;
}

}  // namespace

TrellisQuantiser::TrellisQuantiser(const SymbolCosts& costs) : costs_(costs) {
    for (int i = kFirstCodedScale; i < kScaleCount; i++) {
        for (const bool offset : {false, true}) {
            const SymbolKind kind = offset ? SymbolKind::offset : SymbolKind::centred;
            table_.zero[offset][size_t(i)] = costs.bits(i, 0, kind);
            table_.one[offset][size_t(i)] = costs.bits(i, 1, kind) - costs.bits(i, 0, kind);
        }
    }
}

// Where ±1, which is nearer than any other symbol but 0, costs so much more than 0 that no path can have it.
DECANT_VECTORISED void TrellisQuantiser::find_zeros(const Table& table, const uint8_t* scale_indices, const float* deviations, const float* error_bits,
                                                    size_t count, uint8_t* is_zero) {
    for (size_t i = 0; i < count; i++) {
        const float size = std::fabs(deviations[i]), centred = table.one[0][scale_indices[i]] + error_bits[i] * (1.0f - 2.0f * size);
        const float offset = table.one[1][scale_indices[i]] + error_bits[i] * (0.25f - size);
        is_zero[i] = centred > kMargin && offset > kMargin;
    }
}

void TrellisQuantiser::add(std::span<const uint8_t> scale_indices, const float* deviations, const float* error_bits) {
    constexpr size_t kRun = 128;
    std::array<uint8_t, kRun> is_zero;
    for (size_t first = 0; first < scale_indices.size(); first += kRun) {
        const size_t run = std::min(kRun, scale_indices.size() - first);
        find_zeros(table_, scale_indices.data() + first, deviations + first, error_bits + first, run, is_zero.data());
        for (size_t i = 0; i < run; i++) {
            const int index = scale_indices[first + i];
            if (index < kFirstCodedScale) continue;
            count_++;
            if (is_zero[i] != 0) {
                auto& bits = zeros_.bits[zeros_.count++ % kZeroPeriod];
                for (size_t offset = 0; offset < 2; offset++) bits[offset] += table_.zero[offset][size_t(index)];
            } else {
                add_candidates(index, deviations[first + i], error_bits[first + i]);
            }
        }
    }
}

void TrellisQuantiser::add_candidates(int scale_index, float deviation, float error_bits) {
    if (!(std::fabs(deviation) <= kLimit)) deviation = deviation > 0.0f ? kLimit : -kLimit;  // no number: whatever comes back
    Candidates& result = candidates_.emplace_back();
    result.zeros = zeros_;
    zeros_ = {};
    const float size = std::fabs(deviation);
    const int32_t sign = deviation < 0.0f ? -1 : 1;
    for (const bool offset : {false, true}) {
        const SymbolKind kind = offset ? SymbolKind::offset : SymbolKind::centred;
        // What lies next to it on either side, of magnitudes, one even and one odd; and 0, if it is none of these.
        const auto below = int32_t(offset ? size + 0.5f : size), even = below + (below & 1), odd = below | 1;
        const auto cost = [&](int32_t k) {
            const float error = size - 0.5f * float(half_steps(k, offset));
            return costs_.bits(scale_index, k, kind) + error_bits * error * error;
        };
        const size_t at = 2 * size_t(offset);
        result.symbol[at] = sign * even;
        result.cost[at] = cost(even);
        result.symbol[at + 1] = sign * odd;
        result.cost[at + 1] = cost(odd);
        if (even == 0) continue;
        if (const float of_zero = cost(0); of_zero < result.cost[at]) {
            result.symbol[at] = 0;
            result.cost[at] = of_zero;
        }
    }
}

// `last`: zeros behind all candidates.
DECANT_VECTORISED void TrellisQuantiser::run_forward(const Candidates* candidates, size_t count, const Zeros& last, Costs& paths, Decisions* decisions) {
    Costs now = paths;
    const auto pass_zeros = [&now](const Zeros& zeros) __attribute__((always_inline)) {
        for (size_t n = 0; n < kZeroPeriod; n++) {
            const float centred = zeros.bits[n][0], offset = zeros.bits[n][1];
            for (size_t s = 0; s < kStates; s++) now[s] += has_offset(kAfterZeros[n][s]) ? offset : centred;
        }
    };
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].zeros.count != 0) {
            pass_zeros(candidates[i].zeros);
            now = permuted(now, kBeforeZeros[candidates[i].zeros.count % kZeroPeriod]);
        }
        const auto& cost = candidates[i].cost;
        Costs even, odd;
        for (size_t s = 0; s < kStates; s++) {
            even[s] = now[s] + (has_offset(int(s)) ? cost[2] : cost[0]);
            odd[s] = now[s] + (has_offset(int(s)) ? cost[3] : cost[1]);
        }
        for (size_t s = 0; s < kStates; s++) {
            const float a = even[kEvenOrigin[s]], b = odd[kOddOrigin[s]];
            decisions[i][s] = b < a;
            now[s] = b < a ? b : a;
        }
    }
    pass_zeros(last);
    paths = now;
}

std::span<const int32_t> TrellisQuantiser::symbols(int& state) {
    decisions_.resize(candidates_.size());
    symbols_.assign(count_, 0);
    Costs paths;
    paths.fill(1e30f);
    paths[size_t(state)] = 0.0f;
    run_forward(candidates_.data(), candidates_.size(), zeros_, paths, decisions_.data());
    size_t s = size_t(std::min_element(paths.begin(), paths.end()) - paths.begin());
    state = int(s);
    state = kAfterZeros[zeros_.count % kZeroPeriod][s];
    size_t at = count_ - zeros_.count;
    for (size_t i = candidates_.size(); i-- > 0;) {
        const size_t odd = decisions_[i][s];
        s = odd != 0 ? kOddOrigin[s] : kEvenOrigin[s];
        symbols_[--at] = candidates_[i].symbol[2 * size_t(has_offset(int(s))) + odd];
        at -= candidates_[i].zeros.count;
        s = kBeforeZeros[candidates_[i].zeros.count % kZeroPeriod][s];
    }
    candidates_.clear();
    zeros_ = {};
    count_ = 0;
    return symbols_;
}

}  // namespace decant
