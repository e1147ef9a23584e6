#include "tools/decant/measurements.h"

#include <cmath>
#include <limits>
#include <utility>

#include "codec/error.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

// Quoted where RFC 4180 asks for it.
std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == text.npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

std::string csv_number(double value) { return std::isnan(value) ? "" : std::isinf(value) ? fixed(value, 0) : plain(value); }

}  // namespace

Measurements::Measurements(std::string heading, std::vector<double> points, std::vector<Measure> measures)
    : heading_(std::move(heading)), points_(std::move(points)), measures_(std::move(measures)) {}

void Measurements::add(const std::string& picture, std::vector<Values> at_points) {
    bool fits = at_points.size() == points_.size();
    for (const Values& values : at_points) fits = fits && values.size() == measures_.size();
    if (!fits) throw Error(ErrorCode::internal, picture + ": was measured at other points, or in another way than the table has");
    pictures_.push_back({picture, std::move(at_points)});
}

std::vector<Values> Measurements::means() const {
    std::vector<Values> means(points_.size(), Values(measures_.size(), std::numeric_limits<double>::quiet_NaN()));
    for (size_t point = 0; point < points_.size(); ++point)
        for (size_t measure = 0; measure < measures_.size(); ++measure) {
            double sum = 0;
            size_t count = 0;
            bool is_infinite = false;
            for (const Picture& picture : pictures_) {
                const double value = picture.at_points[point][measure];
                is_infinite = is_infinite || std::isinf(value);
                if (!std::isfinite(value)) continue;
                sum += value;
                ++count;
            }
            if (count > 0)
                means[point][measure] = sum / static_cast<double>(count);
            else if (is_infinite)
                means[point][measure] = std::numeric_limits<double>::infinity();
        }
    return means;
}

std::string Measurements::text() const {
    Table table(head("picture"));
    for (const Picture& picture : pictures_)
        for (size_t point = 0; point < points_.size(); ++point) table.add(row(picture.name, point, picture.at_points[point]));
    return pictures() < 2 ? table.text() : table.text() + "\n" + summary();
}

std::string Measurements::summary() const {
    const std::vector<Values> all_means = means();
    Table table(head("mean of " + count_of(pictures(), "picture")));
    for (size_t point = 0; point < points_.size(); ++point) table.add(row("", point, all_means[point]));
    return table.text();
}

std::string Measurements::csv_head(const std::string& first) const {
    std::string line = first + ",picture,parameter,value";
    for (const Measure& measure : measures_)
        if (*measure.key != 0) line += std::string(",") + measure.key;
    return line + "\n";
}

std::string Measurements::csv(const std::string& first) const {
    std::string lines;
    for (const Picture& picture : pictures_)
        for (size_t point = 0; point < points_.size(); ++point) {
            lines += csv_cell(first) + "," + csv_cell(picture.name) + "," + csv_cell(heading_) + "," + csv_number(points_[point]);
            for (size_t i = 0; i < measures_.size(); ++i)
                if (*measures_[i].key != 0) lines += "," + csv_number(picture.at_points[point][i]);
            lines += "\n";
        }
    return lines;
}

Json Measurements::report() const {
    Json report = Json::object();
    add_columns(report, means());
    return report;
}

Json Measurements::picture_reports() const {
    Json reports = Json::array();
    for (const Picture& picture : pictures_) {
        Json report{{"picture", picture.name}};
        add_columns(report, picture.at_points);
        reports.push_back(std::move(report));
    }
    return reports;
}

std::vector<std::string> Measurements::head(const std::string& first) const {
    std::vector<std::string> cells{first, heading_};
    for (const Measure& measure : measures_) cells.emplace_back(measure.heading);
    return cells;
}

std::vector<std::string> Measurements::row(const std::string& name, size_t point, const Values& values) const {
    std::vector<std::string> cells{name, std::isnan(points_[point]) ? "-" : plain(points_[point])};
    for (size_t i = 0; i < measures_.size(); ++i) cells.push_back(fixed(values[i], measures_[i].digits));
    return cells;
}

void Measurements::add_columns(Json& report, const std::vector<Values>& at_points) const {
    for (size_t i = 0; i < measures_.size(); ++i) {
        if (*measures_[i].key == 0) continue;
        Json column = Json::array();
        for (const Values& values : at_points) column.push_back(json_number(values[i]));
        report[measures_[i].key] = std::move(column);
    }
}

}  // namespace decant::cli
