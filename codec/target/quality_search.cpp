#include "codec/target/quality_search.h"

#include <algorithm>
#include <cmath>

namespace decant {

QualitySearch::QualitySearch(const SearchGoal& goal, int last, int first, double slope)
    : goal_(goal), last_(last), next_(std::clamp(first, 0, last)), slope_(slope) {}

// Of a value that is not accepted.
double QualitySearch::distance(double value) const { return value < goal_.low ? goal_.low - value : value - goal_.high; }

bool QualitySearch::better(const Point& a, const Point& b) const {
    if (accepted(b.value)) return false;
    if (accepted(a.value)) return true;
    const auto fits = [&](double value) { return goal_.at_most ? value < goal_.low : value > goal_.high; };
    if (fits(a.value) != fits(b.value)) return fits(a.value);
    return distance(a.value) < distance(b.value);
}

int QualitySearch::extrapolate(const Point& from, const std::optional<Point>& other) const {
    double slope = slope_;
    if (other && other->quality != from.quality) slope = std::max((other->value - from.value) / (other->quality - from.quality), 0.2 * slope_);
    const double aim = 0.5 * (goal_.low + goal_.high);
    // A little too far: a bracket is worth more than being near.
    const double step = std::clamp(1.1 * (aim - from.value) / slope, -double(last_), double(last_));
    const int whole = int(step > 0 ? std::ceil(step) : std::floor(step));
    return std::clamp(from.quality + whole, 0, last_);
}

// The quality between those of the bracket, as a function of the value: a line, or a parabola where a third point is known.
int QualitySearch::interpolate() const {
    const Point &a = *below_, &b = *above_;
    const double aim = 0.5 * (goal_.low + goal_.high);
    double q = a.quality + (aim - a.value) / (b.value - a.value) * (b.quality - a.quality);
    if (before_ && before_->value != a.value && before_->value != b.value) {
        const Point& c = *before_;
        const double ab = (b.quality - a.quality) / (b.value - a.value), bc = (c.quality - b.quality) / (c.value - b.value);
        const double parabola = q + (bc - ab) / (c.value - a.value) * (aim - a.value) * (aim - b.value);
        if (parabola > a.quality && parabola < b.quality) q = parabola;
    }
    if (slow_ >= 2) q = 0.5 * (a.quality + b.quality);
    return std::clamp(int(std::lround(q)), a.quality + 1, b.quality - 1);
}

std::optional<int> QualitySearch::next() const { return next_ < 0 ? std::nullopt : std::optional(next_); }

bool QualitySearch::add(double value) {
    const Point point{next_, value};
    const bool is_best = !best_ || better(point, *best_);
    if (is_best) best_ = point;
    next_ = -1;
    if (accepted(value)) return is_best;

    const int width = below_ && above_ ? above_->quality - below_->quality : 0;
    auto& side = value < goal_.low ? below_ : above_;
    if (side) before_ = side;
    side = point;
    if (below_ && above_) {
        if (above_->quality - below_->quality <= 1) return is_best;
        slow_ = width != 0 && 2 * (above_->quality - below_->quality) > width ? slow_ + 1 : 0;
        next_ = interpolate();
    } else if (point.quality != (below_ ? last_ : 0)) {
        next_ = extrapolate(point, before_);
    }
    return is_best;
}

}  // namespace decant
