#include "tools/decant/bd_rate.h"

#include <algorithm>
#include <cmath>

#include "codec/error.h"
#include "tools/decant/json.h"

namespace decant::cli {
namespace {

void check(std::vector<CurvePoint>& points, const std::string& which) {
    const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::invalid_argument, "BD-rate: " + which + what); };
    if (points.size() < 2) refuse(" has " + std::to_string(points.size()) + " points; at least 2 are needed");
    for (const CurvePoint& p : points)
        if (!(p.bpp > 0) || !std::isfinite(p.bpp) || !std::isfinite(p.psnr)) refuse(" has a point without a finite PSNR or rate");
    std::sort(points.begin(), points.end(), [](const CurvePoint& a, const CurvePoint& b) { return a.psnr < b.psnr; });
    for (size_t i = 1; i < points.size(); ++i)
        if (points[i].psnr <= points[i - 1].psnr) refuse(" has two points of the same PSNR");
}

// Piecewise cubic in Hermite form: passes through its points, and rises and falls only where they do.
class MonotoneCubic {
public:
    explicit MonotoneCubic(const std::vector<CurvePoint>& points) {
        for (const CurvePoint& p : points) {
            x_.push_back(p.psnr);
            y_.push_back(std::log(p.bpp));
        }
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

    double low() const { return x_.front(); }
    double high() const { return x_.back(); }

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

std::vector<double> numbers(const Json& results, const char* key) {
    try {
        return results.at(key).get<std::vector<double>>();
    } catch (const Json::exception&) {
        throw Error(ErrorCode::corrupt, std::string("results: \"") + key + "\" is missing, or is no list of numbers");
    }
}

}  // namespace

BdRate bd_rate(std::vector<CurvePoint> anchor, std::vector<CurvePoint> test) {
    check(anchor, "the anchor");
    check(test, "the curve");
    const MonotoneCubic anchor_rate(anchor), test_rate(test);
    const double low = std::max(anchor_rate.low(), test_rate.low()), high = std::min(anchor_rate.high(), test_rate.high());
    if (!(low < high)) throw Error(ErrorCode::invalid_argument, "BD-rate: the curves have no range of PSNR in common");
    const double difference = (test_rate.integral(low, high) - anchor_rate.integral(low, high)) / (high - low);
    return {100 * std::expm1(difference), low, high};
}

NamedCurve parse_curve(const std::string& text) {
    const Json report = Json::parse(text, nullptr, false);
    if (!report.is_object() || !report.contains("results") || !report["results"].is_object())
        throw Error(ErrorCode::corrupt, "is no report in JSON with an object \"results\"");
    const Json& results = report["results"];
    const std::vector<double> bpp = numbers(results, "bpp");
    const std::vector<double> psnr = numbers(results, results.contains("psnr-rgb") ? "psnr-rgb" : "psnr");
    if (bpp.size() != psnr.size())
        throw Error(ErrorCode::corrupt,
                    "results: " + std::to_string(bpp.size()) + " values of bpp, " + std::to_string(psnr.size()) + " of psnr");
    NamedCurve curve;
    if (report.contains("name") && report["name"].is_string()) curve.name = report["name"].get<std::string>();
    for (size_t i = 0; i < bpp.size(); ++i) curve.points.push_back({bpp[i], psnr[i]});
    return curve;
}

}  // namespace decant::cli
