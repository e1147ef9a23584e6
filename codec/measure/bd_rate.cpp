#include "codec/measure/bd_rate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "codec/error.h"

namespace decant {
namespace {

// y over x, x rising.
struct Points {
    std::vector<double> x, y;
};

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, "Bjøntegaard delta: " + what); }

Points points_of(std::vector<CurvePoint> points, bool over_quality, const std::string& which) {
    if (points.size() < 2) refuse(which + " has " + std::to_string(points.size()) + " points; at least 2 are needed");
    for (const CurvePoint& p : points)
        if (!(p.bpp > 0) || !std::isfinite(p.bpp) || !std::isfinite(p.quality))
            refuse(which + " has a point without a finite quality or rate");
    const auto abscissa = [&](const CurvePoint& p) { return over_quality ? p.quality : std::log(p.bpp); };
    std::sort(points.begin(), points.end(), [&](const CurvePoint& a, const CurvePoint& b) { return abscissa(a) < abscissa(b); });
    Points samples;
    for (const CurvePoint& p : points) {
        if (!samples.x.empty() && abscissa(p) <= samples.x.back())
            refuse(which + " has two points of the same " + (over_quality ? "quality" : "rate"));
        samples.x.push_back(abscissa(p));
        samples.y.push_back(over_quality ? std::log(p.bpp) : p.quality);
    }
    return samples;
}

// Piecewise cubic in Hermite form: passes through its points, and rises and falls only where they do.
class MonotoneCubic {
public:
    explicit MonotoneCubic(Points samples) : x_(std::move(samples.x)), y_(std::move(samples.y)) {
        const size_t pieces = x_.size() - 1;
        for (size_t i = 0; i < pieces; ++i) {
            width_.push_back(x_[i + 1] - x_[i]);
            secant_.push_back((y_[i + 1] - y_[i]) / width_[i]);
        }
        slope_.assign(x_.size(), secant_[0]);
        if (pieces == 1) return;
        for (size_t i = 1; i < pieces; ++i) slope_[i] = inner_slope(i);
        slope_.front() = end_slope(width_[0], width_[1], secant_[0], secant_[1]);
        slope_.back() = end_slope(width_[pieces - 1], width_[pieces - 2], secant_[pieces - 1], secant_[pieces - 2]);
    }

    double integral(double from, double to) const {
        double sum = 0;
        for (size_t i = 0; i < width_.size(); ++i) {
            const double a = std::max(from, x_[i]), b = std::min(to, x_[i + 1]);
            if (a < b) sum += antiderivative(i, b - x_[i]) - antiderivative(i, a - x_[i]);
        }
        return sum;
    }

private:
    // The weighted harmonic mean of the secants; level at a turning point.
    double inner_slope(size_t i) const {
        const double before = secant_[i - 1], after = secant_[i];
        if (before * after <= 0) return 0;
        const double w1 = 2 * width_[i] + width_[i - 1], w2 = width_[i] + 2 * width_[i - 1];
        return (w1 + w2) / (w1 / before + w2 / after);
    }

    // The parabola through the last three points, held back so that the piece stays monotone.
    static double end_slope(double width, double next_width, double secant, double next_secant) {
        const double slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width);
        if (slope * secant <= 0) return 0;
        if (secant * next_secant <= 0 && std::abs(slope) > 3 * std::abs(secant)) return 3 * secant;
        return slope;
    }

    // Of piece i, from its left end: y + s t + c t² + d t³.
    double antiderivative(size_t i, double t) const {
        const double h = width_[i], c = (3 * secant_[i] - 2 * slope_[i] - slope_[i + 1]) / h;
        const double d = (slope_[i] + slope_[i + 1] - 2 * secant_[i]) / (h * h);
        return t * (y_[i] + t * (slope_[i] / 2 + t * (c / 3 + t * d / 4)));
    }

    std::vector<double> x_, y_, width_, secant_, slope_;
};

// The polynomial of degree 3, or less for fewer than four points, that is nearest to the points in least squares.
class Cubic {
public:
    explicit Cubic(const Points& points)
        // Over -1 … 1, where the normal equations lose few digits; powers of PSNRs themselves would leave none.
        : middle_((points.x.front() + points.x.back()) / 2),
          half_((points.x.back() - points.x.front()) / 2),
          terms_(std::min<size_t>(points.x.size(), 4)) {
        std::array<std::array<double, 5>, 4> equations{};  // four unknowns, then the right side
        for (size_t i = 0; i < points.x.size(); ++i) {
            std::array<double, 4> powers{1, 0, 0, 0};
            for (size_t k = 1; k < terms_; ++k) powers[k] = powers[k - 1] * (points.x[i] - middle_) / half_;
            for (size_t row = 0; row < terms_; ++row) {
                for (size_t column = 0; column < terms_; ++column) equations[row][column] += powers[row] * powers[column];
                equations[row][4] += powers[row] * points.y[i];
            }
        }
        // Gauss and Jordan. Without pivoting: the matrix is symmetric and positive definite.
        for (size_t pivot = 0; pivot < terms_; ++pivot)
            for (size_t row = 0; row < terms_; ++row) {
                if (row == pivot) continue;
                const double factor = equations[row][pivot] / equations[pivot][pivot];
                for (size_t column = pivot; column < 5; ++column) equations[row][column] -= factor * equations[pivot][column];
            }
        for (size_t k = 0; k < terms_; ++k) coefficients_[k] = equations[k][4] / equations[k][k];
    }

    double integral(double from, double to) const { return half_ * (antiderivative(to) - antiderivative(from)); }

private:
    double antiderivative(double x) const {
        const double t = (x - middle_) / half_;
        double sum = 0;
        for (size_t k = terms_; k-- > 0;) sum = t * (coefficients_[k] / static_cast<double>(k + 1) + sum);
        return sum;
    }

    double middle_, half_;
    size_t terms_;
    std::array<double, 4> coefficients_{};  // of the powers, from the constant on
};

// The mean of test - anchor over the range that both cover.
template <class Curve>
double mean_difference(Points anchor, Points test, double low, double high) {
    const Curve anchor_curve(std::move(anchor)), test_curve(std::move(test));
    return (test_curve.integral(low, high) - anchor_curve.integral(low, high)) / (high - low);
}

BjontegaardDelta delta(Points anchor, Points test, CurveFit fit) {
    const double low = std::max(anchor.x.front(), test.x.front()), high = std::min(anchor.x.back(), test.x.back());
    if (!(low < high)) refuse("the curves have no range in common");
    const double mean = fit == CurveFit::cubic ? mean_difference<Cubic>(std::move(anchor), std::move(test), low, high)
                                               : mean_difference<MonotoneCubic>(std::move(anchor), std::move(test), low, high);
    return {mean, low, high};
}

}  // namespace

BjontegaardDelta bd_rate(std::vector<CurvePoint> anchor, std::vector<CurvePoint> test, CurveFit fit) {
    BjontegaardDelta result =
        delta(points_of(std::move(anchor), true, "the anchor"), points_of(std::move(test), true, "the curve"), fit);
    result.value = 100 * std::expm1(result.value);
    return result;
}

BjontegaardDelta bd_quality(std::vector<CurvePoint> anchor, std::vector<CurvePoint> test, CurveFit fit) {
    BjontegaardDelta result =
        delta(points_of(std::move(anchor), false, "the anchor"), points_of(std::move(test), false, "the curve"), fit);
    result.low = std::exp(result.low);
    result.high = std::exp(result.high);
    return result;
}

}  // namespace decant
