// What a file changes of its model's filter: as bytes, found by least squares, and in files.
#include "codec/filter/filter_changes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "codec/container/container.h"
#include "codec/error.h"
#include "codec/image/metrics.h"
#include "tests/encode_options.h"
#include "tests/filter_samples.h"
#include "tests/image_samples.h"
#include "tests/row_pictures.h"

using namespace decant;
using namespace decant::test;

namespace {

std::vector<int16_t> random_values(std::span<const size_t> counts, RandomStream random, int share, int largest, int shift) {
    std::vector<int16_t> values(std::accumulate(counts.begin(), counts.end(), size_t{0}));
    for (int16_t& v : values)
        if (random.below(100) < share) v = int16_t((random.below(2 * largest + 1) - largest) * (1 << shift));
    return values;
}

void check_refused(std::span<const uint8_t> bytes, std::span<const size_t> counts) {
    const auto failure = failure_of([&] { unpack_changes(bytes, counts); });
    REQUIRE(failure.failed);
    CHECK(failure.code == ErrorCode::corrupt);
}

std::vector<int32_t> apply(const PostFilter& filter, const std::vector<int32_t>& sums, int h, int w) {
    PostFilter::Workspace workspace;
    std::vector<int32_t> result(sums.size());
    filter.apply(sums.data(), h, w, {0, 0, h, w}, workspace, result.data());
    return result;
}

double squared_difference(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += std::pow(std::clamp(a[i], kLowestSum, kHighestSum) - std::clamp(b[i], kLowestSum, kHighestSum), 2);
    return sum;
}

// A picture of gentle waves, which no plane's range cuts off.
std::vector<int32_t> waves(int h, int w, int channels, RandomStream random) {
    std::vector<int32_t> sums;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < channels; c++) sums.push_back(int32_t(9000 * std::sin(0.2 * x + 0.13 * y * (c + 1))) + random.below(4001) - 2000);
    return sums;
}

}  // namespace

TEST_CASE("changes of a filter are the same after bytes, and few when they are few") {
    CHECK(counts_of_changes(3) == std::vector<size_t>{36, 18, 18});
    CHECK(counts_of_cross(3) == std::vector<size_t>{18, 18});
    CHECK(counts_of_cross(1).empty());
    for (const auto& counts : {counts_of_changes(1), counts_of_changes(3), counts_of_cross(3)}) {
        for (const auto& [share, largest, shift] : {std::tuple{0, 1, 0}, {10, 3, 8}, {50, 20, 6}, {100, 32767, 0}, {100, 1, 14}}) {
            const std::vector<int16_t> values = random_values(counts, {uint32_t(share) + uint32_t(counts.size())}, share, largest, shift);
            const std::vector<uint8_t> bytes = pack_changes(values, counts);
            CHECK(unpack_changes(bytes, counts) == values);
            CHECK(bytes.size() <= 1 + (1 + 18 * values.size()) / 8 + 1);
        }
        std::vector<int16_t> extremes = random_values(counts, {1}, 0, 1, 0);
        CHECK(pack_changes(extremes, counts).size() == 2);
        extremes[0] = -32768;
        CHECK(unpack_changes(pack_changes(extremes, counts), counts) == extremes);
        extremes[1] = 32767;
        CHECK(unpack_changes(pack_changes(extremes, counts), counts) == extremes);
        CHECK_THROWS_AS(pack_changes(std::vector<int16_t>(5), counts), Error);
    }
}

TEST_CASE("bytes that are no changes of a filter are refused") {
    const std::vector<size_t> colours = counts_of_changes(3), gray = counts_of_changes(1);
    const std::vector<uint8_t> bytes = pack_changes(random_values(colours, {4}, 70, 200, 5), colours);
    for (size_t length = 0; length < bytes.size(); length++) check_refused(std::span(bytes).first(length), colours);
    std::vector<uint8_t> longer = bytes;
    longer.push_back(0);
    check_refused(longer, colours);
    check_refused(bytes, gray);
    check_refused(std::vector<uint8_t>{0x00, 0x01}, colours);  // bits behind the end
    std::vector<uint8_t> ones(40, 0xff);                       // a code without an end
    check_refused(ones, colours);
    ones[0] = 0x0f;
    check_refused(ones, colours);
    check_refused(std::vector<uint8_t>{0xf0, 0xd0, 0, 0, 0, 0, 0, 0}, gray);  // 2 · 2^15
}

TEST_CASE("changes are found where there are any, and they are worth their bits") {
    for (const int channels : {3, 1}) {
        const int h = 64, w = 96, planes = filter_planes(channels);
        const uint64_t pixels = h * w;
        const PostFilter filter(tables_of({random_point(channels, 0, {3}, 300)}), 0, channels);
        FilterChanges wanted{std::vector<int16_t>(filter_taps(1, planes)), {}};
        wanted.taps[2] = 3000;    // the nearest pair
        wanted.taps[5] = -2000;
        wanted.taps[14] = 1200;
        const std::vector<int32_t> decoded = waves(h, w, channels, {9}), original = apply(filter.with(wanted), decoded, h, w);
        PostFilter::Workspace workspace;
        ChangesFit fit(channels, false);
        fit.add(filter, decoded.data(), original.data(), h, w, {0, 0, h, w}, h, w, 1, workspace);
        const FilterChanges found = fit.solve(1.0, pixels);
        CHECK(found.taps.size() == wanted.taps.size());
        CHECK(found.cross.empty());
        const double before = squared_difference(original, apply(filter, decoded, h, w)), after = squared_difference(original, apply(filter.with(found), decoded, h, w));
        CHECK(after < 0.02 * before);

        // In parts, the lower ones of which have rows that do not count.
        ChangesFit parts(channels, false), lower(channels, false);
        for (int y = 0; y < h; y += 16) (y < 32 ? parts : lower).add(filter, decoded.data(), original.data(), h, w, {y, 0, 16, w}, h - y, w, 1, workspace);
        parts.add(lower);
        CHECK(parts.solve(1.0, pixels) == found);

        // Errors that are worth little are not worth a section, nor are none.
        CHECK(fit.solve(1e-9, pixels).empty());
        ChangesFit none(channels, false);
        const std::vector<int32_t> as_it_is = apply(filter, decoded, h, w);
        none.add(filter, decoded.data(), as_it_is.data(), h, w, {0, 0, h, w}, h, w, 1, workspace);
        CHECK(none.solve(1.0, pixels).empty());
        CHECK(ChangesFit(channels, false).solve(1.0, pixels).empty());
    }
}

TEST_CASE("colours follow luma where they do in the picture") {
    const int h = 64, w = 96;
    const uint64_t pixels = h * w;
    const PostFilter filter(tables_of({random_point(3, 0, {5}, 300)}), 0, 3);
    FilterChanges wanted{{}, std::vector<int16_t>(cross_taps(3))};
    wanted.cross[2] = 5000;
    wanted.cross[18 + 5] = -4000;
    const std::vector<int32_t> decoded = waves(h, w, 3, {3}), original = apply(filter.with(wanted), decoded, h, w);
    PostFilter::Workspace workspace;
    ChangesFit fit(3, false);
    fit.add(filter, decoded.data(), original.data(), h, w, {0, 0, h, w}, h, w, 1, workspace);
    const FilterChanges found = fit.solve(1.0, pixels);
    CHECK(found.cross.size() == wanted.cross.size());
    const double before = squared_difference(original, apply(filter, decoded, h, w)), after = squared_difference(original, apply(filter.with(found), decoded, h, w));
    CHECK(after < 0.02 * before);
}

TEST_CASE("a gray picture changes luma alone, by the mean of the colours") {
    const int h = 48, w = 64;
    const uint64_t pixels = h * w;
    const PostFilter filter(tables_of({random_point(3, 0, {3}, 200)}), 0, 3);
    FilterChanges wanted{std::vector<int16_t>(filter_taps(1, 3)), {}};
    wanted.taps[2] = 2500;
    const std::vector<int32_t> decoded = waves(h, w, 3, {2});
    std::vector<int32_t> original = apply(filter.with(wanted), decoded, h, w);
    for (size_t i = 0; i < original.size(); i += 3) original[i] = original[i + 1] = original[i + 2] = (original[i] + original[i + 1] + original[i + 2]) / 3;
    PostFilter::Workspace workspace;
    ChangesFit fit(3, true);
    fit.add(filter, decoded.data(), original.data(), h, w, {0, 0, h, w}, h, w, 1, workspace);
    const FilterChanges found = fit.solve(1.0, pixels);
    REQUIRE(found.taps.size() == wanted.taps.size());
    CHECK(std::abs(found.taps[2] - wanted.taps[2]) < 1000);
    CHECK(std::all_of(found.taps.begin() + filter_pairs(1, 0) * kFilterClips, found.taps.end(), [](int16_t c) { return c == 0; }));
    CHECK(found.cross.empty());
}

TEST_CASE("files that are refined change their filter, and decode alike in parts, by rows, with any number of threads") {
    for (const int channels : {3, 1}) {
        FilteredModel models;
        const Image image = mixed_image(1100, 90, channels);
        Codec one(models.filtered, 1), three(models.filtered, 3);
        const auto bytes = one.encode(image, at(60, 4)).bytes;
        CHECK(three.encode(image, at(60, 4)).bytes == bytes);
        const Container container = parse_container(bytes);
        REQUIRE(find_section(container, kSectionFilter) != nullptr);
        const Image decoded = one.decode(bytes);
        CHECK(three.decode(bytes) == decoded);
        const Region region{1019, 33, 41, 20};
        DecodeOptions part;
        part.region = region;
        CHECK(three.decode(bytes, part) == cropped(decoded, region));
        RowImage rows;
        three.decode(bytes, rows);
        CHECK(rows.image == decoded);

        // Without the section the same symbols are other pixels, and farther from the picture.
        Container plain = container;
        plain.sections.clear();
        const Image other = one.decode(write_container(plain));
        CHECK(one.symbol_hash(write_container(plain)) == one.symbol_hash(bytes));
        CHECK(psnr(image, decoded) > psnr(image, other));

        EncodeOptions without = at(60, 4);
        without.filter = false;
        CHECK(find_section(parse_container(one.encode(image, without).bytes), kSectionFilter) == nullptr);
        CHECK(find_section(parse_container(one.encode(image, at(60, 2)).bytes), kSectionFilter) == nullptr);

        // What is lossless is so behind it.
        EncodeOptions lossless = at(60, 3);
        lossless.max_error = 0;
        const Image small = cropped(image, {3, 4, 130, 61});
        CHECK(one.decode(three.encode(small, lossless).bytes) == small);
    }
}

// Colours that a camera or a scanner had half as many rows of: what the filter is to do differs from row to row.
TEST_CASE("changes of the filter suit pictures whose every second row of colours lies between its neighbours") {
    const auto model = shipped_model();
    REQUIRE(model != nullptr);
    Codec codec(model, 1);
    Image image = cropped(sample_image("still_life.png"), {0, 0, 256, 192});
    RandomStream random{4};
    const std::vector<uint8_t> original = image.samples<uint8_t>();
    const size_t stride = image.row_size();
    const auto colour = [&](size_t at, int c) { return int(original[at + size_t(c)]) - int(original[at + 1]); };  // of red and blue, against green
    std::vector<int> noise(original.size());
    for (int& v : noise) v = random.below(25) - 12;
    for (size_t y = 1; y + 1 < image.height; y++) {
        for (size_t x = 0; x < image.width; x++) {
            const size_t at = y * stride + 3 * x, above = at - stride, below = at + stride;
            for (const int c : {0, 2}) {
                const size_t k = size_t(c);
                const int own = colour(at, c) + noise[at + k], between = (colour(above, c) + noise[above + k] + colour(below, c) + noise[below + k]) / 2;
                image.samples<uint8_t>()[at + k] = uint8_t(std::clamp(original[at + 1] + (y % 2 == 0 ? own : between), 0, 255));
            }
        }
    }
    const auto bytes = codec.encode(image, at(95, 3)).bytes;
    Container plain = parse_container(bytes);
    REQUIRE(find_section(plain, kSectionFilter) != nullptr);
    plain.sections.clear();
    CHECK(psnr(image, codec.decode(bytes)) > psnr(image, codec.decode(write_container(plain))) + 0.7);  // 0.77; fitted to even rows 0.61
}

TEST_CASE("changes of a filter that is not there, twice, or cut short are corrupt") {
    FilteredModel models;
    Codec codec(models.filtered, 1);
    const auto bytes = codec.encode(mixed_image(80, 60, 3), at(60, 2)).bytes;
    const auto refuses = [&](const std::array<char, 4>& type, const std::vector<uint8_t>& payload, bool twice, bool unnamed) {
        Container container = parse_container(bytes);
        container.sections.push_back({type, payload});
        if (twice) container.sections.push_back(container.sections.back());
        if (unnamed) container.header.filter = 0;
        const auto failure = failure_of([&] { codec.decode(write_container(container)); });
        REQUIRE(failure.failed);
        CHECK(failure.code == ErrorCode::corrupt);
    };
    for (const auto& [type, counts] : {std::pair(kSectionFilter, counts_of_changes(3)), {kSectionFilterCross, counts_of_cross(3)}}) {
        const std::vector<uint8_t> good = pack_changes(random_values(counts, {1}, 50, 100, 4), counts);
        refuses(type, good, true, false);
        refuses(type, good, false, true);
        refuses(type, {}, false, false);
        refuses(type, {0xff, 0xff, 0xff}, false, false);
        refuses(type, std::vector(good.begin(), good.end() - 3), false, false);
    }
}
