// Members of structures read from JSON and written to it. Errors begin with the value's path, "net.layers[1].channels: …", so that
// JsonDocument::located finds its line.
#pragma once

#include <cmath>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "codec/error.h"
#include "codec/network/json_document.h"

namespace decant {

// The words for an enumeration's values. names(E{}) gives them, found where E is declared.
template <class Enum>
using Names = std::vector<std::pair<const char*, Enum>>;

[[noreturn]] inline void fail_json(const std::string& what) { throw Error(ErrorCode::model_mismatch, what); }

template <class T>
void read_value(const OrderedJson& value, T& member, const std::string& where) {
    if constexpr (std::is_enum_v<T>) {
        std::string known;
        for (const auto& [text, e] : names(T{})) {
            if (value == text) {
                member = e;
                return;
            }
            known += (known.empty() ? "" : ", ") + std::string(text);
        }
        fail_json(where + ": " + value.dump() + " is not one of the known values " + known);
    } else {
        // The JSON library would turn 3.9, true and 2^32 + 3 into a 3 or a 1.
        constexpr bool integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;
        const double largest = sizeof(T) > 4 ? 0x1p53 : 1e9;
        const bool whole = value.is_number_integer() || (value.is_number_float() && std::nearbyint(value.get<double>()) == value.get<double>());
        const bool negative = std::is_unsigned_v<T> && whole && value.get<double>() < 0;
        if (integer && (!whole || negative || std::abs(value.get<double>()) > largest)) fail_json(where + ": " + value.dump() + " is of the wrong kind");
        if (std::is_floating_point_v<T> && !value.is_number()) fail_json(where + ": " + value.dump() + " is of the wrong kind");
        try {
            value.get_to(member);
        } catch (const OrderedJson::exception&) {
            fail_json(where + ": " + value.dump() + " is of the wrong kind");
        }
    }
}

template <class T>
OrderedJson write_value(const T& member) {
    if constexpr (std::is_enum_v<T>) {
        for (const auto& [text, e] : names(T{})) {
            if (e == member) return text;
        }
        return nullptr;
    } else {
        return member;
    }
}

inline void check_keys(const OrderedJson& object, const std::set<std::string>& known, const std::string& where) {
    if (!object.is_object()) fail_json((where.empty() ? "" : where + ": ") + "an object is expected");
    for (const auto& [key, value] : object.items()) {
        if (known.contains(key)) continue;
        std::string list;
        for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
        fail_json((where.empty() ? key : where + "." + key) + ": unknown key \"" + key + "\"; there are " + list);
    }
}

}  // namespace decant
