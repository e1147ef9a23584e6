// The Bjøntegaard deltas (VCEG-M33, 2001): two rate-distortion curves as one number.
#pragma once

#include <vector>

namespace decant {

struct CurvePoint {
    double bpp = 0;      // bits a pixel, above 0
    double quality = 0;  // PSNR in dB, or another measure of which more is better; it should be in dB, too
};

// How a curve runs between its points, quality as a function of log(bpp) or the other way round.
enum class CurveFit {
    piecewise_cubic,  // monotone cubics through all points (Fritsch and Carlson 1980, slopes as in SciPy's PchipInterpolator):
                      // the variant that JCT-VC and AOM moved to, since it does not swing between uneven points
    cubic             // VCEG-M33 itself: one polynomial of degree 3, exact for four points, least squares for more
};

struct BjontegaardDelta {
    double value = 0;           // of bd_rate in percent, -50: half the bits; of bd_quality in the unit of quality
    double low = 0, high = 0;  // the range that both curves cover: of bd_rate in quality, of bd_quality in bpp
};

// The mean difference of the logarithms of the rates over the range of quality that the curves have in common; the mean difference
// of the qualities (BD-PSNR) over the common range of the logarithm of the rate. Points may come in any order. Throw Error
// invalid_argument for less than two points, a quality that is not a finite number, a rate that is not positive, two points of the same
// abscissa, or curves without a common range.
BjontegaardDelta bd_rate(std::vector<CurvePoint> anchor, std::vector<CurvePoint> test,
                         CurveFit fit = CurveFit::piecewise_cubic);
BjontegaardDelta bd_quality(std::vector<CurvePoint> anchor, std::vector<CurvePoint> test,
                            CurveFit fit = CurveFit::piecewise_cubic);

}  // namespace decant
