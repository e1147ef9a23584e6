// A training as it goes on: a table as CSV, and a page with curves and pictures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codec/train/trainer.h"
#include "tools/decant/page.h"

namespace decant::cli {

std::string level_name(const ValidationPoint& point);  // "rate point 3", "sigma 25", "mixture"; "" if there is only one level

class TrainingLog {
public:
    // Names of files, or "". resumed: a training goes on, and so do the files; otherwise files that exist are overwritten only with force.
    // Throws Error exists, io.
    TrainingLog(std::string csv, std::string page, std::string name, bool resumed, bool force);

    // A line of the table; after a validation the page is written anew. Rows of steps that are done again are replaced.
    void add(const TrainProgress& progress);
    // The page as it stays. state: "finished", "stopped".
    void finish(const std::string& state);

    static constexpr int kExamples = 2;  // crops that the page shows
    bool has_page() const { return !page_.empty(); }

private:
    using Row = std::vector<double>;  // NaN: there is none

    void load();
    std::string line(const Row& row) const;
    void write_all() const;
    void append(const Row& row) const;
    std::vector<std::pair<double, double>> curve(const std::string& column) const;
    void write_page(const std::string& state, int refresh) const;

    std::string csv_, page_, name_;
    std::vector<std::string> columns_;
    std::vector<Row> rows_;
    bool is_first_ = true;
    TrainProgress latest_, validated_;  // without pictures
    Json examples_ = Json::array();
};

}  // namespace decant::cli
