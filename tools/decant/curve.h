// Curves of other codecs, from files.
#pragma once

#include <string>
#include <vector>

#include "codec/measure/bd_rate.h"

namespace decant::cli {

// A curve in the report form of eval --json, and its "name".
struct NamedCurve {
    std::string name;
    std::vector<CurvePoint> points;  // of PSNR
};

// Takes "psnr-rgb", or else "psnr"; leaves out points where it is "inf" (nothing was lost) or null. Throws Error corrupt with the key that is missing or wrong.
NamedCurve parse_curve(const std::string& json);

}  // namespace decant::cli
