#include "codec/target/target.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "codec/error.h"
#include "codec/target/quality_search.h"

namespace decant {
namespace {

// A search that starts with typical photographs: the octaves of rate and the decibels from the lowest quality to the highest.
constexpr double kLowestOctave = -4.3, kOctaves = 5.7;
constexpr double kLowestPsnr = 26.0, kDecibels = 17.0;
constexpr double kSizeTolerance = 0.01, kPsnrTolerance = 0.05;
constexpr double kPerfectPsnr = 100.0;  // instead of infinity
constexpr int kQuickEffort = 2;         // higher ones cost many times as much; the search begins with this one

struct Search {
    SearchGoal goal;
    double slope;  // from quality 0 to the last
    double share;  // of the way there on which the goal is expected
};

Search plan_search(const EncodeTarget& target, const TargetEncoder& encoder) {
    if (target.kind == EncodeTarget::Kind::psnr) {
        return {{target.value, target.value + kPsnrTolerance, false}, kDecibels, (target.value - kLowestPsnr) / kDecibels};
    }
    const double bits = target.kind == EncodeTarget::Kind::bytes ? 8.0 * target.value : target.value * double(encoder.pixels);
    const double octave = std::log2(bits / double(encoder.pixels));
    return {{std::log2(bits * (1.0 - kSizeTolerance)), std::log2(bits), true}, kOctaves, (octave - kLowestOctave) / kOctaves};
}

struct Found {
    EncodeResult result;
    int number = 0;
};

Found search(const Search& plan, bool wants_psnr, int effort, int first, const TargetEncoder& encoder) {
    QualitySearch search(plan.goal, encoder.last, first, plan.slope / encoder.last);
    EncodeResult best;
    int passes = 0;
    while (const auto quality = search.next()) {
        EncodeResult result = encoder.encode(*quality, effort);
        if (wants_psnr) result.psnr = encoder.psnr(result);
        passes++;
        if (search.add(wants_psnr ? std::min(result.psnr, kPerfectPsnr) : std::log2(8.0 * double(result.bytes.size())))) best = std::move(result);
    }
    best.target_met = search.met();
    best.passes = passes;
    return {std::move(best), search.quality()};
}

}  // namespace

EncodeResult encode_to_target(const EncodeTarget& target, int effort, const TargetEncoder& encoder) {
    if (!(target.value > 0.0 && std::isfinite(target.value))) {
        throw Error(ErrorCode::invalid_argument, "a target of " + std::to_string(target.value) + " is not a number above 0");
    }
    const Search plan = plan_search(target, encoder);
    const bool wants_psnr = target.kind == EncodeTarget::Kind::psnr;
    const int first = int(std::lround(std::clamp(plan.share, 0.0, 1.0) * encoder.last));
    Found quick = search(plan, wants_psnr, std::min(effort, kQuickEffort), first, encoder);
    if (effort <= kQuickEffort) return std::move(quick.result);
    Found thorough = search(plan, wants_psnr, effort, quick.number, encoder);
    thorough.result.passes += quick.result.passes;
    return std::move(thorough.result);
}

}  // namespace decant
