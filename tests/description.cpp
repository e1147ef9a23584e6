// The description of a model: read, written, checked, and laid out for a picture's size.
#include "codec/network/description.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/network/parameters.h"

using namespace decant;

namespace {

// A description with one network, "net", of three input channels and these layers.
std::string with_layers(const std::string& layers) {
    return R"({"name": "m", "latent_channels": 8, "hyper_channels": 2, "lambda": [0.01, 0.1],
               "networks": {"net": {"channels_in": 3, "layers": [)" +
           layers + "]}}}";
}

std::string photo_recipe() {
    std::ifstream file(std::string(DECANT_SOURCE_DIR) + "/models/recipes/photo.json");
    REQUIRE(file.good());
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The message must name all of `parts`.
void refused(const std::string& json, const std::vector<std::string>& parts) {
    CAPTURE(json);
    try {
        parse_description(json);
        FAIL_CHECK("accepted");
    } catch (const Error& error) {
        const std::string message = error.what();
        CAPTURE(message);
        CHECK(error.code() == ErrorCode::model_mismatch);
        for (const std::string& part : parts) {
            CAPTURE(part);
            CHECK(message.find(part) != std::string::npos);
        }
    }
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

Shape output_shape(const Network& network, Shape input) { return plan(network, input).back().dst_shape; }

}  // namespace

TEST_CASE("every field of a layer survives writing and reading") {
    const Description d = parse_description(with_layers(R"(
        {"name": "a", "channels": 16, "kernel": 5, "stride": 2, "activation": "leaky_relu", "slope": 0.2, "init": "he", "init_scale": 0.7},
        {"name": "b", "op": "unshuffle", "factor": 4},
        {"name": "c", "op": "shuffle", "factor": 4, "input": "b"},
        {"name": "d", "channels": 16, "kernel": 3, "input": "c", "add": "a", "arithmetic": "wide", "quality_bias": true, "init": "klt"},
        {"name": "e", "channels": 4, "arithmetic": "integer", "activation": "relu", "input_exponent": 2, "init": "small"},
        {"name": "f", "channels": 4, "arithmetic": "compute", "activation": "none", "init": "zero"})"));
    const Description again = parse_description(to_json(d));
    CHECK(again == d);
    CHECK(to_json(again) == to_json(d));

    const std::vector<Layer>& l = d.network("net").layers;
    REQUIRE(l.size() == 6);
    CHECK(l[0].kernel == 5);
    CHECK(l[0].stride == 2);
    CHECK(l[0].slope == 0.2f);
    CHECK(l[0].init_scale == 0.7f);
    CHECK(l[0].activation == Activation::leaky_relu);
    CHECK(l[1].op == Operation::unshuffle);
    CHECK(l[2].factor == 4);
    CHECK(l[3].input == "c");
    CHECK(l[3].add == "a");
    CHECK(l[3].quality_bias);
    CHECK(l[3].init == Init::klt);
    CHECK(l[4].arithmetic == Arithmetic::integer);
    CHECK(l[4].input_exponent == 2);

    Description other = d;
    other.networks[0].layers[0].slope = 0.25f;
    CHECK_FALSE(parse_description(to_json(other)) == d);
}

TEST_CASE("comments are allowed, broken JSON is not") {
    const std::string layer = R"({"name": "a", "channels": 4})";
    CHECK(parse_description("// a model\n" + with_layers("/* the only layer */ " + layer)) ==
          parse_description(with_layers(layer)));
    refused("{", {"not valid JSON"});
    refused("", {"not valid JSON"});
    refused("[]", {"model", "object"});
}

TEST_CASE("errors of the model as a whole") {
    const std::string good = with_layers(R"({"name": "a", "channels": 4})");
    REQUIRE_NOTHROW(parse_description(good));
    refused(replaced(good, "\"name\": \"m\",", ""), {"model", "\"name\"", "missing"});
    refused(replaced(good, "\"lambda\"", "\"lamda\""), {"model", "\"lamda\"", "unknown"});
    refused(replaced(good, "\"latent_channels\": 8", "\"latent_channels\": 6"), {"latent_channels", "multiple of 4"});
    refused(replaced(good, "\"latent_channels\": 8", "\"latent_channels\": 0"), {"latent_channels"});
    refused(replaced(good, "\"latent_channels\": 8", "\"latent_channels\": 4100"), {"latent_channels"});
    refused(replaced(good, "\"latent_channels\": 8", "\"latent_channels\": \"8\""), {"model.latent_channels", "wrong kind"});
    refused(replaced(good, "\"hyper_channels\": 2", "\"hyper_channels\": 0"), {"hyper_channels"});
    refused(replaced(good, "[0.01, 0.1]", "[0.1]"), {"lambda"});
    refused(replaced(good, "[0.01, 0.1]", "[0.1, 0.01]"), {"lambda", "rising"});
    refused(replaced(good, "[0.01, 0.1]", "[0, 0.1]"), {"lambda", "positive"});
    refused(replaced(good, "[0.01, 0.1]", "[0.01, \"high\"]"), {"model.lambda", "wrong kind"});
    refused(replaced(good, "\"networks\": {", "\"networks\": [{"), {"not valid JSON"});
    refused(replaced(good, "\"channels_in\": 3, ", ""), {"net", "\"channels_in\"", "missing"});
    refused(replaced(good, "\"channels_in\"", "\"width\": 1, \"channels_in\""), {"net", "\"width\"", "unknown"});
    refused(with_layers(""), {"net", "layers"});
    CHECK_THROWS_WITH_AS(parse_description(good).network("analysis"), doctest::Contains("\"analysis\" is missing"), Error);
}

TEST_CASE("errors of a layer name network, layer and key") {
    const std::string first = R"({"name": "first", "channels": 8}, )";
    const auto layer = [&](const std::string& fields, const std::vector<std::string>& parts) {
        refused(with_layers(first + "{" + fields + "}"), parts);
    };
    // Before the layer's name is known to be good, its place stands for it.
    layer(R"("channels": 4)", {"net.layers[1]", "name"});
    layer(R"("name": "x", "channels": 4, "colour": 1)", {"net.layers[1]", "\"colour\"", "unknown"});
    layer(R"("name": "x", "channels": "four")", {"net.layers[1].channels", "\"four\"", "wrong kind"});
    layer(R"("name": 7, "channels": 4)", {"net.layers[1].name", "wrong kind"});
    layer(R"("name": "x", "channels": 4, "quality_bias": 1)", {"net.layers[1].quality_bias", "wrong kind"});
    layer(R"("name": "x", "channels": 4, "add": null)", {"net.layers[1].add", "wrong kind"});
    for (const char* number : {"3.9", "true", "4294967299", "1e30"}) {
        layer(R"("name": "x", "channels": )" + std::string(number), {"net.layers[1].channels", "wrong kind"});
    }
    layer(R"("name": "x", "channels": 4, "slope": true)", {"net.layers[1].slope", "wrong kind"});
    layer(R"("name": "x", "channels": [4])", {"net.layers[1].channels", "wrong kind"});
    layer(R"("name": "x", "op": "pool")", {"net.layers[1].op", "\"pool\"", "known values"});
    layer(R"("name": "x", "channels": 4, "activation": 3)", {"net.layers[1].activation", "3", "known values"});
    layer(R"("name": "x", "channels": 4, "arithmetic": "f16")", {"net.layers[1].arithmetic", "\"f16\""});
    layer(R"("name": "x", "channels": 4, "init": "ones")", {"net.layers[1].init", "\"ones\""});
    refused(with_layers("7"), {"net.layers[0]", "object"});

    layer(R"("name": "x")", {"net.x", "channels"});
    layer(R"("name": "x", "channels": -1)", {"net.x", "channels"});
    layer(R"("name": "x", "channels": 16385)", {"net.x", "channels", "16384"});
    for (const char* kernel : {"0", "2", "9", "-3"})
        layer(R"("name": "x", "channels": 4, "kernel": )" + std::string(kernel), {"net.x", "kernel"});
    for (const char* stride : {"0", "5"})
        layer(R"("name": "x", "channels": 4, "stride": )" + std::string(stride), {"net.x", "stride"});
    for (const char* e : {"-1", "9"})
        layer(R"("name": "x", "channels": 4, "input_exponent": )" + std::string(e), {"net.x", "input_exponent"});
    for (const char* op : {"shuffle", "unshuffle"}) {
        for (const char* factor : {"1", "0", "17"}) {
            layer(R"("name": "x", "op": ")" + std::string(op) + R"(", "factor": )" + factor, {"net.x", "factor"});
        }
    }
    layer(R"("name": "first", "channels": 4)", {"net.first", "twice"});
    layer(R"("name": "input", "channels": 4)", {"net.input", "twice"});
    layer(R"("name": "x", "channels": 4, "input": "nowhere")", {"net.x", "\"nowhere\""});
    layer(R"("name": "x", "channels": 4, "input": "x")", {"net.x", "\"x\" before it"});
    layer(R"("name": "x", "channels": 8, "add": "later")", {"net.x", "\"later\""});
    layer(R"("name": "x", "channels": 4, "add": "first")", {"net.x", "first", "[1, 64, 64, 8]", "[1, 64, 64, 4]"});
    layer(R"("name": "x", "channels": 8, "stride": 2, "add": "first")", {"net.x", "first", "[1, 64, 64, 8]", "[1, 32, 32, 8]"});
    layer(R"("name": "x", "channels": 4, "add": "input")", {"net.x", "input", "[1, 64, 64, 3]"});
    layer(R"("name": "x", "channels": 8, "add": "first", "activation": "relu")", {"net.x", "activation"});
    layer(R"("name": "x", "channels": 8, "activation": "leaky_relu", "arithmetic": "integer")",
          {"net.x", "integer", "activation"});
    layer(R"("name": "x", "channels": 8, "activation": "relu", "quality_bias": true)", {"net.x", "quality_bias"});
    layer(R"("name": "x", "op": "shuffle", "factor": 3)", {"net.x", "8 channels", "factor"});
    layer(R"("name": "x", "op": "unshuffle", "factor": 3)", {"net.x", "[1, 64, 64, 8]", "3"});
    layer(R"("name": "x", "op": "shuffle", "factor": 2, "activation": "relu")", {"net.x", "activation"});
    layer(R"("name": "x", "op": "unshuffle", "factor": 2, "add": "first")", {"net.x", "addend"});
    layer(R"("name": "x", "channels": 100}, {"name": "y", "op": "unshuffle", "factor": 16)", {"net.y", "25600 channels"});
}

TEST_CASE("sizes at stride 2 round up") {
    const Description d = parse_description(with_layers(R"({"name": "a", "channels": 6, "kernel": 3, "stride": 2},
                                                           {"name": "b", "channels": 4, "kernel": 5, "stride": 2})"));
    const Network& n = d.network("net");
    for (int size : {1, 2, 3, 4, 5, 7, 8, 9, 33, 64}) {
        CAPTURE(size);
        const int once = (size + 1) / 2, twice = (once + 1) / 2;
        const auto layers = plan(n, {2, size, size + 1, 3});
        CHECK(layers[0].dst_shape == Shape{2, once, size / 2 + 1, 6});
        CHECK(layers[1].dst_shape == Shape{2, twice, (size / 2 + 2) / 2, 4});
    }
    const auto layers = plan(n, {1, 7, 5, 3});
    CHECK(layers[0].multiplications() == 4 * 3 * 6 * 3 * 9);
    CHECK(layers[1].multiplications() == 2 * 2 * 4 * 6 * 25);
    CHECK(layers[0].parameters(2) == 6 * 3 * 9 + 6);
    CHECK_THROWS_WITH_AS(plan(n, {1, 8, 8, 4}), doctest::Contains("net: input has 4 channels, the network reads 3"), Error);
}

TEST_CASE("sources and addends are found by their names") {
    const Description d = parse_description(
        with_layers(R"({"name": "a", "channels": 3, "add": "input"}, {"name": "b", "channels": 5, "input": "input"},
                                                           {"name": "c", "channels": 3, "input": "b", "add": "a"})"));
    const auto layers = plan(d.network("net"), {1, 4, 4, 3});
    CHECK(layers[0].src == -1);
    CHECK(layers[0].add == -1);
    CHECK(layers[1].src == -1);
    CHECK(layers[1].add == -2);
    CHECK(layers[2].src == 1);
    CHECK(layers[2].add == 0);
}

TEST_CASE("the photo recipe fits together") {
    const Description d = parse_description(photo_recipe());
    CHECK(parse_description(to_json(d)) == d);
    CHECK(d.latent_channels == 320);
    CHECK(d.hyper_channels == 64);
    CHECK(d.levels() == 8);
    const int M = d.latent_channels, Hz = d.hyper_channels;
    CHECK(output_shape(d.network("analysis"), {1, 512, 768, 3}) == Shape{1, 512 / kLatentStride, 768 / kLatentStride, M});
    CHECK(output_shape(d.network("synthesis"), {1, 32, 48, M}) == Shape{1, 512, 768, 3});
    CHECK(output_shape(d.network("hyper_analysis"), {1, 32, 48, 2 * M}) == Shape{1, 32 / kHyperStride, 48 / kHyperStride, Hz});
    CHECK(output_shape(d.network("hyper_analysis"), {1, 33, 50, 2 * M}) == Shape{1, 9, 13, Hz});
    const Shape features = output_shape(d.network("hyper_synthesis"), {1, 8, 12, 2 * Hz});
    CHECK(features.h == 32);
    CHECK(features.w == 48);
    for (int k = 0; k < kContextSteps; k++) {
        CAPTURE(k);
        const Shape input{1, 32, 48, features.c + (k == 0 ? 0 : M)};
        CHECK(output_shape(d.network("context" + std::to_string(k)), input) == Shape{1, 32, 48, 2 * M});
    }
    // What stands between bits and symbols is exact on every machine.
    for (const char* name : {"hyper_synthesis", "context0", "context1", "context2", "context3"}) {
        for (const Layer& layer : d.network(name).layers)
            CHECK((layer.op != Operation::convolution || layer.arithmetic == Arithmetic::integer));
    }
    CHECK(is_integer(d.network("analysis")));
    CHECK(is_integer(d.network("synthesis")));
    const auto analysis = plan(d.network("analysis"), {1, 64, 64, 3});
    CHECK(analysis[0].dst_shape == Shape{1, 16, 16, 48});
    CHECK(analysis[7].dst_shape == Shape{1, 8, 8, 128});
    CHECK(analysis.back().src_shape == Shape{1, 4, 4, 320});
}

TEST_CASE("parameters lie one behind the other") {
    const Description d = parse_description(photo_recipe());
    const Parameters parameters(d);
    size_t end = 0;
    for (const Parameter& p : parameters.list()) {
        CHECK(p.offset == end);
        size_t size = 1;
        for (int extent : p.shape) size *= size_t(extent);
        CHECK(p.size == size);
        end += p.size;
    }
    CHECK(parameters.values().size() == end);
    int64_t planned = 2 * int64_t(d.levels()) * d.latent_channels + (1 + kPredictionTaps) * d.latent_channels + 2 * d.hyper_channels;
    for (const Network& n : d.networks) {
        for (const PlannedLayer& p : plan(n, {1, 64, 64, n.channels_in})) planned += p.parameters(d.levels());
    }
    CHECK(int64_t(end) == planned);
    CHECK(parameters.find("analysis.klt3.quality").shape == std::vector<int>{8, 320});
    CHECK(parameters.find("hyper_analysis.conv2.weight").shape == std::vector<int>{128, 128, 3, 3});
    CHECK(parameters.find("latent_std").change == Parameter::Change::none);
    CHECK(parameters.find("gain").change == Parameter::Change::gradient);
    CHECK_FALSE(parameters.contains("analysis.pixels.weight"));
    CHECK_THROWS_AS(parameters.find("analysis.pixels.weight"), Error);
}
