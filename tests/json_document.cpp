// JSON that knows its lines, and values set by their paths.
#include "codec/network/json_document.h"

#include <doctest/doctest.h>

#include <string>

#include "codec/error.h"

using namespace decant;

namespace {

const char* const kText = R"(// a model
{
  "name": "m", "task": "denoise",
  /* two lines
     of comment */
  "networks": {
    "denoise": {"channels_in": 2, "layers": [
      {"name": "head", "channels": 8},
      {"name": "enc1.a",
       "channels": 12
      },
      {"name": "tail", "channels": 1}
    ]}
  },
  "list": [
    1,
    2
  ]
}
)";

std::string placed(const JsonDocument& document, const std::string& message) {
    return document.located(Error(ErrorCode::model_mismatch, message)).what();
}

std::string refused(const std::string& text) {
    try {
        JsonDocument document(text);
        FAIL_CHECK("accepted: " << text);
        return "";
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::model_mismatch);
        return error.what();
    }
}

std::string refused(JsonDocument& document, const std::string& path) {
    const OrderedJson before = document.root();
    try {
        document.set(path, "1", "--set " + path);
        FAIL_CHECK("accepted: " << path);
        return "";
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_argument);
        CHECK(document.root() == before);
        return error.what();
    }
}

}  // namespace

TEST_CASE("the value is what the JSON library reads") {
    CHECK(JsonDocument(kText).root() == OrderedJson::parse(kText, nullptr, true, true));
    for (const char* text : {"{}", "[]", "3", "\"a\"", "null", "[[],{},[{}]]", R"({"a/b": {"~": 1}})", "-1.5e3"}) {
        CHECK(JsonDocument(text).root() == OrderedJson::parse(text));
    }
}

TEST_CASE("every value has its line") {
    const JsonDocument d(kText);
    CHECK(placed(d, "name: x") == "line 3: name: x");
    CHECK(placed(d, "model.task: x") == "line 3: model.task: x");
    CHECK(placed(d, "networks: x") == "line 6: networks: x");
    CHECK(placed(d, "networks.denoise.layers: x") == "line 7: networks.denoise.layers: x");
    CHECK(placed(d, "denoise.layers[0]: x") == "line 8: denoise.layers[0]: x");
    CHECK(placed(d, "networks.denoise.layers.1.channels: x") == "line 10: networks.denoise.layers.1.channels: x");
    CHECK(placed(d, "networks.denoise.layers.enc1.a: x") == "line 9: networks.denoise.layers.enc1.a: x");
    CHECK(placed(d, "list[0]: x") == "line 16: list[0]: x");
    CHECK(placed(d, "list[1]: x") == "line 17: list[1]: x");
    // What is not there is placed where it should be.
    CHECK(placed(d, "denoise.layers[1].slope: x") == "line 9: denoise.layers[1].slope: x");
    CHECK(placed(d, "somewhere else") == "line 2: somewhere else");
    // A text of one line needs no number.
    CHECK(placed(JsonDocument(R"({"a": 1})"), "a: x") == "a: x");
}

TEST_CASE("Windows line ends and a last line without one") {
    CHECK(placed(JsonDocument("{\r\n\"a\": 1,\r\n\"b\": 2}"), "b: x") == "line 3: b: x");
}

TEST_CASE("what is no JSON is refused with its line") {
    CHECK(refused("{\n\"a\": 1\n\"b\": 2}").find("line 3") != std::string::npos);
    CHECK(refused("").find("not valid JSON") != std::string::npos);
    CHECK(refused("{} {}").find("not valid JSON") != std::string::npos);
    CHECK(refused("{\"a\": 1,\n \"a\": 2}") == "line 2: not valid JSON: the key \"a\" is there twice");
    CHECK(refused("[1e999]").find("not valid JSON") != std::string::npos);
    CHECK(refused("\"\xff\"").find("not valid JSON") != std::string::npos);
}

TEST_CASE("values are set by their path") {
    JsonDocument d(kText);
    const auto& layers = d.root()["networks"]["denoise"]["layers"];
    d.set("networks.denoise.layers.head.channels", "48", "--set");
    CHECK(layers[0]["channels"] == 48);
    d.set("networks.denoise.layers.enc1.a.channels", "1e1", "--set");
    CHECK(layers[1]["channels"] == 10.0);
    d.set("networks.denoise.layers[2].channels", "7", "--set");
    CHECK(layers[2]["channels"] == 7);
    d.set("networks.denoise.layers.2.activation", "relu", "--set");  // a new key; no JSON, so a string
    CHECK(layers[2]["activation"] == "relu");
    d.set("list", "[3, {\"a\": true}]", "--set");
    d.set("list.1.a", "null", "--set");
    CHECK(d.root()["list"] == OrderedJson::parse("[3, {\"a\": null}]"));
    d.set("name", "", "--set");
    CHECK(d.root()["name"] == "");
    d.set("networks.*.layers.*.channels", "5", "--set");
    for (const auto& layer : layers) CHECK(layer["channels"] == 5);
    // Only those that say it.
    d.set("networks.denoise.layers.*.activation", "gelu", "--set");
    CHECK_FALSE(layers[0].contains("activation"));
    CHECK(layers[2]["activation"] == "gelu");
}

TEST_CASE("a path that is not there is refused with the nearest part that is") {
    JsonDocument d(kText);
    CHECK(refused(d, "networks.denoise.layers.hed.channels") ==
          "--set networks.denoise.layers.hed.channels: there is no \"hed.channels\" in networks.denoise.layers; there are head, enc1.a, tail");
    CHECK(refused(d, "network.denoise.channels_in") ==
          "--set network.denoise.channels_in: there is no \"network.denoise.channels_in\"; there are name, task, networks, list");
    CHECK(refused(d, "list.2") == "--set list.2: there is no \"2\" in list; there are 0, 1");
    CHECK(refused(d, "name.first").find("in name, which has no members") != std::string::npos);
    CHECK(refused(d, "networks.*.layers.*.slope").find("there is no") != std::string::npos);
    CHECK(refused(d, "") != "");
    CHECK(refused(d, "..") != "");
    CHECK(refused(d, "[") != "");
}
