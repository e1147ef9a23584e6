// Weights rounded by least squares: layer by layer a network in integers gives what it gives in floats.
#include "codec/train/fit_rounding.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "codec/network/rounding.h"
#include "codec/train/equalise.h"
#include "codec/train/noisy_crop.h"
#include "tests/tiny_denoiser.h"
#include "tests/tiny_model.h"
#include "tests/training_pictures.h"

using namespace decant;
using namespace decant::test;

namespace {

constexpr int kSide = 64;

// The mean of squares of what the network in integers gives, less what it gives in floats, on crops that nothing was fitted on.
double rounding_error(const Description& integers, const Parameters& rounded, const Description& floats, const Parameters& exact, const Dataset& data) {
    CodecWeights a(integers, rounded), b(floats, exact);
    const Shape shape{1, kSide, kSide, integers.network(kDenoiseNetwork).channels_in};
    Graph in_integers(a[kDenoiseNetwork], shape, {}), in_floats(b[kDenoiseNetwork], shape, {});
    double sum = 0;
    size_t count = 0;
    for (const std::vector<float>& input : noisy_inputs(floats, data, 77, 8, kSide)) {
        for (Graph* graph : {&in_integers, &in_floats}) {
            std::ranges::copy(input, graph->input().as<float>());
            graph->forward();
        }
        for (size_t i = 0; i < in_floats.output().shape.elements(); i++, count++) sum += std::pow(in_integers.output().as<float>()[i] - in_floats.output().as<float>()[i], 2);
    }
    return sum / double(count);
}

}  // namespace

TEST_CASE("a network with fitted weights is nearer to what it is in floats than one with rounded ones") {
    const Dataset data(pictures().data(), {});
    for (const int colours : {1, 3}) {
        for (const uint64_t seed : {1, 2}) {
            CAPTURE(colours);
            CAPTURE(seed);
            const Description floats = tiny_denoiser(colours), integers = in_integers(floats);
            Parameters exact = random_parameters(floats, 0.5f, seed);
            equalise(integers, data, 1, exact);  // otherwise most of the error is that of activations
            Parameters fitted = exact;
            fit_rounding(integers, data, 1, 8, fitted);
            const double nearest = rounding_error(integers, exact, floats, exact, data), error = rounding_error(integers, fitted, floats, exact, data);
            MESSAGE("mean squared error " << nearest << " with the nearest integers, " << error << " with fitted ones");
            CHECK(error < 0.8 * nearest);
            CHECK(error > 0);

            // They are integers already.
            for (const Layer& layer : integers.networks[0].layers) {
                if (layer.op != Operation::convolution) continue;
                const auto weight = fitted["denoise." + layer.name + ".weight"];
                const std::vector<float> again = rounded_values(round_weights(weight, layer.channels));
                for (size_t i = 0; i < again.size(); i++) REQUIRE(again[i] == weight[i]);
            }

            Parameters repeated = exact;
            fit_rounding(integers, data, 1, 8, repeated);
            CHECK(repeated.values() == fitted.values());
        }
    }
}

TEST_CASE("layers in floats stay as they are") {
    const Dataset data(pictures().data(), {});
    const Description floats = tiny_denoiser();
    const Parameters before = random_parameters(floats, 0.5f);
    Parameters after = before;
    fit_rounding(floats, data, 1, 1, after);
    CHECK(after.values() == before.values());
}

TEST_CASE("codecs are not rounded by least squares") {
    Parameters parameters(tiny_contents().description);
    try {
        fit_rounding(tiny_contents().description, Dataset(pictures().data(), {}), 1, 1, parameters);
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_argument);
    }
}
