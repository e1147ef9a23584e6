#include "tools/decant/curve.h"

#include <cmath>
#include <limits>

#include "codec/error.h"
#include "tools/decant/json.h"

namespace decant::cli {
namespace {

// json_number() backwards.
double number(const Json& value) {
    if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
    if (value == "inf") return std::numeric_limits<double>::infinity();
    return value.get<double>();
}

std::vector<double> numbers(const Json& results, const char* key) {
    try {
        std::vector<double> list;
        const Json& values = results.at(key);
        if (!values.is_array()) throw Error(ErrorCode::corrupt, std::string("results: \"") + key + "\" is no list");
        for (const Json& value : values) list.push_back(number(value));
        return list;
    } catch (const Json::exception&) {
        throw Error(ErrorCode::corrupt, std::string("results: \"") + key + "\" is missing, or is no list of numbers");
    }
}

}  // namespace

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
    for (size_t i = 0; i < bpp.size(); ++i)
        if (std::isfinite(psnr[i])) curve.points.push_back({bpp[i], psnr[i]});
    return curve;
}

}  // namespace decant::cli
