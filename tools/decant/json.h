// JSON as the verbs print it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace decant::cli {

using Json = nlohmann::ordered_json;

// One line. File names need not be UTF-8, JSON must be: other bytes become U+FFFD.
inline std::string to_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace decant::cli
