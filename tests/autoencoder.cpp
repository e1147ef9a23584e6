// Autoencoders in use: pictures of any size, tiles without seams, what a code says; and samples.
#include "codec/autoencoder/autoencoder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/network/model_file.h"
#include "tests/tiny_autoencoder.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

std::shared_ptr<const Model> model_of(const Description& d) {
    const TemporaryFolder folder;
    save_model(folder / "model.safetensors", d, autoencoder_parameters(d), {});
    return Model::load(folder / "model.safetensors");
}

Image waves(uint32_t width, uint32_t height, int channels = 3) {
    Image image(width, height, channels);
    for (uint32_t y = 0; y < height; y++) {
        for (size_t i = 0; i < size_t(width) * size_t(channels); i++) {
            image.row(y)[i] = uint8_t(128 + 60 * std::sin(0.11 * double(i / size_t(channels)) + 0.07 * double(y)) + 40 * std::sin(0.5 * double(i)));
        }
    }
    return image;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (size_t i = 0; i < a.size(); i++) worst = std::max(worst, double(std::abs(a[i] - b[i])));
    return worst;
}

}  // namespace

TEST_CASE("pictures of any size, down to one pixel") {
    const Autoencoder a(model_of(tiny_autoencoder(R"({"kind": "plain"})")), 2);
    CHECK(a.stride() == 4);
    CHECK(a.channels() == 3);
    for (const auto& [w, h] : {std::pair(1u, 1u), std::pair(3u, 5u), std::pair(4u, 4u), std::pair(17u, 9u), std::pair(600u, 3u)}) {
        const Image image = waves(w, h);
        const Code code = a.encode(image);
        CHECK(code.width == int(w + 3) / 4);
        CHECK(code.height == int(h + 3) / 4);
        CHECK(code.channels == 8);
        for (const float v : code.values) CHECK(std::isfinite(v));
        const Image back = a.reconstruct(image);
        CHECK(back.width == w);
        CHECK(back.height == h);
        CHECK(back.channels == 3);
    }
    Code wrong = a.encode(waves(16, 16));
    CHECK_THROWS_AS(a.decode(wrong, 17, 16), Error);
    wrong.values.pop_back();
    CHECK_THROWS_AS(a.decode(wrong, 16, 16), Error);
}

TEST_CASE("tiles leave no seams, threads no trace") {
    const auto model = model_of(tiny_autoencoder(R"({"kind": "plain"})"));
    const Autoencoder one(model, 1), two(model, 2);
    const Image large = waves(1100, 700);
    const Code code = one.encode(large);
    CHECK(code.values == two.encode(large).values);
    // A part of it, far enough from its own edges, has the same code.
    Image part(256, 256, 3);
    const uint32_t left = 400, top = 380;
    for (uint32_t y = 0; y < 256; y++) std::copy_n(large.row(top + y) + 3 * left, 3 * 256, part.row(y));
    const Code inner = one.encode(part);
    std::vector<float> a, b;
    for (int y = 4; y < 60; y++) {
        for (int x = 4; x < 60; x++) {
            a.insert(a.end(), inner.at(y, x), inner.at(y, x) + 8);
            b.insert(b.end(), code.at(y + int(top) / 4, x + int(left) / 4), code.at(y + int(top) / 4, x + int(left) / 4) + 8);
        }
    }
    CHECK(largest_difference(a, b) < 1e-3);
    CHECK(one.decode(code, 1100, 700).samples<uint8_t>() == two.decode(code, 1100, 700).samples<uint8_t>());
}

TEST_CASE("gray, RGB and 16 bits come to the network's channels") {
    const Autoencoder a(model_of(tiny_autoencoder(R"({"kind": "plain"})")), 1);
    const Image gray = waves(40, 24, 1);
    Image colour(40, 24, 3), deep(40, 24, 1, 16);
    for (uint32_t y = 0; y < 24; y++) {
        for (uint32_t x = 0; x < 40; x++) {
            for (uint32_t c = 0; c < 3; c++) colour.row(y)[3 * x + c] = gray.row(y)[x];
            deep.samples<uint16_t>()[y * 40 + x] = uint16_t(257 * gray.row(y)[x]);
        }
    }
    const Code code = a.encode(gray);
    CHECK(largest_difference(code.values, a.encode(colour).values) == 0);
    CHECK(largest_difference(code.values, a.encode(deep).values) < 1e-4);
}

TEST_CASE("what the bottleneck makes of the code is the code") {
    const Autoencoder quantised(model_of(tiny_autoencoder(R"({"kind": "quantised", "codes": 6})")), 1);
    const Code code = quantised.encode(waves(40, 24));
    const auto codebook = quantised.model().parameters()["codebook"];
    for (int p = 0; p < code.height * code.width; p++) {
        bool found = false;
        for (size_t k = 0; k < 6 && !found; k++) found = std::equal(code.at(0, p), code.at(0, p) + 8, codebook.begin() + std::ptrdiff_t(8 * k));
        CHECK(found);
    }
    const Autoencoder sparse(model_of(tiny_autoencoder(R"({"kind": "sparse", "sparsity": "top_k", "active": 3})")), 1);
    const Code few = sparse.encode(waves(40, 24));
    for (int p = 0; p < few.height * few.width; p++) CHECK(std::count(few.at(0, p), few.at(0, p) + 8, 0.0f) == 5);
    const Autoencoder variational(model_of(tiny_autoencoder(R"({"kind": "variational"})", "variational")), 1);
    CHECK(variational.encode(waves(16, 16)).channels == 8);
}

TEST_CASE("samples are functions of their seed, of a variational model alone") {
    const Autoencoder variational(model_of(tiny_autoencoder(R"({"kind": "variational"})", "variational")), 1);
    const Image a = variational.sample(40, 24, 1);
    CHECK(a.width == 40);
    CHECK(a.samples<uint8_t>() == variational.sample(40, 24, 1).samples<uint8_t>());
    CHECK(a.samples<uint8_t>() != variational.sample(40, 24, 2).samples<uint8_t>());
    const Autoencoder plain(model_of(tiny_autoencoder(R"({"kind": "plain"})")), 1);
    CHECK_THROWS_AS(plain.sample(40, 24, 1), Error);
}
