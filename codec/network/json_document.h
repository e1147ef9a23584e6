// JSON as people write it: comments are allowed, every value knows its line, and single values can be set from outside.
// Only for files that use nlohmann's library.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/error.h"

namespace decant {

using OrderedJson = nlohmann::ordered_json;

// A path names a value: keys and, in lists, indices or the `name` of a member, with dots between: networks.denoise.layers.head.channels,
// networks.denoise.layers.1.channels, networks.denoise.layers[1].channels. Names may contain dots. * stands for every member.
class JsonDocument {
public:
    // Error model_mismatch, with the line, for what is no JSON and for a key that is there twice.
    explicit JsonDocument(const std::string& text);

    const OrderedJson& root() const { return root_; }
    void add(const OrderedJson& members);  // to the root, which must be an object; those that are there stay

    // Sets every value that the path names. The last key may be new, the rest must be there: Error invalid_argument names the nearest
    // part that is. value: JSON, or else a string. origin: what errors call it ("--set a.b=1").
    void set(const std::string& path, const std::string& value, const std::string& origin);

    // The same error with its place in front: the line, or the origin of a value that was set (and invalid_argument). The message has to
    // begin with a path and ": ", in which "networks" and "layers" need not be mentioned.
    Error located(const Error& error) const;

private:
    std::string place(const std::string& path) const;

    OrderedJson root_;
    std::map<std::string, int> lines_;           // by JSON pointer
    std::map<std::string, std::string> origins_;  // likewise, of values that were set
    bool is_single_line_ = true;
};

}  // namespace decant
