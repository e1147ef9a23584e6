// Integers coded with logistic and per-channel tables: cost against the entropy, extreme values, damaged streams.
#include "codec/entropy/scale_tables.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "codec/entropy/table_builder.h"
#include "codec/error.h"

using namespace decant;

namespace {

const ScaleTables& scale_tables() {
    static const ScaleTables tables = build_scale_tables();
    return tables;
}

double ideal_bits(int scale_index, int32_t symbol) {
    return -std::log2(logistic_probability(0, scale_sigma(scale_index), symbol));
}

int32_t draw(std::mt19937& random, int scale_index) {
    const double u = std::uniform_real_distribution<double>(1e-12, 1 - 1e-12)(random);
    return static_cast<int32_t>(std::lround(scale_sigma(scale_index) * std::numbers::sqrt3 / std::numbers::pi * std::log(u / (1 - u))));
}

}  // namespace

TEST_CASE("a million symbols cost their entropy") {
    std::mt19937 random(1);
    std::vector<uint8_t> scale_indices(1000000);
    std::vector<int32_t> symbols(scale_indices.size());
    RansEncoder encoder;
    double ideal = 0, estimated = 0;
    for (std::size_t i = 0; i < symbols.size(); ++i) {
        const int scale_index = kFirstCodedScale + static_cast<int>(random() % (kScaleCount - kFirstCodedScale));
        scale_indices[i] = static_cast<uint8_t>(scale_index);
        symbols[i] = draw(random, scale_index);
        ideal += ideal_bits(scale_index, symbols[i]);
        estimated += scale_tables().cost_bits(scale_index, symbols[i]);
        scale_tables().encode_symbol(encoder, scale_index, symbols[i]);
    }
    const std::vector<uint8_t> bytes = encoder.finish();
    const double bits = 8.0 * static_cast<double>(bytes.size());
    CHECK(bits <= ideal * 1.001);
    CHECK(std::abs(bits - estimated) <= estimated * 5e-4 + 128);

    RansDecoder decoder(bytes);
    bool same = true;
    for (std::size_t i = 0; i < symbols.size(); ++i)
        same &= scale_tables().decode_symbol(decoder, scale_indices[i]) == symbols[i];
    CHECK(same);
    decoder.finish();
}

TEST_CASE("each scale costs its entropy") {
    // Expected cost and entropy by summation. A symbol cannot cost less than the 2^-15 steps of the probability scale allow,
    // which matters only where the entropy is a few thousandths of a bit.
    for (int scale_index = kFirstCodedScale; scale_index < kScaleCount; ++scale_index) {
        const double sigma = scale_sigma(scale_index);
        const int reach = static_cast<int>(std::ceil(16 * sigma)) + 1;
        double entropy = 0, cost = 0;
        for (int symbol = -reach; symbol <= reach; ++symbol) {
            const double probability = logistic_probability(0, sigma, symbol);
            if (probability <= 0) continue;
            entropy -= probability * std::log2(probability);
            cost += probability * scale_tables().cost_bits(scale_index, symbol);
        }
        CAPTURE(scale_index);
        CHECK(cost >= entropy - 1e-9);
        CHECK(cost <= entropy * 1.001 + 0.0003);
    }
}

TEST_CASE("extreme symbols come back at each scale") {
    std::vector<int32_t> symbols;
    for (int32_t magnitude = 1; magnitude <= kIntegerLimit; magnitude *= 2)
        for (const int32_t symbol : {magnitude - 1, magnitude, magnitude + 1})
            if (symbol <= kIntegerLimit) symbols.insert(symbols.end(), {symbol, -symbol});
    for (int32_t symbol = -200; symbol <= 200; ++symbol) symbols.push_back(symbol);

    RansEncoder encoder;
    double estimated = 0;
    for (int scale_index = kFirstCodedScale; scale_index < kScaleCount; ++scale_index)
        for (const int32_t symbol : symbols) {
            scale_tables().encode_symbol(encoder, scale_index, symbol);
            estimated += scale_tables().cost_bits(scale_index, symbol);
        }
    const std::vector<uint8_t> bytes = encoder.finish();
    CHECK(8.0 * static_cast<double>(bytes.size()) == doctest::Approx(estimated).epsilon(0.001));
    RansDecoder decoder(bytes);
    bool same = true;
    for (int scale_index = kFirstCodedScale; scale_index < kScaleCount; ++scale_index)
        for (const int32_t symbol : symbols) same &= scale_tables().decode_symbol(decoder, scale_index) == symbol;
    CHECK(same);
    decoder.finish();
}

TEST_CASE("dependent symbols come back, and cost what is said") {
    std::mt19937 random(2);
    std::vector<int> scale_indices(200000);
    std::vector<int32_t> symbols(scale_indices.size());
    RansEncoder encoder;
    double estimated = 0;
    const auto kind_of = [](std::size_t i) {
        constexpr SymbolKind kinds[] = {SymbolKind::offset, SymbolKind::centred, SymbolKind::centred, SymbolKind::first_centred, SymbolKind::first_offset};
        return kinds[i % std::size(kinds)];
    };
    for (std::size_t i = 0; i < symbols.size(); ++i) {
        scale_indices[i] = kFirstCodedScale + static_cast<int>(random() % (kScaleCount - kFirstCodedScale));
        symbols[i] = i % 1000 == 0 ? static_cast<int32_t>(random() % 100000) - 50000 : draw(random, scale_indices[i]);
        estimated += scale_tables().cost_bits(scale_indices[i], symbols[i], kind_of(i));
        scale_tables().encode_symbol(encoder, scale_indices[i], symbols[i], kind_of(i));
    }
    const std::vector<uint8_t> bytes = encoder.finish();
    CHECK(std::abs(8.0 * static_cast<double>(bytes.size()) - estimated) <= estimated * 5e-4 + 128);
    RansDecoder decoder(bytes);
    bool same = true;
    for (std::size_t i = 0; i < symbols.size(); ++i) same &= scale_tables().decode_symbol(decoder, scale_indices[i], kind_of(i)) == symbols[i];
    CHECK(same);
    decoder.finish();
}

TEST_CASE("dependent tables are made of the independent ones as the format says") {
    // Frequencies of -3 … 3 and the escape symbol.
    const std::vector<uint16_t> frequencies{8, 92, 900, 30764, 900, 92, 8, 4};
    const Table independent(-3, frequencies);
    for (const int index : {0, 20, kDirectScales - 1}) {
        CAPTURE(index);
        const Table centred = dependent_table(independent, index, SymbolKind::first_centred), offset = dependent_table(independent, index, SymbolKind::first_offset);
        const Table centred_now = dependent_table(independent, index, SymbolKind::centred), offset_now = dependent_table(independent, index, SymbolKind::offset);
        for (const Table* table : {&centred, &offset, &centred_now, &offset_now}) {
            REQUIRE(table->first() == -3);
            REQUIRE(table->escape() == 7);
            for (uint32_t p = 0; p < 3; ++p) CHECK(table->frequency(p) == table->frequency(6 - p));
        }
        // z as it came out, but for what rounding leaves to 0.
        const double z = centred.frequency(3);
        for (uint32_t p : {0u, 1u, 2u, 7u}) CHECK(std::abs(centred.frequency(p) - std::max(1.0, frequencies[p] * (32768 - z) / (32768 - 30764))) <= 2);
        // Weights of 1, 2, 3 and escape: 31664, 992, 100, 8; twice the first three and once the last are 65520.
        const double offset_z = offset.frequency(3);
        CHECK(std::abs(offset.frequency(2) - 31664 * (32768 - offset_z) / 65520) <= 3);
        CHECK(std::abs(offset.frequency(1) - std::max(1.0, 992 * (32768 - offset_z) / 65520)) <= 1);
        CHECK(offset.frequency(7) >= 1);
        // Now 1 and -1 have frequencies of their own, and what they and 0 leave is for the others: 92, 8 and 4, with offset 992, 100 and 8.
        const double left = 32768 - centred_now.frequency(3) - 2.0 * centred_now.frequency(2), offset_left = 32768 - offset_now.frequency(3) - 2.0 * offset_now.frequency(2);
        CHECK(std::abs(centred_now.frequency(1) - std::max(1.0, 92 * left / 204)) <= 2);
        CHECK(std::abs(centred_now.frequency(7) - std::max(1.0, 4 * left / 204)) <= 2);
        CHECK(std::abs(offset_now.frequency(1) - std::max(1.0, 992 * offset_left / 2192)) <= 2);
        CHECK(std::abs(offset_now.frequency(0) - std::max(1.0, 100 * offset_left / 2192)) <= 2);
    }
    // The wider the scale, the rarer is 0; with offset 0 is rarer than without, since ±1/2 are near.
    const Table& wide = dependent_table(independent, 50, SymbolKind::offset);
    CHECK(wide.frequency(3) < dependent_table(independent, 20, SymbolKind::offset).frequency(3));
    CHECK(wide.frequency(3) < dependent_table(independent, 50, SymbolKind::centred).frequency(3));
}

TEST_CASE("a skipped scale codes nothing") {
    RansEncoder encoder;
    scale_tables().encode_symbol(encoder, 0, 0);
    CHECK_THROWS_AS(scale_tables().encode_symbol(encoder, 0, 1), Error);
    CHECK(scale_tables().cost_bits(0, 0) == 0);
    CHECK(std::isinf(scale_tables().cost_bits(0, 1)));
    const std::vector<uint8_t> bytes = encoder.finish();
    CHECK(bytes.empty());
    RansDecoder decoder(bytes);
    CHECK(scale_tables().decode_symbol(decoder, 0) == 0);
    decoder.finish();
}

TEST_CASE("symbols and scales outside their range are refused") {
    RansEncoder encoder;
    RansDecoder decoder({});
    for (const int scale_index : {-1, kScaleCount}) {
        CHECK_THROWS_AS(scale_tables().encode_symbol(encoder, scale_index, 0), Error);
        CHECK_THROWS_AS(scale_tables().decode_symbol(decoder, scale_index), Error);
        CHECK_THROWS_AS(scale_tables().cost_bits(scale_index, 0), Error);
    }
    for (const int scale_index : {1, kScaleCount - 1})
        for (const int32_t symbol : {kIntegerLimit + 1, -kIntegerLimit - 1, INT32_MAX, INT32_MIN}) {
            CHECK_THROWS_AS(scale_tables().encode_symbol(encoder, scale_index, symbol), Error);
            CHECK(std::isinf(scale_tables().cost_bits(scale_index, symbol)));
        }
}

TEST_CASE("damaged streams give errors, never anything worse") {
    std::mt19937 random(2);
    std::vector<int> scale_indices(400);
    RansEncoder encoder;
    for (int& scale_index : scale_indices) {
        scale_index = static_cast<int>(random() % kScaleCount);
        scale_tables().encode_symbol(encoder, scale_index, scale_index < kFirstCodedScale ? 0 : 3 * draw(random, scale_index));
    }
    const std::vector<uint8_t> bytes = encoder.finish();
    const auto decode = [&](std::span<const uint8_t> stream) {
        RansDecoder decoder(stream);
        std::vector<int32_t> symbols;
        for (const int scale_index : scale_indices) {
            symbols.push_back(scale_tables().decode_symbol(decoder, scale_index));
            REQUIRE(std::abs(symbols.back()) <= kIntegerLimit);
        }
        decoder.finish();
        return symbols;
    };
    const std::vector<int32_t> symbols = decode(bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_THROWS_AS(decode(cut), Error);
    }
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        std::vector<uint8_t> damaged = bytes;
        damaged[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
        // A changed raw field can give a stream that is as valid as the first; to detect that is up to the container.
        bool accepted = false;
        try {
            accepted = decode(damaged) == symbols;
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
        }
        CHECK_FALSE(accepted);
    }
    for (int repeat = 0; repeat < 2000; ++repeat) {
        std::vector<uint8_t> noise(2 * (random() % 400));
        for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
        if (!noise.empty()) CHECK_THROWS_AS(decode(noise), Error);
    }
}

TEST_CASE("an escape of endless length is refused") {
    // A stream that holds an escape symbol and then nothing but raw zeros.
    const Table table = build_table(0, std::vector<double>{0.5});
    RansEncoder encoder;
    encoder.put(table, table.escape());
    for (int i = 0; i < 100; ++i) encoder.put_bits(0, 1);
    RansDecoder decoder(encoder.finish());
    CHECK_THROWS_WITH_AS(decode_integer(decoder, table), doctest::Contains("more than 24 bits"), Error);
}

TEST_CASE("scale tables survive the flat form") {
    const std::vector<uint16_t> flat = scale_tables().serialise();
    CHECK(ScaleTables(flat).serialise() == flat);
    std::vector<uint16_t> asymmetric = flat;
    asymmetric[1] += 1;
    CHECK_THROWS_AS(ScaleTables{asymmetric}, Error);
    const std::vector<uint16_t> single{1, 0, 2, 32767, 1};
    CHECK_THROWS_AS(ScaleTables{single}, Error);
}

TEST_CASE("channels have tables of their own") {
    std::vector<std::vector<double>> probabilities;
    std::vector<int> first;
    const std::vector<double> means{0, 0.3, -7.6, 40}, sigmas{0.05, 0.7, 3, 11};
    for (std::size_t channel = 0; channel < means.size(); ++channel) {
        first.push_back(-64);
        probabilities.emplace_back();
        for (int value = -64; value <= 64; ++value)
            probabilities.back().push_back(logistic_probability(means[channel], sigmas[channel], value));
    }
    const FactorizedTables built = build_factorized_tables(probabilities, first);
    const FactorizedTables tables(built.serialise());
    REQUIRE(tables.channel_count() == means.size());

    std::mt19937 random(3);
    std::vector<int32_t> symbols;
    RansEncoder encoder;
    double ideal = 0, fixed = 0;
    for (int i = 0; i < 20000; ++i)
        for (std::size_t channel = 0; channel < means.size(); ++channel) {
            const auto symbol =
                static_cast<int32_t>(std::lround(std::normal_distribution<double>(means[channel], sigmas[channel])(random)));
            symbols.push_back(symbol);
            ideal -= std::log2(logistic_probability(means[channel], sigmas[channel], symbol));
            tables.encode_symbol(encoder, channel, symbol);
        }
    for (std::size_t channel = 0; channel < means.size(); ++channel)
        for (const int32_t symbol : {-kIntegerLimit, -65, 65, kIntegerLimit}) {
            symbols.push_back(symbol);
            fixed += tables.cost_bits(channel, symbol);
            tables.encode_symbol(encoder, channel, symbol);
        }
    const std::vector<uint8_t> bytes = encoder.finish();
    CHECK(8.0 * static_cast<double>(bytes.size()) <= ideal * 1.003 + fixed + 128);

    RansDecoder decoder(bytes);
    bool same = true;
    std::size_t next = 0;
    for (int i = 0; i < 20000; ++i)
        for (std::size_t channel = 0; channel < means.size(); ++channel)
            same &= tables.decode_symbol(decoder, channel) == symbols[next++];
    for (std::size_t channel = 0; channel < means.size(); ++channel)
        for (int i = 0; i < 4; ++i) same &= tables.decode_symbol(decoder, channel) == symbols[next++];
    CHECK(same);
    decoder.finish();
}

TEST_CASE("impossible probabilities are refused") {
    CHECK_THROWS_AS(build_table(0, std::vector<double>{}), Error);
    CHECK_THROWS_AS(build_table(0, std::vector<double>(256, 0.001)), Error);
    CHECK_THROWS_AS(build_table(0, std::vector<double>{0.7, 0.7}), Error);
    CHECK_THROWS_AS(build_table(0, std::vector<double>{-0.1, 0.7}), Error);
    CHECK_THROWS_AS(build_table(0, std::vector<double>{std::nan("")}), Error);
    CHECK_THROWS_AS(build_table(40000, std::vector<double>{1}), Error);
    CHECK_THROWS_AS(build_factorized_tables({{1}}, {0, 1}), Error);
    CHECK_THROWS_AS(build_factorized_tables({{1}, {}}, {0, 1}), Error);
}
