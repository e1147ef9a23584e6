// Which trials a search makes: their values, budgets and order.
#include "codec/train/search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "codec/error.h"

using namespace decant;

namespace {

std::string values_of(const Trial& trial) {
    std::string text;
    for (const Assignment& a : trial.values) text += (text.empty() ? "" : " ") + a.path + "=" + a.value;
    return text;
}

std::vector<Trial> trials(const SearchSpec& spec, const std::function<double(const Trial&)>& loss) {
    std::vector<Trial> all;
    search(spec, [&](const Trial& trial) {
        all.push_back(trial);
        return loss(trial);
    });
    return all;
}

double number(const Trial& trial, size_t i = 0) { return std::stod(trial.values[i].value); }

std::string refused(const std::string& text) {
    try {
        parse_search(text);
        FAIL_CHECK("accepted: " << text);
        return "";
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::model_mismatch);
        return error.what();
    }
}

}  // namespace

TEST_CASE("a grid is all combinations") {
    const SearchSpec s = parse_search(R"({"method": "grid", "steps": 100, "values": {"training.rate": [1e-3, 1e-4], "name": ["a", "b"], "x.y": [null]}})");
    const auto all = trials(s, [](const Trial&) { return 0.0; });
    REQUIRE(all.size() == 4);
    CHECK(count_trials(s) == 4);
    CHECK(values_of(all[0]) == "training.rate=0.001 name=\"a\" x.y=null");
    CHECK(values_of(all[3]) == "training.rate=0.0001 name=\"b\" x.y=null");
    const auto set = all[1].assignments(s);
    REQUIRE(set.size() == 4);
    CHECK(set[1].path == "name");
    CHECK(set[3].path == "training.steps");
    CHECK(std::stod(set[3].value) == 100);
}

TEST_CASE("one value at several paths") {
    const SearchSpec s = parse_search(R"({"steps": 1, "values": {"a.b, c.*.d,e": [1, 2]}})");
    const auto all = trials(s, [](const Trial&) { return 0.0; });
    REQUIRE(all.size() == 2);
    const auto set = all[1].assignments(s);
    REQUIRE(set.size() == 4);
    const char* const paths[] = {"a.b", "c.*.d", "e"};
    for (size_t i = 0; i < 3; i++) {
        CHECK(set[i].path == paths[i]);
        CHECK(set[i].value == "2");
    }
}

TEST_CASE("random: uniform, log-uniform, whole and choices") {
    const SearchSpec s = parse_search(R"({"method": "random", "seconds": 2.5, "trials": 4000, "seed": 5, "values": {
        "a": {"low": -1, "high": 3}, "b": {"low": 1e-4, "high": 1, "scale": "log"}, "c": {"low": 1, "high": 4, "whole": true},
        "d": {"low": 1, "high": 8, "whole": true, "scale": "log"}, "e": ["x", "y"]}})");
    const auto all = trials(s, [](const Trial&) { return 0.0; });
    REQUIRE(all.size() == 4000);
    std::map<std::string, int> whole, logarithmic, words;
    double mean = 0, mean_log = 0;
    for (const Trial& t : all) {
        CHECK(t.budget == 2.5);
        REQUIRE(number(t, 0) >= -1);
        REQUIRE(number(t, 0) <= 3);
        REQUIRE(number(t, 1) >= 1e-4);
        REQUIRE(number(t, 1) <= 1);
        mean += number(t, 0) / 4000;
        mean_log += std::log10(number(t, 1)) / 4000;
        whole[t.values[2].value]++;
        logarithmic[t.values[3].value]++;
        words[t.values[4].value]++;
    }
    CHECK(mean == doctest::Approx(1).epsilon(0.08));
    CHECK(mean_log == doctest::Approx(-2).epsilon(0.05));
    REQUIRE(whole.size() == 4);
    for (const auto& [value, count] : whole) CHECK(count == doctest::Approx(1000).epsilon(0.15));
    CHECK(logarithmic.size() == 8);
    CHECK(logarithmic["1"] > 4 * logarithmic["8"]);
    REQUIRE(words.size() == 2);
    CHECK(words["\"x\""] == doctest::Approx(2000).epsilon(0.1));

    // By the seed, and not by how many there are.
    SearchSpec fewer = s, other = s;
    fewer.trials = 10;
    other.seed = 6;
    CHECK(values_of(trials(fewer, [](const Trial&) { return 0.0; })[9]) == values_of(all[9]));
    CHECK(values_of(trials(other, [](const Trial&) { return 0.0; })[9]) != values_of(all[9]));
    CHECK(all[0].assignments(s).back().path == "training.seconds");
}

TEST_CASE("successive halving gives more to the better ones") {
    const SearchSpec s = parse_search(R"({"method": "halving", "steps": 900, "least": 100, "eta": 3, "trials": 9, "values": {"a": {"low": 0, "high": 1}}})");
    const auto loss = [](const Trial& t) { return std::abs(number(t) - 0.4); };
    const auto all = trials(s, loss);
    REQUIRE(all.size() == 9 + 3 + 1);
    CHECK(count_trials(s) == all.size());
    std::vector<std::pair<double, std::string>> first;
    for (size_t i = 0; i < 9; i++) {
        CHECK(all[i].budget == 100);
        first.emplace_back(loss(all[i]), values_of(all[i]));
    }
    std::ranges::sort(first);
    for (size_t i = 0; i < 3; i++) {
        CHECK(all[9 + i].budget == 300);
        CHECK(values_of(all[9 + i]) == first[i].second);
    }
    CHECK(all[12].budget == 900);
    CHECK(values_of(all[12]) == first[0].second);
    // One that failed is the worst.
    const auto failing = trials(s, [&](const Trial& t) { return values_of(t) == first[0].second ? std::numeric_limits<double>::quiet_NaN() : loss(t); });
    CHECK(values_of(failing[12]) == first[1].second);
}

TEST_CASE("Hyperband's brackets are those of algorithm 1 in Li 2018") {
    // R = 81, eta = 3, in units of the least budget.
    const SearchSpec s = parse_search(R"({"method": "hyperband", "steps": 81, "least": 1, "eta": 3, "values": {"a": {"low": 0, "high": 1}}})");
    std::vector<std::pair<double, int>> runs;  // budget, how many in a row
    std::set<std::string> configurations;
    for (const Trial& t : trials(s, [](const Trial& trial) { return number(trial); })) {
        configurations.insert(values_of(t));
        if (runs.empty() || runs.back().first != t.budget)
            runs.emplace_back(t.budget, 1);
        else
            runs.back().second++;
    }
    const std::vector<std::pair<double, int>> want{{1, 81}, {3, 27}, {9, 9}, {27, 3}, {81, 1},  // 81 configurations
                                                   {3, 34}, {9, 11}, {27, 3}, {81, 1},          // 34
                                                   {9, 15}, {27, 5}, {81, 1},                   // 15
                                                   {27, 8}, {81, 2 + 5}};                       // 8, and 5 with all from the start
    CHECK(runs == want);
    CHECK(configurations.size() == 81 + 34 + 15 + 8 + 5);
}

TEST_CASE("a mistake in a search is named with its line") {
    CHECK(refused("{\n\"metod\": \"grid\"}").starts_with("line 2: metod: unknown key"));
    CHECK(refused("{\n\"steps\": 1,\n\"method\": \"luck\"}").starts_with("line 3: method: \"luck\""));
    CHECK(refused("{\n\"steps\": 1,\n\"values\": {\n\"training.rate\": {\"low\": 2, \"high\": 1}}, \"method\": \"random\"}").starts_with("line 4: values.training.rate: low"));
    CHECK(refused("{\n\"steps\": 1,\n\"values\": {\n\"a.b\": {\"low\": 0,\n \"high\": 1, \"scale\": \"log\"}}, \"method\": \"random\"}").starts_with("line 4: values.a.b.low"));
    for (const char* wrong : {"[]", R"({"values": {"a": [1]}})", R"({"steps": 1, "seconds": 1, "values": {"a": [1]}})", R"({"steps": 1})", R"({"steps": 1, "values": {}})",
                              R"({"steps": 1, "values": {"a": []}})", R"({"steps": 0, "values": {"a": [1]}})", R"({"steps": 1, "values": {"a": {"low": 0, "high": 1}}})",
                              R"({"steps": 1, "eta": 1, "values": {"a": [1]}})", R"({"steps": 1, "least": 2, "values": {"a": [1]}})", R"({"steps": 1, "trials": 0, "values": {"a": [1]}})",
                              R"({"method": "random", "steps": 1, "values": {"a": {"low": 0.2, "high": 0.8, "whole": true}}})"}) {
        CAPTURE(wrong);
        CHECK(refused(wrong) != "");
    }
}
