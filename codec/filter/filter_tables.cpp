#include "codec/filter/filter_tables.h"

#include <xxhash.h>

#include <algorithm>

#include "codec/error.h"

namespace decant {

uint16_t filter_check(const std::vector<FilterPoint>& points) {
    uint64_t hash = 0;
    const auto add = [&](const void* data, size_t bytes) { hash = XXH3_64bits_withSeed(data, bytes, hash); };
    for (const FilterPoint& p : points) {
        const int32_t quality = p.quality_q8;
        add(&quality, sizeof quality);
        for (const FilterStage& s : p.stages) {
            add(s.activity.data(), sizeof s.activity);
            add(s.clips.data(), sizeof s.clips);
            add(s.taps.data(), s.taps.size() * sizeof(int16_t));
        }
    }
    return std::max<uint16_t>(1, uint16_t(hash & 0x7fff));
}

FilterPoint interpolated(const FilterTables& tables, int quality_q8) {
    const auto& points = tables.points;
    if (points.empty()) throw Error(ErrorCode::internal, "a filter without tables");
    const auto above = std::find_if(points.begin(), points.end(), [&](const FilterPoint& p) { return p.quality_q8 >= quality_q8; });
    if (above == points.end()) return points.back();
    if (above == points.begin() || above->quality_q8 == quality_q8) return *above;
    const FilterPoint &a = *(above - 1), &b = *above;
    const int64_t whole = b.quality_q8 - a.quality_q8, part = quality_q8 - a.quality_q8;
    const auto between = [&]<class T>(T from, T to) {  // the nearest; of two the upper one
        const int64_t sum = from * (whole - part) + to * part + whole / 2;
        return T(sum >= 0 ? sum / whole : -((whole - 1 - sum) / whole));
    };
    FilterPoint result = a;
    result.quality_q8 = quality_q8;
    for (size_t stage = 0; stage < result.stages.size(); stage++) {
        FilterStage& s = result.stages[stage];
        const FilterStage& other = b.stages[stage];
        for (size_t i = 0; i < s.activity.size(); i++) s.activity[i] = between(s.activity[i], other.activity[i]);
        for (size_t plane = 0; plane < s.clips.size(); plane++)
            for (size_t k = 0; k < s.clips[plane].size(); k++) s.clips[plane][k] = between(s.clips[plane][k], other.clips[plane][k]);
        for (size_t i = 0; i < s.taps.size(); i++) s.taps[i] = between(s.taps[i], other.taps[i]);
    }
    return result;
}

}  // namespace decant
