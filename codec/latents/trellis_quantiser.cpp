#include "codec/latents/trellis_quantiser.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr float kLimit = float(1 << 20);  // symbols are below it
// Bits by which one path can be behind another and still win, as good as always. What costs more than that is not tried.
constexpr float kMargin = 8.0f;

// Zeros rotate a shift register whose feedback goes to all bits: with one bit more, which is 0, its states are the rings of kPeriod bits, of which two that are
// complements of each other count as one, and a zero moves each bit on by one. So states get labels that do not move, and what moves is the phase: the bit at which the
// lowest one of the state is. In a label bit kBits is 0. A state has an offset where the bit at the phase is not that before it, an odd symbol flips the
// bits that kParity has moved on to, and zeros are mere additions, however many there are.
template <class T>
struct Labels {
    static constexpr uint32_t kRing = (2u << T::kBits) - 1;

    static constexpr uint32_t rotated(uint32_t ring, size_t by) {
        const uint32_t moved = ((ring << by) | (ring >> (T::kPeriod - int(by)))) & kRing;
        return (moved >> T::kBits) != 0 ? moved ^ kRing : moved;
    }
    static constexpr size_t next(size_t phase) { return phase + 1 == T::kPeriod ? 0 : phase + 1; }
    static constexpr size_t before(size_t phase) { return phase == 0 ? T::kPeriod - 1 : phase - 1; }

    static constexpr uint32_t of_state(int state, size_t phase) { return rotated(uint32_t(state), phase); }
    static constexpr int state(uint32_t label, size_t phase) { return int(rotated(label, (T::kPeriod - phase) % T::kPeriod)); }
    static constexpr bool has_offset(uint32_t label, size_t phase) { return (((label >> phase) ^ (label >> before(phase))) & 1) != 0; }
    // What an odd symbol flips; the phase is that before it.
    static constexpr std::array<uint32_t, T::kPeriod> kFlips = [] {
        std::array<uint32_t, T::kPeriod> flips{};
        for (size_t phase = 0; phase < T::kPeriod; phase++) flips[phase] = rotated(T::kParity, next(phase));
        return flips;
    }();
};

template <class T>
constexpr bool labels_are_states() {
    for (size_t phase = 0; phase < T::kPeriod; phase++) {
        for (int s = 0; s < T::kStates; s++) {
            const uint32_t label = Labels<T>::of_state(s, phase);
            if (Labels<T>::state(label, phase) != s || Labels<T>::has_offset(label, phase) != has_offset(s)) return false;
            if (Labels<T>::state(label, Labels<T>::next(phase)) != T::kNext[size_t(s)][0]) return false;
            if (Labels<T>::state(label ^ Labels<T>::kFlips[phase], Labels<T>::next(phase)) != T::kNext[size_t(s)][1]) return false;
        }
    }
    return true;
}
static_assert(labels_are_states<Trellis>());

// Costs of eight labels at a time: their three lowest bits are those of the lane, the others those of the block.
constexpr int kLaneBits = 3;
constexpr size_t kLanes = size_t{1} << kLaneBits;
using Lanes = float __attribute__((vector_size(sizeof(float) * kLanes)));
using Marks = int32_t __attribute__((vector_size(sizeof(int32_t) * kLanes)));
using Words = uint32_t __attribute__((vector_size(sizeof(uint32_t) * kLanes)));
template <class T>
constexpr size_t kBlocks = size_t{T::kStates} / kLanes;
// Decisions of that many blocks in a row lie in a word a lane, that of the last in the lowest bit.
template <class T>
constexpr size_t kMarked = std::min<size_t>(kBlocks<T>, 32);

constexpr uint32_t bit(size_t of, int number) { return uint32_t(of >> number) & 1; }

// Whether a label has an offset is, by phase, what the bits of its block say (first) and those of its lane (second), one or the other.
template <class T>
constexpr std::array<std::array<uint8_t, kBlocks<T>>, T::kPeriod> kBlockOffset = [] {
    std::array<std::array<uint8_t, kBlocks<T>>, T::kPeriod> result{};
    for (size_t phase = 0; phase < T::kPeriod; phase++) {
        for (size_t b = 0; b < kBlocks<T>; b++) result[phase][b] = Labels<T>::has_offset(uint32_t(b << kLaneBits), phase);
    }
    return result;
}();
template <class T>
alignas(Marks) constexpr std::array<std::array<int32_t, kLanes>, T::kPeriod> kLaneOffset = [] {
    std::array<std::array<int32_t, kLanes>, T::kPeriod> result{};
    for (size_t phase = 0; phase < T::kPeriod; phase++) {
        for (size_t lane = 0; lane < kLanes; lane++) result[phase][lane] = Labels<T>::has_offset(uint32_t(lane), phase) ? -1 : 0;
    }
    return result;
}();
// Results by reference: there is no way to return vectors that is the same under all instruction sets.
template <class T>
DECANT_INLINE void get_lane_offset(size_t phase, Marks& result) {
    std::memcpy(&result, kLaneOffset<T>[phase].data(), sizeof result);
}
DECANT_INLINE void choose(const Marks& which, float yes, float no, Lanes& result) { result = which ? Lanes{} + yes : Lanes{} + no; }

// What zeros add to the costs: to label (block, lane) of_lane[block % 2][lane] + of_block[block].
template <class T>
struct OfZeros {
    std::array<Lanes, 2> of_lane;
    std::array<float, kBlocks<T>> of_block;

    // differences: of each phase, what a zero takes more in a state with offset. What all take is left out.
    DECANT_INLINE void set(const std::array<float, T::kPeriod>& differences) {
        Marks has_offset;
        get_lane_offset<T>(kLaneBits, has_offset);
        choose(has_offset, differences[kLaneBits], 0.0f, of_lane[0]);
        choose(has_offset, 0.0f, differences[kLaneBits], of_lane[1]);
        for (size_t phase = 0; phase < kLaneBits; phase++) {
            Lanes more;
            get_lane_offset<T>(phase, has_offset);
            choose(has_offset, differences[phase], 0.0f, more);
            for (Lanes& lanes : of_lane) lanes += more;
        }
        // Bit by bit of the block, each counts where it is not the one below.
        of_block[0] = of_block[1] = 0.0f;
        size_t half = 1;
        for (size_t phase = kLaneBits + 1; phase < size_t(T::kBits); phase++, half *= 2) {
            const float d = differences[phase];
            for (size_t i = 0; i < half; i++) {
                of_block[2 * half + i] = of_block[i] + d;
                of_block[3 * half + i] = of_block[half + i];
                of_block[half + i] += d;
            }
        }
        for (size_t i = 0; i < half; i++) of_block[half + i] += differences[size_t(T::kBits)];  // beyond the last is 0
    }
};

template <int Flip>
DECANT_INLINE void flip_lanes(const Lanes& v, Lanes& result) {
    result = __builtin_shufflevector(v, v, 0 ^ Flip, 1 ^ Flip, 2 ^ Flip, 3 ^ Flip, 4 ^ Flip, 5 ^ Flip, 6 ^ Flip, 7 ^ Flip);
}

// Costs of the best paths with one symbol more. Of a label without and with offset: the cost of an even symbol that leads to it, and of an odd one.
struct StepCosts {
    std::array<Lanes, 2> even, odd;
};
template <class T, int Flip>
DECANT_INLINE void step(const Lanes* paths, Lanes* next, size_t flip, const StepCosts& costs, const uint8_t* block_offset, uint32_t* decisions) {
    for (size_t first = 0; first < kBlocks<T>; first += kMarked<T>) {
        Words marks{};
        for (size_t b = first; b < first + kMarked<T>; b++) {
            const size_t offset = block_offset[b];
            Lanes odd;
            flip_lanes<Flip>(paths[b ^ flip], odd);
            odd += costs.odd[offset];
            const Lanes even = paths[b] + costs.even[offset];
            const Marks is_odd = odd < even;
            next[b] = is_odd ? odd : even;
            marks = marks + marks - Words(is_odd);  // where it is odd all bits are 1
        }
        std::memcpy(decisions, &marks, sizeof marks);
        decisions += kLanes;
    }
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
    const size_t period = size_t(trellis_ == Quantiser::large_trellis ? LargeTrellis::kPeriod : Trellis::kPeriod);
    for (size_t first = 0; first < scale_indices.size(); first += kRun) {
        const size_t run = std::min(kRun, scale_indices.size() - first);
        find_zeros(table_, scale_indices.data() + first, deviations + first, error_bits + first, run, is_zero.data());
        for (size_t i = 0; i < run; i++) {
            const int index = scale_indices[first + i];
            if (index < kFirstCodedScale) continue;
            count_++;
            if (is_zero[i] != 0) {
                zeros_.count++;
                auto& bits = zeros_.bits[phase_];
                for (size_t offset = 0; offset < 2; offset++) bits[offset] += table_.zero[offset][size_t(index)];
            } else {
                add_candidates(index, deviations[first + i], error_bits[first + i]);
            }
            if (++phase_ == period) phase_ = 0;
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

void TrellisQuantiser::use(Quantiser trellis) { trellis_ = trellis; }

// From the label `first` at phase 0 through all candidates, and `last`, zeros behind them: the label at which the best path ends.
template <class T>
DECANT_INLINE uint32_t TrellisQuantiser::run_forward(const Candidates* candidates, size_t count, const Zeros* runs, const Zeros& last, uint32_t first, uint32_t* decisions) {
    constexpr size_t kN = kBlocks<T>;
    alignas(64) std::array<std::array<Lanes, kN>, 2> buffers;
    Lanes *paths = buffers[0].data(), *next = buffers[1].data();
    for (size_t b = 0; b < kN; b++) paths[b] = Lanes{} + 1e30f;
    paths[first / kLanes][first % kLanes] = 0.0f;
    size_t phase = 0;
    const auto pass_zeros = [&](const Zeros& zeros) __attribute__((always_inline)) {
        std::array<float, T::kPeriod> differences{};
        for (size_t i = 0; i < T::kPeriod; i++) differences[i] = zeros.bits[i][1] - zeros.bits[i][0];
        OfZeros<T> of_zeros;
        of_zeros.set(differences);
        for (size_t b = 0; b < kN; b++) paths[b] += of_zeros.of_lane[b % 2] + of_zeros.of_block[b];
        phase = (phase + zeros.count) % T::kPeriod;
    };
    for (size_t i = 0; i < count; i++, decisions += kN / kMarked<T> * kLanes) {
        if (candidates[i].zeros != 0) pass_zeros(*runs++);
        const auto& cost = candidates[i].cost;
        const uint32_t flips = Labels<T>::kFlips[phase];
        // An odd symbol into a label comes from one with an offset if that has one itself, or if it has none.
        Marks has_offset;
        get_lane_offset<T>(phase, has_offset);
        const Marks other = Labels<T>::has_offset(flips, phase) ? ~has_offset : has_offset;
        StepCosts costs;
        choose(has_offset, cost[2], cost[0], costs.even[0]);
        choose(has_offset, cost[0], cost[2], costs.even[1]);
        choose(other, cost[3], cost[1], costs.odd[0]);
        choose(other, cost[1], cost[3], costs.odd[1]);
        // The phase is one that the compiler knows.
        [&]<size_t... Phase>(std::index_sequence<Phase...>) __attribute__((always_inline)) {
            static_cast<void>(((phase == Phase && (step<T, Labels<T>::kFlips[Phase] % kLanes>(paths, next, Labels<T>::kFlips[Phase] / kLanes, costs, kBlockOffset<T>[Phase].data(), decisions), true)) || ...));
        }(std::make_index_sequence<T::kPeriod>());
        std::swap(paths, next);
        phase = Labels<T>::next(phase);
        if (i % 256 == 255) {  // sums stay small, so that they are exact enough
            const Lanes least = Lanes{} + paths[0][0];
            for (size_t b = 0; b < kN; b++) paths[b] -= least;
        }
    }
    if (last.count != 0) pass_zeros(last);
    uint32_t best = 0;
    for (uint32_t label = 0; label < uint32_t(T::kStates); label++) {
        if (paths[label / kLanes][label % kLanes] < paths[best / kLanes][best % kLanes]) best = label;
    }
    return best;
}

DECANT_VECTORISED uint32_t TrellisQuantiser::run_trellis(const Candidates* candidates, size_t count, const Zeros* runs, const Zeros& last, uint32_t first, uint32_t* decisions) {
    return run_forward<Trellis>(candidates, count, runs, last, first, decisions);
}

DECANT_VECTORISED uint32_t TrellisQuantiser::run_large_trellis(const Candidates* candidates, size_t count, const Zeros* runs, const Zeros& last, uint32_t first, uint32_t* decisions) {
    return run_forward<LargeTrellis>(candidates, count, runs, last, first, decisions);
}

template <class T>
void TrellisQuantiser::find_path(int& state) {
    constexpr size_t kWords = size_t{T::kStates} / kMarked<T>;  // of a candidate
    decisions_.resize(candidates_.size() * kWords);
    const auto run = std::is_same_v<T, Trellis> ? run_trellis : run_large_trellis;
    uint32_t label = run(candidates_.data(), candidates_.size(), runs_.data(), zeros_, Labels<T>::of_state(state, 0), decisions_.data());
    size_t phase = count_ % T::kPeriod;
    state = Labels<T>::state(label, phase);
    const auto go_back = [&](size_t symbols) { phase = (phase + T::kPeriod - symbols % T::kPeriod) % T::kPeriod; };
    size_t at = count_ - zeros_.count;
    go_back(zeros_.count);
    for (size_t i = candidates_.size(); i-- > 0;) {
        const size_t block = label / kLanes, group = block / kMarked<T>;
        const bool odd = bit(decisions_[i * kWords + group * kLanes + label % kLanes], int(kMarked<T> - 1 - block % kMarked<T>)) != 0;
        go_back(1);
        if (odd) label ^= Labels<T>::kFlips[phase];
        symbols_[--at] = candidates_[i].symbol[2 * size_t(Labels<T>::has_offset(label, phase)) + size_t(odd)];
        at -= candidates_[i].zeros;
        go_back(candidates_[i].zeros);
    }
}

std::span<const int32_t> TrellisQuantiser::symbols(int& state) {
    symbols_.assign(count_, 0);
    if (trellis_ == Quantiser::large_trellis) {
        find_path<LargeTrellis>(state);
    } else {
        find_path<Trellis>(state);
    }
    candidates_.clear();
    runs_.clear();
    zeros_ = {};
    count_ = phase_ = 0;
    return symbols_;
}

}  // namespace decant
