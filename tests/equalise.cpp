// Hidden units of integer layers are brought into the range of their 8 bits, and the network stays what it is.
#include "codec/train/equalise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <vector>

#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "tests/tiny_denoiser.h"
#include "tests/tiny_model.h"
#include "tests/training_pictures.h"

using namespace decant;
using namespace decant::test;

namespace {

struct Equalised {
    Description floats = tiny_denoiser(), integers = in_integers(floats);
    Dataset data{pictures().data(), {}};
    Parameters before = random_parameters(floats, 0.8f), after = before;

    Equalised() { equalise(integers, data, 1, after); }
};

std::vector<float> result_of(const Description& d, const Parameters& parameters) {
    CodecWeights weights(d, parameters);
    Graph graph(weights[kDenoiseNetwork], {1, 64, 64, 4}, {});
    RandomStream random{random_key(3, 3)};
    for (size_t i = 0; i < graph.input().shape.elements(); i++) graph.input().as<float>()[i] = 0.25f * random.normal();
    graph.forward();
    const float* values = graph.output().as<float>();
    return {values, values + graph.output().shape.elements()};
}

}  // namespace

TEST_CASE("hidden units are multiplied by powers of two, and the network in floats stays the same") {
    const Equalised e;

    std::set<std::string> changed;
    std::set<float> factors;
    for (const Parameter& p : e.before.list()) {
        for (size_t i = 0; i < p.size; i++) {
            const float was = e.before[p.name][i], is = e.after[p.name][i];
            if (was == is) continue;
            changed.insert(p.name);
            if (p.name == "denoise.enc1.a.bias") factors.insert(is / was);
        }
    }
    // All that has a ReLU, and what reads it.
    CHECK(changed == std::set<std::string>{"denoise.enc1.a.weight", "denoise.enc1.a.bias", "denoise.enc1.b.weight", "denoise.mid.a.weight", "denoise.mid.a.bias", "denoise.mid.b.weight",
                                           "denoise.dec1.a.weight", "denoise.dec1.a.bias", "denoise.dec1.b.weight"});
    CHECK_FALSE(factors.empty());
    for (const float f : factors) {
        CHECK(std::log2(f) == std::nearbyint(std::log2(f)));
        CHECK(f > 1);
        CHECK(f <= 16);
    }

    const std::vector<float> a = result_of(e.floats, e.before), b = result_of(e.floats, e.after);
    double difference = 0, size = 0;
    for (size_t i = 0; i < a.size(); i++) difference += std::pow(a[i] - b[i], 2), size += a[i] * a[i];
    CHECK(difference < 1e-9 * size);

    // Nothing is left to do, and nothing is to be done to floats.
    Parameters again = e.after;
    equalise(e.integers, e.data, 1, again);
    CHECK(again.values() == e.after.values());
    Parameters unrounded = e.before;
    equalise(e.floats, e.data, 1, unrounded);
    CHECK(unrounded.values() == e.before.values());
}

TEST_CASE("rounding costs less than before") {
    const Equalised e;
    const std::vector<float> exact = result_of(e.floats, e.before), rounded = result_of(e.integers, e.before), better = result_of(e.integers, e.after);
    double was = 0, is = 0;
    for (size_t i = 0; i < exact.size(); i++) was += std::pow(rounded[i] - exact[i], 2), is += std::pow(better[i] - exact[i], 2);
    CHECK(was > 0);
    CHECK(is < was);
}

TEST_CASE("codecs have no hidden units to equalise") {
    Parameters parameters(tiny_contents().description);
    try {
        equalise(tiny_contents().description, Dataset(pictures().data(), {}), 1, parameters);
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_argument);
    }
}
