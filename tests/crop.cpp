// Networks whose stages compute what a window needs, and no more: the same as the whole, to the bit where they run in integers.
#include "codec/network/crop.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "codec/engine/any_graph.h"
#include "codec/error.h"
#include "codec/network/model_file.h"
#include "codec/transform/transform.h"
#include "tests/image_samples.h"
#include "tests/tiny_denoiser.h"

using namespace decant;
using namespace decant::test;

namespace {

constexpr int kUnit = 4;  // pixels of a coarsest position

// Values on the grid of 8 bits, so that integer networks read them as they are.
void fill(const TensorRef& input) {
    RandomStream random{random_key(3, 9)};
    for (size_t i = 0; i < input.shape.elements(); i++) {
        const float v = std::nearbyint(std::clamp(random.normal() * 20.0f, -100.0f, 100.0f));
        if (input.type == DataType::s16) {
            input.as<int16_t>()[i] = int16_t(v);
        } else {
            input.as<float>()[i] = v / float(1 << kPixelExponent);
        }
    }
}

double at(const TensorRef& t, int y, int x, int c) {
    const size_t i = (size_t(y) * size_t(t.shape.w) + size_t(x)) * size_t(t.shape.c) + size_t(c);
    return t.type == DataType::s32 ? double(t.as<int32_t>()[i]) : double(t.as<float>()[i]);
}

AnyGraph graph_of(CodecWeights& weights, const Network& network, Shape input, const std::vector<Area>& crops) {
    IntegerGraphOptions integers;
    integers.input_type = DataType::s16;
    integers.input_exponent = kPixelExponent;
    integers.crops = crops;
    GraphOptions floats;
    floats.crops = crops;
    return AnyGraph(weights, network, input, integers, floats);
}

}  // namespace

TEST_CASE("each stage sees as far as the layers behind it need") {
    const Description d = tiny_denoiser(3);
    const CroppedNetwork cropped = with_crops(d.networks[0], 1, 0);
    CHECK(cropped.margins == std::vector{22, 16, 8});
    CHECK(with_crops(d.networks[0], 1, 5).margins == std::vector{30, 24, 16});  // parts of positions of 2 and of 4 pixels take all of them
    CHECK(cropped.margins[0] == receptive_margin(d.networks[0], 1));
    REQUIRE(cropped.crops.size() == 3);  // before down2, before up1, and of what dec1.in adds
    const auto is = [](const CroppedNetwork::Crop& c, int from, int to, int position) { return c.from == from && c.to == to && c.position == position; };
    CHECK(is(cropped.crops[0], 0, 1, 2));
    CHECK(is(cropped.crops[1], 1, 2, 4));
    CHECK(is(cropped.crops[2], 0, 2, 2));
    // Without areas it is the network as it was.
    const Shape input{1, 32, 40, 4};
    CHECK(plan(cropped.network, input).back().dst_shape == plan(d.networks[0], input).back().dst_shape);
    CHECK(receptive_margin(cropped.network, 1) == 22);
    CHECK(cropped.windows({{0, 0, 20, 20}, {2, 3, 12, 10}, {4, 5, 8, 6}}, kUnit) == std::vector<Area>{{4, 6, 24, 20}, {2, 2, 8, 6}, {8, 10, 16, 12}});
    // A network of one resolution has nothing to cut off.
    Network flat = d.networks[0];
    flat.layers.resize(2);
    CHECK(with_crops(flat, 1, 0).network.layers.size() == 2);
    CHECK(with_crops(flat, 1, 3).margins == std::vector{6});
}

TEST_CASE("a window is what it is in the whole picture, wherever it lies") {
    for (const bool integers : {false, true}) {
        CAPTURE(integers);
        Description d = integers ? in_integers(tiny_denoiser(3)) : tiny_denoiser(3);
        const Parameters parameters = random_parameters(d, integers ? 0.4f : 0.6f);
        const Area all{0, 0, 25, 23};
        const Shape input{1, all.h * kUnit, all.w * kUnit, 4};
        CodecWeights whole_weights(d, parameters);
        AnyGraph whole = graph_of(whole_weights, d.networks[0], input, {});
        fill(whole.input());
        whole.forward();

        const CroppedNetwork cropped = with_crops(d.networks[0], 1, 0);
        Description narrower = d;
        narrower.networks[0] = cropped.network;
        CodecWeights weights(narrower, parameters);
        const auto areas_of = [&](const Area& window) {
            std::vector<Area> areas{all};
            for (size_t s = 1; s < cropped.margins.size(); s++) {
                const int margin = (cropped.margins[s] + kUnit - 1) / kUnit;
                areas.push_back(widened_to(window, margin, all, 5 + 2 * margin, 4 + 2 * margin));
            }
            return areas;
        };
        AnyGraph graph = graph_of(weights, narrower.networks[0], input, cropped.windows(areas_of({10, 10, 5, 4}), kUnit));
        fill(graph.input());
        // In the middle, in corners, at edges, and smaller than others.
        for (const Area& window : {Area{10, 10, 5, 4}, {0, 0, 5, 4}, {20, 19, 5, 4}, {0, 19, 5, 4}, {9, 0, 5, 4}, {20, 7, 5, 4}, {11, 12, 4, 3}, {1, 20, 4, 3}}) {
            const std::vector<Area> areas = areas_of(window);
            graph.move_crops(cropped.windows(areas, kUnit));
            graph.forward();
            const TensorRef got = graph.output(), expected = whole.output();
            REQUIRE(got.shape == Shape{1, areas.back().h * kUnit, areas.back().w * kUnit, 3});
            double largest = 0, wrong = 0;
            for (int y = window.y * kUnit; y < window.bottom() * kUnit; y++) {
                for (int x = window.x * kUnit; x < window.right() * kUnit; x++) {
                    for (int c = 0; c < 3; c++) {
                        const double value = at(expected, y, x, c);
                        largest = std::max(largest, std::fabs(value));
                        wrong = std::max(wrong, std::fabs(value - at(got, y - areas.back().y * kUnit, x - areas.back().x * kUnit, c)));
                    }
                }
            }
            CHECK(largest > 0.05);
            CHECK(wrong <= (integers ? 0.0 : 1e-5 * largest));
        }
        std::vector<Area> other = cropped.windows(areas_of({10, 10, 5, 4}), kUnit);
        other[1].h--;
        CHECK(failure_of([&] { graph.move_crops(other); }).code == ErrorCode::internal);
        other.pop_back();
        CHECK(failure_of([&] { graph_of(weights, narrower.networks[0], input, other); }).code == ErrorCode::model_mismatch);
        other.push_back({0, 0, 1000, 1});
        CHECK(failure_of([&] { graph_of(weights, narrower.networks[0], input, other); }).code == ErrorCode::model_mismatch);
    }
}
