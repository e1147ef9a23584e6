// Finds the quality at which something measured, such as a file's size, has a wanted value; each measurement is an encoding, so
// there are to be few. The measurement is expected to grow with quality, smoothly but for small steps.
//
//   for (QualitySearch search(...); const auto quality = search.next();) if (search.add(measure(*quality))) keep what was made;
#pragma once

#include <optional>
#include <vector>

namespace decant {

struct SearchGoal {
    double low, high;  // values that are accepted
    bool at_most;      // where no quality has one: is the nearest below them wanted (of a size), or the nearest above (of a PSNR)?
};

class QualitySearch {
public:
    // Qualities are 0 … last. slope: of the measurement, a step of quality, as a first guess; above 0.
    QualitySearch(const SearchGoal& goal, int last, int first, double slope);

    // The quality to measure next; none if the goal is met or out of reach.
    std::optional<int> next() const;
    // What it measured. Is it the best so far?
    bool add(double value);

    bool met() const { return best_ && accepted(best_->value); }
    int quality() const { return best_->quality; }  // the best one; after the first add()

private:
    struct Point {
        int quality;
        double value;
    };

    bool accepted(double value) const { return value >= goal_.low && value <= goal_.high; }
    bool better(const Point& a, const Point& b) const;
    double distance(double value) const;
    int extrapolate(const Point& from, const std::optional<Point>& other) const;
    int interpolate() const;

    SearchGoal goal_;
    int last_, next_;
    double slope_;
    std::optional<Point> below_, above_, before_, best_;  // the nearest on either side of the goal; the one that was replaced last
    int slow_ = 0;  // steps in a row that left more than half of the bracket
};

}  // namespace decant
