// The best path through the trellis of dependent quantisation, against all paths.
#include "codec/latents/trellis_quantiser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "codec/entropy/table_builder.h"

using namespace decant;

namespace {

const ScaleTables& tables() {
    static const ScaleTables instance = build_scale_tables();
    return instance;
}
const SymbolCosts& costs() {
    static const SymbolCosts instance(tables());
    return instance;
}

struct Latent {
    int index;
    float deviation, error_bits;
};

double cost_of(const Latent& l, int32_t symbol, int state) {
    const bool offset = state % 2 == 1;
    const double value = offset && symbol != 0 ? symbol - (symbol > 0 ? 0.5 : -0.5) : symbol;
    return tables().cost_bits(l.index, symbol, offset ? SymbolKind::offset : SymbolKind::centred) + double(l.error_bits) * std::pow(double(l.deviation) - value, 2);
}

constexpr Quantiser kTrellises[] = {Quantiser::trellis, Quantiser::large_trellis};
int states(Quantiser trellis) { return trellis == Quantiser::trellis ? 64 : 4096; }

double path_cost(Quantiser trellis, const std::vector<Latent>& latents, std::span<const int32_t> symbols, int& state) {
    double sum = 0;
    for (size_t i = 0; i < latents.size(); i++) {
        sum += cost_of(latents[i], symbols[i], state);
        state = next_states(trellis)[state][symbols[i] & 1];
    }
    return sum;
}

// Of every sequence of the symbols near each latent.
double least_cost(Quantiser trellis, const std::vector<Latent>& latents, size_t from, int state) {
    if (from == latents.size()) return 0;
    const auto near = int32_t(std::lround(latents[from].deviation));
    double best = std::numeric_limits<double>::infinity();
    for (int32_t symbol = std::min(near - 2, 0); symbol <= std::max(near + 2, 0); symbol++) {
        best = std::min(best, cost_of(latents[from], symbol, state) + least_cost(trellis, latents, from + 1, next_states(trellis)[state][symbol & 1]));
    }
    return best;
}

std::vector<Latent> random_latents(std::mt19937& random, size_t count, int lowest_index) {
    std::vector<Latent> latents;
    for (size_t i = 0; i < count; i++) {
        const int index = lowest_index + int(random() % 36);
        const double sigma = scale_sigma(index);
        latents.push_back({index, std::clamp(float(std::normal_distribution<double>(0, 1.2 * sigma)(random)), -6.0f, 6.0f), random() % 2 == 0 ? 12.0f : 30.0f});
    }
    return latents;
}

void add(TrellisQuantiser& quantiser, int index, float deviation, float error_bits) {
    const auto scale_index = uint8_t(index);
    quantiser.add({&scale_index, 1}, &deviation, &error_bits);
}

std::vector<int32_t> symbols_of(Quantiser trellis, const std::vector<Latent>& latents, int& state) {
    TrellisQuantiser quantiser(costs());
    quantiser.use(trellis);
    for (const Latent& l : latents) add(quantiser, l.index, l.deviation, l.error_bits);
    const auto symbols = quantiser.symbols(state);
    return {symbols.begin(), symbols.end()};
}

}  // namespace

TEST_CASE("no path is better") {
    std::mt19937 random(1);
    for (const Quantiser trellis : kTrellises) {
        for (int trial = 0; trial < 60; trial++) {
            CAPTURE(states(trellis));
            CAPTURE(trial);
            const std::vector<Latent> latents = random_latents(random, 5, 6);
            const int start = int(random() % uint32_t(states(trellis)));
            int state = start, end = start;
            const std::vector<int32_t> symbols = symbols_of(trellis, latents, state);
            REQUIRE(symbols.size() == latents.size());
            CHECK(path_cost(trellis, latents, symbols, end) <= least_cost(trellis, latents, 0, start) + 1e-3);
            CHECK(end == state);
        }
    }
}

TEST_CASE("long runs of what can only be 0 cost next to nothing and change nothing") {
    std::mt19937 random(2);
    for (const Quantiser trellis : kTrellises) {
        for (const size_t zeros : {1, 2, 6, 7, 8, 12, 13, 14, 15, 26, 97}) {
            for (int start = 0; start < states(trellis); start += states(trellis) / 64 + 1) {
                CAPTURE(states(trellis));
                CAPTURE(zeros);
                CAPTURE(start);
                std::vector<Latent> latents = random_latents(random, 2, 20);
                latents.insert(latents.begin() + 1, zeros, Latent{4, 0.05f, 12.0f});
                latents.insert(latents.end(), zeros, Latent{4, -0.02f, 12.0f});
                int state = start, end = start;
                const std::vector<int32_t> symbols = symbols_of(trellis, latents, state);
                REQUIRE(symbols.size() == latents.size());
                for (size_t i = 0; i < zeros; i++) CHECK(symbols[1 + i] == 0);
                path_cost(trellis, latents, symbols, end);
                CHECK(end == state);
                // Of the two others, every choice.
                double best = std::numeric_limits<double>::infinity(), found = 0;
                int s = start;
                found = path_cost(trellis, latents, symbols, s);
                for (int32_t a = -8; a <= 8; a++) {
                    for (int32_t b = -8; b <= 8; b++) {
                        std::vector<int32_t> other(latents.size(), 0);
                        other[0] = a;
                        other[zeros + 1] = b;
                        s = start;
                        best = std::min(best, path_cost(trellis, latents, other, s));
                    }
                }
                CHECK(found <= best + 1e-3);
            }
        }
    }
}

TEST_CASE("two quantisers that take turns come nearer than one, at the same rate, and the more states, the nearer") {
    // Wide distributions, where the gain is that of the literature: about 1.3 dB for 64 states.
    std::mt19937 random(3);
    std::vector<Latent> latents;
    const int index = 50;
    for (int i = 0; i < 20000; i++) {
        const double u = std::uniform_real_distribution<double>(1e-9, 1 - 1e-9)(random);
        latents.push_back({index, float(scale_sigma(index) * std::sqrt(3.0) / std::acos(-1.0) * std::log(u / (1 - u))), 9.0f});
    }
    double least = 1.1;
    for (const Quantiser trellis : kTrellises) {
        CAPTURE(states(trellis));
        int state = 0, s = 0;
        const std::vector<int32_t> symbols = symbols_of(trellis, latents, state);
        double dependent_bits = 0, bits = 0, error = 0;
        for (size_t i = 0; i < latents.size(); i++) {
            dependent_bits += tables().cost_bits(index, symbols[i], symbol_kind(s));
            bits += tables().cost_bits(index, int32_t(std::lround(latents[i].deviation)));
            error += std::pow(double(latents[i].deviation) - 0.5 * half_steps(symbols[i], has_offset(s)), 2);
            s = next_states(trellis)[s][symbols[i] & 1];
        }
        // A bit more a latent is worth 6.02 dB.
        const double gain = 10 * std::log10(double(latents.size()) / 12 / error) - 6.02 * (dependent_bits - bits) / double(latents.size());
        CAPTURE(gain);
        CHECK(gain > least);
        CHECK(gain < 1.53);  // the limit of all quantisers
        CHECK(dependent_bits < 1.02 * bits);
        least = gain + 0.04;
    }
}

TEST_CASE("a trellis can be changed for another between sequences") {
    std::mt19937 random(4);
    TrellisQuantiser quantiser(costs());
    for (const Quantiser trellis : {Quantiser::large_trellis, Quantiser::trellis, Quantiser::large_trellis}) {
        const std::vector<Latent> latents = random_latents(random, 300, 2);
        quantiser.use(trellis);
        for (const Latent& l : latents) add(quantiser, l.index, l.deviation, l.error_bits);
        int state = 5, end = 5;
        const auto symbols = quantiser.symbols(state);
        CHECK(std::vector<int32_t>(symbols.begin(), symbols.end()) == symbols_of(trellis, latents, end));
        CHECK(end == state);
    }
}

TEST_CASE("nothing, extremes and what is no number") {
    TrellisQuantiser quantiser(costs());
    for (const Quantiser trellis : kTrellises) {
        CAPTURE(states(trellis));
        quantiser.use(trellis);
        int state = 3;
        CHECK(quantiser.symbols(state).empty());
        CHECK(state == 3);
        const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
        for (const float v : {1e6f, -1e6f, 1e30f, infinity, -infinity, nan, 0.0f}) {
            for (const int index : {kFirstCodedScale, 40, kDirectScales, kScaleCount - 1}) add(quantiser, index, v, 12.0f);
        }
        const auto symbols = quantiser.symbols(state);
        REQUIRE(symbols.size() == 28);
        for (const int32_t symbol : symbols) CHECK(std::abs(symbol) <= kIntegerLimit);
        CHECK(std::abs(symbols[3] - 1000000) <= 1);
        CHECK(std::abs(symbols[7] + 1000000) <= 1);
    }
}
