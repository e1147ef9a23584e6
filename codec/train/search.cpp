#include "codec/train/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "codec/network/json_fields.h"
#include "codec/tensor/random.h"

namespace decant {

const Names<SearchMethod>& names(SearchMethod) {
    static const Names<SearchMethod> list{
        {"grid", SearchMethod::grid}, {"random", SearchMethod::random}, {"halving", SearchMethod::halving}, {"hyperband", SearchMethod::hyperband}};
    return list;
}

namespace {

SearchDimension read_dimension(const std::string& path, const OrderedJson& value) {
    SearchDimension d;
    d.path = path;
    const std::string where = "values." + path;
    if (value.is_array() && !value.empty()) {
        for (const OrderedJson& choice : value) d.choices.push_back(choice.dump());
        return d;
    }
    if (!value.is_object()) fail_json(where + ": a list of values, or a range with low and high, is expected");
    check_keys(value, {"low", "high", "scale", "whole"}, where);
    if (!value.contains("low") || !value.contains("high")) fail_json(where + ": low and high are needed");
    read_value(value["low"], d.low, where + ".low");
    read_value(value["high"], d.high, where + ".high");
    if (value.contains("whole")) read_value(value["whole"], d.is_whole, where + ".whole");
    if (value.contains("scale")) {
        d.is_logarithmic = value["scale"] == "log";
        if (!d.is_logarithmic && value["scale"] != "linear") fail_json(where + ".scale: log or linear is expected");
    }
    if (!(d.low <= d.high)) fail_json(where + ": low is above high");
    if (d.is_logarithmic && d.low <= 0) fail_json(where + ".low: must be above 0 for a logarithmic scale");
    if (d.is_whole && std::ceil(d.low) > std::floor(d.high)) fail_json(where + ": there is no whole number between low and high");
    return d;
}

SearchSpec read_spec(const OrderedJson& root) {
    check_keys(root, {"method", "steps", "seconds", "trials", "eta", "least", "seed", "values"}, "");
    SearchSpec s;
    const auto read = [&](const char* key, auto& member) {
        if (root.contains(key)) read_value(root[key], member, key);
    };
    read("method", s.method);
    read("trials", s.trials);
    read("eta", s.eta);
    read("seed", s.seed);
    if (root.contains("steps") == root.contains("seconds")) fail_json("method: either steps or seconds of a trial are needed");
    s.is_in_seconds = root.contains("seconds");
    read("steps", s.budget);
    read("seconds", s.budget);
    s.least = s.budget / (s.eta * s.eta);
    read("least", s.least);
    if (!(s.budget > 0)) fail_json(std::string(s.is_in_seconds ? "seconds" : "steps") + ": must be above 0");
    if (s.trials < 1 || s.trials > 1000000) fail_json("trials: must be 1 to 1000000");
    if (!(s.eta > 1 && s.eta <= 100)) fail_json("eta: must be above 1, up to 100");
    if (!(s.least > 0 && s.least <= s.budget)) fail_json("least: must be above 0, up to the budget");
    if (!root.contains("values") || !root["values"].is_object() || root["values"].empty()) fail_json("values: an object with the values to try is needed");
    for (const auto& [path, value] : root["values"].items()) {
        s.dimensions.push_back(read_dimension(path, value));
        if (s.method == SearchMethod::grid && s.dimensions.back().choices.empty()) fail_json("values." + path + ": a grid has lists of values, no ranges");
    }
    return s;
}

Assignment assignment(const SearchDimension& d, std::string value) { return {d.path, value, "search, " + d.path + "=" + value}; }

std::vector<Assignment> draw(const SearchSpec& s, size_t number) {
    std::vector<Assignment> values;
    for (size_t i = 0; i < s.dimensions.size(); i++) {
        const SearchDimension& d = s.dimensions[i];
        RandomStream random{random_key(s.seed, 11, number, i)};
        if (!d.choices.empty()) {
            values.push_back(assignment(d, d.choices[size_t(random.below(int(d.choices.size())))]));
            continue;
        }
        const auto warp = [&](double v) { return d.is_logarithmic ? std::log(v) : v; };
        // Every whole number has its share of the range.
        const double half = d.is_whole ? 0.5 : 0.0;
        const double low = warp(d.is_logarithmic ? std::max(d.low - half, 0.5 * d.low) : d.low - half), high = warp(d.high + half);
        double v = low + (high - low) * double(random.next());
        if (d.is_logarithmic) v = std::exp(v);
        if (d.is_whole) v = std::clamp(std::round(v), std::ceil(d.low), std::floor(d.high));
        v = std::clamp(v, d.low, d.high);
        values.push_back(assignment(d, d.is_whole ? std::to_string(int64_t(v)) : OrderedJson(v).dump()));
    }
    return values;
}

std::vector<std::vector<Assignment>> grid(const SearchSpec& s) {
    std::vector<std::vector<Assignment>> all{{}};
    for (const SearchDimension& d : s.dimensions) {
        std::vector<std::vector<Assignment>> longer;
        for (const auto& values : all) {
            for (const std::string& choice : d.choices) {
                longer.push_back(values);
                longer.back().push_back(assignment(d, choice));
            }
        }
        all = std::move(longer);
    }
    return all;
}

// How often the least budget can be multiplied by eta.
int rungs(const SearchSpec& s) { return int(std::floor(std::log(s.budget / s.least) / std::log(s.eta) + 1e-9)); }

// count trials, numbered from `first`, with budget / eta^rungs; the best 1/eta of them with eta times as much, and so on.
void halve(const SearchSpec& s, size_t first, double count, int rungs_left, const std::function<double(const Trial&)>& run) {
    std::vector<std::pair<double, Trial>> ranked;
    for (size_t i = 0; i < size_t(count); i++) ranked.push_back({0, {draw(s, first + i), 0}});
    for (;; rungs_left--) {
        const double budget = s.budget * std::pow(s.eta, -rungs_left);
        for (auto& [loss, trial] : ranked) {
            trial.budget = s.is_in_seconds ? budget : std::max(1.0, std::round(budget));
            loss = run(trial);
            if (std::isnan(loss)) loss = std::numeric_limits<double>::infinity();
        }
        if (rungs_left == 0) return;
        std::ranges::stable_sort(ranked, {}, [](const auto& r) { return r.first; });
        ranked.resize(std::max<size_t>(1, size_t(std::floor(double(ranked.size()) / s.eta + 1e-9))));
    }
}

}  // namespace

SearchSpec parse_search(const std::string& text) {
    const JsonDocument document(text);
    try {
        return read_spec(document.root());
    } catch (const Error& error) {
        throw document.located(error);
    }
}

std::vector<Assignment> Trial::assignments(const SearchSpec& spec) const {
    std::vector<Assignment> all;
    for (const Assignment& a : values) {
        std::istringstream paths(a.path);
        for (std::string path; std::getline(paths >> std::ws, path, ',');) all.push_back({path, a.value, a.origin});
    }
    const std::string amount = OrderedJson(budget).dump();
    constexpr const char* kEndless = "1000000000000";
    all.push_back({"training.steps", spec.is_in_seconds ? kEndless : amount, "search, steps"});
    if (spec.is_in_seconds) all.push_back({"training.seconds", amount, "search, seconds"});
    return all;
}

void search(const SearchSpec& s, const std::function<double(const Trial&)>& run) {
    switch (s.method) {
        case SearchMethod::grid:
            for (const auto& values : grid(s)) run({values, s.budget});
            return;
        case SearchMethod::random:
            for (size_t i = 0; i < size_t(s.trials); i++) run({draw(s, i), s.budget});
            return;
        case SearchMethod::halving: halve(s, 0, double(s.trials), rungs(s), run); return;
        case SearchMethod::hyperband: {
            size_t first = 0;
            const int most = rungs(s);
            for (int k = most; k >= 0; k--) {
                const double count = std::ceil(double(most + 1) / double(k + 1) * std::pow(s.eta, k) - 1e-9);
                halve(s, first, count, k, run);
                first += size_t(count);
            }
            return;
        }
    }
}

size_t count_trials(const SearchSpec& s) {
    size_t count = 0;
    search(s, [&](const Trial&) {
        count++;
        return 0.0;
    });
    return count;
}

}  // namespace decant
