// Latents and codes as arrays: the codec's are those it codes, pooling is a mean, files are NumPy's.
#include "codec/embed/embedder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/network/model_file.h"
#include "codec/transform/transform.h"
#include "tests/tiny_autoencoder.h"
#include "tests/tiny_denoiser.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

Image waves(uint32_t width, uint32_t height) {
    Image image(width, height, 3);
    for (uint32_t y = 0; y < height; y++) {
        for (size_t i = 0; i < 3 * size_t(width); i++) image.row(y)[i] = uint8_t(128 + 100 * std::sin(0.05 * double(i) + 0.2 * double(y)));
    }
    return image;
}

}  // namespace

TEST_CASE("pooling: means of values and of magnitudes, cell by cell") {
    Code code{2, 3, 1, {1, -2, 3, 4, 5, -6}};
    CHECK(pooled(code, 1) == std::vector<float>{5.0f / 6, 21.0f / 6});
    const auto two = pooled(code, 2);
    REQUIRE(two.size() == 8);
    CHECK(two[0] == 1);
    CHECK(two[2] == doctest::Approx(0.5));
    CHECK(two[3] == doctest::Approx(2.5));
    CHECK(two[6] == doctest::Approx(-0.5));
    CHECK(two[7] == doctest::Approx(5.5));
    CHECK(pooled(code, 5).size() == 50);  // more cells than positions
    CHECK_THROWS_AS(pooled(code, 0), Error);
}

TEST_CASE("NumPy files") {
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    for (const auto& shape : {std::vector<int64_t>{6}, std::vector<int64_t>{1, 2, 3}}) {
        const auto bytes = write_npy(values, shape);
        REQUIRE(bytes.size() > 10);
        CHECK(std::string(bytes.begin() + 1, bytes.begin() + 6) == "NUMPY");
        const size_t header = size_t(bytes[8]) + 256 * size_t(bytes[9]);
        CHECK((10 + header) % 64 == 0);
        CHECK(bytes.size() == 10 + header + 24);
        const std::string text(bytes.begin() + 10, bytes.begin() + std::ptrdiff_t(10 + header));
        CHECK(text.back() == '\n');
        CHECK(text.find(shape.size() == 1 ? "(6, )" : "(1, 2, 3, )") != text.npos);
        float last;
        std::memcpy(&last, bytes.data() + bytes.size() - 4, 4);
        CHECK(last == 6);
    }
}

TEST_CASE("embeddings of codecs and autoencoders; denoisers have none") {
    const TemporaryFolder folder;
    const Description a = tiny_autoencoder(R"({"kind": "plain"})"), n = tiny_denoiser();
    save_model(folder / "a.safetensors", a, autoencoder_parameters(a), {});
    save_model(folder / "n.safetensors", n, Parameters(n), {});
    const Embedder codes(Model::load(folder / "a.safetensors"));
    const Code code = codes.embed(waves(37, 22));
    CHECK(code.height == 6);
    CHECK(code.width == 10);
    CHECK(code.values == Autoencoder(Model::load(folder / "a.safetensors"), 2).encode(waves(37, 22)).values);
    CHECK_THROWS_AS(Embedder(Model::load(folder / "n.safetensors")), Error);

    const auto model = tiny_model();
    const Embedder latents(model);
    const Image image = waves(1200, 40);  // more than a window
    const Code y = latents.embed(image);
    const int channels = model->description().latent_channels;
    CHECK(y.height == 3);
    CHECK(y.width == 75);
    CHECK(y.channels == channels);
    // The whole picture at once.
    CodecWeights weights(model->description(), model->parameters());
    SharedMemory memory;
    Transform transform(model->description(), weights, memory);
    const Area whole = latent_area(1200, 40);
    std::vector<float> wanted(y.values.size());
    transform.analyse(image, whole, whole, 0.5f * float(model->description().levels() - 1), wanted.data(), size_t(whole.w) * size_t(channels));
    for (size_t i = 0; i < wanted.size(); i++) REQUIRE(y.values[i] == doctest::Approx(wanted[i]).epsilon(1e-3).scale(1));
    CHECK_THROWS_AS(latents.embed(Image(8, 8, 3, 16)), Error);
}
