// The arithmetic between bits and symbols: integers only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace decant {

inline constexpr int kLogExponent = 10;    // logarithms (base 2) are multiples of 1/1024
inline constexpr int kSymbolExponent = 6;  // means and decoded latents are multiples of 1/64 of a quantisation step

namespace detail {

// 2^(i/1024) in multiples of 2^-15, filled in by the compiler.
constexpr std::array<uint16_t, 1 << kLogExponent> exp2_table() {
    std::array<uint16_t, 1 << kLogExponent> table{};
    for (int i = 0; i < int(table.size()); i++) {
        const double x = 0.69314718055994530942 * i / double(table.size());
        double term = 1.0, sum = 1.0;
        for (int n = 1; n < 20; n++) sum += term *= x / n;
        table[size_t(i)] = uint16_t(sum * 32768.0 + 0.5);
    }
    return table;
}
inline constexpr auto kExp2 = exp2_table();
static_assert(kExp2[0] == 32768 && kExp2[512] == 46341 && kExp2[1023] == 65492);

}  // namespace detail

// v · 2^(log2_factor/1024) · 2^-shift, rounded half up. |v| < 2^40, -20 ≤ log2_factor/1024 < 20, shift 0 … 28.
constexpr int64_t scale_by_exp2(int64_t v, int log2_factor, int shift) {
    const int octave = log2_factor >> kLogExponent;
    const int64_t product = v * detail::kExp2[size_t(log2_factor & ((1 << kLogExponent) - 1))];
    const int right = 15 + shift - octave;
    return right > 0 ? (product + (int64_t(1) << (right - 1))) >> right : product << -right;
}
static_assert(scale_by_exp2(3, 1 << kLogExponent, 0) == 6 && scale_by_exp2(-5, -1024, 0) == -2 && scale_by_exp2(1000, 0, 3) == 125);

// Interpolation in a table [levels, channels] at rate point quality_q8/256.
inline int mix_fixed(const int16_t* table, int levels, int channels, int channel, int quality_q8) {
    const int level = quality_q8 >> 8 < levels - 1 ? quality_q8 >> 8 : levels - 2, upper = quality_q8 - level * 256;
    const int a = table[level * channels + channel], b = table[(level + 1) * channels + channel];
    return (a * (256 - upper) + b * upper + 128) >> 8;
}

}  // namespace decant
