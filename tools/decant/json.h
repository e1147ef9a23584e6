// JSON as the verbs print it.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace decant::cli {

using Json = nlohmann::ordered_json;

// One line. File names need not be UTF-8, JSON must be: other bytes become U+FFFD.
inline std::string to_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

// JSON has no infinity: it becomes the string "inf", as of the PSNR of equal pictures; NaN, where there is no value, becomes null.
inline Json json_number(double value) {
    return std::isnan(value) ? Json() : std::isinf(value) ? Json(value > 0 ? "inf" : "-inf") : Json(value);
}

inline Json json_numbers(const std::vector<double>& values) {
    Json list = Json::array();
    for (const double value : values) list.push_back(json_number(value));
    return list;
}

}  // namespace decant::cli
