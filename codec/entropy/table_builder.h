// Integer tables from probability densities. This is the only floating-point arithmetic of the entropy coder; it is used when a
// model is made, and its results are stored in the model file.
#pragma once

#include <span>
#include <vector>

#include "codec/entropy/scale_tables.h"
#include "codec/entropy/table.h"

namespace decant {

// σ of a scale index: kSmallestScale · 2^(index/8).
double scale_sigma(int scale_index);

// Probability that a logistic variable of this mean and standard deviation σ > 0, rounded, is `value`: its density over
// [value - 1/2, value + 1/2]. Its tails fall like those of what predictions leave of real latents: as exponentials, where a Gaussian
// makes strong edges very expensive.
double logistic_probability(double mean, double sigma, int value);

// probabilities: of the integers first, first + 1, …; from 1 to 255 of them, none negative, their sum at most 1 (rounding is
// forgiven). What is missing to 1 is the probability of the escape symbol. The frequencies are those with the least expected
// cost. Throws Error invalid_argument.
Table build_table(int first, std::span<const double> probabilities);

// The table of each scale index, as ScaleTables needs them.
ScaleTables build_scale_tables();

// One table per channel: probabilities[c] are those of the integers first[c], first[c] + 1, … as for build_table(), in any
// number. Improbable integers at both ends (less than 2^-16) are left to the escape symbol, so a generous range costs nothing.
// Throws Error invalid_argument.
FactorizedTables build_factorized_tables(const std::vector<std::vector<double>>& probabilities, const std::vector<int>& first);

}  // namespace decant
