// The tiled denoiser: tiles and the whole picture agree, sizes and kinds of pictures, level, strength, threads.
#include "codec/denoise/denoiser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "codec/denoise/network_input.h"
#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "codec/filter/post_filter.h"
#include "codec/image/metrics.h"
#include "codec/image/turn.h"
#include "codec/network/model_file.h"
#include "tests/filter_samples.h"
#include "tests/image_samples.h"
#include "tests/tiny_denoiser.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

std::shared_ptr<const Model> tiny(int colours, float scale = 0.6f, bool integers = false) {
    const TemporaryFolder folder;
    const Description d = integers ? in_integers(tiny_denoiser(colours)) : tiny_denoiser(colours);
    save_model(folder / "m.safetensors", d, random_parameters(d, scale), {});
    return Model::load(folder / "m.safetensors");
}

// The network on the whole picture at once, which is mirrored to whole positions.
std::vector<float> whole(const Model& model, const Image& image, float sigma) {
    CodecWeights weights(model.description(), model.parameters());
    const int h = int(image.height + 3) / 4 * 4, w = int(image.width + 3) / 4 * 4,
              colours = model.description().networks[0].channels_in - 1;
    GraphOptions o;
    if (!is_integer(model.description().networks[0])) o.compute = fastest_float();
    Graph graph(weights[kDenoiseNetwork], {1, h, w, colours + 1}, o);
    float* d = graph.input().as<float>();
    for (int y = 0; y < h; y++) {
        const int sy = y < int(image.height) ? y : 2 * (int(image.height) - 1) - y;
        for (int x = 0; x < w; x++) {
            const int sx = x < int(image.width) ? x : 2 * (int(image.width) - 1) - x;
            for (int c = 0; c < colours; c++)
                *d++ = pixel_value(image.row(uint32_t(sy))[sx * image.channels + (image.channels == 3 ? c : 0)]);
            *d++ = level_value(sigma);
        }
    }
    graph.forward();
    std::vector<float> result;
    for (int y = 0; y < int(image.height); y++) {
        for (int x = 0; x < int(image.width); x++) {
            for (int c = 0; c < colours; c++) {
                result.push_back(256 *
                                 graph.output().as<float>()[(size_t(y) * size_t(w) + size_t(x)) * size_t(colours) + size_t(c)]);
            }
        }
    }
    return result;
}

// A network in integers on the whole picture at once, of a size that its positions divide: what the picture becomes.
Image whole_in_integers(const Model& model, const Image& image, float sigma) {
    CodecWeights weights(model.description(), model.parameters());
    const int colours = image.channels;
    IntegerGraphOptions o;
    o.input_type = DataType::s16;
    o.input_exponent = kPixelExponent;
    o.trunk_exponent = 11;
    o.output_exponent = kTransformExponent;
    IntegerGraph graph(weights.integers(kDenoiseNetwork), {1, int(image.height), int(image.width), colours + 1}, o);
    int16_t* d = graph.input().as<int16_t>();
    for (size_t i = 0; i < image.samples().size(); i++) {
        *d++ = int16_t(image.samples()[i] - kPixelZero);
        if (i % size_t(colours) == size_t(colours) - 1) *d++ = int16_t(sigma);
    }
    graph.forward();
    Image result = image;
    for (size_t i = 0; i < image.samples().size(); i++)
        result.samples()[i] = uint8_t(std::clamp(float(image.samples()[i]) + float(graph.output().as<int32_t>()[i]) / float(1 << (kTransformExponent - kPixelExponent)) + 0.5f, 0.0f, 255.0f));
    return result;
}

DenoiseOptions known(double sigma, double strength = 100) {
    DenoiseOptions o;
    o.sigma = sigma;
    o.strength = strength;
    o.effort = 1;
    return o;
}

template <class F>
ErrorCode refusal(F&& f) {
    return failure_of(f).code;
}

}  // namespace

TEST_CASE("tiles give what the whole picture gives, to the last bit but one") {
    for (int colours : {1, 3}) {
        const auto model = tiny(colours);
        Denoiser denoiser(model, 2);
        // Several tiles both ways, and sizes that divide by nothing.
        const Image image = smooth_image(1303, 701, colours);
        const Image result = denoiser.denoise(image, known(20)).image;
        const std::vector<float> residual = whole(*model, image, 20);
        double most = 0, largest = 0;
        for (size_t i = 0; i < residual.size(); i++) {
            most = std::max(most, std::fabs(std::clamp(double(image.samples()[i]) + double(residual[i]), 0.0, 255.0) -
                                            double(result.samples()[i])));
            largest = std::max(largest, double(std::fabs(residual[i])));
        }
        CHECK(largest > 5);  // the network does something
        CHECK(most <= 1.0);  // rounding, and another order of sums
    }
}

TEST_CASE("a network in integers gives what it was trained to give, and the same for all threads and tiles") {
    for (const int colours : {1, 3}) {
        const auto model = tiny(colours, 0.4f, true);
        REQUIRE(is_integer(model->description().networks[0]));
        const Image image = mixed_image(700, 530, colours);
        Denoiser one(model, 1), three(model, 3);
        const Image result = one.denoise(image, known(25)).image;
        CHECK(three.denoise(image, known(25)).image == result);
        const std::vector<float> expected = whole(*model, image, 25);
        double sum = 0, signed_sum = 0, largest = 0;
        for (size_t i = 0; i < expected.size(); i++) {
            const double wanted = std::clamp(double(image.samples()[i]) + expected[i], 0.0, 255.0), error = result.samples()[i] - wanted;
            sum += std::abs(error);
            signed_sum += error;
            largest = std::max(largest, std::abs(error));
        }
        // Sums are rounded to 1/2048, and of those that lie between two bytes some become the other one: noise, of which random weights make more than trained ones.
        const double pixels = double(expected.size());
        MESSAGE(colours << ": mean " << sum / pixels << ", signed " << signed_sum / pixels << ", largest " << largest);
        CHECK(sum / pixels < 1.5);
        CHECK(std::abs(signed_sum) / pixels < 0.1);
        CHECK(largest < 12);
        CHECK(result != image);
        // Of 16 bits and of gray pictures, the result is near that of 8 bits.
        const Image deep = one.denoise(with_depth(image, 16), known(25)).image;
        CHECK(psnr(with_depth(deep, 8), result) > 50);
        if (colours == 3) CHECK(one.denoise(mixed_image(60, 40, 1), known(25)).image.channels == 1);
    }
}

TEST_CASE("a network in integers sees all that it needs around a tile") {
    // With a layer less, what it needs ends in the middle of a position of a lower resolution.
    for (const bool odd : {false, true}) {
        for (const int colours : {1, 3}) {
            Description d = in_integers(tiny_denoiser(colours));
            std::vector<Layer>& layers = d.networks[0].layers;
            if (odd) std::erase_if(layers, [](const Layer& l) { return l.name == "dec1.a"; });
            for (Layer& layer : layers)
                if (odd && layer.name == "dec1.b") layer.input_exponent = 6;
            const TemporaryFolder folder;
            save_model(folder / "m.safetensors", d, random_parameters(d, 0.4f), {});
            const auto model = Model::load(folder / "m.safetensors");
            const Image image = mixed_image(1720, 800, colours);  // 3 × 2 tiles
            CHECK(Denoiser(model, 2).denoise(image, known(25)).image == whole_in_integers(*model, image, 25));
        }
    }
}

TEST_CASE("the number of threads does not matter") {
    const auto model = tiny(3);
    const Image image = noise_image(1100, 600, 3);
    const DenoiseResult one = Denoiser(model, 1).denoise(image), two = Denoiser(model, 2).denoise(image);
    CHECK(one.image == two.image);
    CHECK(one.sigma == two.sigma);
}

TEST_CASE("with effort the result is the mean over turned and mirrored pictures") {
    for (const bool integers : {false, true}) {
        for (const int colours : {1, 3}) {
            Denoiser denoiser(tiny(colours, integers ? 0.4f : 0.6f, integers), 2);
            // Tiles both ways, of which the last ones are no squares, and whole positions of the network, which lie elsewhere in turned pictures otherwise.
            const Image image = mixed_image(1100, 612, colours);
            DenoiseOptions o = known(20);
            o.depth = 16;
            const auto effort = [&](int n) {
                o.effort = n;
                return denoiser.denoise(image, o).image;
            };
            const auto mean_over = [&](const std::vector<int>& codes) {
                std::vector<double> sums(image.pixel_count() * size_t(colours));
                o.effort = 1;
                for (const int code : codes) {
                    const Turn turn = Turn::from_code(code);
                    const Image back = turned(denoiser.denoise(turned(image, turn), o).image, turn.inverse());
                    for (size_t i = 0; i < sums.size(); i++) {
                        const uint16_t v = back.samples<uint16_t>()[i];
                        sums[i] += v == 0 || v == 65535 ? NAN : v / 257.0 / double(codes.size());  // cut off, it tells nothing
                    }
                }
                return sums;
            };
            const Image once = effort(1);
            CHECK(effort(2) == once);
            CHECK(effort(4) == effort(3));
            CHECK(effort(9) == effort(8));
            for (const auto& [n, codes] : {std::pair{3, std::vector{0, 5}}, {5, {0, 3, 5, 6}}, {7, {0, 1, 2, 3, 4, 5, 6, 7}}}) {
                CAPTURE(n);
                const Image result = effort(n);
                const std::vector<double> expected = mean_over(codes);
                double most = 0, changed = 0;
                size_t told = 0;
                for (size_t i = 0; i < expected.size(); i++) {
                    const double got = result.samples<uint16_t>()[i] / 257.0;
                    changed = std::max(changed, std::fabs(got - once.samples<uint16_t>()[i] / 257.0));
                    if (std::isnan(expected[i])) continue;
                    told++;
                    most = std::max(most, std::fabs(got - expected[i]));
                }
                CHECK(told > expected.size() / 10);
                CHECK(most < 0.5);
                CHECK(changed > 3);
            }
        }
    }
    Denoiser denoiser(tiny(3), 1);
    for (const auto& [width, height] : {std::pair(1u, 1u), {5u, 1u}, {65u, 33u}, {520u, 7u}}) {
        DenoiseOptions o;
        o.effort = 9;
        CHECK(describe_shape(denoiser.denoise(smooth_image(width, height, 3), o).image) == describe_shape(smooth_image(width, height, 3)));
    }
}

TEST_CASE("by itself the network sees a picture as often as makes two megapixels") {
    Denoiser denoiser(tiny(1, 0.4f, true), 2);
    for (const auto& [width, height, effort] : {std::tuple(500u, 500u, 7), {501u, 500u, 5}, {500u, 1000u, 5}, {500u, 1001u, 3}, {1000u, 1000u, 3}, {1001u, 1000u, 1}}) {
        CAPTURE(width);
        CAPTURE(height);
        const Image image = mixed_image(width, height, 1);
        DenoiseOptions o = known(20);
        CHECK(DenoiseOptions().effort == 0);
        o.effort = 0;
        const Image result = denoiser.denoise(image, o).image;
        for (const int other : {1, 3, 5, 7}) {
            o.effort = other;
            CHECK((denoiser.denoise(image, o).image == result) == (other == effort));
        }
    }
}

TEST_CASE("pictures of any size, gray and RGB, by networks for gray and RGB") {
    for (int colours : {1, 3}) {
        Denoiser denoiser(tiny(colours), 2);
        for (int channels : {1, 3}) {
            for (auto [width, height] :
                 {std::pair(1u, 1u), std::pair(2u, 3u), std::pair(5u, 1u), std::pair(65u, 33u), std::pair(520u, 7u)}) {
                CAPTURE(width);
                const Image image = smooth_image(width, height, channels);
                const DenoiseResult r = denoiser.denoise(image);
                CHECK(describe_shape(r.image) == describe_shape(image));
                CHECK(std::isfinite(r.sigma));
            }
        }
    }
    // A gray network treats each channel as the gray picture that it is.
    Denoiser gray(tiny(1), 1);
    const Image rgb = smooth_image(70, 50, 3);
    const Image result = gray.denoise(rgb, known(10)).image;
    for (uint32_t c = 0; c < 3; c++) {
        Image plane(70, 50, 1);
        for (size_t i = 0; i < plane.samples().size(); i++) plane.samples()[i] = rgb.samples()[3 * i + c];
        const Image alone = gray.denoise(plane, known(10)).image;
        for (size_t i = 0; i < plane.samples().size(); i++) REQUIRE(alone.samples()[i] == result.samples()[3 * i + c]);
    }
}

TEST_CASE("strength goes from nothing to all") {
    Denoiser denoiser(tiny(3), 1);
    const Image image = smooth_image(64, 48, 3);
    CHECK(denoiser.denoise(image, known(15, 0)).image == image);
    const Image all = denoiser.denoise(image, known(15)).image, half = denoiser.denoise(image, known(15, 50)).image;
    CHECK(all != image);
    for (size_t i = 0; i < image.samples().size(); i++) {
        if (all.samples()[i] == 0 || all.samples()[i] == 255) continue;
        CHECK(std::fabs(0.5 * (double(all.samples()[i]) + image.samples()[i]) - double(half.samples()[i])) <= 1.01);
    }
}

TEST_CASE("the level is estimated unless it is given") {
    Denoiser denoiser(tiny(3), 1);
    const Image image = noise_image(128, 128, 3);
    CHECK(denoiser.denoise(image, known(17)).sigma == 17);
    const DenoiseResult blind = denoiser.denoise(image);
    CHECK(blind.sigma == estimate_noise_level(SampleView(image)).sigma);
    CHECK(blind.image != denoiser.denoise(image, known(0)).image);
}

TEST_CASE("16 bits keep their finer steps") {
    Denoiser denoiser(tiny(1), 1);
    const Image image = smooth_image(80, 60, 1);
    std::vector<uint16_t> deep, result(image.samples().size());
    for (uint8_t v : image.samples()) deep.push_back(uint16_t(v * 257));
    CHECK(denoiser.denoise(SampleView(80, 60, 1, deep), std::span(result), known(10)) == 10);
    const Image shallow = denoiser.denoise(image, known(10)).image;
    int between = 0;
    for (size_t i = 0; i < result.size(); i++) {
        CHECK(std::fabs(double(result[i]) / 257 - double(shallow.samples()[i])) <= 0.51);
        between += result[i] % 257 != 0;
    }
    CHECK(between > 4000);
}

TEST_CASE("a result has the picture's depth unless another is asked for, and is rounded once") {
    Denoiser denoiser(tiny(3), 1);
    const Image shallow = smooth_image(70, 50, 3), deep = noise_image(70, 50, 3, 1, 16);
    DenoiseOptions o = known(10);
    CHECK(denoiser.denoise(deep, o).image.depth() == 16);
    const Image exact = denoiser.denoise(shallow, o).image;
    o.depth = 16;
    const Image fine = denoiser.denoise(shallow, o).image;
    CHECK(fine.depth() == 16);
    CHECK(with_depth(fine, 8) == exact);
    CHECK(fine != with_depth(exact, 16));
    o.depth = 8;
    CHECK(denoiser.denoise(deep, o).image.depth() == 8);
    // Without strength nothing but the depth changes, to the last bit.
    o.strength = 0;
    CHECK(denoiser.denoise(deep, o).image == with_depth(deep, 8));
    o.depth = 16;
    CHECK(denoiser.denoise(deep, o).image == deep);
    CHECK(denoiser.denoise(shallow, o).image == with_depth(shallow, 16));
    o.depth = 10;
    CHECK(refusal([&] { denoiser.denoise(shallow, o); }) == ErrorCode::invalid_argument);
}

TEST_CASE("what does not fit is refused") {
    Denoiser denoiser(tiny(3), 1);
    const Image image = smooth_image(16, 16, 3);
    CHECK(refusal([&] { denoiser.denoise(image, known(-1)); }) == ErrorCode::invalid_argument);
    CHECK(refusal([&] { denoiser.denoise(image, known(256)); }) == ErrorCode::invalid_argument);
    CHECK(refusal([&] { denoiser.denoise(image, known(NAN)); }) == ErrorCode::invalid_argument);
    CHECK(refusal([&] { denoiser.denoise(image, known(5, 101)); }) == ErrorCode::invalid_argument);
    CHECK(refusal([&] { denoiser.denoise(Image()); }) == ErrorCode::invalid_argument);
    std::vector<uint8_t> small(10);
    CHECK(refusal([&] { denoiser.denoise(SampleView(image), std::span(small)); }) == ErrorCode::invalid_argument);
    for (const int effort : {-1, 10}) {
        DenoiseOptions o = known(5);
        o.effort = effort;
        CHECK(refusal([&] { denoiser.denoise(image, o); }) == ErrorCode::invalid_argument);
    }
    DenoiseOptions stopped;
    stopped.supervision.is_cancelled = [] { return true; };
    CHECK(refusal([&] { denoiser.denoise(image, stopped); }) == ErrorCode::cancelled);
    // Codecs and denoisers do not stand in for each other.
    const TemporaryFolder folder;
    save_model(folder / "codec.safetensors", tiny_contents().description, tiny_contents().parameters, {});
    CHECK(refusal([&] { Denoiser{Model::load(folder / "codec.safetensors")}; }) == ErrorCode::model_mismatch);
    CHECK(refusal([&] { Codec{tiny(3)}; }) == ErrorCode::model_mismatch);
}

TEST_CASE("a filter behind the network is that of the level, across tiles as in one") {
    for (const int colours : {3, 1}) {
        const TemporaryFolder folder;
        const Description d = tiny_denoiser(colours);
        save_model(folder / "plain.safetensors", d, random_parameters(d, 0.6f), {});
        const std::vector<FilterPoint> points{random_point(colours, 10 * 256, {1}, 1000), random_point(colours, 30 * 256, {2}, 1000)};
        save_filter(folder / "plain.safetensors", folder / "filtered.safetensors", points, "by chance");
        const auto plain = Model::load(folder / "plain.safetensors"), filtered = Model::load(folder / "filtered.safetensors");
        CHECK(filtered->identity() == plain->identity());
        REQUIRE(filtered->filters().size() == 1);
        CHECK(filtered->filters()[0].points == points);
        Denoiser without(plain, 1), with(filtered, 1), two(filtered, 2);
        // Several tiles both ways; whole blocks, so that the filter's last ones are the same below.
        const Image image = smooth_image(1304, 640, colours);
        DenoiseOptions o = known(20);
        o.depth = 16;
        const Image before = without.denoise(image, o).image, after = with.denoise(image, o).image;
        CHECK(two.denoise(image, o).image == after);
        o.filter = false;
        CHECK(with.denoise(image, o).image == before);
        const std::vector<int32_t> sums = sums_of(before);
        std::vector<int32_t> expected(sums.size());
        PostFilter::Workspace workspace;
        PostFilter(filtered->filters()[0], 20 * 256, colours).apply(sums.data(), int(image.height), int(image.width), {0, 0, int(image.height), int(image.width)}, workspace, expected.data());
        // `before` was rounded, which now and then tells a block another class.
        double changed = 0, wrong = 0;
        for (size_t i = 0; i < sums.size(); i++) {
            const double got = after.samples<uint16_t>()[i] / 257.0, is = before.samples<uint16_t>()[i] / 257.0;
            changed += std::fabs(got - is);
            wrong += std::fabs(std::clamp(expected[i] / 256.0 + 128, 0.0, 255.0) - got);
        }
        CHECK(changed / double(sums.size()) > 0.05);
        CHECK(wrong < 0.05 * changed);
        CHECK(with.denoise(image, known(20, 0)).image == image);
        for (const auto& [width, height] : {std::pair(1u, 1u), {5u, 1u}, {65u, 33u}, {520u, 7u}}) {
            for (const int channels : {1, 3}) {
                const Image small = smooth_image(width, height, channels);
                CHECK(describe_shape(two.denoise(small).image) == describe_shape(small));
            }
        }
    }
}

TEST_CASE("a denoising model keeps its description and weights in its file") {
    const TemporaryFolder folder;
    const Description d = tiny_denoiser(1, "page");
    const Parameters p = random_parameters(d);
    save_model(folder / "m.safetensors", d, p, {{"steps", "5"}});
    const auto model = Model::load(folder / "m.safetensors");
    CHECK(model->description() == d);
    CHECK(model->name() == "tiny");
    CHECK(model->metadata().size() == 1);
    for (size_t i = 0; i < p.values().size(); i++)
        CHECK(model->parameters().values()[i] == doctest::Approx(p.values()[i]).epsilon(0.005));
    CHECK(refusal([&] { load_model(folder / "m.safetensors"); }) == ErrorCode::model_mismatch);
}
