// The entropy coder alone: round trips, its cost, and its behaviour on damaged streams.
#include "codec/entropy/rans.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "codec/entropy/table.h"
#include "codec/error.h"

using namespace decant;

namespace {

Table skewed_table() {
    const std::array<uint16_t, 6> frequencies{32768 - 8192 - 300 - 11 - 2, 8192, 300, 1, 10, 2};
    return Table(-2, frequencies);
}

// What a test says to the coder: a symbol of the table, or a raw field.
struct Item {
    bool raw;
    uint32_t value;
    int count;
};

std::vector<Item> random_items(std::size_t item_count, uint32_t seed, const Table& table) {
    std::mt19937 random(seed);
    std::vector<Item> items;
    for (std::size_t i = 0; i < item_count; ++i) {
        if (random() % 4 == 0) {
            const int count = 1 + static_cast<int>(random() % 15);
            items.push_back({true, static_cast<uint32_t>(random() & ((1u << count) - 1)), count});
        } else {
            items.push_back({false, table.find(random() % kProbabilityScale), 0});
        }
    }
    return items;
}

std::vector<uint8_t> encode(const std::vector<Item>& items, const Table& table) {
    RansEncoder encoder;
    for (const Item& item : items) {
        if (item.raw)
            encoder.put_bits(item.value, item.count);
        else
            encoder.put(table, item.value);
    }
    return encoder.finish();
}

// Whether the stream decodes to exactly these items and ends well; throws what the decoder throws.
bool decodes_to(std::span<const uint8_t> bytes, const std::vector<Item>& items, const Table& table) {
    RansDecoder decoder(bytes);
    bool same = true;
    for (const Item& item : items) same &= (item.raw ? decoder.get_bits(item.count) : decoder.decode(table)) == item.value;
    decoder.finish();
    return same;
}

}  // namespace

TEST_CASE("every stream length comes back") {
    const Table table = skewed_table();
    for (std::size_t item_count = 0; item_count < 70; ++item_count) {
        const std::vector<Item> items = random_items(item_count, static_cast<uint32_t>(item_count), table);
        CHECK(decodes_to(encode(items, table), items, table));
    }
}

TEST_CASE("an empty stream has no bytes") {
    RansEncoder encoder;
    CHECK(encoder.finish().empty());
    RansDecoder decoder({});
    decoder.finish();
    CHECK_THROWS_AS(
        {
            RansDecoder exhausted({});
            for (int i = 0; i < 100; ++i) exhausted.get_bits(15);
        },
        Error);
}

TEST_CASE("the encoder starts again after finish") {
    const Table table = skewed_table();
    RansEncoder encoder;
    encoder.put(table, 1);
    const std::vector<uint8_t> once = encoder.finish();
    encoder.put(table, 1);
    CHECK(encoder.finish() == once);
}

TEST_CASE("the cost is the information plus eight bytes or so") {
    const Table table = skewed_table();
    const std::vector<Item> items = random_items(100000, 7, table);
    double bits = 0;
    for (const Item& item : items) bits += item.raw ? item.count : kProbabilityBits - std::log2(table.frequency(item.value));
    const double bytes = static_cast<double>(encode(items, table).size());
    CHECK(bytes >= bits / 8);
    CHECK(bytes <= bits / 8 * 1.0005 + 12);
}

TEST_CASE("raw fields outside their range are refused") {
    RansEncoder encoder;
    CHECK_THROWS_AS(encoder.put_bits(0, 0), Error);
    CHECK_THROWS_AS(encoder.put_bits(0, 16), Error);
    CHECK_THROWS_AS(encoder.put_bits(8, 3), Error);
}

TEST_CASE("a truncated or extended stream is detected") {
    const Table table = skewed_table();
    const std::vector<Item> items = random_items(300, 3, table);
    std::vector<uint8_t> bytes = encode(items, table);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        // A copy of the exact size, so that a sanitizer sees a read past the end.
        const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_THROWS_AS(decodes_to(cut, items, table), Error);
    }
    bytes.insert(bytes.end(), {0, 0});
    CHECK_THROWS_AS(decodes_to(bytes, items, table), Error);
}

TEST_CASE("a flipped bit gives an error or other symbols") {
    const Table table = skewed_table();
    const std::vector<Item> items = random_items(300, 4, table);
    const std::vector<uint8_t> bytes = encode(items, table);
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        std::vector<uint8_t> damaged = bytes;
        damaged[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
        bool accepted = false;
        try {
            accepted = decodes_to(damaged, items, table);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
        }
        CHECK_FALSE(accepted);
    }
}

TEST_CASE("a decoder that has thrown stays inside its bytes") {
    const std::vector<uint8_t> bytes(16, 0xff);
    RansDecoder decoder(bytes);
    int refusals = 0;
    for (int i = 0; i < 100; ++i) {
        try {
            decoder.get_bits(15);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::corrupt);
            ++refusals;
        }
    }
    CHECK(refusals > 90);
}

TEST_CASE("random bytes never read outside") {
    const Table table = skewed_table();
    std::mt19937 random(5);
    for (int repeat = 0; repeat < 2000; ++repeat) {
        std::vector<uint8_t> bytes(random() % 64);
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
        CHECK_THROWS_AS(decodes_to(bytes, random_items(100, static_cast<uint32_t>(random()), table), table), Error);
    }
}

TEST_CASE("a table answers for each slot") {
    const Table table = skewed_table();
    CHECK(table.first() == -2);
    CHECK(table.last() == 2);
    CHECK(table.escape() == 5);
    for (uint32_t slot = 0; slot < kProbabilityScale; ++slot) {
        const uint32_t position = table.find(slot);
        REQUIRE(table.start(position) <= slot);
        REQUIRE(slot < table.start(position) + table.frequency(position));
    }
}

TEST_CASE("tables survive the flat form, and a bad flat form is refused") {
    const std::vector<Table> tables(3, skewed_table());
    const std::vector<uint16_t> flat = serialise_tables(tables);
    CHECK(serialise_tables(parse_tables(flat)) == flat);
    CHECK(parse_tables(flat)[2].first() == -2);

    for (std::size_t size = 0; size < flat.size(); ++size) CHECK_THROWS_AS(parse_tables(std::span(flat).first(size)), Error);
    std::vector<uint16_t> longer = flat;
    longer.push_back(1);
    CHECK_THROWS_AS(parse_tables(longer), Error);

    const auto refused_with = [&](std::size_t index, uint16_t value) {
        std::vector<uint16_t> changed = flat;
        changed[index] = value;
        CHECK_THROWS_AS(parse_tables(changed), Error);
    };
    refused_with(0, 0);      // no tables
    refused_with(0, 2);      // fewer than there are
    refused_with(0, 4);      // more than there are
    refused_with(2, 1);      // only an escape symbol
    refused_with(2, 300);    // more symbols than a table has
    refused_with(2, 65535);  // beyond the data
    refused_with(4, 0);      // an impossible symbol
    refused_with(4, 8193);   // a sum above 2^15
    refused_with(4, 8191);   // a sum below 2^15
    refused_with(4, 65535);
}
