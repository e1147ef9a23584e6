// Models that serve some of their rate points, and their companions for the others.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "codec/decant.h"
#include "codec/error.h"
#include "codec/models/model_finder.h"
#include "tests/encode_options.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

// high.safetensors serves rate points 1 and 2, low.safetensors 0 and 1; qualities up to 50 are low's.
struct Pair {
    Pair() {
        save("high", {1, 2}, "low", 1);
        save("low", {0, 1}, "high", 2);
    }

    void save(const std::string& name, std::array<int, 2> serves, const std::string& companion, uint32_t seed) {
        Description d = tiny_description();
        d.name = name;
        d.serves = serves;
        d.companion = companion;
        save_model(path(name), d, tiny_parameters(d, seed), {});
    }

    std::string path(const std::string& name) const { return folder / (name + ".safetensors"); }
    std::shared_ptr<const Model> load(const std::string& name) const { return Model::load(path(name)); }

    TemporaryFolder folder;
};

}  // namespace

TEST_CASE("each quality is encoded with the model that serves it, and both decode with either") {
    const Pair pair;
    const auto high = pair.load("high"), low = pair.load("low");
    const Image image = mixed_image(70, 40, 3);
    for (const auto& model : {high, low}) {
        Codec codec(model, 1), only_low(low, 1), only_high(high, 1);
        for (const double quality : {0.0, 25.0, 49.0, 51.0, 100.0}) {
            CAPTURE(quality);
            const EncodeResult result = codec.encode(image, at(quality));
            const uint64_t maker = required_model(result.bytes);
            CHECK(maker == (quality < 50 ? low : high)->identity());
            CHECK(result.quality == doctest::Approx(quality).epsilon(0.01));
            const Image decoded = codec.decode(result.bytes);
            CHECK(decoded == only_low.decode(result.bytes));
            CHECK(decoded == only_high.decode(result.bytes));
            CHECK(codec.symbol_hash(result.bytes) == only_low.symbol_hash(result.bytes));
        }
        // Where both serve, the one that was asked for.
        CHECK(required_model(codec.encode(image, at(50)).bytes) == model->identity());
    }
}

TEST_CASE("a target is looked for among both models, and none is left out between them") {
    Pair pair;
    pair.save("low", {0, 1}, "high", 1);  // with the weights of the other one they meet
    Codec codec(pair.load("high"), 1);
    const Image image = mixed_image(320, 240, 3);
    const auto size_at = [&](double quality) { return double(codec.encode(image, at(quality)).bytes.size()); };
    std::set<uint64_t> makers;
    for (const auto& [below, above] : {std::pair{0.0, 20.0}, {30.0, 49.0}, {49.5, 50.5}, {55.0, 70.0}, {80.0, 100.0}}) {
        CAPTURE(below);
        EncodeOptions options;
        options.target = {EncodeTarget::Kind::bytes, std::floor(std::sqrt(size_at(below) * size_at(above)))};
        const EncodeResult result = codec.encode(image, options);
        CHECK(double(result.bytes.size()) <= options.target.value);
        CHECK(double(result.bytes.size()) >= 0.98 * options.target.value);
        makers.insert(required_model(result.bytes));
    }
    CHECK(makers.size() == 2);
}

TEST_CASE("three models that name each other, whichever is asked") {
    TemporaryFolder folder;
    const auto path = [&](const std::string& name) { return folder / (name + ".safetensors"); };
    const std::vector<std::string> names{"low", "middle", "high"};
    const std::array<std::array<int, 2>, 3> serves{{{0, 1}, {1, 2}, {1, 3}}};  // where two do, the one that is named first
    for (int i = 0; i < 3; i++) {
        Description d = tiny_description();
        d.lambda = {2e-5, 5e-5, 1.5e-4, 4e-4};
        d.name = names[size_t(i)];
        d.serves = serves[size_t(i)];
        d.companion = names[size_t(i + 1) % 3];
        save_model(path(d.name), d, tiny_parameters(d, uint32_t(i + 1)), {});
    }
    const Image image = mixed_image(70, 40, 3);
    for (int asked = 0; asked < 3; asked++) {
        const std::string& name = names[size_t(asked)];
        CAPTURE(name);
        const auto model = Model::load(path(name));
        Codec codec(model, 1);
        CodecLibrary library(path(name), std::make_shared<WorkerPool>(1));
        for (int i = 0; i < 3; i++) {
            const std::vector<uint8_t> bytes = codec.encode(image, at(100.0 * (i + 0.5) / 3)).bytes;
            const auto maker = Model::load(path(names[asked == 2 && i == 1 ? 2 : size_t(i)]));
            CHECK(required_model(bytes) == maker->identity());
            const Image decoded = codec.decode(bytes);
            CHECK(decoded == Codec(maker, 1).decode(bytes));
            CHECK(decoded == library.get(maker->identity()).decode(bytes));
        }
        // A target is looked for among all of them.
        std::set<uint64_t> makers;
        for (const double quality : {8.0, 48.0, 98.0}) {
            EncodeOptions options;
            options.target = {EncodeTarget::Kind::bytes, double(codec.encode(image, at(quality)).bytes.size())};
            const EncodeResult result = codec.encode(image, options);
            CHECK(result.target_met);
            makers.insert(required_model(result.bytes));
        }
        CHECK(makers.size() >= 2);
    }
    // One that is missing is named where it is needed, and only there.
    std::filesystem::remove(path("low"));
    Codec codec(Model::load(path("high")), 1);
    for (const double quality : {50.0, 90.0}) CHECK(codec.decode(codec.encode(image, at(quality)).bytes).width == 70);
    CHECK_THROWS_WITH_AS(codec.encode(image, at(10)), doctest::Contains("low.safetensors"), Error);
}

TEST_CASE("regions, previews and files without loss work with both") {
    const Pair pair;
    Codec codec(pair.load("high"), 1);
    const Image image = mixed_image(90, 70, 3);
    EncodeOptions options = at(90);
    options.preview_from = 0;  // of low's making, in a file of high's
    options.max_error = 0;
    const std::vector<uint8_t> bytes = codec.encode(image, options).bytes;
    CHECK(codec.decode(bytes) == image);
    CHECK(codec.decode_preview(bytes, 64).width == 64);
    DecodeOptions part;
    part.region = Region{11, 7, 20, 30};
    CHECK(codec.decode(bytes, part) == cropped(image, *part.region));
    options.quality = 10;
    CHECK(codec.decode(codec.encode(image, options).bytes) == image);
}

TEST_CASE("a library finds the companion of the one model that it was given") {
    const Pair pair;
    const auto high = pair.load("high"), low = pair.load("low");
    CodecLibrary library(pair.path("high"), std::make_shared<WorkerPool>(1));
    CHECK(library.get(low->identity()).model().identity() == low->identity());
    CHECK(library.get(high->identity()).model().identity() == high->identity());
    CHECK_THROWS_WITH_AS(library.get(tiny_model(3)->identity()), doctest::Contains("not at hand"), Error);
}

TEST_CASE("without its companion a model does what it serves and says what is missing") {
    const Pair pair;
    Codec complete(pair.load("high"), 1);
    const Image image = mixed_image(40, 40, 1);
    const std::vector<uint8_t> of_low = complete.encode(image, at(10)).bytes;
    std::filesystem::remove(pair.path("low"));
    Codec codec(pair.load("high"), 1);
    const std::vector<uint8_t> of_high = codec.encode(image, at(90)).bytes;
    CHECK(codec.decode(of_high).width == 40);
    CHECK_THROWS_WITH_AS(codec.encode(image, at(10)), doctest::Contains("low.safetensors"), Error);
    try {
        codec.decode(of_low);
        FAIL("decoded");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::model_mismatch);
        CHECK(std::string(error.what()).find("low.safetensors") != std::string::npos);
    }
}

TEST_CASE("a companion of other rate points, or that does not serve a quality, is refused") {
    const Pair pair;
    Description d = tiny_description();
    d.lambda.back() *= 2;
    save_model(pair.path("low"), d, tiny_parameters(d), {});
    const Image image = mixed_image(40, 40, 1);
    CHECK_THROWS_WITH_AS(Codec(pair.load("high"), 1).encode(image, at(10)), doctest::Contains("other rate points"), Error);
    Pair alone;
    alone.save("high", {1, 2}, "", 1);
    CHECK_THROWS_WITH_AS(Codec(alone.load("high"), 1).encode(image, at(49)), doctest::Contains("serves qualities from 50 to 100"), Error);
}

TEST_CASE("a description says what it serves, and says so only if it is not all") {
    Description d = tiny_description();
    CHECK(to_json(d).find("serves") == std::string::npos);
    CHECK(d.first_level() == 0);
    CHECK(d.last_level() == 2);
    d.serves = {1, 2};
    d.companion = "low";
    CHECK(parse_description(to_json(d)) == d);
    CHECK(d.first_level() == 1);
    for (const std::array<int, 2> wrong : {std::array{1, 1}, {2, 1}, {-1, 1}, {0, 3}}) {
        d.serves = wrong;
        CHECK_THROWS_WITH_AS(parse_description(to_json(d)), doctest::Contains("serves"), Error);
    }
    d.serves = {0, 1};
    d.companion = "../low";
    CHECK_THROWS_WITH_AS(parse_description(to_json(d)), doctest::Contains("companion"), Error);
}
