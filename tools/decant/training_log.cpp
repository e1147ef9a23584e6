#include "tools/decant/training_log.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "codec/error.h"
#include "codec/image/png.h"
#include "codec/io/file.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kPoints = 1000;  // of a curve on the page
constexpr int kRefresh = 10;      // seconds

const std::vector<std::string> kColumns{"step", "seconds", "learning_rate", "loss", "gradient_norm", "bpp", "psnr", "validation_loss"};

std::string underlined(std::string name) {
    std::replace(name.begin(), name.end(), ' ', '_');
    return name;
}

std::string column_suffix(const ValidationPoint& point) {
    const std::string name = level_name(point);
    return name.empty() ? "" : underlined("_" + name);
}

std::string text_of(const std::string& path) {
    const std::vector<uint8_t> bytes = read_file(path);
    return {bytes.begin(), bytes.end()};
}

void write_text(const std::string& path, const std::string& text) {
    write_file_atomically(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}, {.overwrite = true});
}

std::string picture_uri(const Example::Picture& picture, int side) {
    const auto extent = static_cast<uint32_t>(side);
    Image image(extent, extent, picture.channels);
    std::copy(picture.samples.begin(), picture.samples.end(), image.samples().begin());
    return data_uri("image/png", write_png(image, nullptr, 6));
}

Json example_json(const Example& example, size_t number) {
    Json pictures = Json::array();
    for (const Example::Picture& p : example.pictures) pictures.push_back({{"label", p.label}, {"src", picture_uri(p, example.side)}});
    const ValidationPoint& f = example.figures;
    std::string label = "crop " + std::to_string(number + 1);
    if (const std::string level = level_name(f); !level.empty()) label += ", " + level;
    if (f.bpp > 0) label += ", " + fixed(f.bpp, 3) + " bpp";
    label += ", " + (f.psnr_noisy > 0 ? fixed(f.psnr_noisy, 2) + " → " : "") + fixed(f.psnr, 2) + " dB";
    return {{"label", label}, {"pictures", std::move(pictures)}};
}

}  // namespace

std::string level_name(const ValidationPoint& p) {
    if (p.bpp_hyper > 0) return "rate point " + plain(p.level);
    if (p.psnr_noisy > 0) return p.level == kMixtureLevel ? "mixture" : "sigma " + plain(p.level);
    return p.level == 0 ? "" : "level " + plain(p.level);
}

TrainingLog::TrainingLog(std::string csv, std::string page, std::string name, bool resumed, bool force)
    : csv_(std::move(csv)), page_(std::move(page)), name_(std::move(name)), columns_(kColumns) {
    if (resumed) {
        load();
        return;
    }
    for (const std::string& path : {csv_, page_}) {
        std::error_code error;
        if (!path.empty() && fs::exists(path, error) && !force)
            throw Error(ErrorCode::exists, path + ": exists already; choose another name, or overwrite it with -f");
    }
}

void TrainingLog::load() {
    std::error_code error;
    const auto take = [&](const std::vector<std::string>& columns) {
        if (columns.size() >= kColumns.size() && std::equal(kColumns.begin(), kColumns.end(), columns.begin())) columns_ = columns;
    };
    if (!csv_.empty() && fs::exists(csv_, error)) {
        const std::vector<std::string> lines = split(text_of(csv_), '\n');
        take(split(lines.front(), ','));
        for (size_t i = 1; i < lines.size(); ++i) {
            Row row;
            for (const std::string& cell : split(lines[i], ',')) {
                double value = kNone;
                std::from_chars(cell.data(), cell.data() + cell.size(), value);
                row.push_back(value);
            }
            // The last line may have been cut off.
            if (row.size() == columns_.size() && std::isfinite(row[0])) rows_.push_back(std::move(row));
        }
    } else if (!page_.empty() && fs::exists(page_, error)) {
        const Json data = data_of_page(text_of(page_));
        if (!data.is_object() || !data.contains("log")) return;
        take(data["log"]["columns"].get<std::vector<std::string>>());
        for (const Json& cells : data["log"]["rows"]) {
            Row row;
            for (const Json& cell : cells) row.push_back(cell.is_number() ? cell.get<double>() : kNone);
            if (row.size() == columns_.size()) rows_.push_back(std::move(row));
        }
    }
}

std::string TrainingLog::line(const Row& row) const {
    std::string text;
    for (size_t i = 0; i < row.size(); ++i) text += (i > 0 ? "," : "") + (std::isfinite(row[i]) ? plain(row[i]) : "");
    return text + "\n";
}

void TrainingLog::write_all() const {
    std::string text;
    for (const std::string& column : columns_) text += (text.empty() ? "" : ",") + column;
    text += "\n";
    for (const Row& row : rows_) text += line(row);
    write_text(csv_, text);
}

void TrainingLog::append(const Row& row) const {
    std::ofstream file(csv_, std::ios::app | std::ios::binary);
    if (!(file << line(row) << std::flush)) throw Error(ErrorCode::io, csv_ + ": cannot be written");
}

void TrainingLog::add(const TrainProgress& p) {
    if (csv_.empty() && page_.empty()) return;
    bool changed = false;
    if (is_first_) {
        const size_t before = rows_.size();
        std::erase_if(rows_, [&](const Row& row) { return row[0] >= double(p.step); });
        changed = rows_.size() != before || rows_.empty();
    }
    const bool is_validated = !p.validation.empty();
    Row row{double(p.step), p.seconds, p.rate, p.loss, p.gradient_norm, p.bpp > 0 ? p.bpp : kNone, p.psnr, is_validated ? p.validation_loss : kNone};
    row.resize(columns_.size(), kNone);
    const auto put = [&](const std::string& column, double value) {
        const auto found = std::find(columns_.begin(), columns_.end(), column);
        if (found != columns_.end()) {
            row[size_t(found - columns_.begin())] = value;
            return;
        }
        columns_.push_back(column);
        row.push_back(value);
        for (Row& other : rows_) other.push_back(kNone);
        changed = true;
    };
    for (const ValidationPoint& point : p.validation) {
        if (point.bpp > 0) put("validation_bpp" + column_suffix(point), point.bpp);
        put("validation_psnr" + column_suffix(point), point.psnr);
    }
    for (const Figure& figure : p.figures) put(underlined(figure.name), figure.value);
    rows_.push_back(row);
    if (!csv_.empty()) changed ? write_all() : append(row);

    latest_ = p;
    latest_.examples.clear();
    if (is_validated) {
        validated_ = latest_;
        examples_ = Json::array();
        const double first = p.examples.empty() ? 0 : p.examples.front().figures.level;
        size_t number = 0;
        for (size_t i = 0; i < p.examples.size(); ++i) {
            if (i > 0 && p.examples[i].figures.level == first) ++number;
            examples_.push_back(example_json(p.examples[i], number));
        }
    }
    if (is_validated || is_first_) write_page("", kRefresh);
    is_first_ = false;
}

void TrainingLog::finish(const std::string& state) {
    if (!is_first_) write_page(state, 0);
}

// (step, value), many of them as means of neighbours.
std::vector<std::pair<double, double>> TrainingLog::curve(const std::string& column) const {
    const size_t at = size_t(std::find(columns_.begin(), columns_.end(), column) - columns_.begin());
    std::vector<std::pair<double, double>> points;
    for (const Row& row : rows_)
        if (std::isfinite(row[at])) points.emplace_back(row[0], row[at]);
    const size_t group = (points.size() + kPoints - 1) / kPoints;
    if (group <= 1) return points;
    std::vector<std::pair<double, double>> thin;
    for (size_t i = 0; i < points.size(); i += group) {
        const size_t end = std::min(points.size(), i + group);
        double step = 0, value = 0;
        for (size_t k = i; k < end; ++k) {
            step += points[k].first / double(end - i);
            value += points[k].second / double(end - i);
        }
        thin.emplace_back(step, value);
    }
    return thin;
}

void TrainingLog::write_page(const std::string& state, int refresh) const {
    if (page_.empty()) return;
    Json charts = Json::array();
    const auto add_chart = [&](const std::string& title, const std::string& unit, bool is_logarithmic, const std::vector<std::pair<std::string, std::string>>& series) {
        Json list = Json::array();
        for (const auto& [name, column] : series)
            if (auto points = curve(column); !points.empty()) list.push_back({{"name", name}, {"points", std::move(points)}});
        if (list.empty()) return;
        charts.push_back({{"title", title}, {"x", {{"label", "step"}}}, {"y", {{"unit", unit}, {"log", is_logarithmic}}}, {"series", std::move(list)}});
    };
    std::vector<std::pair<std::string, std::string>> psnr, bpp;
    for (const std::string& column : columns_) {
        for (const auto& [prefix, list] : {std::pair{std::string("validation_psnr"), &psnr}, std::pair{std::string("validation_bpp"), &bpp}}) {
            if (!column.starts_with(prefix)) continue;
            std::string name = column.size() == prefix.size() ? "held out" : column.substr(prefix.size() + 1);
            std::replace(name.begin(), name.end(), '_', ' ');
            list->emplace_back(name, column);
        }
    }
    add_chart("Loss in training", "", false, {{"loss", "loss"}});
    add_chart("Loss of the held-out crops", "", false, {{"loss", "validation_loss"}});
    add_chart("PSNR of the held-out crops, dB", "dB", false, psnr);
    add_chart("Bits a pixel of the held-out crops", "bpp", true, bpp);
    for (const Figure& figure : validated_.figures) add_chart("Of the code: " + figure.name, "", false, {{figure.name, underlined(figure.name)}});
    add_chart("PSNR in training, dB", "dB", false, {{"PSNR", "psnr"}});
    add_chart("Bits a pixel in training", "bpp", false, {{"bpp", "bpp"}});
    add_chart("Learning rate", "", true, {{"rate", "learning_rate"}});
    add_chart("Norm of the gradient", "", true, {{"norm", "gradient_norm"}});

    Json rows = Json::array();
    const bool has_rate = !validated_.validation.empty() && validated_.validation.front().bpp > 0;
    const bool is_codec = !validated_.validation.empty() && validated_.validation.front().bpp_hyper > 0;
    const bool is_denoiser = !validated_.validation.empty() && validated_.validation.front().psnr_noisy > 0;
    for (const ValidationPoint& p : validated_.validation) {
        Json row = Json::array({level_name(p)});
        if (has_rate) row.push_back(p.bpp);
        if (is_codec) row.insert(row.end(), {p.bpp_hyper, 100 * p.active, p.channels});
        if (is_denoiser) row.push_back(p.psnr_noisy);
        row.push_back(p.psnr);
        rows.push_back(std::move(row));
    }
    Json heads = Json::array({{{"heading", "held out"}, {"words", true}}});
    if (has_rate) heads.push_back({{"heading", "bpp"}, {"digits", 4}});
    if (is_codec) {
        heads.push_back({{"heading", "of it hyper-latents"}, {"digits", 4}});
        heads.push_back({{"heading", "latents not 0, %"}, {"digits", 2}});
        heads.push_back({{"heading", "channels with such"}, {"digits", 1}});
    }
    if (is_denoiser) heads.push_back({{"heading", "before, dB"}, {"digits", 2}});
    heads.push_back({{"heading", "PSNR, dB"}, {"digits", 2}});

    // What a resumed training goes on from, where there is no table.
    Json kept = Json::array();
    const size_t stride = (rows_.size() + kPoints - 1) / kPoints;
    for (size_t i = 0; i < rows_.size(); ++i)
        if (i % std::max<size_t>(stride, 1) == 0 || std::isfinite(rows_[i][kColumns.size() - 1])) kept.push_back(rows_[i]);

    std::string description = state.empty() ? "" : state + ": ";
    description += "step " + std::to_string(latest_.step) + " of " + std::to_string(latest_.steps) + ", " + duration(latest_.seconds) + " of training";
    if (state.empty()) description += ", " + fixed(latest_.crops_per_second, 1) + " crops/s, " + duration(latest_.seconds_left) + " left; this page loads itself again";
    Json data{{"name", name_}, {"description", description}, {"charts", std::move(charts)}};
    if (!rows.empty()) data["tables"] = {{{"title", "Validation at step " + std::to_string(validated_.step)}, {"columns", std::move(heads)}, {"rows", std::move(rows)}}};
    data["examples"] = examples_;
    data["log"] = {{"columns", columns_}, {"rows", std::move(kept)}};
    write_text(page_, html_page(kChartsPage, data, refresh));
}

}  // namespace decant::cli
