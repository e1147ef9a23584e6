// The Bjøntegaard delta rate (VCEG-M33): by how much one codec's files are larger than another's at the same PSNR.
#pragma once

#include <string>
#include <vector>

namespace decant::cli {

struct CurvePoint {
    double bpp = 0, psnr = 0;
};

struct BdRate {
    double percent = 0;                  // -50: half the bits
    double psnr_low = 0, psnr_high = 0;  // the range that both curves cover
};

// The logarithm of the rate is a function of the PSNR, interpolated by monotone cubics (Fritsch and Carlson 1980, slopes as in
// SciPy's PchipInterpolator) instead of one cubic through four points; the difference of the two is averaged over the common
// range. Throws Error invalid_argument for less than two points, a PSNR that is not a number or there twice, a rate that is not
// positive, or curves without a common range.
BdRate bd_rate(std::vector<CurvePoint> anchor, std::vector<CurvePoint> test);

// A curve in the report form of eval --json, and its "name".
struct NamedCurve {
    std::string name;
    std::vector<CurvePoint> points;
};

// Takes "psnr-rgb", or else "psnr". Throws Error corrupt with the key that is missing or wrong.
NamedCurve parse_curve(const std::string& json);

}  // namespace decant::cli
