#include "codec/latents/trellis_quantiser.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr float kLimit = float(1 << 20);  // symbols are below it
// Bits by which one path can be behind another and still win, as good as always. What costs more than that is not tried.
constexpr float kMargin = 8.0f;

constexpr size_t kStates = kTrellisStates;
using States = std::array<uint8_t, kStates>;

// The states from which an even, and an odd symbol lead to each.
constexpr States origins(size_t parity) {
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

// Costs of the paths lie in two halves, those of states without and with offset, each by the upper bits of the state.
constexpr size_t kHalf = kStates / 2;
constexpr size_t place_of(size_t state) { return (state & 1) * kHalf + state / 2; }
constexpr size_t state_at(size_t place) { return place % kHalf * 2 + place / kHalf; }

// Eight costs at a time; compilers do not find the permutations below by themselves.
constexpr size_t kLanes = 8, kBlocks = kHalf / kLanes;
using Lanes = float __attribute__((vector_size(sizeof(float) * kLanes)));
using Marks = int32_t __attribute__((vector_size(sizeof(int32_t) * kLanes)));

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
    result.zeros = zeros_.count;
    if (zeros_.count != 0) runs_.push_back(zeros_);
    zeros_ = {};
    const float size = std::fabs(deviation);
    const int32_t sign = deviation < 0.0f ? -1 : 1;
    const bool is_near = scale_index < kDirectScales && size < float(SymbolCosts::kReach - 2);
    for (const bool offset : {false, true}) {
        const SymbolKind kind = offset ? SymbolKind::offset : SymbolKind::centred;
        const float* bits = is_near ? costs_.around_zero(scale_index, kind) : nullptr;
        // What lies next to it on either side, of magnitudes, one even and one odd; and 0, if it is none of these.
        const auto below = int32_t(offset ? size + 0.5f : size), even = below + (below & 1), odd = below | 1;
        const auto cost = [&](int32_t k) {
            const float error = size - 0.5f * float(half_steps(k, offset));
            return (bits != nullptr ? bits[k] : costs_.bits(scale_index, k, kind)) + error_bits * error * error;
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
DECANT_VECTORISED void TrellisQuantiser::run_forward(const Candidates* candidates, size_t count, const Zeros* runs, const Zeros& last, Costs& paths, Decisions* decisions) {
    // State t of the lower half follows from the even states 2t and, by an odd symbol, 2(t ^ kParityFeedback); of the upper half, kHalf + t, from the odd ones
    // 2(t ^ 31) + 1 and 2(t ^ 31 ^ kParityFeedback) + 1.
    static_assert(kStates == 64 && kOffsetFeedback == 63 && kParityFeedback == 19);
    Lanes even[kBlocks], odd[kBlocks], next[2 * kBlocks];
    std::memcpy(even, paths.data(), sizeof even);
    std::memcpy(odd, paths.data() + kHalf, sizeof odd);
    const auto part = [&]() __attribute__((always_inline)) {
        for (size_t b = 0; b < kBlocks; b++) {
            // In two steps each, since a CPU shuffles two registers within halves only.
            const Lanes first = __builtin_shufflevector(next[2 * b], next[2 * b + 1], 0, 2, 8, 10, 4, 6, 12, 14);
            const Lanes second = __builtin_shufflevector(next[2 * b], next[2 * b + 1], 1, 3, 9, 11, 5, 7, 13, 15);
            even[b] = __builtin_shufflevector(first, first, 0, 1, 4, 5, 2, 3, 6, 7);
            odd[b] = __builtin_shufflevector(second, second, 0, 1, 4, 5, 2, 3, 6, 7);
        }
    };
    const auto pass_zero = [&](float centred, float offset) __attribute__((always_inline)) {
        for (size_t b = 0; b < kBlocks; b++) {
            next[b] = even[b] + centred;
            next[kBlocks + b] = __builtin_shufflevector(odd[b ^ 3], odd[b ^ 3], 7, 6, 5, 4, 3, 2, 1, 0) + offset;
        }
        part();
    };
    for (size_t i = 0; i < count; i++) {
        if (const size_t zeros = candidates[i].zeros; zeros != 0) {
            const auto& bits = runs++->bits;
            for (size_t n = 0; n < std::min<size_t>(zeros, kZeroPeriod); n++) pass_zero(bits[n][0], bits[n][1]);
            if (zeros > kZeroPeriod) {
                for (size_t n = 0; n < zeros % kZeroPeriod; n++) pass_zero(0.0f, 0.0f);
            }
        }
        const auto& cost = candidates[i].cost;
        Marks marks{};
        for (size_t b = 0; b < kBlocks; b++) {
            const auto choose = [&](size_t block, const Lanes& by_even, const Lanes& by_odd) __attribute__((always_inline)) {
                const auto is_odd = by_odd < by_even;
                next[block] = is_odd ? by_odd : by_even;
                marks |= is_odd & (1 << block);
            };
            choose(b, even[b] + cost[0], __builtin_shufflevector(even[b ^ 2], even[b ^ 2], 3, 2, 1, 0, 7, 6, 5, 4) + cost[1]);
            choose(kBlocks + b, __builtin_shufflevector(odd[b ^ 3], odd[b ^ 3], 7, 6, 5, 4, 3, 2, 1, 0) + cost[2],
                   __builtin_shufflevector(odd[b ^ 1], odd[b ^ 1], 4, 5, 6, 7, 0, 1, 2, 3) + cost[3]);
        }
        std::memcpy(decisions[i].data(), &marks, sizeof marks);
        part();
        if (i % 256 == 255) {  // sums stay small, so that they are exact enough
            const Lanes least = Lanes{} + even[0][0];
            for (size_t b = 0; b < kBlocks; b++) {
                even[b] -= least;
                odd[b] -= least;
            }
        }
    }
    for (const auto& bits : last.bits) pass_zero(bits[0], bits[1]);  // a period, after which states are what they were
    std::memcpy(paths.data(), even, sizeof even);
    std::memcpy(paths.data() + kHalf, odd, sizeof odd);
}

std::span<const int32_t> TrellisQuantiser::symbols(int& state) {
    decisions_.resize(candidates_.size());
    symbols_.assign(count_, 0);
    Costs paths;
    paths.fill(1e30f);
    paths[place_of(size_t(state))] = 0.0f;
    run_forward(candidates_.data(), candidates_.size(), runs_.data(), zeros_, paths, decisions_.data());
    size_t s = state_at(size_t(std::min_element(paths.begin(), paths.end()) - paths.begin()));
    state = kAfterZeros[zeros_.count % kZeroPeriod][s];
    size_t at = count_ - zeros_.count;
    for (size_t i = candidates_.size(); i-- > 0;) {
        const size_t odd = size_t(decisions_[i][s % kLanes] >> (s / kLanes)) & 1;
        s = odd != 0 ? kOddOrigin[s] : kEvenOrigin[s];
        symbols_[--at] = candidates_[i].symbol[2 * size_t(has_offset(int(s))) + odd];
        at -= candidates_[i].zeros;
        s = kBeforeZeros[candidates_[i].zeros % kZeroPeriod][s];
    }
    candidates_.clear();
    runs_.clear();
    zeros_ = {};
    count_ = 0;
    return symbols_;
}

}  // namespace decant
