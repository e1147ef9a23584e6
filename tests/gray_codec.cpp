// Models for gray pictures, and models for colours that leave gray to them.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "codec/decant.h"
#include "codec/error.h"
#include "codec/image/metrics.h"
#include "codec/image/rows.h"
#include "codec/models/model_finder.h"
#include "tests/encode_options.h"
#include "tests/image_samples.h"
#include "tests/row_pictures.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

// colour.safetensors names gray.safetensors.
struct Pair {
    Pair() {
        save("colour", 3, "gray");
        save("gray", 1, "");
    }

    void save(const std::string& name, int colours, const std::string& gray, std::array<int, 2> serves = {0, 2}, const std::string& companion = "") {
        Description d = tiny_description(colours);
        d.name = name;
        d.gray = gray;
        d.companion = companion;
        if (serves != std::array{0, 2}) d.serves = serves;
        save_model(path(name), d, tiny_parameters(d, uint32_t(colours + 10 * serves[0])), {});
    }

    std::string path(const std::string& name) const { return folder / (name + ".safetensors"); }
    std::shared_ptr<const Model> load(const std::string& name) const { return Model::load(path(name)); }

    TemporaryFolder folder;
};

}  // namespace

TEST_CASE("gray pictures go to the model for them, colours do not, and all decode with either") {
    const Pair pair;
    const auto colour = pair.load("colour"), gray = pair.load("gray");
    Codec codec(colour, 1), only_gray(gray, 1);
    for (const auto& [width, height] : {std::pair{1u, 1u}, {17u, 40u}, {90u, 33u}, {1100u, 20u}}) {
        CAPTURE(width);
        for (const double quality : {0.0, 37.0, 100.0}) {
            for (const int effort : {1, 2, 4}) {
                const Image image = mixed_image(width, height, 1);
                const std::vector<uint8_t> bytes = codec.encode(image, at(quality, effort)).bytes;
                CHECK(required_model(bytes) == gray->identity());
                CHECK(bytes == only_gray.encode(image, at(quality, effort)).bytes);
                const Image decoded = codec.decode(bytes);
                CHECK(decoded.channels == 1);
                CHECK(decoded == only_gray.decode(bytes));
            }
        }
        CHECK(required_model(codec.encode(mixed_image(width, height, 3)).bytes) == colour->identity());
    }
}

TEST_CASE("a gray picture of 8 and of 16 bits, by rows, in regions, with a preview and without loss") {
    const Pair pair;
    Codec codec(pair.load("colour"), 1);
    const Image bytes = mixed_image(90, 70, 1);
    Image deep(90, 70, 1, 16);
    for (size_t i = 0; i < bytes.samples().size(); i++) deep.samples<uint16_t>()[i] = uint16_t(bytes.samples()[i] * 257 + i % 200);
    for (const Image& image : {bytes, deep}) {
        EncodeOptions options = at(90);
        const std::vector<uint8_t> lossy = codec.encode(image, options).bytes;
        ImageRows rows(image);
        CHECK(codec.encode(rows, options).bytes == lossy);
        const Image decoded = codec.decode(lossy);
        RowImage written;
        codec.decode(lossy, written);
        CHECK(written.image == decoded);
        DecodeOptions part;
        part.region = Region{11, 7, 20, 30};
        CHECK(codec.decode(lossy, part) == cropped(decoded, *part.region));
        options.preview_from = 0;
        options.max_error = 0;
        const std::vector<uint8_t> exact = codec.encode(image, options).bytes;
        CHECK(codec.decode(exact) == image);
        const Image preview = codec.decode_preview(exact, 64);
        CHECK(preview.width == 64);
        CHECK(preview.channels == 1);
    }
}

TEST_CASE("a model for gray has a companion of its own") {
    Pair pair;
    pair.save("gray", 1, "", {1, 2}, "gray-low");
    pair.save("gray-low", 1, "", {0, 1}, "gray");
    Codec codec(pair.load("colour"), 1);
    const Image image = mixed_image(60, 50, 1);
    for (const auto& [quality, maker] : {std::pair{0.0, "gray-low"}, {30.0, "gray-low"}, {70.0, "gray"}}) {
        CAPTURE(quality);
        const std::vector<uint8_t> bytes = codec.encode(image, at(quality)).bytes;
        const auto model = pair.load(maker);
        CHECK(required_model(bytes) == model->identity());
        CHECK(codec.decode(bytes) == Codec(model, 1).decode(bytes));
        CodecLibrary library(pair.path("colour"), std::make_shared<WorkerPool>(1));
        CHECK(library.get(model->identity()).model().name() == maker);
    }
}

TEST_CASE("a target for a gray picture") {
    const Pair pair;
    Codec codec(pair.load("colour"), 1);
    const Image image = mixed_image(320, 240, 1);
    EncodeOptions options;
    options.target = {EncodeTarget::Kind::bytes, double(codec.encode(image, at(60)).bytes.size())};
    const EncodeResult result = codec.encode(image, options);
    CHECK(required_model(result.bytes) == pair.load("gray")->identity());
    CHECK(double(result.bytes.size()) == doctest::Approx(options.target.value).epsilon(0.02));
}

TEST_CASE("a library finds the model for gray of the one that it was given") {
    const Pair pair;
    const uint64_t gray = pair.load("gray")->identity();
    CodecLibrary library(pair.path("colour"), std::make_shared<WorkerPool>(1));
    CHECK(library.get(gray).model().identity() == gray);
}

TEST_CASE("a model for gray refuses colours, in pictures and in files") {
    const Pair pair;
    Codec codec(pair.load("gray"), 1);
    CHECK_THROWS_WITH_AS(codec.encode(mixed_image(20, 20, 3)), doctest::Contains("the model gray is for gray pictures only"), Error);
    CHECK(failure_of([&] { codec.encode(mixed_image(20, 20, 3)); }).code == ErrorCode::invalid_argument);
    // A file that says that it is in colour, of symbols that the model could decode.
    const std::vector<uint8_t> bytes = codec.encode(mixed_image(20, 20, 1)).bytes;
    Container container = parse_container(bytes, {});
    container.header.channels = 3;
    const std::vector<uint8_t> forged = write_container(container);
    DecodeOptions part;
    part.region = Region{0, 0, 5, 5};
    for (const DecodeOptions& options : {DecodeOptions(), part}) CHECK(failure_of([&] { codec.decode(forged, options); }).code == ErrorCode::corrupt);
}

TEST_CASE("a model for gray that is missing or does not fit is named") {
    const Pair pair;
    const Image image = mixed_image(40, 40, 1);
    const auto encoding = [&] { return failure_of([&] { Codec(pair.load("colour"), 1).encode(image); }); };
    REQUIRE(!encoding().failed);
    const std::vector<uint8_t> made = Codec(pair.load("gray"), 1).encode(image).bytes;
    std::filesystem::remove(pair.path("gray"));
    CHECK(encoding().message.find("gray.safetensors") != std::string::npos);
    Codec codec(pair.load("colour"), 1);
    CHECK(codec.decode(codec.encode(mixed_image(40, 40, 3)).bytes).channels == 3);
    CHECK_THROWS_WITH_AS(codec.decode(made), doctest::Contains("its model for gray pictures cannot be used"), Error);

    Pair other;
    other.save("gray", 3, "");
    CHECK_THROWS_WITH_AS(Codec(other.load("colour"), 1).encode(image), doctest::Contains("is not for gray pictures"), Error);
}

TEST_CASE("a description says which model is for gray, and what its pictures are") {
    Description d = tiny_description();
    CHECK(to_json(d).find("gray") == std::string::npos);
    CHECK(picture_channels(d) == 3);
    CHECK(picture_channels(tiny_description(1)) == 1);
    d.gray = "other";
    CHECK(parse_description(to_json(d)) == d);
    d.gray = "../other";
    CHECK_THROWS_WITH_AS(parse_description(to_json(d)), doctest::Contains("model.gray"), Error);
    d.gray = "";
    d.networks[0].channels_in = 2;
    CHECK_THROWS_WITH_AS(parse_description(to_json(d)), doctest::Contains("analysis.channels_in: must be 1 (gray) or 3 (RGB)"), Error);
    d.networks[0].channels_in = 1;
    CHECK_THROWS_WITH_AS(parse_description(to_json(d)), doctest::Contains("the result has 3 channels, the analysis reads 1"), Error);
}
