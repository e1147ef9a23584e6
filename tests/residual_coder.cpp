// What a decoded picture lacks: back without loss or within a bound, band by band, and never more from bytes that are no residual.
#include "codec/residual/residual_coder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "codec/error.h"
#include "codec/image/metrics.h"

using namespace decant;

namespace {

const ForEach kInTurn = [](size_t count, const std::function<void(size_t)>& f) {
    for (size_t i = 0; i < count; i++) f(i);
};

// A picture, and one like it: off by as much as `spread` says, in a tenth of the samples by anything.
struct Pair {
    Image original, decoded;

    Pair(uint32_t width, uint32_t height, int channels, int depth, double spread, uint32_t seed)
        : original(width, height, channels, depth), decoded(width, height, channels, depth) {
        std::mt19937 random(seed);
        std::normal_distribution<double> normal;
        const int peak = depth == 8 ? 255 : 65535;
        const auto fill = [&]<class T>(std::vector<T>& a, std::vector<T>& b) {
            for (size_t i = 0; i < a.size(); i++) {
                a[i] = T(random() % uint32_t(peak + 1));
                const bool is_far = random() % 10 == 0;
                b[i] = is_far && spread > 0 ? T(random() % uint32_t(peak + 1)) : T(std::clamp(int(a[i]) + int(spread * normal(random)), 0, peak));
            }
        };
        if (depth == 8) {
            fill(original.samples(), decoded.samples());
        } else {
            fill(original.samples<uint16_t>(), decoded.samples<uint16_t>());
        }
    }
};

}  // namespace

TEST_CASE("every shape and depth comes back as it was, or within the bound") {
    for (const auto& [width, height] : {std::pair{1u, 1u}, {1u, 130u}, {200u, 1u}, {33u, 64u}, {40u, 65u}, {7u, 200u}}) {
        for (const int channels : {1, 3}) {
            for (const int depth : {8, 16}) {
                for (const double spread : {0.0, 2.0, 5000.0}) {
                    const Pair p(width, height, channels, depth, spread, width + height);
                    for (const int bound : {0, 1, 7, 255, 65535}) {
                        CAPTURE(width);
                        CAPTURE(height);
                        CAPTURE(channels);
                        CAPTURE(depth);
                        CAPTURE(spread);
                        CAPTURE(bound);
                        const auto bytes = encode_residual(p.original, p.decoded, uint16_t(bound), kInTurn);
                        CHECK(residual_bound(bytes) == bound);
                        Image image = p.decoded;
                        add_residual(bytes, width, height, 0, 0, image, kInTurn);
                        CHECK(max_error(p.original, image) <= uint32_t(bound));
                        if (bound == 0) CHECK(image == p.original);
                    }
                }
            }
        }
    }
}

TEST_CASE("a region reads its bands alone") {
    const uint32_t width = 50, height = 300;
    const Pair p(width, height, 3, 8, 3, 5);
    auto bytes = encode_residual(p.original, p.decoded, 0, kInTurn);
    for (const Region r : {Region{0, 0, 50, 300}, {10, 70, 20, 40}, {49, 299, 1, 1}, {0, 63, 5, 2}, {3, 64, 4, 64}}) {
        CAPTURE(r.y);
        Image image = cropped(p.decoded, r);
        size_t bands = 0;
        add_residual(bytes, width, height, r.x, r.y, image, [&](size_t count, const std::function<void(size_t)>& f) {
            bands = count;
            for (size_t i = count; i-- > 0;) f(i);
        });
        CHECK(image == cropped(p.original, r));
        CHECK(bands == (r.bottom() + 63) / 64 - r.y / 64);
    }
    // What is damaged elsewhere does not matter.
    bytes.back() ^= 0xff;
    Image above = cropped(p.decoded, {0, 0, 50, 64});
    add_residual(bytes, width, height, 0, 0, above, kInTurn);
    CHECK(above == cropped(p.original, {0, 0, 50, 64}));
    Image all = p.decoded;
    CHECK_THROWS_AS(add_residual(bytes, width, height, 0, 0, all, kInTurn), Error);
}

TEST_CASE("errors that are alike in all channels, small or rare cost little") {
    const uint32_t side = 256;
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    Image original(side, side, 3), same(side, side, 3), alike(side, side, 3), different(side, side, 3);
    for (size_t i = 0; i < original.samples().size(); i += 3) {
        const int common = int(std::lround(3 * normal(random)));
        for (size_t c = 0; c < 3; c++) {
            original.samples()[i + c] = same.samples()[i + c] = 128;
            alike.samples()[i + c] = uint8_t(128 + common);
            different.samples()[i + c] = uint8_t(128 + int(std::lround(3 * normal(random))));
        }
    }
    const auto bits = [&](const Image& decoded, uint16_t bound) { return 8.0 * double(encode_residual(original, decoded, bound, kInTurn).size()) / (side * side); };
    CHECK(bits(same, 0) < 0.05);
    const double entropy = 0.5 * std::log2(2 * std::acos(-1.0) * std::exp(1.0) * 9);  // of one channel's, 3.63 bits
    CHECK(bits(different, 0) < 3 * entropy * 1.03);
    CHECK(bits(alike, 0) < entropy * 1.04);
    CHECK(bits(different, 2) < bits(different, 0) - 3 * 2.0);  // log2(5) = 2.3 bits a sample less
}

TEST_CASE("bytes that are no residual are refused") {
    const Pair p(30, 100, 3, 16, 100, 9);
    const auto bytes = encode_residual(p.original, p.decoded, 3, kInTurn);
    const auto refused = [&](std::span<const uint8_t> damaged) {
        const std::vector<uint8_t> exact(damaged.begin(), damaged.end());
        Image image = p.decoded;
        try {
            add_residual(exact, 30, 100, 0, 0, image, kInTurn);
        } catch (const Error& error) {
            return error.code() == ErrorCode::corrupt;
        }
        return false;
    };
    for (size_t size = 0; size < bytes.size(); size += size < 20 ? 1 : 37) CHECK(refused(std::span(bytes).first(size)));
    auto longer = bytes;
    longer.push_back(0);
    CHECK(refused(longer));
    // Whatever it holds: an end, and samples within their range.
    std::mt19937 random(4);
    for (int trial = 0; trial < 300; trial++) {
        auto damaged = bytes;
        for (int i = 0; i < 4; i++) damaged[2 + random() % (damaged.size() - 2)] = uint8_t(random());
        refused(damaged);
    }
    Image small(2, 2, 3);
    CHECK_THROWS_AS(encode_residual(small, Image(2, 3, 3), 0, kInTurn), Error);
    CHECK_THROWS_AS(encode_residual(small, Image(2, 2, 3, 16), 0, kInTurn), Error);
}
