// A search over values of a recipe: which combinations are tried, with which budget, and in which order. The trials themselves are the
// caller's. Described as JSON:
//
//     {
//       "method": "grid",        // all combinations; or random, halving, hyperband
//       "steps": 2000,           // of a trial, or "seconds": of training
//       "trials": 20,            // random, and halving at the start
//       "eta": 3, "least": 200,  // halving and hyperband: all begin with the budget `least`, and each time the best 1/eta of them get eta
//                                // times as much, up to the full budget, from the first step on
//       "seed": 1,
//       "values": {
//         "training.rate": {"low": 1e-4, "high": 1e-2, "scale": "log"},          // or linear; "whole": true for whole numbers
//         "training.batch": [4, 8, 16],
//         "networks.encoder.layers.*.activation, networks.decoder.layers.*.activation": ["relu", "gelu"]   // several at once; * is every name
//       }
//     }
//
// Hyperband (Li et al. 2018) is several such halvings, from many trials with little to few trials with the full budget.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codec/train/recipe.h"

namespace decant {

enum class SearchMethod { grid, random, halving, hyperband };

struct SearchDimension {
    std::string path;                  // or several, with commas between them
    std::vector<std::string> choices;  // JSON; empty: a range
    double low = 0, high = 0;
    bool is_logarithmic = false, is_whole = false;
};

struct SearchSpec {
    SearchMethod method = SearchMethod::grid;
    std::vector<SearchDimension> dimensions;
    double budget = 0;  // of the largest trials
    bool is_in_seconds = false;  // else in steps
    double least = 0;            // halving and hyperband
    int64_t trials = 20;
    double eta = 3;
    uint64_t seed = 1;
};

// Throws Error model_mismatch with the line.
SearchSpec parse_search(const std::string& text);

struct Trial {
    std::vector<Assignment> values;  // one a dimension
    double budget = 0;

    // The values with the budget: what makes the trial's recipe of the common one.
    std::vector<Assignment> assignments(const SearchSpec& spec) const;
};

// Calls run for one trial after the other; it returns the loss, NaN for a trial that failed. What is tried depends on the spec and the
// losses alone, so a search that is repeated with the losses known so far goes on where it was.
void search(const SearchSpec& spec, const std::function<double(const Trial&)>& run);

size_t count_trials(const SearchSpec& spec);

}  // namespace decant
