#include "codec/entropy/table_builder.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>

#include "codec/error.h"

namespace decant {

namespace {

// An integer that is less probable than this is cheaper to reach through the escape symbol than to give a slot of 2^-15 to.
constexpr double kWorthASlot = 0.5 / kProbabilityScale;

// Integer frequencies of at least 1 that sum to 2^15 and minimise Σ probability · -log2(frequency): rounded first, then moved one
// by one where it costs least.
std::vector<uint16_t> quantise(const std::vector<double>& probabilities) {
    std::vector<int> frequencies(probabilities.size());
    int missing = kProbabilityScale;
    for (std::size_t i = 0; i < probabilities.size(); ++i) {
        frequencies[i] = std::max(1, static_cast<int>(std::lround(probabilities[i] * kProbabilityScale)));
        missing -= frequencies[i];
    }
    for (; missing != 0; missing += missing < 0 ? 1 : -1) {
        const int step = missing < 0 ? -1 : 1;
        std::size_t best = probabilities.size();
        double best_gain = 0;
        for (std::size_t i = 0; i < probabilities.size(); ++i) {
            if (frequencies[i] + step < 1) continue;
            const double gain = probabilities[i] * std::log1p(static_cast<double>(step) / frequencies[i]);
            if (best == probabilities.size() || gain > best_gain) {
                best = i;
                best_gain = gain;
            }
        }
        frequencies[best] += step;
    }
    return {frequencies.begin(), frequencies.end()};
}

}  // namespace

double scale_sigma(int scale_index) { return kSmallestScale * std::exp2(static_cast<double>(scale_index) / kScalesPerOctave); }

double logistic_probability(double mean, double sigma, int value) {
    // The upper tail beyond the near edge minus that beyond the far one: differences of values near 1 would lose all precision.
    const double distance = std::abs(value - mean);
    const double unit = sigma * std::numbers::sqrt3 / std::numbers::pi;
    const auto tail = [unit](double from) { return 1 / (1 + std::exp(from / unit)); };
    return tail(distance - 0.5) - tail(distance + 0.5);
}

Table build_table(int first, std::span<const double> probabilities) {
    if (probabilities.empty() || probabilities.size() > Table::kMaxSymbols - 1)
        throw Error(ErrorCode::invalid_argument, "probability table: " + std::to_string(probabilities.size()) +
                                                     " integers, from 1 to " + std::to_string(Table::kMaxSymbols - 1) +
                                                     " are possible");
    if (first < INT16_MIN || first > INT16_MAX)
        throw Error(ErrorCode::invalid_argument,
                    "probability table: first integer " + std::to_string(first) + " exceeds 16 bits");
    double sum = 0;
    for (const double probability : probabilities) {
        if (!(probability >= 0))
            throw Error(ErrorCode::invalid_argument, "probability table: probability " + std::to_string(probability));
        sum += probability;
    }
    if (sum > 1 + 1e-4)
        throw Error(ErrorCode::invalid_argument, "probability table: probabilities sum to " + std::to_string(sum));
    std::vector<double> with_escape(probabilities.begin(), probabilities.end());
    with_escape.push_back(std::max(0.0, 1 - sum));
    return Table(static_cast<int16_t>(first), quantise(with_escape));
}

ScaleTables build_scale_tables() {
    std::vector<Table> tables;
    for (int index = 0; index < kDirectScales; ++index) {
        const double sigma = scale_sigma(index);
        // ±1 always has a slot: real latents of the smallest scales stray a little more often than the model says.
        int radius = 1;
        while (logistic_probability(0, sigma, radius + 1) >= kWorthASlot) ++radius;
        std::vector<double> probabilities;
        for (int value = -radius; value <= radius; ++value) probabilities.push_back(logistic_probability(0, sigma, value));
        tables.push_back(build_table(-radius, probabilities));
    }
    return ScaleTables(std::move(tables));
}

FactorizedTables build_factorized_tables(const std::vector<std::vector<double>>& probabilities, const std::vector<int>& first) {
    if (probabilities.size() != first.size())
        throw Error(ErrorCode::invalid_argument, "factorized tables: probabilities for " + std::to_string(probabilities.size()) +
                                                     " channels, first integers for " + std::to_string(first.size()));
    std::vector<Table> tables;
    for (std::size_t channel = 0; channel < first.size(); ++channel) {
        const std::span<const double> all = probabilities[channel];
        std::size_t begin = 0, end = all.size();
        while (begin + 1 < end && all[begin] < kWorthASlot) ++begin;
        while (end > begin + 1 && all[end - 1] < kWorthASlot) --end;
        try {
            tables.push_back(build_table(first[channel] + static_cast<int>(begin), all.subspan(begin, end - begin)));
        } catch (const Error& error) {
            throw Error(error.code(), "channel " + std::to_string(channel) + ": " + error.what());
        }
    }
    return FactorizedTables(std::move(tables));
}

}  // namespace decant
