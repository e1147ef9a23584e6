// What eval measures: numbers by picture and operating point (a quality, a noise level), and their means over pictures.
#pragma once

#include <string>
#include <vector>

#include "tools/decant/json.h"

namespace decant::cli {

// A kind of number.
struct Measure {
    const char* heading;  // in tables
    int digits;           // in tables
    const char* key;      // in reports; "": it is in tables only
};

using Values = std::vector<double>;  // one a measure; NaN: there is none

class Measurements {
public:
    // What the operating points are, such as "q"; the value of each, NaN where it is not known.
    Measurements(std::string heading, std::vector<double> points, std::vector<Measure> measures);

    // Of a picture the values at each point, so that all means are over the same pictures.
    void add(const std::string& picture, std::vector<Values> at_points);

    size_t pictures() const { return pictures_.size(); }
    const std::vector<Values>& at_points(size_t picture) const { return pictures_[picture].at_points; }

    // One a point. What a picture does not have (MS-SSIM of a tiny one, PSNR of a perfect one) is left out of the mean; where
    // all that have it are perfect it is infinite, NaN where no picture has it.
    std::vector<Values> means() const;

    // A row a picture and point and, of several pictures, the means.
    std::string text() const;

    // The rows of the means alone.
    std::string summary() const;

    // A line a picture and point: first, picture, heading, point, and the measures that have a key. csv_head() names the columns;
    // what there is none of is empty, infinity is inf.
    std::string csv(const std::string& first) const;
    std::string csv_head(const std::string& first) const;

    // The means by key, a value a point. JSON has no infinity: it becomes the string "inf"; what is no number becomes null.
    Json report() const;
    // The same of each picture, with "picture", its name.
    Json picture_reports() const;

private:
    struct Picture {
        std::string name;
        std::vector<Values> at_points;
    };
    std::vector<std::string> head(const std::string& first) const;
    std::vector<std::string> row(const std::string& name, size_t point, const Values& values) const;
    void add_columns(Json& report, const std::vector<Values>& at_points) const;

    std::string heading_;
    std::vector<double> points_;
    std::vector<Measure> measures_;
    std::vector<Picture> pictures_;
};

}  // namespace decant::cli
