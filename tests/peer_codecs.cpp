// The codecs of others: what comes back is the picture, better with more bits; what is missing is said.
#include <doctest/doctest.h>

#include <cmath>

#include "codec/image/metrics.h"
#include "codec/measure/image_codec.h"
#include "tests/image_samples.h"

using namespace decant;
using namespace decant::test;

TEST_CASE("each codec that is here gives pictures back, better ones with more bits") {
    for (const PeerInfo& peer : peers()) {
        CAPTURE(peer.id);
        std::unique_ptr<ImageCodec> codec;
        const Failure missing = failure_of([&] { codec = make_peer(peer, 1); });
        if (missing.failed) {
            CHECK(missing.code == ErrorCode::unsupported);
            CHECK(contains(missing.message, "install"));
            MESSAGE(missing.message);
            continue;
        }
        CHECK(codec->name() == peer.name);
        CHECK(!codec->description().empty());
        for (const int channels : {1, 3}) {
            CAPTURE(channels);
            const Image image = smooth_image(131, 94, channels);  // sides that no block size divides
            const auto few = codec->encode(image, peer.points.front()), many = codec->encode(image, peer.points.back());
            CHECK(few.size() < many.size());
            const double worse = psnr(image, codec->decode(few, channels)), better = psnr(image, codec->decode(many, channels));
            CHECK(worse < better);
            CHECK(better > 30);
        }
        CHECK(failure_of([&] { codec->decode(std::vector<std::uint8_t>(100, 7), 3); }).code == ErrorCode::corrupt);
        CHECK(failure_of([&] { codec->encode(noise_image(20, 20, 3, 1, 16), peer.points[0]); }).code == ErrorCode::unsupported);
    }
}

TEST_CASE("codecs are found by their names") {
    CHECK(find_peer("webp") != nullptr);
    CHECK(find_peer("gif") == nullptr);
    CHECK(find_peer("") == nullptr);
}
