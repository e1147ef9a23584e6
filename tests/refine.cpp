// The encoder's efforts: gradients against differences, then whole pictures through the public interface.
#include "codec/refine/refiner.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "codec/decant.h"
#include "codec/error.h"
#include "codec/image/metrics.h"
#include "codec/latents/fixed_point.h"
#include "tests/encode_options.h"
#include "tests/filter_samples.h"
#include "tests/image_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

// Branches that round have steps in the place of slopes; these have none.
ModelContents smooth_contents(int colours) {
    ModelContents model = tiny_contents(1, colours);
    for (Network& network : model.description.networks) {
        if (network.name != "analysis" && network.name != "synthesis") continue;
        for (Layer& layer : network.layers) layer.arithmetic = Arithmetic::wide;
    }
    return model;
}

Image corner_of(const std::string& name) {
    const Image whole = sample_image(name);
    Image image(std::min(whole.width, 144u), std::min(whole.height, 128u), whole.channels);
    for (uint32_t y = 0; y < image.height; y++) std::copy_n(whole.row(y), image.row_size(), image.row(y));
    return image;
}

}  // namespace

TEST_CASE("the gradient of the squared error is that of its differences") {
    for (const auto& [colours, channels] : {std::pair{3, 3}, {3, 1}, {1, 1}}) {
        CAPTURE(colours);
        CAPTURE(channels);
        const ModelContents model = smooth_contents(colours);
        CodecWeights weights(model.description, model.parameters);
        const int M = model.description.latent_channels, quality_q8 = 300;
        const Image image = mixed_image(150, 100, channels);  // ends inside of a latent
        SharedMemory memory;
        Transform transform(model.description, weights, memory);
        const Area plane = latent_area(image.width, image.height);
        std::vector<float> y(size_t(plane.h) * size_t(plane.w) * size_t(M));
        transform.analyse(image, plane, plane, quality_q8 / 256.0f, y.data(), size_t(plane.w) * size_t(M));
        ErrorGradient error(model, weights);
        error.start({image, plane, plane, y}, quality_q8);
        std::vector<int32_t> latents(y.size());
        for (size_t i = 0; i < latents.size(); i++) latents[i] = int32_t(std::lround(y[i])) * 64 + int32_t(i % 7);
        const double at = error.run(latents);
        std::vector<float> gradient(latents.size());
        error.gradient(gradient);

        // Along the gradient's signs in a channel, to both sides: the quadratic part cancels.
        int agreeing = 0;
        for (int c = 0; c < M; c++) {
            std::vector<int32_t> more = latents, less = latents;
            double predicted = 0;
            for (size_t i = size_t(c); i < latents.size(); i += size_t(M)) {
                const int32_t step = gradient[i] > 0 ? 8 : -8;
                more[i] += step;
                less[i] -= step;
                predicted += double(gradient[i]) * step / 64.0;
            }
            const double difference = (error.run(more) - error.run(less)) / 2;
            agreeing += std::fabs(difference - predicted) < 0.1 * predicted;
        }
        CHECK(agreeing >= M - 2);  // a kink of a leaky ReLU, or of the clamp to 0 … 1, may lie in between
        CHECK(error.run(latents) == at);

        // Against second differences, of latents too far apart to interact.
        const std::vector<float> curvature = error.curvature(16);
        std::vector<double> ratios;
        for (int c = 0; c < M; c++) {
            std::vector<int32_t> more = latents, less = latents;
            int count = 0;
            for (int row = 1; row < plane.h; row += 4) {
                for (int x = 1; x < plane.w; x += 4, count++) {
                    const size_t i = (size_t(row) * size_t(plane.w) + size_t(x)) * size_t(M) + size_t(c);
                    more[i] += 64;
                    less[i] -= 64;
                }
            }
            const double second = (error.run(more) + error.run(less) - 2 * at) / (2.0 * count);
            ratios.push_back(second / double(curvature[size_t(c)]));
        }
        std::nth_element(ratios.begin(), ratios.begin() + M / 2, ratios.end());
        CHECK(ratios[size_t(M / 2)] > 0.6);
        CHECK(ratios[size_t(M / 2)] < 1.6);
    }
}

TEST_CASE("the squared error is that of the filtered picture") {
    for (const int channels : {3, 1}) {
        const ModelContents model = smooth_contents(channels);
        CodecWeights weights(model.description, model.parameters);
        const int M = model.description.latent_channels, quality_q8 = 300;
        const Image image = mixed_image(160, 96, channels);
        const Area plane = latent_area(image.width, image.height);
        RandomStream random{5};
        std::vector<int32_t> latents(size_t(plane.h) * size_t(plane.w) * size_t(M));
        for (int32_t& v : latents) v = 64 * (random.below(5) - 2);
        const std::vector<float> around(latents.size());
        const PostFilter filter(tables_of({random_point(channels, 0, {3})}), 0, channels);
        const auto error_with = [&](const PostFilter* used) {
            ErrorGradient error(model, weights);
            error.start({image, plane, plane, around, used}, quality_q8);
            return error.run(latents);
        };

        // As a decoder has it.
        SharedMemory memory;
        Transform transform(model.description, weights, memory);
        const std::vector<float> step = gains_at(model.parameters["inverse_gain"], model.description.levels(), quality_q8 / 256.0f);
        const auto read = [&](int y, int x, int count, int16_t* dst) {
            for (size_t k = 0; k < size_t(count) * size_t(M); k++)
                dst[k] = int16_t(std::lround(float(latents[(size_t(y) * size_t(plane.w) + size_t(x)) * size_t(M) + k]) / 64.0f * step[k % size_t(M)] * float(1 << kLatentExponent)));
        };
        Image decoded(image.width, image.height, channels, 16);
        transform.synthesise(read, plane, plane, quality_q8 / 256.0f, nullptr, decoded);
        const std::vector<int32_t> sums = sums_of(decoded);
        std::vector<int32_t> filtered(sums.size());
        PostFilter::Workspace workspace;
        filter.apply(sums.data(), int(image.height), int(image.width), {0, 0, int(image.height), int(image.width)}, workspace, filtered.data());
        const auto error_of = [&](const std::vector<int32_t>& values) { return squared_error(image, values) / double(1 << (2 * kPixelExponent)); };
        CHECK(error_with(nullptr) == doctest::Approx(error_of(sums)).epsilon(0.03));
        CHECK(error_with(&filter) == doctest::Approx(error_of(filtered)).epsilon(0.03));
        CHECK(std::fabs(error_of(filtered) - error_of(sums)) > 0.06 * error_of(sums));

        // What is to change of the filter is what one would find in the decoder's pixels.
        ErrorGradient error(model, weights);
        error.start({image, plane, plane, around, &filter}, quality_q8);
        error.run(latents);
        const ChangesFit fit = error.fit(filter, 2);
        ChangesFit expected(channels, false);
        const std::vector<int32_t> original = sums_of(image);
        for (int y = 0; y < int(image.height); y += 16)
            expected.add(filter, sums.data(), original.data(), int(image.height), int(image.width), {y, 0, 16, int(image.width)}, 16, int(image.width), 2, workspace);
        const uint64_t pixels = uint64_t{image.width} * image.height;
        const PostFilter changed = filter.with(fit.solve(1.0, pixels)), expected_filter = filter.with(expected.solve(1.0, pixels));
        CHECK(error_with(&changed) < 0.98 * error_with(&filter));
        CHECK(error_with(&changed) == doctest::Approx(error_with(&expected_filter)).epsilon(0.01));
    }
}

TEST_CASE("rounds of refinement may be done in several calls") {
    const ModelContents model = smooth_contents(3);
    CodecWeights weights(model.description, model.parameters);
    LatentWeights latent_weights(model, weights);
    const int M = model.description.latent_channels, quality_q8 = 300, rounds = 5;
    const Image image = mixed_image(100, 70, 3);
    SharedMemory memory;
    Transform transform(model.description, weights, memory);
    const Area plane = latent_area(image.width, image.height);
    std::vector<float> analysed(size_t(plane.h) * size_t(plane.w) * size_t(M));
    transform.analyse(image, plane, plane, quality_q8 / 256.0f, analysed.data(), size_t(plane.w) * size_t(M));
    const auto found = [&](std::vector<int> ends, int& checks) {
        Refiner refiner(model, weights);
        LatentCoder coder(latent_weights, memory, plane.h, plane.w);
        std::vector<float> y = analysed;
        Refinement state;
        for (const int until : ends) {
            refiner.refine(coder, {image, plane, plane, analysed}, quality_q8, Quantiser::large_trellis, rounds, until, y, state, [&] { checks++; });
            coder.quantise(analysed, 100, {});  // something else in between
        }
        coder.quantise(state.best, quality_q8, state.settings(Quantiser::large_trellis));
        return std::vector<int32_t>(coder.latents().begin(), coder.latents().end());
    };
    int at_once = 0, in_parts = 0;
    const std::vector<int32_t> latents = found({rounds}, at_once);
    CHECK(found({1, 2, 4, rounds}, in_parts) == latents);
    CHECK(at_once == rounds + 1);  // the last one's result is looked at as well
    CHECK(in_parts == at_once);
}

TEST_CASE("every effort gives a file that decodes, of every shape of picture") {
    const auto model = tiny_model();
    Codec codec(model, 1);
    for (const auto& [width, height, channels] : {std::tuple{1u, 1u, 3}, {17u, 33u, 1}, {70u, 45u, 3}, {1040u, 20u, 3}, {20u, 1040u, 1}}) {
        const Image image = mixed_image(width, height, channels);
        for (const int effort : {1, 2, 3, 4, width * height < 4000 ? 9 : 5}) {
            const EncodeResult result = codec.encode(image, at(60, effort));
            const Image decoded = codec.decode(result.bytes);
            REQUIRE(decoded.width == width);
            REQUIRE(decoded.height == height);
            REQUIRE(decoded.channels == channels);
        }
    }
    for (const int effort : {-1, 0, 10}) {
        try {
            codec.encode(mixed_image(20, 20, 3), at(50, effort));
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::invalid_argument);
        }
    }
}

TEST_CASE("a refined file does not depend on threads, nor on what was encoded before") {
    const auto model = tiny_model();
    const Image image = mixed_image(1060, 40, 3), other = mixed_image(64, 64, 1);
    Codec one(model, 1), three(model, 3);
    for (const int effort : {2, 4, 5}) {
        const auto bytes = one.encode(image, at(40, effort)).bytes;
        one.encode(other, at(90, 4));
        CHECK(one.encode(image, at(40, effort)).bytes == bytes);
        CHECK(three.encode(image, at(40, effort)).bytes == bytes);
    }
}

TEST_CASE("more effort gives fewer bytes at the same PSNR") {
    const auto model = shipped_model();
    REQUIRE(model != nullptr);
    Codec codec(model, 1);
    double quick_bytes = 0, refined_bytes = 0;
    for (const char* name : {"bricks.png", "still_life.png"}) {
        const Image image = corner_of(name);
        for (const double quality : {30.0, 70.0}) {
            const auto quick = codec.encode(image, at(quality, 2)).bytes;
            EncodeOptions options = at(quality, 6);
            options.target = {EncodeTarget::Kind::psnr, psnr(image, codec.decode(quick))};
            const EncodeResult refined = codec.encode(image, options);
            CHECK(refined.psnr >= options.target.value);
            CHECK(double(refined.bytes.size()) <= 1.03 * double(quick.size()));  // some have but 262 bytes, and the wanted PSNR is met from above
            CHECK(refined.passes <= 24);
            quick_bytes += double(quick.size());
            refined_bytes += double(refined.bytes.size());
        }
    }
    CAPTURE(quick_bytes);
    CHECK(refined_bytes < 0.98 * quick_bytes);
}
