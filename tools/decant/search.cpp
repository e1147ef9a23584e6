#include "tools/decant/search.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>

#include "codec/error.h"
#include "codec/io/file.h"
#include "codec/network/model_file.h"
#include "codec/train/search.h"
#include "tools/decant/console.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/page.h"
#include "tools/decant/text.h"
#include "tools/decant/training.h"

namespace decant::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Finished {
    std::string recipe;               // its fingerprint
    std::vector<std::string> values;  // as text, one a dimension
    double budget = 0, loss = kNone, seconds = 0;
    int64_t steps = 0;
    std::vector<ValidationPoint> validation;
    std::string error;  // "": it was trained

    double speed() const { return seconds > 0 ? static_cast<double>(steps) / seconds : kNone; }
};

Json json_of(const Finished& f, const SearchSpec& spec) {
    Json values = Json::object();
    for (size_t i = 0; i < f.values.size(); ++i) values[spec.dimensions[i].path] = f.values[i];
    Json line{{"recipe", f.recipe}, {"values", std::move(values)}, {"budget", f.budget}, {"loss", std::isfinite(f.loss) ? Json(f.loss) : Json()}};
    if (!f.error.empty()) {
        line["error"] = f.error;
        return line;
    }
    line["steps"] = f.steps;
    line["seconds"] = f.seconds;
    line["validation"] = to_json(f.validation);
    return line;
}

Finished parse_finished(const std::string& text) {
    try {
        const Json line = Json::parse(text);
        Finished f;
        f.recipe = line.at("recipe").get<std::string>();
        for (const auto& [path, value] : line.at("values").items()) f.values.push_back(value.get<std::string>());
        f.budget = line.at("budget").get<double>();
        if (!line.at("loss").is_null()) f.loss = line["loss"].get<double>();
        f.error = line.value("error", "");
        f.steps = line.value("steps", int64_t{0});
        f.seconds = line.value("seconds", 0.0);
        if (line.contains("validation")) f.validation = parse_validation(line["validation"]);
        return f;
    } catch (const Json::exception&) {
        throw Error(ErrorCode::corrupt, "not a result of a search: " + text.substr(0, 60));
    }
}

// The file of results: one line a trial, each written when the trial is done.
class Results {
public:
    explicit Results(const std::string& path) : path_(path) {
        std::error_code error;
        if (!fs::exists(path, error)) return;
        const std::vector<uint8_t> bytes = read_file(path);
        const std::string text(bytes.begin(), bytes.end());
        // What was cut off while it was written has no end of line.
        const size_t end = text.rfind('\n') + 1;
        for (const std::string& line : split(std::string_view(text).substr(0, end), '\n')) {
            if (line.empty()) continue;
            Finished f = in_file(path, [&] { return parse_finished(line); });
            known_[f.recipe] = std::move(f);
        }
        if (end < text.size()) fs::resize_file(path, end);
    }

    const Finished* find(const std::string& recipe) const {
        const auto found = known_.find(recipe);
        return found == known_.end() ? nullptr : &found->second;
    }
    void add(const Finished& f, const SearchSpec& spec) {
        std::ofstream file(path_, std::ios::app | std::ios::binary);
        if (!(file << to_line(json_of(f, spec)) << std::flush)) throw Error(ErrorCode::io, path_ + ": cannot be written");
        known_[f.recipe] = f;
    }

private:
    std::string path_;
    std::map<std::string, Finished> known_;
};

// "activation" of "networks.*.layers.*.activation".
std::string short_name(const std::string& path) { return path.substr(path.rfind('.') + 1); }

std::string shown(const std::string& json) {
    const Json value = Json::parse(json, nullptr, false);
    return value.is_string() ? value.get<std::string>() : value.is_number_float() ? plain(value.get<double>()) : json;
}

std::string label_of(const Finished& f, const SearchSpec& spec) {
    std::string label;
    for (size_t i = 0; i < f.values.size(); ++i) label += (i > 0 ? ", " : "") + short_name(spec.dimensions[i].path) + " " + shown(f.values[i]);
    return label;
}

// Larger budgets first, since losses at different ones do not compare; then by loss.
bool is_better(const Finished& a, const Finished& b) {
    if (std::isfinite(a.loss) != std::isfinite(b.loss)) return std::isfinite(a.loss);
    return a.budget != b.budget ? a.budget > b.budget : a.loss < b.loss;
}

std::vector<Finished> ranked(std::vector<Finished> all) {
    std::stable_sort(all.begin(), all.end(), is_better);
    return all;
}

// The ways in which results are told. Columns of the figures: rate and PSNR of each validation point.
struct Column {
    std::string name;
    double (*of)(const Finished&, const Finished& best);
    int digits;
};
const std::vector<Column>& columns(bool is_codec) {
    static const Column loss{"loss", [](const Finished& f, const Finished&) { return f.loss; }, 4};
    static const Column rate{"BD-rate, %", [](const Finished& f, const Finished& best) { return bd_rate_of(best.validation, f.validation); }, 2};
    static const Column psnr{"mean dB",
                             [](const Finished& f, const Finished&) {
                                 double sum = 0;
                                 for (const ValidationPoint& p : f.validation) sum += p.psnr;
                                 return sum / static_cast<double>(f.validation.size());
                             },
                             2};
    static const Column steps{"steps", [](const Finished& f, const Finished&) { return static_cast<double>(f.steps); }, 0};
    static const Column speed{"steps/s", [](const Finished& f, const Finished&) { return f.speed(); }, 2};
    static const std::vector<Column> of_codec{loss, rate, psnr, steps, speed}, of_others{loss, psnr, steps, speed};
    return is_codec ? of_codec : of_others;
}

bool is_codec(const std::vector<Finished>& all) {
    return std::any_of(all.begin(), all.end(), [](const Finished& f) { return !f.validation.empty() && f.validation.front().bpp_hyper > 0; });
}

std::string table_text(const std::vector<Finished>& sorted, const SearchSpec& spec) {
    std::vector<std::string> head;
    for (const SearchDimension& d : spec.dimensions) head.push_back(short_name(d.path));
    head.push_back(spec.is_in_seconds ? "seconds" : "budget");
    for (const Column& c : columns(is_codec(sorted))) head.push_back(c.name);
    Table table(std::move(head));
    for (const Finished& f : sorted) {
        std::vector<std::string> row;
        for (const std::string& value : f.values) row.push_back(shown(value));
        row.push_back(plain(f.budget));
        for (const Column& c : columns(is_codec(sorted))) row.push_back(fixed(c.of(f, sorted.front()), c.digits));
        table.add(std::move(row));
    }
    return table.text();
}

std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\n") == text.npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

std::string csv_text(const std::vector<Finished>& sorted, const SearchSpec& spec) {
    std::string text;
    const auto cell = [&](const std::string& value, bool first = false) { text += (first ? "" : ",") + csv_cell(value); };
    for (size_t i = 0; i < spec.dimensions.size(); ++i) cell(spec.dimensions[i].path, i == 0);
    size_t points = 0;
    for (const Finished& f : sorted) points = std::max(points, f.validation.size());
    for (const char* name : {"budget", "loss", "steps", "seconds", "error"}) cell(name);
    for (size_t i = 0; i < points; ++i) {
        cell("bpp_" + std::to_string(i));
        cell("psnr_" + std::to_string(i));
    }
    text += "\n";
    const auto number = [](double value) { return std::isfinite(value) ? plain(value) : ""; };
    for (const Finished& f : sorted) {
        for (size_t i = 0; i < f.values.size(); ++i) cell(shown(f.values[i]), i == 0);
        for (const double value : {f.budget, f.loss, static_cast<double>(f.steps), f.seconds}) cell(number(value));
        cell(f.error);
        for (size_t i = 0; i < points; ++i) {
            const bool has = i < f.validation.size();
            cell(has && f.validation[i].bpp > 0 ? number(f.validation[i].bpp) : "");
            cell(has ? number(f.validation[i].psnr) : "");
        }
        text += "\n";
    }
    return text;
}

Json chart(const std::string& title, const std::string& x, bool x_log, const std::string& unit, Json series, const std::string& remark = "") {
    return {{"title", title}, {"x", {{"label", x}, {"log", x_log}}}, {"y", {{"unit", unit}, {"log", false}}}, {"series", std::move(series)}, {"note", remark}};
}

// in_order: as they were tried.
std::string page_text(const std::string& name, const std::vector<Finished>& in_order, const SearchSpec& spec, size_t total) {
    const std::vector<Finished> sorted = ranked(in_order);
    const Finished& best = sorted.front();
    Json charts = Json::array();
    const auto scatter = [&](auto&& x_of) {
        Json points = Json::array(), labels = Json::array();
        for (size_t i = 0; i < in_order.size(); ++i) {
            const double x = x_of(i);
            if (!std::isfinite(x) || !std::isfinite(in_order[i].loss)) continue;
            points.push_back({x, in_order[i].loss});
            labels.push_back(label_of(in_order[i], spec));
        }
        return Json::array({{{"name", "trials"}, {"dots", true}, {"points", std::move(points)}, {"labels", std::move(labels)}}});
    };
    const std::string least = "Less is better; point at a trial to see what it is.";
    charts.push_back(chart("Loss of the trials in their order", "trial", false, "", scatter([](size_t i) { return static_cast<double>(i + 1); }), least));
    for (size_t d = 0; d < spec.dimensions.size(); ++d) {
        const auto value = [&](size_t i) {
            const Json json = Json::parse(in_order[i].values[d], nullptr, false);
            return json.is_number() ? json.get<double>() : kNone;
        };
        if (Json series = scatter(value); !series[0]["points"].empty())
            charts.push_back(chart("Loss over " + spec.dimensions[d].path, short_name(spec.dimensions[d].path), spec.dimensions[d].is_logarithmic, "", std::move(series), least));
    }
    charts.push_back(chart("Loss and speed of training", "steps a second", false, "", scatter([&](size_t i) { return in_order[i].speed(); }), least));
    if (is_codec(sorted)) {
        Json series = Json::array();
        for (const Finished& f : sorted) {
            if (series.size() == 8 || f.budget != best.budget || f.validation.empty()) break;
            Json points = Json::array();
            for (const ValidationPoint& p : f.validation) points.push_back({p.bpp, p.psnr});
            series.push_back({{"name", label_of(f, spec)}, {"points", std::move(points)}});
        }
        charts.push_back(chart("Rate and distortion of the best, PSNR in dB", "bits a pixel", true, "dB", std::move(series)));
    }
    Json heads = Json::array(), rows = Json::array();
    for (const SearchDimension& d : spec.dimensions) heads.push_back({{"heading", short_name(d.path)}, {"words", true}});
    heads.push_back({{"heading", spec.is_in_seconds ? "seconds" : "budget"}, {"digits", 0}});
    for (const Column& c : columns(is_codec(sorted))) heads.push_back({{"heading", c.name}, {"digits", c.digits}});
    const bool has_errors = std::any_of(sorted.begin(), sorted.end(), [](const Finished& f) { return !f.error.empty(); });
    if (has_errors) heads.push_back({{"heading", "error"}, {"words", true}});
    for (const Finished& f : sorted) {
        Json row = Json::array();
        for (const std::string& value : f.values) row.push_back(shown(value));
        row.push_back(f.budget);
        for (const Column& c : columns(is_codec(sorted))) row.push_back(c.of(f, best));  // JSON has null for what is not finite
        if (has_errors) row.push_back(f.error);
        rows.push_back(std::move(row));
    }
    const bool is_done = in_order.size() == total;
    return html_page(kChartsPage,
                     {{"name", name + ": search"},
                      {"description", std::to_string(in_order.size()) + " of " + std::to_string(total) + " trials; the best: " + label_of(best, spec) +
                                          (is_codec(sorted) ? ". BD-rates are against it." : ".")},
                      {"charts", std::move(charts)},
                      {"tables", {{{"title", "Trials"}, {"columns", std::move(heads)}, {"rows", std::move(rows)}}}}},
                     is_done ? 0 : 30);
}

void write_text(const std::string& path, const std::string& text) {
    if (!path.empty()) write_file_atomically(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}, {.overwrite = true});
}

}  // namespace

std::string results_file(const Settings& settings) {
    return !settings.results.empty() ? settings.results : fs::path(settings.trained_model).replace_extension(".search.jsonl").string();
}

ExitCode search_models(const Settings& settings, const Model* start) {
    const std::string path = results_file(settings);
    const SearchSpec spec = in_file(settings.search, [&] {
        const std::vector<uint8_t> bytes = read_file(settings.search);
        return parse_search({bytes.begin(), bytes.end()});
    });
    std::error_code error;
    for (const std::string& file : {settings.log, settings.html})
        if (!file.empty() && fs::exists(file, error) && !fs::exists(path, error) && !settings.force)
            throw Error(ErrorCode::exists, file + ": exists already; choose another name, or overwrite it with -f");
    Results results(path);
    const size_t total = count_trials(spec);
    std::vector<Finished> finished;  // in the order of the search

    // Trains; a mistake in the recipe is a result, too, unless it is the first one's: then it is likely one of the search.
    const auto train = [&](const Trial& trial) {
        Finished f;
        for (const Assignment& a : trial.values) f.values.push_back(a.value);
        f.budget = trial.budget;
        Recipe recipe;
        try {
            recipe = read_recipe(settings, start, trial.assignments(spec));
        } catch (const Error& mistake) {
            if (finished.empty()) throw;
            f.error = mistake.what();
            return f;
        }
        f.recipe = hexadecimal(fingerprint(recipe));
        if (const Finished* known = results.find(f.recipe)) return *known;
        TrainOptions options = with_settings(recipe.training, settings);
        options.checkpoint = path + "." + f.recipe + ".checkpoint";
        const std::string prefix = "trial " + std::to_string(finished.size() + 1) + " of " + std::to_string(total) + ": ";
        note(prefix + label_of(f, spec) + ", " + plain(f.budget) + (spec.is_in_seconds ? " seconds" : " steps"));
        TrainResult result;
        try {
            result = train_model(recipe.description, options, start != nullptr ? &start->parameters() : nullptr, [&](const TrainProgress& progress) {
                show(progress, prefix);
                return !is_interrupted();
            });
        } catch (const Error& stop) {
            if (stop.code() == ErrorCode::cancelled)
                throw Error(ErrorCode::cancelled, std::string(stop.what()) + " of a trial; the same command goes on with " + path);
            if (stop.code() != ErrorCode::model_mismatch && stop.code() != ErrorCode::invalid_argument) throw;
            f.error = stop.what();
            results.add(f, spec);
            return f;
        }
        clear_progress();
        f.loss = result.validation_loss;
        f.steps = result.steps;
        f.seconds = result.seconds;
        f.validation = result.validation;
        if (std::isfinite(f.loss) && std::all_of(finished.begin(), finished.end(), [&](const Finished& other) { return is_better(f, other); }))
            save_model(settings.trained_model, recipe.description, result.parameters, metadata_of(result, options, start));
        results.add(f, spec);
        fs::remove(options.checkpoint, error);
        note(prefix + validation_text(result.validation, result.figures));
        return f;
    };
    search(spec, [&](const Trial& trial) {
        finished.push_back(train(trial));
        write_text(settings.log, csv_text(ranked(finished), spec));
        write_text(settings.html, page_text(fs::path(settings.trained_model).stem().string(), finished, spec, total));
        return finished.back().loss;
    });
    const std::vector<Finished> sorted = ranked(finished);
    print(table_text(sorted, spec));
    if (!std::isfinite(sorted.front().loss)) throw Error(ErrorCode::invalid_argument, "no trial gave a model; the first one: " + finished.front().error);
    if (!fs::exists(settings.trained_model, error))
        note(settings.trained_model + ": is gone since its trial; remove its line from " + path + " to train it again");
    else
        note(settings.trained_model + ": " + label_of(sorted.front(), spec));
    return ExitCode::done;
}

}  // namespace decant::cli
