// Pictures turned and mirrored: alone, and in files.
#include "codec/image/turn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "codec/container/container.h"
#include "codec/decant.h"
#include "codec/error.h"
#include "tests/encode_options.h"
#include "tests/filter_samples.h"
#include "tests/image_samples.h"
#include "tests/row_pictures.h"

using namespace decant;
using namespace decant::test;

namespace {

std::vector<Turn> all_turns() {
    std::vector<Turn> turns;
    for (int code = 0; code < 8; code++) turns.push_back(Turn::from_code(code));
    return turns;
}

}  // namespace

TEST_CASE("turns exchange rows and columns first, and mirror then") {
    Image image(2, 3, 1);
    image.samples() = {1, 2,  //
                       3, 4,  //
                       5, 6};
    CHECK(turned(image, {false, false, true}).samples() == std::vector<uint8_t>{2, 1, 4, 3, 6, 5});
    CHECK(turned(image, {false, true, false}).samples() == std::vector<uint8_t>{5, 6, 3, 4, 1, 2});
    const Image transposed = turned(image, {true, false, false});
    CHECK(transposed.width == 3);
    CHECK(transposed.height == 2);
    CHECK(transposed.samples() == std::vector<uint8_t>{1, 3, 5, 2, 4, 6});
    CHECK(turned(image, {true, false, true}).samples() == std::vector<uint8_t>{5, 3, 1, 6, 4, 2});
    CHECK(turned(image, {true, true, false}).samples() == std::vector<uint8_t>{2, 4, 6, 1, 3, 5});
}

TEST_CASE("each turn is another, has its code, and is undone") {
    for (const int depth : {8, 16}) {
        for (const int channels : {1, 3}) {
            for (const auto& [w, h] : {std::pair{37, 22}, {1, 9}, {9, 1}, {16, 16}}) {
                const Image image = with_depth(mixed_image(uint32_t(w), uint32_t(h), channels), depth);
                std::vector<Image> seen;
                for (const Turn turn : all_turns()) {
                    CHECK(Turn::from_code(turn.code()) == turn);
                    const Image other = turned(image, turn);
                    CHECK(turned(other, turn.inverse()) == image);
                    if (w > 9 && h > 9) CHECK(std::ranges::find(seen, other) == seen.end());
                    seen.push_back(other);
                }
                CHECK(seen[0] == image);
            }
        }
    }
}

TEST_CASE("a region lies in the turned picture where its pixels do") {
    const Image image = mixed_image(41, 27, 3);
    for (const Turn turn : all_turns()) {
        for (const Region& region : {Region{0, 0, 41, 27}, {3, 5, 7, 11}, {40, 26, 1, 1}, {0, 20, 41, 7}})
            CHECK(cropped(turned(image, turn), turned(region, 41, 27, turn)) == turned(cropped(image, region), turn));
    }
}

TEST_CASE("a file of a turned picture decodes to the picture as it is, in parts, by rows, with any number of threads") {
    FilteredModel models;
    Codec one(models.filtered, 1), three(models.filtered, 3);
    for (const int channels : {3, 1}) {
        const Image image = mixed_image(1100, 90, channels);
        for (const Turn turn : all_turns()) {
            if (turn.is_none()) continue;
            // As the encoder would make it, if that were the best turn.
            const auto coded = one.encode(turned(image, turn), at(60, 2)).bytes;
            Container container = parse_container(coded);
            const Image expected = turned(one.decode(coded), turn.inverse());
            container.header.width = image.width;
            container.header.height = image.height;
            container.sections.push_back({kSectionTurn, {uint8_t(turn.code())}});
            const auto bytes = write_container(container);
            CHECK(one.decode(bytes) == expected);
            CHECK(three.decode(bytes) == expected);
            CHECK(one.symbol_hash(bytes) == one.symbol_hash(coded));
            RowImage rows;
            three.decode(bytes, rows);
            CHECK(rows.image == expected);
            for (const Region& region : {Region{1019, 33, 41, 20}, {0, 0, 1, 1}, {1090, 80, 10, 10}}) {
                DecodeOptions part;
                part.region = region;
                CHECK(three.decode(bytes, part) == cropped(expected, region));
            }
        }
    }
}

TEST_CASE("rows of a turned picture come in bands") {
    FilteredModel models;
    Codec codec(models.filtered, 2);
    const Image image = mixed_image(40, 2100, 3);
    const auto as_it_is = codec.encode(image, at(60, 2)).bytes;
    Container container = parse_container(as_it_is);
    container.sections.push_back({kSectionTurn, {2}});
    const auto bytes = write_container(container);
    RowImage rows;
    codec.decode(bytes, rows);
    CHECK(rows.image == codec.decode(bytes));
}

TEST_CASE("of high effort a picture is coded turned where that takes less") {
    FilteredModel models;
    Codec one(models.filtered, 1), three(models.filtered, 3);
    std::set<int> codes;
    for (uint32_t seed = 1; seed < 7; seed++) {
        const Image image = mixed_image(150, 90, 3, seed);
        const std::vector<uint8_t> bytes = one.encode(image, at(60, 5)).bytes;
        const Container container = parse_container(bytes);
        const Section* section = find_section(container, kSectionTurn);
        codes.insert(section == nullptr ? 0 : section->payload.at(0));
        CHECK(container.header.width == 150);
        CHECK(container.header.height == 90);
        if (seed > 2) continue;
        CHECK(three.encode(image, at(60, 5)).bytes == bytes);
        ImageRows rows(image);
        CHECK(three.encode(rows, at(60, 5)).bytes == bytes);
        // What is lossless is so however it lies, and a preview is not turned.
        EncodeOptions lossless = at(60, 5);
        lossless.max_error = 0;
        lossless.preview_from = 1;
        const auto exact = three.encode(image, lossless).bytes;
        CHECK(one.decode(exact) == image);
        CHECK(one.decode_preview(exact, 64).width == 64);
    }
    CHECK(codes.size() > 1);
    const auto without = one.encode(mixed_image(150, 90, 3), at(60, 4)).bytes;
    CHECK(find_section(parse_container(without), kSectionTurn) == nullptr);
}

TEST_CASE("turns that there are not are corrupt") {
    FilteredModel models;
    Codec codec(models.filtered, 1);
    const auto good_bytes = codec.encode(mixed_image(80, 60, 3), at(60, 2)).bytes;
    const Container good = parse_container(good_bytes);
    for (const std::vector<uint8_t>& payload : std::vector<std::vector<uint8_t>>{{}, {0}, {8}, {255}, {1, 1}}) {
        Container container = good;
        container.sections.push_back({kSectionTurn, payload});
        const auto bytes = write_container(container);
        DecodeOptions part;
        part.region = Region{0, 0, 16, 16};
        for (const DecodeOptions& options : {DecodeOptions(), part}) {
            const auto failure = failure_of([&] { codec.decode(bytes, options); });
            REQUIRE(failure.failed);
            CHECK(failure.code == ErrorCode::corrupt);
        }
    }
    Container twice = good;
    for (int i = 0; i < 2; i++) twice.sections.push_back({kSectionTurn, {1}});
    CHECK_THROWS_AS(codec.decode(write_container(twice)), Error);
}
