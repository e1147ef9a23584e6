// Pictures to files and back, through the public interface.
#include "codec/decant.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "codec/error.h"
#include "codec/image/metrics.h"
#include "tests/image_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

std::shared_ptr<const Model> tiny() {
    static const auto model = tiny_model();
    return model;
}

}  // namespace

TEST_CASE("pictures of all small sizes come back in their shape") {
    Codec codec(tiny(), 1);
    size_t count = 0;
    for (uint32_t w = 1; w <= 34; w++) {
        for (const uint32_t h : {1u, 2u, 15u, 16u, 17u, 33u}) {
            const int channels = (w + h) % 2 == 0 ? 1 : 3;
            for (const auto& [width, height] : {std::pair{w, h}, {h, w}}) {
                const Image image = noise_image(width, height, channels, w * 64 + h);
                const EncodeResult result = codec.encode(image, {w % 3 * 50.0});
                const Image decoded = codec.decode(result.bytes);
                REQUIRE(decoded.width == width);
                REQUIRE(decoded.height == height);
                REQUIRE(decoded.channels == channels);
                REQUIRE(decoded.depth() == 8);
                check_image(decoded);
                count++;
            }
        }
    }
    CHECK(count == 34 * 12);
}

TEST_CASE("the header says what was asked for") {
    Codec codec(tiny(), 1);
    for (const double quality : {0.0, 12.5, 50.0, 99.9, 100.0}) {
        const auto bytes = codec.encode(mixed_image(1100, 40, 1), {quality}).bytes;
        const Container container = parse_container(bytes);
        CHECK(container.header.width == 1100);
        CHECK(container.header.height == 40);
        CHECK(container.header.channels == 1);
        CHECK(container.header.model == tiny()->identity());
        CHECK(std::abs(container.header.quality - quality / 100 * 2 * 256) <= 0.5);
        CHECK(container.header.tile == 64);
        CHECK(container.tiles.size() == 2);
        CHECK(container.sections.empty());
        CHECK(required_model(bytes) == tiny()->identity());
    }
}

TEST_CASE("a quality out of range or a malformed picture is refused") {
    Codec codec(tiny(), 1);
    const Image image = noise_image(20, 20, 3);
    for (const double quality :
         {-0.001, 100.001, -1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        CHECK(failure_of([&] { codec.encode(image, {quality}); }).code == ErrorCode::invalid_argument);
    }
    Image bad = image;
    bad.samples().pop_back();
    CHECK(failure_of([&] { codec.encode(bad); }).code == ErrorCode::invalid_argument);
    bad = image;
    bad.channels = 2;
    CHECK(failure_of([&] { codec.encode(bad); }).code == ErrorCode::invalid_argument);
    CHECK(failure_of([&] { codec.encode(Image()); }).code == ErrorCode::invalid_argument);
}

TEST_CASE("a file of another model is refused with both identities") {
    Codec codec(tiny(), 1), other(tiny_model(2), 1);
    const auto bytes = codec.encode(noise_image(20, 20, 3)).bytes;
    CHECK(failure_of([&] { other.decode(bytes); }).code == ErrorCode::model_mismatch);
    CHECK(failure_of([&] { other.symbol_hash(bytes); }).code == ErrorCode::model_mismatch);
    const auto hex = [](uint64_t v) {
        std::string text;
        for (int i = 60; i >= 0; i -= 4) text += "0123456789abcdef"[v >> i & 15];
        return text;
    };
    CHECK_THROWS_WITH_AS(other.decode(bytes), doctest::Contains(hex(tiny()->identity()).c_str()), Error);
    CHECK_THROWS_WITH_AS(other.decode(bytes), doctest::Contains(hex(other.model().identity()).c_str()), Error);
}

TEST_CASE("a rate point that the model does not have is refused") {
    Codec codec(tiny(), 1);
    const auto bytes = codec.encode(noise_image(20, 20, 3)).bytes;
    Container container = parse_container(bytes);
    container.header.quality = 513;
    const auto changed = write_container(container);
    CHECK(failure_of([&] { codec.decode(changed); }).code == ErrorCode::corrupt);
    CHECK(failure_of([&] { codec.symbol_hash(changed); }).code == ErrorCode::corrupt);
}

TEST_CASE("a picture beyond the limit is refused, one at the limit is not") {
    Codec codec(tiny(), 1);
    const auto bytes = codec.encode(noise_image(30, 20, 1)).bytes;
    CHECK(failure_of([&] { codec.decode(bytes, {599}); }).code == ErrorCode::limit);
    CHECK(failure_of([&] { codec.symbol_hash(bytes, {599}); }).code == ErrorCode::limit);
    CHECK(codec.decode(bytes, {600}).width == 30);
    // A small file that announces a picture of 2^60 pixels, in tiles as large as possible.
    Container container = parse_container(bytes);
    container.header.width = container.header.height = 1u << 20;
    container.header.tile = 65535;
    REQUIRE(tile_grid(container.header).count() == 4);
    container.tiles.assign(4, container.tiles[0]);
    const auto huge = write_container(container);
    CHECK(failure_of([&] { codec.decode(huge); }).code == ErrorCode::limit);
}

TEST_CASE("files, symbols and pixels do not depend on the number of threads") {
    const Image image = mixed_image(1050, 300, 3);
    Codec one(tiny(), 1), two(tiny(), 2), three(tiny(), 3);
    const auto bytes = one.encode(image, {70}).bytes;
    CHECK(two.encode(image, {70}).bytes == bytes);
    const uint64_t hash = one.symbol_hash(bytes);
    CHECK(two.symbol_hash(bytes) == hash);
    CHECK(three.symbol_hash(bytes) == hash);
    const Image decoded = one.decode(bytes);
    CHECK(two.decode(bytes) == decoded);
    CHECK(three.decode(bytes) == decoded);
}

TEST_CASE("pictures of many windows and tiles, of any shape, with any number of threads") {
    Codec one(tiny(), 1), four(tiny(), 4);
    for (const auto& [w, h] : {std::pair<uint32_t, uint32_t>{2300, 40}, {17, 2200}, {1200, 1100}, {1090, 1090}}) {
        CAPTURE(w);
        const Image image = mixed_image(w, h, 3);
        const auto bytes = one.encode(image, {60}).bytes;
        CHECK(four.encode(image, {60}).bytes == bytes);
        CHECK(four.decode(bytes) == one.decode(bytes));
    }
}

TEST_CASE("one codec serves several threads at once, within one budget") {
    const auto pool = std::make_shared<WorkerPool>(2);
    Codec codec(tiny(), pool);
    std::vector<Image> images;
    for (uint32_t i = 0; i < 5; i++) images.push_back(mixed_image(100 + 300 * i, 90, 3, i));
    std::vector<std::vector<uint8_t>> files(images.size());
    std::vector<Image> decoded(images.size());
    {
        std::vector<std::jthread> threads;
        for (size_t i = 0; i < images.size(); i++) {
            threads.emplace_back([&, i] {
                files[i] = codec.encode(images[i]).bytes;
                decoded[i] = codec.decode(files[i]);
            });
        }
    }
    Codec other(tiny(), 1);
    for (size_t i = 0; i < images.size(); i++) {
        CHECK(files[i] == other.encode(images[i]).bytes);
        CHECK(decoded[i] == other.decode(files[i]));
    }
}

TEST_CASE("a call can be cancelled, and says where its time went") {
    Codec codec(tiny(), 2);
    const Image image = mixed_image(1100, 1100, 3);
    StageSeconds seconds;
    EncodeOptions options;
    options.supervision.seconds = &seconds;
    const auto bytes = codec.encode(image, options).bytes;
    CHECK(seconds.analysis > 0);
    CHECK(seconds.entropy_encoding > 0);
    CHECK(seconds.entropy_decoding + seconds.synthesis == 0);
    DecodeOptions decode_options;
    decode_options.supervision.seconds = &seconds;
    codec.decode(bytes, decode_options);
    CHECK(seconds.entropy_decoding > 0);
    CHECK(seconds.synthesis > 0);
    for (const int calls : {0, 1, 3}) {
        std::atomic<int> asked{0};
        options.supervision.is_cancelled = decode_options.supervision.is_cancelled = [&] { return asked++ >= calls; };
        CHECK(failure_of([&] { codec.encode(image, options); }).code == ErrorCode::cancelled);
        asked = 0;
        CHECK(failure_of([&] { codec.decode(bytes, decode_options); }).code == ErrorCode::cancelled);
    }
    CHECK(codec.encode(image).bytes == bytes);
}

TEST_CASE("encoding and decoding again give the same, also between other pictures") {
    Codec codec(tiny(), 1);
    const Image image = mixed_image(200, 150, 3), other = noise_image(90, 170, 1);
    const auto bytes = codec.encode(image).bytes;
    const Image decoded = codec.decode(bytes);
    const uint64_t hash = codec.symbol_hash(bytes);
    const auto other_bytes = codec.encode(other, {100}).bytes;
    codec.decode(other_bytes);
    CHECK(codec.symbol_hash(other_bytes) != hash);
    CHECK(codec.encode(image).bytes == bytes);
    CHECK(codec.decode(bytes) == decoded);
    CHECK(codec.symbol_hash(bytes) == hash);
    Codec fresh(tiny(), 1);
    CHECK(fresh.decode(bytes) == decoded);
    CHECK(fresh.encode(image, {50, true}).bytes == bytes);
    // More shapes than a codec keeps.
    for (uint32_t i = 1; i < 30; i++) codec.decode(codec.encode(noise_image(16 * i, 5, 1)).bytes);
    CHECK(codec.decode(bytes) == decoded);
}

TEST_CASE("other pictures and rate points have other symbols") {
    Codec codec(tiny(), 1);
    std::set<uint64_t> hashes;
    for (uint32_t seed = 1; seed <= 4; seed++) {
        for (const double quality : {0.0, 50.0, 100.0})
            hashes.insert(codec.symbol_hash(codec.encode(noise_image(60, 60, 3, seed), {quality}).bytes));
    }
    CHECK(hashes.size() == 12);
}

TEST_CASE("metadata sections do not change the picture") {
    Codec codec(tiny(), 1);
    const auto bytes = codec.encode(mixed_image(40, 40, 3)).bytes;
    Container container = parse_container(bytes);
    container.sections = {{kSectionMetadata, {1, 2, 3}}};
    const auto with = write_container(container);
    CHECK(with.size() > bytes.size());
    CHECK(codec.decode(with) == codec.decode(bytes));
    CHECK(codec.symbol_hash(with) == codec.symbol_hash(bytes));
}

TEST_CASE("tiles of other sizes decode") {
    // The encoder's tiles are 64 latents a side; a decoder takes up to 256. Here: one tile that is larger than the picture.
    Codec codec(tiny(), 1);
    const auto bytes = codec.encode(mixed_image(100, 90, 3)).bytes;
    Container container = parse_container(bytes);
    container.header.tile = 200;
    CHECK(codec.decode(write_container(container)) == codec.decode(bytes));
    container.header.tile = 257;
    CHECK(failure_of([&] { codec.decode(write_container(container)); }).code == ErrorCode::unsupported);
    container.header.tile = 6;  // 7 × 6 latents are two tiles now, with one stream missing
    const std::vector<std::span<const uint8_t>> twice(2, container.tiles[0]);
    container.tiles = twice;
    CHECK(failure_of([&] { codec.decode(write_container(container)); }).code == ErrorCode::corrupt);
}

TEST_CASE("one model serves several threads at once") {
    const auto model = tiny_model(3);
    const Image image = mixed_image(150, 130, 3);
    std::vector<std::vector<uint8_t>> files(4);
    std::vector<Image> pictures(4);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < files.size(); i++) {
        threads.emplace_back([&, i] {
            Codec codec(model, 1);
            files[i] = codec.encode(image).bytes;
            pictures[i] = codec.decode(files[i]);
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 1; i < files.size(); i++) {
        CHECK(files[i] == files[0]);
        CHECK(pictures[i] == pictures[0]);
    }
}

TEST_CASE("the model tells about itself") {
    const auto model = tiny();
    CHECK(model->name() == "tiny");
    CHECK(model->description().latent_channels == 16);
    CHECK(model->metadata().empty());
    CHECK(model->path().ends_with("tiny.safetensors"));
    CHECK(model->identity() != 0);
    CHECK(model->identity() != tiny_model(2)->identity());
    CHECK(model->identity() == tiny_model(1)->identity());
    CHECK(model->parameters().contains("gain"));
}

TEST_CASE("the shipped model: more quality is more bytes and a better picture") {
    const auto model = shipped_model();
    if (model == nullptr) {
        MESSAGE("there is no " << shipped_model_path());
        return;
    }
    Codec codec(model, 1);
    const struct {
        const char* name;
        uint32_t left, top;
        double least_psnr, most_bpp;  // at quality 50; far from what any trained model does
    } cases[] = {{"landscape.png", 200, 120, 24, 2.5}, {"still_life.png", 100, 100, 26, 2}, {"page.png", 100, 100, 18, 4}};
    for (const auto& c : cases) {
        const Image image = cropped(sample_image(c.name), {c.left, c.top, 240, 208});
        size_t last_size = 0;
        double last_psnr = 0;
        for (const double quality : {0.0, 25.0, 50.0, 75.0, 100.0}) {
            const EncodeResult result = codec.encode(image, {quality});
            const double p = psnr(image, codec.decode(result.bytes));
            const double bpp = 8.0 * double(result.bytes.size()) / double(image.pixel_count());
            CAPTURE(c.name);
            CAPTURE(quality);
            CAPTURE(bpp);
            CAPTURE(p);
            CHECK(result.bytes.size() > last_size);
            CHECK(p > last_psnr);
            if (quality == 50.0) {
                CHECK(p > c.least_psnr);
                CHECK(bpp < c.most_bpp);
            }
            if (quality == 100.0) CHECK(p > c.least_psnr + 5);
            last_size = result.bytes.size();
            last_psnr = p;
        }
    }
}

TEST_CASE("the shipped model: files are as large as its probabilities say") {
    const auto model = shipped_model();
    if (model == nullptr) {
        MESSAGE("there is no " << shipped_model_path());
        return;
    }
    Codec codec(model, 1);
    for (const char* name : {"bricks.png", "landscape.png", "page.png"}) {
        const EncodeResult result = codec.encode(sample_image(name), {50, true});
        const double bits = 8.0 * double(result.bytes.size());
        CAPTURE(name);
        CAPTURE(bits);
        CAPTURE(result.model_bits);
        CHECK(std::abs(bits - result.model_bits) < 0.01 * result.model_bits);
    }
}

TEST_CASE("the shipped models: a gray picture and its colour copy are alike") {
    const auto model = shipped_model();
    if (model == nullptr) {
        MESSAGE("there is no " << shipped_model_path());
        return;
    }
    const Image picture = cropped(sample_image("foliage.jpg"), {0, 0, 192, 176});
    Image gray(192, 176, 1), colour(192, 176, 3);
    for (size_t i = 0; i < colour.samples().size(); i++) colour.samples()[i] = gray.samples()[i / 3] = picture.samples()[i / 3 * 3 + 1];
    for (const double quality : {20.0, 50.0, 75.0}) {
        CAPTURE(quality);
        // Without a model for gray they are the same, with one about as good.
        for (const bool own : {false, true}) {
            CAPTURE(own);
            Codec codec(own ? model : model->companion(), 1);
            const auto gray_file = codec.encode(gray, {quality}).bytes, colour_file = codec.encode(colour, {quality}).bytes;
            CHECK((codec.symbol_hash(gray_file) == codec.symbol_hash(colour_file)) == !own);
            const Image decoded = codec.decode(gray_file);
            CHECK(decoded.channels == 1);
            CHECK(psnr(gray, decoded) > psnr(colour, codec.decode(colour_file)) - (own ? 0.5 : 1e-3));
            CHECK(double(gray_file.size()) < (own ? 1.05 : 1.001) * double(colour_file.size()));
        }
    }
}
