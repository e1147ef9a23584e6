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

enum class Quantiser {
    scalar,  // each latent by itself
    trellis  // dependent quantisation, by the best path
};

// What an encoder takes a squared error of one quantisation step to be worth, in bits; the best of 14, 18, 22 and 28 on held-out pictures.
inline constexpr float kErrorBits = 18.0f;

// What codes a symbol in a state.
constexpr SymbolKind symbol_kind(int state) { return has_offset(state) ? SymbolKind::offset : SymbolKind::centred; }

class TrellisQuantiser {
public:
    // costs must outlive this.
    explicit TrellisQuantiser(const SymbolCosts& costs) : costs_(costs) {}

    // The next latent: its scale index, from kFirstCodedScale on, how far it is from its mean, in quantisation steps, and what a squared
    // error of one step is worth in bits.
    void add(int scale_index, float deviation, float error_bits);

    // The symbols of the latents since the last call, of a path that begins in `state`; sets it to the one behind the last.
    // Valid until the next add.
    std::span<const int32_t> symbols(int& state);

private:
    using Costs = std::array<float, kTrellisStates>;
    struct Candidates {
        std::array<float, 4> cost;      // of the best even and odd symbol without, and with offset
        std::array<int32_t, 4> symbol;
        uint32_t zeros;                 // latents before that can only be 0
        Costs zeros_cost;               // of these, by the state before them
    };
    using Decisions = std::array<uint8_t, kTrellisStates>;  // 1 where the path into a state is that of an odd symbol

    const SymbolCosts& costs_;
    std::vector<Candidates> candidates_;
    uint32_t zeros_ = 0;  // behind the last of them
    Costs zeros_cost_{};
    size_t count_ = 0;
    std::vector<Decisions> decisions_;
    std::vector<int32_t> symbols_;
};

}  // namespace decant
