// Recipes: networks and training in one file, what is wrong in them named with its line, values set from outside.
#include "codec/train/recipe.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/io/file.h"
#include "codec/network/json_document.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

const char* const kText = R"(// a model
{
  "name": "m", "task": "denoise",
  "networks": {
    "denoise": {"channels_in": 2, "layers": [
      {"name": "head", "channels": 8},
      {"name": "enc1.a",
       "channels": 8,
       "kernel": 3
      },
      {"name": "tail", "channels": 1}
    ]}
  },
  "training": {
    "steps": 100,
    "rate": 2e-3
  }
}
)";

std::string with(const std::string& from, const std::string& to) {
    std::string text = kText;
    const size_t at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

Assignment set(const std::string& path, const std::string& value) { return {path, value, "--set " + path + "=" + value}; }

std::string refused(ErrorCode code, const std::string& text, const std::vector<Assignment>& assignments = {}, const Description* start = nullptr) {
    try {
        parse_recipe(text, assignments, start);
        FAIL_CHECK("accepted: " << text);
        return "";
    } catch (const Error& error) {
        CHECK(error.code() == code);
        return error.what();
    }
}

std::string refused_line(const std::string& from, const std::string& to) {
    const std::string what = refused(ErrorCode::model_mismatch, with(from, to));
    MESSAGE(what);
    return what.substr(0, what.find(':'));
}

}  // namespace

TEST_CASE("a recipe is a description and its training") {
    const Recipe r = parse_recipe(kText);
    CHECK(r.description.networks.size() == 1);
    CHECK(r.training.steps == 100);
    CHECK(r.training.rate == 2e-3);
    CHECK(r.training.batch == TrainOptions().batch);
    // The training is not of the description.
    CHECK(r.description == parse_recipe(with("\"steps\": 100", "\"steps\": 101")).description);
    CHECK(to_json(r.description).find("training") == std::string::npos);
}

TEST_CASE("every value of a training is read, written and set") {
    const OrderedJson defaults = OrderedJson::parse(to_json(TrainOptions()));
    std::set<std::string> keys;
    for (const TrainingField& field : training_fields()) {
        CAPTURE(field.key);
        CHECK(keys.insert(field.key).second);
        CHECK(std::string(field.meaning) != "");
        CHECK(field.argument() != "");
        CHECK(defaults.contains(field.key) == field.is_kept);
        if (!field.is_kept) continue;
        // Another value than the default.
        const OrderedJson before = defaults[field.key];
        OrderedJson other = before.is_boolean() ? OrderedJson(!before.get<bool>()) : before;
        if (before.is_number()) {
            other = before == field.low ? OrderedJson(std::string(field.key) == "steps" ? 7 : field.low + (field.argument() == "N" ? 1 : 1e-3)) : OrderedJson(field.low);
            if (field.argument() == "N") other = other.get<int64_t>();
        }
        const std::string words = field.argument();
        if (before.is_string()) other = before == words.substr(0, words.find('|')) ? words.substr(words.rfind('|') + 1) : words.substr(0, words.find('|'));
        std::vector<Assignment> assignments{set("training." + std::string(field.key), other.dump())};
        if (std::string(field.key) == "batch") assignments.push_back(set("training.shards", "1"));
        if (std::string(field.key) == "shards") assignments.push_back(set("training.batch", "8"));
        const OrderedJson after = OrderedJson::parse(to_json(parse_recipe(kText, assignments).training));
        CHECK(after[field.key] == other);
        CHECK(after[field.key] != before);
        // What a model keeps of its training can be read again.
        OrderedJson whole = JsonDocument(kText).root();
        whole["training"] = after;
        CHECK(OrderedJson::parse(to_json(parse_recipe(whole.dump()).training)) == after);
    }
    CHECK(parse_recipe(kText, {set("training.data", "pictures")}).training.data == "pictures");
}

TEST_CASE("the recipes at hand are good") {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(DECANT_SOURCE_DIR) + "/models/recipes")) {
        CAPTURE(entry.path().string());
        const std::vector<uint8_t> bytes = read_file(entry.path().string());
        const std::string text(bytes.begin(), bytes.end());
        if (!JsonDocument(text).root().contains("networks")) continue;  // a search
        CHECK_NOTHROW(parse_recipe(text));
        count++;
    }
    CHECK(count >= 4);
}

TEST_CASE("a mistake is named with its line") {
    CHECK(refused_line("\"channels\": 8,", "\"colour\": 8,") == "line 8");                         // a key
    CHECK(refused_line("\"kernel\": 3", "\"kernel\": 2") == "line 9");                             // a value
    CHECK(refused_line("\"kernel\": 3", "\"activation\": \"soft\"") == "line 9");                  // a word
    CHECK(refused_line("\"channels\": 1}", "\"channels\": 1, \"add\": \"head\"}") == "line 11");   // a shape
    CHECK(refused_line("\"channels_in\": 2", "\"channels_in\": 7") == "line 5");                   // of a network
    CHECK(refused_line("\"task\": \"denoise\"", "\"task\": \"guess\"") == "line 3");               // of the model
    CHECK(refused_line("\"steps\": 100", "\"stops\": 100") == "line 15");                          // of the training
    CHECK(refused_line("\"rate\": 2e-3", "\"rate\": \"fast\"") == "line 16");
    CHECK(refused_line("\"training\": {", "\"training\": [],\n\"more\": {") == "line 15");
    for (const char* wrong : {"\"rate\": 2", "\"crop\": 72", "\"batch\": 3", "\"compute\": \"f16\"", "\"steps\": 1.5", "\"seed\": -1", "\"hold\": null"}) {
        CAPTURE(wrong);
        refused(ErrorCode::model_mismatch, with("\"rate\": 2e-3", wrong));
    }
}

TEST_CASE("a mistake in what is set names the setting") {
    CHECK(refused(ErrorCode::invalid_argument, kText, {set("networks.denoise.layers.head.channels", "many")}) ==
          "--set networks.denoise.layers.head.channels=many: denoise.layers[0].channels: \"many\" is of the wrong kind");
    CHECK(refused(ErrorCode::invalid_argument, kText, {set("networks.denoise.layers.enc1.a.kernel", "2")}).starts_with("--set"));
    CHECK(refused(ErrorCode::invalid_argument, kText, {{"training.rate", "5", "--rate 5"}}) ==
          "--rate 5: training.rate: 5 is out of range, which is 1e-15 to 1");
    CHECK(refused(ErrorCode::invalid_argument, kText, {set("training.rat", "1")}).starts_with("--set training.rat=1: training.rat: unknown key"));
    CHECK(refused(ErrorCode::invalid_argument, kText, {set("trainin.rate", "1")}) ==
          "--set trainin.rate=1: there is no \"trainin.rate\"; there are name, task, networks, training");
    // The last one counts.
    CHECK(parse_recipe(kText, {set("training.rate", "1e-4"), set("training.rate", "1e-5")}).training.rate == 1e-5);
    CHECK(parse_recipe(kText, {set("networks.denoise.layers.enc1.a.channels", "12")}).description.networks[0].layers[1].channels == 12);
}

TEST_CASE("going on from a model") {
    const Description start = parse_recipe(kText).description;
    CHECK(parse_recipe("", {}, &start).description == start);
    const Recipe r = parse_recipe(R"({"training": {"rate": 1e-4}})", {set("noise", "page")}, &start);
    CHECK(r.training.rate == 1e-4);
    CHECK(r.description.noise == NoiseDomain::page);
    CHECK(refused(ErrorCode::model_mismatch, "{\n\"name\": \"m\"}", {}, &start).find("line 2: name: the model") == 0);
    // Networks of its own.
    const Recipe grown = parse_recipe(kText, {set("networks.denoise.layers.enc1.a.channels", "9")}, &start);
    CHECK(grown.description.networks[0].layers[1].channels == 9);
    CHECK(grown.training.steps == 100);
    CHECK(refused(ErrorCode::invalid_argument, "", {set("networks.denoise.layers.enc1.a.channels", "9")}, &start).find("does not fit") != std::string::npos);
}

TEST_CASE("what a codec serves can be set") {
    const Description start = tiny_description();
    CHECK(parse_recipe("", {}, &start).description == start);
    const Description changed = parse_recipe("", {set("serves", "[1, 2]"), set("companion", "low")}, &start).description;
    CHECK(changed.first_level() == 1);
    CHECK(changed.companion == "low");
    refused(ErrorCode::invalid_argument, "", {set("serves", "[1, 3]")}, &start);
    refused(ErrorCode::invalid_argument, kText, {set("serves", "[0, 1]")});  // a denoiser has none
}

TEST_CASE("damaged recipes are refused or read, nothing else") {
    std::mt19937 random(1);
    const std::string text = kText, bytes = "{}[]\",:/*0-9e.tn\\u\n \xff";
    int good = 0;
    for (int i = 0; i < 3000; i++) {
        std::string damaged = text;
        for (int k = 0; k <= i % 3; k++) {
            const size_t at = random() % damaged.size();
            switch (random() % 3) {
                case 0: damaged[at] = bytes[random() % bytes.size()]; break;
                case 1: damaged.erase(at, 1 + random() % 8); break;
                default: damaged.insert(at, 1 + random() % 3, bytes[random() % bytes.size()]);
            }
        }
        CAPTURE(damaged);
        try {
            parse_recipe(damaged);
            good++;
        } catch (const Error& error) {
            REQUIRE(error.code() == ErrorCode::model_mismatch);
        }
        const std::string path = damaged.substr(random() % 100, random() % 60);
        try {
            parse_recipe(text, {{path, damaged.substr(0, 20), "--set"}});
        } catch (const Error& error) {
            REQUIRE(error.code() == ErrorCode::invalid_argument);
        }
    }
    CHECK(good > 0);
    CHECK(good < 3000);
}
