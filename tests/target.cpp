// Encoding to a size or a PSNR: the search alone on made-up curves, then pictures of all sizes through the public interface.
#include "codec/target/target.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "codec/error.h"
#include "codec/image/metrics.h"
#include "codec/target/quality_search.h"
#include "tests/image_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

constexpr int kLast = 1792;

struct Found {
    int quality = -1, passes = 0;
    double value = 0;
    bool met = false;
};

Found find(const SearchGoal& goal, int first, double slope, const std::function<double(int)>& curve) {
    QualitySearch search(goal, kLast, first, slope);
    Found found;
    std::map<int, int> tried;
    while (const auto quality = search.next()) {
        REQUIRE(*quality >= 0);
        REQUIRE(*quality <= kLast);
        REQUIRE(tried[*quality]++ == 0);
        const double value = curve(*quality);
        if (search.add(value)) found.value = value;
        found.passes++;
    }
    found.quality = search.quality();
    found.met = search.met();
    CHECK(found.value == curve(found.quality));
    return found;
}

double bytes_of(const EncodeResult& result) { return double(result.bytes.size()); }

}  // namespace

TEST_CASE("a search meets its goal on smooth curves in a few steps") {
    // Octaves of rate over quality: bent either way, straight, with noise of a tenth of a per cent.
    const std::function<double(int)> curves[] = {
        [](int q) { return -4.3 + 5.7 * q / kLast; },
        [](int q) { return -6 + 9 * std::sqrt(q / double(kLast)); },
        [](int q) { return -2 + 3 * std::pow(q / double(kLast), 2); },
        [](int q) { return -4.3 + 5.7 * q / kLast + 0.0014 * ((q * 7919) % 101 / 100.0 - 0.5); },
    };
    int most = 0;
    for (const auto& curve : curves) {
        for (int wanted = 30; wanted < kLast; wanted += 97) {
            for (const int first : {0, 500, 896, kLast}) {
                // 1 %, but at least two steps of quality: more than the curve jumps.
                const double high = curve(wanted), low = std::min(high - 0.0145, curve(wanted - 2));
                const Found found = find({low, high, true}, first, 5.7 / kLast, curve);
                CHECK(found.met);
                most = std::max(most, found.passes);
            }
        }
    }
    CHECK(most <= 12);
}

TEST_CASE("a search that cannot meet its goal takes the nearest on the good side, then the nearest") {
    const auto steps = [](int q) { return std::floor(q / 100.0); };
    const Found below = find({7.4, 7.5, true}, 200, 0.01, steps), above = find({7.4, 7.5, false}, 200, 0.01, steps);
    CHECK_FALSE(below.met);
    CHECK(below.value == 7);
    CHECK_FALSE(above.met);
    CHECK(above.value == 8);
    CHECK(below.passes <= 24);

    const auto line = [](int q) { return 10.0 + q; };
    for (const bool at_most : {true, false}) {
        const Found low = find({1, 2, at_most}, 900, 1, line), high = find({5000, 5001, at_most}, 900, 1, line);
        CHECK_FALSE(low.met);
        CHECK(low.quality == 0);
        CHECK_FALSE(high.met);
        CHECK(high.quality == kLast);
    }
    // A constant is nothing to search in.
    CHECK_FALSE(find({3, 4, true}, 900, 1, [](int) { return 2.0; }).met);
    CHECK(find({3, 4, true}, 900, 1, [](int) { return 3.5; }).passes == 1);
}

TEST_CASE("sizes are met within 1 %, never exceeded unless nothing is small enough, and PSNRs within 0.05 dB") {
    const auto model = tiny_model();
    Codec codec(model, 1);
    int missed = 0;
    for (const auto& [width, height, channels] : {std::tuple{320u, 240u, 3}, {1100u, 70u, 1}, {161u, 333u, 3}}) {
        const Image image = mixed_image(width, height, channels);
        const double pixels = double(image.pixel_count());
        const double low = bytes_of(codec.encode(image, {0})), high = bytes_of(codec.encode(image, {100}));
        REQUIRE(high > 2 * low);
        for (const double share : {0.1, 0.5, 0.9}) {
            const double wanted = std::floor(low * std::pow(high / low, share));
            EncodeOptions options;
            options.target = {EncodeTarget::Kind::bytes, wanted};
            const EncodeResult result = codec.encode(image, options);
            CHECK(bytes_of(result) <= wanted);
            CHECK(result.target_met == (bytes_of(result) >= 0.99 * wanted));
            // The gains of this model are steep: where two neighbouring qualities lie on either side of 1 %, the lower one it is.
            if (!result.target_met) {
                CHECK(bytes_of(codec.encode(image, {result.quality + 100.0 / 512})) > wanted);
                missed++;
            }
            CHECK(result.passes <= 16);  // symbols of these steep gains come and go, a little differently on each CPU
            CHECK(codec.encode(image, {result.quality}).bytes == result.bytes);
            CHECK(parse_container(result.bytes).header.quality == result.quality_q8);

            options.target = {EncodeTarget::Kind::bits_per_pixel, 8 * wanted / pixels};
            CHECK(codec.encode(image, options).bytes == result.bytes);
        }
        const double worst = psnr(image, codec.decode(codec.encode(image, {0}).bytes)), best = psnr(image, codec.decode(codec.encode(image, {100}).bytes));
        REQUIRE(best > worst + 0.3);
        EncodeOptions options;
        options.target = {EncodeTarget::Kind::psnr, 0.5 * (best + worst)};
        const EncodeResult result = codec.encode(image, options);
        CHECK(result.target_met);
        CHECK(result.psnr == psnr(image, codec.decode(result.bytes)));
        CHECK(result.psnr >= options.target.value);
        CHECK(result.psnr <= options.target.value + 0.05);
    }
    CHECK(missed <= 2);
}

TEST_CASE("of tiny pictures the nearest size below the target is taken") {
    Codec codec(tiny_model(), 1);
    for (const uint32_t side : {1u, 7u, 16u, 33u}) {
        const Image image = noise_image(side, side, 3);
        const auto size_at = [&](double quality) { return codec.encode(image, {quality}).bytes.size(); };
        const size_t low = size_at(0), high = size_at(100);
        EncodeOptions options;
        for (const double wanted : {double(low), (double(low) + double(high)) / 2, double(high)}) {
            if (wanted < double(low)) continue;
            options.target = {EncodeTarget::Kind::bytes, wanted};
            CHECK(bytes_of(codec.encode(image, options)) <= wanted);
        }
        options.target.value = 3;
        const EncodeResult least = codec.encode(image, options);
        CHECK_FALSE(least.target_met);
        CHECK(least.bytes.size() == low);
        options.target.value = 1e9;
        const EncodeResult most = codec.encode(image, options);
        CHECK_FALSE(most.target_met);
        CHECK(most.bytes.size() == high);
    }
}

TEST_CASE("targets that are no numbers above 0 are refused") {
    Codec codec(tiny_model(), 1);
    const Image image = noise_image(20, 20, 3);
    for (const double value : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        for (const auto kind : {EncodeTarget::Kind::bytes, EncodeTarget::Kind::bits_per_pixel, EncodeTarget::Kind::psnr}) {
            EncodeOptions options;
            options.target = {kind, value};
            try {
                codec.encode(image, options);
                FAIL("no error");
            } catch (const Error& error) {
                CHECK(error.code() == ErrorCode::invalid_argument);
            }
        }
    }
}
