// The filter behind the synthesis: against a plain reference, in parts as in one, its classes, its fit, and what models and files say of it.
#include "codec/filter/post_filter.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "codec/decant.h"
#include "codec/error.h"
#include "codec/filter/filter_fit.h"
#include "codec/network/model_file.h"
#include "codec/network/safetensors.h"
#include "codec/tensor/random.h"
#include "tests/filter_samples.h"
#include "tests/image_samples.h"
#include "tests/row_pictures.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

// The planes of a picture, one value at a time.
struct PlainPlanes {
    int h, w, planes;
    std::vector<int16_t> values;  // [h, w, planes]

    int at(int plane, int y, int x) const { return values[size_t((std::clamp(y, 0, h - 1) * w + std::clamp(x, 0, w - 1)) * planes + plane)]; }
};

int32_t in_range(int32_t v) { return std::clamp(v, -128 * 256, 127 * 256); }

PlainPlanes plain_planes(const std::vector<int32_t>& sums, int h, int w, int channels) {
    PlainPlanes result{h, w, filter_planes(channels), {}};
    for (size_t i = 0; i < sums.size(); i += size_t(channels)) {
        const auto sample = [&](size_t c) { return (in_range(sums[i + c]) + 128 * 256) / 8; };
        if (channels == 1) {
            result.values.push_back(int16_t(sample(0)));
            continue;
        }
        const int r = sample(0), g = sample(1), b = sample(2);
        for (const double v : {(r + 2 * g + b + 2) / 4.0, double(r - b), (2 * g - r - b) / 2.0}) result.values.push_back(int16_t(std::floor(v)));
    }
    return result;
}

// A stage as its description says it, a pixel at a time.
PlainPlanes reference_stage(int number, const FilterStage& stage, const PlainPlanes& from, const FilterChanges& changes = {}) {
    const auto class_at = [&](int y, int x) {
        FilterPlanes::Laplacians l{};
        for (int j = y / 4 * 4 - 2; j < y / 4 * 4 + 6; j++) {
            for (int i = x / 4 * 4 - 2; i < x / 4 * 4 + 6; i++) {
                const auto second = [&](int dy, int dx) { return std::abs(2 * from.at(0, j, i) - from.at(0, j - dy, i - dx) - from.at(0, j + dy, i + dx)); };
                l[0] += second(0, 1);
                l[1] += second(1, 0);
                l[2] += second(1, 1);
                l[3] += second(1, -1);
            }
        }
        return filter_class(l, stage.activity);
    };
    PlainPlanes result = from;
    for (int y = 0; y < from.h; y++) {
        for (int x = 0; x < from.w; x++) {
            const auto first = stage.taps.begin() + ptrdiff_t(size_t(class_at(y, x)) * filter_taps(number, from.planes));
            std::vector<int16_t> taps(first, first + ptrdiff_t(filter_taps(number, from.planes)));
            for (size_t t = 0; t < changes.taps.size(); t++) taps[t] = int16_t(std::clamp(taps[t] + changes.taps[t], -32768, 32767));
            const int16_t *next = taps.data(), *next_cross = changes.cross.data();
            for (int plane = 0; plane < from.planes; plane++) {
                const int centre = from.at(plane, y, x);
                int correction = 0;
                const auto add = [&](int of, int pairs, const int16_t*& tap) {
                    for (int i = 0; i < pairs; i++) {
                        const FilterOffset o = kFilterOffsets[size_t(i)];
                        const int p = from.at(of, y, x), u = from.at(of, y + o.y, x + o.x) - p, v = from.at(of, y - o.y, x - o.x) - p;
                        for (int k = 0; k < kFilterClips; k++) {
                            const int limit = k + 1 < kFilterClips ? stage.clips[size_t(of)][size_t(k)] : 100000;
                            const double sum = std::clamp(u, -limit, limit) + std::clamp(v, -limit, limit);
                            correction += int(std::floor(sum * *tap++ / 32768 + 0.5));
                        }
                    }
                };
                add(plane, filter_pairs(number, plane), next);
                if (plane > 0 && !changes.cross.empty()) add(0, kCrossPairs, next_cross);
                result.values[size_t((y * from.w + x) * from.planes + plane)] = int16_t(std::clamp(centre + correction, number > 0 ? -32768 : plane == 0 ? 0 : -8160, number > 0 ? 32767 : 8160));
            }
        }
    }
    return result;
}

std::vector<int32_t> reference(const FilterPoint& point, const std::vector<int32_t>& sums, int h, int w, int channels, const FilterChanges& changes = {}) {
    const PlainPlanes before = plain_planes(sums, h, w, channels);
    const PlainPlanes after = reference_stage(1, point.stages[1], reference_stage(0, point.stages[0], before), changes);
    std::vector<int32_t> result;
    for (size_t i = 0; i < sums.size(); i += size_t(channels)) {
        const auto change = [&](size_t plane) { return after.values[i + plane] - before.values[i + plane]; };
        if (channels == 1) {
            result.push_back(in_range(sums[i]) + 8 * change(0));
            continue;
        }
        result.push_back(in_range(sums[i]) + 8 * change(0) - 4 * change(2) + 4 * change(1));
        result.push_back(in_range(sums[i + 1]) + 8 * change(0) + 4 * change(2));
        result.push_back(in_range(sums[i + 2]) + 8 * change(0) - 4 * change(2) - 4 * change(1));
    }
    return result;
}

// A picture and what a bad codec makes of it: blurred along the rows.
std::pair<Image, Image> blurred_pair(uint32_t seed, int channels) {
    const Image original = mixed_image(96, 64, channels, seed);
    Image decoded(96, 64, channels, 16);
    for (uint32_t y = 0; y < 64; y++) {
        for (uint32_t x = 0; x < 96; x++) {
            for (uint32_t c = 0; c < uint32_t(channels); c++) {
                const auto at = [&](uint32_t i) { return original.row(y)[std::min(i, 95u) * uint32_t(channels) + c]; };
                decoded.row<uint16_t>(y)[x * uint32_t(channels) + c] = uint16_t((at(x == 0 ? 0 : x - 1) + 2 * at(x) + at(x + 1)) * 257 / 4);
            }
        }
    }
    return {original, decoded};
}

}  // namespace

TEST_CASE("the filter is what it is said to be, exactly, at every place and size") {
    PostFilter::Workspace workspace;  // the same for all, as in a decoder
    for (const int channels : {3, 1}) {
        for (const auto& [h, w] : {std::pair{16, 16}, {4, 4}, {32, 160}, {16, 80}, {48, 64}}) {
            const FilterPoint point = random_point(channels, 0, {uint32_t(h * w)});
            const auto sums = random_sums(h, w, channels, {uint32_t(channels)});
            const auto expected = reference(point, sums, h, w, channels);
            std::vector<int32_t> result(sums.size());
            PostFilter(tables_of({point}), 0, channels).apply(sums.data(), h, w, {0, 0, h, w}, workspace, result.data());
            CHECK(result == expected);
        }
    }
}

TEST_CASE("what a file changes of the last stage is what it is said to be, too") {
    PostFilter::Workspace workspace;
    for (const int channels : {3, 1}) {
        const int h = 32, w = 144, planes = filter_planes(channels);
        const FilterPoint point = random_point(channels, 0, {11});
        const auto sums = random_sums(h, w, channels, {12});
        RandomStream random{13};
        FilterChanges changes{std::vector<int16_t>(filter_taps(1, planes)), std::vector<int16_t>(cross_taps(planes))};
        for (auto* values : {&changes.taps, &changes.cross})
            for (int16_t& v : *values) v = int16_t(random.below(8001) - 4000);
        std::vector<int32_t> result(sums.size());
        for (const FilterChanges& some : {FilterChanges(), FilterChanges{changes.taps, {}}, FilterChanges{{}, changes.cross}, changes}) {
            PostFilter(tables_of({point}), 0, channels).with(some).apply(sums.data(), h, w, {0, 0, h, w}, workspace, result.data());
            CHECK(result == reference(point, sums, h, w, channels, some));
        }
    }
}

TEST_CASE("taps of 0 leave a picture as it is, but for what is beyond its range") {
    FilterPoint point = random_point(3, 0, {1}, 0);
    const auto sums = random_sums(32, 64, 3, {5});
    auto expected = sums, result = sums;
    for (int32_t& v : expected) v = std::clamp(v, -128 * 256, 127 * 256);
    CHECK(sums != expected);
    PostFilter::Workspace workspace;
    PostFilter(tables_of({point}), 0, 3).apply(sums.data(), 32, 64, {0, 0, 32, 64}, workspace, result.data());
    CHECK(result == expected);
}

TEST_CASE("areas are filtered as the whole picture is") {
    const int h = 64, w = 208;
    const auto sums = random_sums(h, w, 3, {9});
    const PostFilter filter(tables_of({random_point(3, 0, {3})}), 0, 3);
    PostFilter::Workspace workspace;
    std::vector<int32_t> whole(sums.size());
    filter.apply(sums.data(), h, w, {0, 0, h, w}, workspace, whole.data());
    for (const FilterArea& area : {FilterArea{0, 0, 16, 16}, {16, 4, 32, 128}, {48, 144, 16, 64}, {4, 200, 4, 8}}) {
        std::vector<int32_t> part(size_t(area.h * area.w) * 3);
        filter.apply(sums.data(), h, w, area, workspace, part.data());
        for (int y = 0; y < area.h; y++) {
            const int32_t* row = &part[size_t(y * area.w) * 3];
            REQUIRE(std::equal(row, row + area.w * 3, &whole[size_t((area.y + y) * w + area.x) * 3]));
        }
    }
}

TEST_CASE("classes tell activity and direction") {
    const std::array<int32_t, kFilterActivities - 1> activity = [] {
        std::array<int32_t, kFilterActivities - 1> a{};
        for (size_t i = 0; i < a.size(); i++) a[i] = int32_t(i + 1) * 1000;
        return a;
    }();
    CHECK(filter_class({0, 0, 0, 0}, activity) == 0);
    CHECK(filter_class({499, 500, 500, 500}, activity) == 0);
    CHECK(filter_class({500, 500, 500, 500}, activity) == kFilterDirections);
    CHECK(filter_class({1 << 24, 1 << 24, 1 << 24, 1 << 24}, activity) == (kFilterActivities - 1) * kFilterDirections);
    // Each direction, weak and strong, has its own class.
    constexpr int kBusy = 100000;
    std::vector<int> classes;
    for (const int most : {kBusy * 2, kBusy * 4}) {
        for (size_t d = 0; d < 4; d++) {
            FilterPlanes::Laplacians l;
            l.fill(kBusy);
            l[d] = most;
            classes.push_back(filter_class(l, activity) % kFilterDirections);
        }
    }
    std::sort(classes.begin(), classes.end());
    CHECK(classes == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8});
    // What changes little has none, be the ratio what it may.
    CHECK(filter_class({100, 0, 0, 0}, activity) == 0);
}

TEST_CASE("between two qualities the filter is between theirs") {
    const FilterPoint a = random_point(3, 256, {1}), b = random_point(3, 512, {2});
    const FilterTables tables = tables_of({a, b});
    CHECK(interpolated(tables, 256) == a);
    CHECK(interpolated(tables, 512) == b);
    CHECK(interpolated(tables, 0).stages == a.stages);
    CHECK(interpolated(tables, 1000).stages == b.stages);
    const FilterPoint middle = interpolated(tables, 384);
    for (size_t stage = 0; stage < kFilterStages; stage++) {
        const FilterStage &from = a.stages[stage], &to = b.stages[stage], &between = middle.stages[stage];
        for (size_t i = 0; i < from.taps.size(); i++) REQUIRE(std::abs(2 * between.taps[i] - from.taps[i] - to.taps[i]) <= 1);
        for (size_t i = 0; i < from.activity.size(); i++) CHECK(std::abs(2 * between.activity[i] - from.activity[i] - to.activity[i]) <= 1);
        CHECK(std::abs(2 * between.clips[2][1] - from.clips[2][1] - to.clips[2][1]) <= 1);
    }
    CHECK_THROWS_AS(interpolated({}, 0), Error);
}

TEST_CASE("a fitted filter mends what is wrong with pictures, those too that it has not seen") {
    for (const int channels : {3, 1}) {
        FilterFit fit(0, channels);
        for (uint32_t seed = 1; seed <= 6; seed++) {
            const auto [original, decoded] = blurred_pair(seed, channels);
            fit.survey(original, decoded);
        }
        for (uint32_t seed = 1; seed <= 6; seed++) {
            const auto [original, decoded] = blurred_pair(seed, channels);
            fit.learn(original, decoded);
        }
        const FilterStage stage = fit.solve();
        CHECK(std::is_sorted(stage.activity.begin(), stage.activity.end()));
        for (const uint32_t seed : {1u, 7u}) {
            const auto [original, decoded] = blurred_pair(seed, channels);
            CHECK(squared_error(original, sums_of(filtered(decoded, stage))) < 0.7 * squared_error(original, sums_of(decoded)));
        }
    }
    FilterFit fit(0, 3);
    const auto [original, decoded] = blurred_pair(1, 3);
    CHECK_THROWS_AS(fit.survey(original, original), Error);
    CHECK_THROWS_AS(fit.survey(mixed_image(95, 64, 3), Image(95, 64, 3, 16)), Error);
    CHECK_THROWS_AS(fit.survey(blurred_pair(1, 1).first, blurred_pair(1, 1).second), Error);
    CHECK_THROWS_AS(fit.learn(original, decoded), Error);  // surveyed nothing
}

TEST_CASE("a model keeps its filters, and its identity") {
    for (const int channels : {3, 1}) {
        FilteredModel models(channels);
        CHECK(models.filtered->identity() == models.plain->identity());
        const ModelContents contents = load_model(models.folder / "filtered.safetensors");
        REQUIRE(contents.filters.size() == 1);
        CHECK(contents.filters[0].check == models.check);
        CHECK(contents.filters[0].points == std::vector<FilterPoint>{random_point(channels, 256, {1}), random_point(channels, 512, {2})});
        CHECK(std::ranges::count(contents.metadata, std::pair<std::string, std::string>("filter 1", "by chance")) == 1);
        CHECK(contents.filter(models.check).points.size() == 2);
        CHECK_THROWS_WITH_AS(contents.filter(uint16_t(models.check ^ 1)), doctest::Contains("does not have"), Error);

        // A second one joins it; files of the first still find theirs.
        const std::vector<FilterPoint> more{random_point(channels, 0, {7})};
        save_filter(models.folder / "filtered.safetensors", models.folder / "both.safetensors", more, "again");
        const ModelContents both = load_model(models.folder / "both.safetensors");
        CHECK(both.identity == contents.identity);
        REQUIRE(both.filters.size() == 2);
        CHECK(both.filters[1].points == more);
        CHECK(both.filter(models.check).points == contents.filters[0].points);
    }
}

TEST_CASE("filters that make no sense are refused") {
    FilteredModel models;
    const SafetensorsFile file = SafetensorsFile::load(models.folder / "filtered.safetensors");
    const auto refuses = [&](const std::string& name, size_t index, auto value) {
        TensorMap tensors = file.tensors();
        std::vector<std::byte> bytes(tensors.at(name).data.begin(), tensors.at(name).data.end());
        std::memcpy(bytes.data() + index * sizeof value, &value, sizeof value);
        tensors.at(name).data = bytes;
        save_safetensors(models.folder / "changed.safetensors", tensors, file.metadata());
        CHECK_THROWS_WITH_AS(load_model(models.folder / "changed.safetensors"), doctest::Contains("filter 1"), Error);
    };
    refuses("filter.1.quality", 0, int32_t{512});
    refuses("filter.1.quality", 0, int32_t{-1});
    refuses("filter.1.quality", 1, int32_t{513});
    refuses("filter.1.clips", 3, int16_t{-1});
    refuses("filter.1.activity", 2, int32_t{-5});
    for (const char* part : {"activity", "clips", "taps.1", "taps.2"}) {
        TensorMap tensors = file.tensors();
        tensors.erase(std::string("filter.1.") + part);
        save_safetensors(models.folder / "changed.safetensors", tensors, file.metadata());
        CHECK_THROWS_WITH_AS(load_model(models.folder / "changed.safetensors"), doctest::Contains(part), Error);
    }
}

TEST_CASE("files name their filter, and are decoded with it") {
    for (const int channels : {3, 1}) {
        FilteredModel models(channels);
        Codec plain(models.plain, 1), filtered(models.filtered, 2);
        const Image image = mixed_image(150, 70, channels);
        for (const double quality : {0.0, 60.0, 100.0}) {
            EncodeOptions options;
            options.quality = quality;
            const auto with = filtered.encode(image, options).bytes, without = plain.encode(image, options).bytes;
            CHECK(parse_container(with).header.filter == models.check);
            CHECK(parse_container(without).header.filter == 0);
            CHECK(parse_container(with).header.model == parse_container(without).header.model);
            options.filter = false;
            CHECK(filtered.encode(image, options).bytes == without);
            // The filter changes pixels, not symbols; files without it are decoded by either.
            CHECK(filtered.decode(without) == plain.decode(without));
            CHECK(filtered.decode(with) != filtered.decode(without));
            CHECK(filtered.symbol_hash(with) == filtered.symbol_hash(without));
            CHECK_THROWS_WITH_AS(plain.decode(with), doctest::Contains("filter"), Error);
            CHECK_THROWS_WITH_AS(plain.symbol_hash(with), doctest::Contains("filter"), Error);
        }
    }
}

TEST_CASE("filtered pictures are the same in parts, by rows, with any number of threads, and without loss where asked for") {
    FilteredModel models;
    const Image image = mixed_image(1300, 1100, 3);
    EncodeOptions options;
    options.quality = 80;
    Codec one(models.filtered, 1), four(models.filtered, 4);
    const auto bytes = one.encode(image, options).bytes;
    const Image decoded = one.decode(bytes);
    CHECK(four.encode(image, options).bytes == bytes);
    CHECK(four.decode(bytes) == decoded);
    for (const Region& region : {Region{0, 0, 1, 1}, {1023, 1021, 7, 6}, {5, 517, 300, 9}, {1297, 1, 3, 1099}}) {
        DecodeOptions part;
        part.region = region;
        CHECK(one.decode(bytes, part) == cropped(decoded, region));
        CHECK(four.decode(bytes, part) == cropped(decoded, region));
    }
    RowImage rows;
    four.decode(bytes, rows);
    CHECK(rows.image == decoded);
    const auto deep_bytes = one.encode(with_depth(cropped(image, {0, 0, 200, 100}), 16), options).bytes;
    DecodeOptions part;
    part.region = Region{37, 21, 90, 50};
    CHECK(one.decode(deep_bytes, part) == cropped(four.decode(deep_bytes), *part.region));
    const Image small = cropped(image, {3, 4, 130, 61});
    options.max_error = 0;
    CHECK(one.decode(four.encode(small, options).bytes) == small);
}
