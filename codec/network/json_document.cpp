#include "codec/network/json_document.h"

#include <algorithm>
#include <iterator>

namespace decant {
namespace {

// Counts lines while the parser reads. A character that ends a line belongs to it, so a number is in its line although the parser reads
// one character beyond it.
class LineIterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    LineIterator(const char* at, int* line) : at_(at), line_(line) {}
    reference operator*() const { return *at_; }
    LineIterator& operator++() {
        if (after_newline_) ++*line_;
        after_newline_ = *at_++ == '\n';
        return *this;
    }
    LineIterator operator++(int) {
        LineIterator old = *this;
        ++*this;
        return old;
    }
    bool operator==(const LineIterator& other) const { return at_ == other.at_; }
    bool operator!=(const LineIterator& other) const { return at_ != other.at_; }

private:
    const char* at_;
    int* line_;
    bool after_newline_ = false;
};

std::string escaped(std::string key) {
    std::string result;
    for (const char c : key) result += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return result;
}

// Builds the value and notes the line of each member.
class Builder : public nlohmann::json_sax<OrderedJson> {
public:
    Builder(OrderedJson& root, const int& line, std::map<std::string, int>& lines) : root_(root), line_(line), lines_(lines) {}

    bool null() override { return add(nullptr), true; }
    bool boolean(bool value) override { return add(value), true; }
    bool number_integer(number_integer_t value) override { return add(value), true; }
    bool number_unsigned(number_unsigned_t value) override { return add(value), true; }
    bool number_float(number_float_t value, const string_t&) override { return add(value), true; }
    bool string(string_t& value) override { return add(value), true; }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(OrderedJson::object()), true; }
    bool start_array(std::size_t) override { return open(OrderedJson::array()), true; }
    bool end_object() override { return stack_.pop_back(), true; }
    bool end_array() override { return stack_.pop_back(), true; }
    bool key(string_t& value) override {
        key_ = value;
        if (stack_.back().value->contains(key_)) {
            throw Error(ErrorCode::model_mismatch, "line " + std::to_string(line_) + ": not valid JSON: the key \"" + key_ + "\" is there twice");
        }
        lines_[stack_.back().pointer + "/" + escaped(key_)] = line_;
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
        std::string what = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
        if (const size_t end = what.find("] "); end != what.npos) what.erase(0, end + 2);
        throw Error(ErrorCode::model_mismatch, "not valid JSON: " + what);
    }

private:
    struct Open {
        OrderedJson* value;
        std::string pointer;
    };

    std::pair<OrderedJson*, std::string> add(OrderedJson value) {
        if (stack_.empty()) {
            root_ = std::move(value);
            lines_[""] = line_;
            return {&root_, ""};
        }
        OrderedJson& parent = *stack_.back().value;
        std::string pointer = stack_.back().pointer + "/" + (parent.is_array() ? std::to_string(parent.size()) : escaped(key_));
        lines_.emplace(pointer, line_);
        OrderedJson* place = parent.is_array() ? &parent.emplace_back(std::move(value)) : &(parent[key_] = std::move(value));
        return {place, std::move(pointer)};
    }
    void open(OrderedJson value) {
        auto [place, pointer] = add(std::move(value));
        stack_.push_back({place, std::move(pointer)});
    }

    OrderedJson& root_;
    const int& line_;
    std::map<std::string, int>& lines_;
    // A pointer into a parent stays good: nothing is added to the parent while a member of it is open.
    std::vector<Open> stack_;
    std::string key_;
};

// "layers[1].name" becomes "layers.1.name".
std::string with_dots(std::string path) {
    std::string result;
    for (const char c : path) {
        if (c == '[')
            result += result.empty() ? "" : ".";
        else if (c != ']')
            result += c;
    }
    return result;
}

struct Match {
    std::string pointer;
    size_t length;  // of the path's part that leads there
};

// All values that `path` names from `value` on, and the parts of it that are there.
void find(const OrderedJson& value, std::string_view path, size_t from, const std::string& pointer, std::vector<Match>& found, Match& nearest) {
    if (from > nearest.length || nearest.pointer.empty()) nearest = {pointer, from};
    if (from >= path.size()) {
        found.push_back({pointer, path.size()});
        return;
    }
    const std::string_view rest = path.substr(from);
    const auto go_on = [&](std::string_view name, const OrderedJson& member, const std::string& key) {
        if (name.empty() || !rest.starts_with(name) || (rest.size() > name.size() && rest[name.size()] != '.')) return;
        find(member, path, std::min(path.size(), from + name.size() + 1), pointer + "/" + key, found, nearest);
    };
    if (value.is_object()) {
        for (const auto& [key, member] : value.items()) {
            go_on(key, member, escaped(key));
            go_on("*", member, escaped(key));
        }
    } else if (value.is_array()) {
        for (size_t i = 0; i < value.size(); i++) {
            const std::string index = std::to_string(i);
            go_on(index, value[i], index);
            go_on("*", value[i], index);
            if (value[i].is_object() && value[i].contains("name") && value[i]["name"].is_string()) {
                go_on(value[i]["name"].get_ref<const std::string&>(), value[i], index);
            }
        }
    }
}

// What a value's members are called in a path.
std::string members(const OrderedJson& value) {
    std::string list;
    const auto add = [&](const std::string& name) { list += (list.empty() ? "" : ", ") + name; };
    if (value.is_object()) {
        for (const auto& [key, member] : value.items()) add(key);
    } else if (value.is_array()) {
        for (size_t i = 0; i < value.size(); i++) {
            const bool has_name = value[i].is_object() && value[i].contains("name") && value[i]["name"].is_string();
            add(has_name ? value[i]["name"].get<std::string>() : std::to_string(i));
        }
    }
    return list;
}

}  // namespace

JsonDocument::JsonDocument(const std::string& text) : is_single_line_(text.find('\n') == text.npos) {
    int line = 1;
    Builder builder(root_, line, lines_);
    OrderedJson::sax_parse(LineIterator(text.data(), &line), LineIterator(text.data() + text.size(), &line), &builder, nlohmann::detail::input_format_t::json,
                           true, true);
}

void JsonDocument::add(const OrderedJson& members) {
    for (const auto& [key, value] : members.items()) {
        if (!root_.contains(key)) root_[key] = value;
    }
}

void JsonDocument::set(const std::string& given, const std::string& text, const std::string& origin) {
    const std::string path = with_dots(given);
    if (path.empty()) throw Error(ErrorCode::invalid_argument, origin + ": a path is needed, such as training.rate");
    OrderedJson value = OrderedJson::parse(text, nullptr, false);
    if (value.is_discarded()) value = text;

    std::vector<Match> found;
    Match nearest{"", 0};
    find(root_, path, 0, "", found, nearest);
    if (found.empty() && path.find('*') == path.npos) {
        // A key that is not in the text, as one with its default is.
        const size_t dot = path.rfind('.');
        std::vector<Match> parents;
        Match ignored{"", 0};
        if (dot != path.npos) find(root_, path.substr(0, dot), 0, "", parents, ignored);
        for (const Match& parent : parents) {
            if (root_.at(OrderedJson::json_pointer(parent.pointer)).is_object()) found.push_back({parent.pointer + "/" + escaped(path.substr(dot + 1)), 0});
        }
    }
    if (found.empty()) {
        const size_t length = std::min(nearest.length, path.size());
        const std::string known = path.substr(0, length == 0 ? 0 : length - 1), list = members(root_.at(OrderedJson::json_pointer(nearest.pointer)));
        throw Error(ErrorCode::invalid_argument, origin + ": there is no \"" + path.substr(length) + "\"" + (known.empty() ? "" : " in " + known) +
                                                     (list.empty() ? ", which has no members" : "; there are " + list));
    }
    for (const Match& match : found) {
        root_[OrderedJson::json_pointer(match.pointer)] = value;
        // What was below is gone.
        std::erase_if(lines_, [&](const auto& entry) { return entry.first.starts_with(match.pointer + "/"); });
        std::erase_if(origins_, [&](const auto& entry) { return entry.first.starts_with(match.pointer + "/"); });
        origins_[match.pointer] = origin;
    }
}

std::string JsonDocument::place(const std::string& given) const {
    std::vector<Match> found;
    Match nearest{"", 0};
    const std::string path = with_dots(given);
    find(root_, path, 0, "", found, nearest);
    return found.empty() ? nearest.pointer : found.front().pointer;
}

Error JsonDocument::located(const Error& error) const {
    const std::string message = error.what();
    const size_t colon = message.find(": ");
    std::string path = colon == message.npos ? "" : message.substr(0, colon);
    if (path.starts_with("model.")) path.erase(0, 6);
    const size_t dot = path.find('.');
    const std::string within = dot == path.npos ? path : path.substr(0, dot) + ".layers" + path.substr(dot);
    std::string pointer = place(path);
    for (const std::string& longer : {path, within}) {
        if (const std::string other = place("networks." + longer); other.size() > std::max(pointer.size(), std::string("/networks").size())) pointer = other;
    }
    for (;; pointer.erase(pointer.rfind('/'))) {
        if (const auto origin = origins_.find(pointer); origin != origins_.end()) return {ErrorCode::invalid_argument, origin->second + ": " + message};
        if (const auto line = lines_.find(pointer); line != lines_.end()) {
            return {error.code(), is_single_line_ ? message : "line " + std::to_string(line->second) + ": " + message};
        }
        if (pointer.empty()) return error;
    }
}

}  // namespace decant
