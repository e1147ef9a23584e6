// Finds symbols of dependent quantisation (codec/entropy/trellis.h): the path through the trellis with the least of bits and squared errors
// (A. J. Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm", 1967). Of the encoder only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/entropy/symbol_costs.h"
#include "codec/entropy/trellis.h"

namespace decant {

// What an encoder takes a squared error of one quantisation step to be worth, in bits; the best of 14, 18, 22 and 28 on held-out pictures.
inline constexpr float kErrorBits = 18.0f;

// What codes a symbol in a state.
constexpr SymbolKind symbol_kind(int state) { return has_offset(state) ? SymbolKind::offset : SymbolKind::centred; }

class TrellisQuantiser {
public:
    // costs must outlive this. Begins with Quantiser::trellis.
    explicit TrellisQuantiser(const SymbolCosts& costs);

    // The trellis from here on, trellis or large_trellis: one of 4096 states takes many times as long. Before the first add, or behind symbols().
    void use(Quantiser trellis);

    // The next latents: their scale indices, below kScaleCount, how far each is from its mean, in quantisation steps, and what a squared
    // error of one step is worth in bits. Passes over those that are not coded, with an index below kFirstCodedScale.
    void add(std::span<const uint8_t> scale_indices, const float* deviations, const float* error_bits);

    // The symbols of the latents since the last call, of a path that begins in `state`; sets it to the one behind the last.
    // Valid until the next add.
    std::span<const int32_t> symbols(int& state);

private:
    // Latents that can only be 0: how many, and the bits of those at each phase, without and with offset.
    struct Zeros {
        uint32_t count = 0;
        std::array<std::array<float, 2>, LargeTrellis::kPeriod> bits{};
    };
    struct Candidates {
        std::array<float, 4> cost;  // of the best even and odd symbol without, and with offset
        std::array<int32_t, 4> symbol;
        uint32_t zeros;  // before it, if there are any the next of runs_
    };
    // By scale index: bits of 0, and by how many more ±1 takes; without, and with offset.
    struct Table {
        std::array<std::array<float, kScaleCount>, 2> zero{}, one{};
    };

    static void find_zeros(const Table& table, const uint8_t* scale_indices, const float* deviations, const float* error_bits, size_t count, uint8_t* is_zero);
    void add_candidates(int scale_index, float deviation, float error_bits);
    template <class T>
    void find_path(int& state);
    template <class T>
    static uint32_t run_forward(const Candidates* candidates, size_t count, const Zeros* runs, const Zeros& last, uint32_t first, uint32_t* decisions);
    static uint32_t run_trellis(const Candidates* candidates, size_t count, const Zeros* runs, const Zeros& last, uint32_t first, uint32_t* decisions);
    static uint32_t run_large_trellis(const Candidates* candidates, size_t count, const Zeros* runs, const Zeros& last, uint32_t first, uint32_t* decisions);

    const SymbolCosts& costs_;
    Quantiser trellis_ = Quantiser::trellis;
    Table table_;
    std::vector<Candidates> candidates_;
    std::vector<Zeros> runs_;  // of zeros between them
    Zeros zeros_;              // behind the last of them
    size_t count_ = 0;
    size_t phase_ = 0;  // count_ within the period
    std::vector<uint32_t> decisions_;  // of each candidate
    std::vector<int32_t> symbols_;
};

}  // namespace decant
