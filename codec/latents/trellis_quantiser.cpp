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

// Zeros only permute the states, and four of them give the same states again.
constexpr size_t kPeriod = 4;
constexpr std::array<States, kPeriod> kAfterZeros = [] {
    std::array<States, kPeriod> result{};
    for (uint8_t s = 0; s < kStates; s++) result[0][s] = s;
    for (size_t n = 1; n < kPeriod; n++) {
        for (size_t s = 0; s < kStates; s++) result[n][s] = kNextState[result[n - 1][s]][0];
    }
    return result;
}();
constexpr std::array<States, kPeriod> kBeforeZeros = [] {
    std::array<States, kPeriod> result{};
    for (size_t n = 0; n < kPeriod; n++) {
        for (uint8_t s = 0; s < kStates; s++) result[n][kAfterZeros[n][s]] = s;
    }
    return result;
}();
static_assert([] {
    for (size_t s = 0; s < kStates; s++) {
        if (kNextState[kAfterZeros[kPeriod - 1][s]][0] != s) return false;
    }
    return true;
}());

template <class Costs>
DECANT_INLINE Costs permuted(const Costs& costs, const States& from) {
    Costs result;
    for (size_t s = 0; s < kStates; s++) result[s] = costs[from[s]];
    return result;
}

template <class Candidates, class Costs, class Decisions>
DECANT_VECTORISED void run_forward(const Candidates* candidates, size_t count, Costs& paths, Decisions* decisions) {
    Costs now = paths;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].zeros != 0) {
            for (size_t s = 0; s < kStates; s++) now[s] += candidates[i].zeros_cost[s];
            now = permuted(now, kBeforeZeros[candidates[i].zeros % kPeriod]);
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
    paths = now;
}

}  // namespace

void TrellisQuantiser::add(int scale_index, float deviation, float error_bits) {
    count_++;
    if (!(std::fabs(deviation) <= kLimit)) deviation = deviation > 0.0f ? kLimit : -kLimit;  // no number: whatever comes back
    const float size = std::fabs(deviation);
    const float zero_centred = costs_.bits(scale_index, 0, SymbolKind::centred), zero_offset = costs_.bits(scale_index, 0, SymbolKind::offset);
    const float one_centred = costs_.bits(scale_index, 1, SymbolKind::centred), one_offset = costs_.bits(scale_index, 1, SymbolKind::offset);
    // ±1 is nearer than any other symbol but 0.
    if (std::min(one_offset - zero_offset + error_bits * (0.25f - size), one_centred - zero_centred + error_bits * (1.0f - 2.0f * size)) > kMargin) {
        const auto& state = kAfterZeros[zeros_++ % kPeriod];
        for (size_t s = 0; s < kStates; s++) zeros_cost_[s] += has_offset(state[s]) ? zero_offset : zero_centred;
        return;
    }
    Candidates result;
    result.zeros = zeros_;
    result.zeros_cost = zeros_cost_;
    zeros_ = 0;
    zeros_cost_ = {};
    const int32_t sign = deviation < 0.0f ? -1 : 1;
    const auto put = [&](bool offset, int32_t k) {
        const float error = size - 0.5f * float(half_steps(k, offset));
        const size_t at = 2 * size_t(offset) + size_t(k & 1);
        result.symbol[at] = sign * k;
        result.cost[at] = costs_.bits(scale_index, k, offset ? SymbolKind::offset : SymbolKind::centred) + error_bits * error * error;
    };
    const auto try_zero = [&](bool offset, float bits) {
        const size_t at = 2 * size_t(offset);
        if (const float cost = bits + error_bits * size * size; cost < result.cost[at]) {
            result.symbol[at] = 0;
            result.cost[at] = cost;
        }
    };
    // What lies next to it on either side, of magnitudes; and 0, if it is none of these.
    const auto below = int32_t(size), offset_below = int32_t(size + 0.5f);
    put(false, below);
    put(false, below + 1);
    put(true, offset_below);
    put(true, offset_below + 1);
    if (below > 0) try_zero(false, zero_centred);
    if (offset_below > 0) try_zero(true, zero_offset);
    candidates_.push_back(result);
}

std::span<const int32_t> TrellisQuantiser::symbols(int& state) {
    decisions_.resize(candidates_.size());
    symbols_.assign(count_, 0);
    Costs paths;
    paths.fill(1e30f);
    paths[size_t(state)] = 0.0f;
    run_forward(candidates_.data(), candidates_.size(), paths, decisions_.data());
    for (size_t i = 0; i < kStates; i++) paths[i] += zeros_cost_[i];
    size_t s = size_t(std::min_element(paths.begin(), paths.end()) - paths.begin());
    state = int(s);
    for (uint32_t i = 0; i < zeros_; i++) state = kNextState[state][0];
    size_t at = count_ - zeros_;
    for (size_t i = candidates_.size(); i-- > 0;) {
        const size_t odd = decisions_[i][s];
        s = odd != 0 ? kOddOrigin[s] : kEvenOrigin[s];
        symbols_[--at] = candidates_[i].symbol[2 * size_t(has_offset(int(s))) + odd];
        at -= candidates_[i].zeros;
        s = kBeforeZeros[candidates_[i].zeros % kPeriod][s];
    }
    candidates_.clear();
    zeros_ = 0;
    zeros_cost_ = {};
    count_ = 0;
    return symbols_;
}

}  // namespace decant
