#include "tools/decant/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>

namespace decant::cli {
namespace {

size_t width_of(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padding(const std::string& text, size_t width) {
    const size_t used = width_of(text);
    return std::string(used < width ? width - used : 0, ' ');
}

std::string two_digits(int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); }

}  // namespace

std::string plain(double value) {
    // The shortest text of 100000 would be 1e+05.
    if (std::abs(value) < 1e15 && value == std::floor(value)) return std::to_string(static_cast<int64_t>(value));
    std::array<char, 32> digits;
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

std::string fixed(double value, int digits) {
    if (std::isnan(value)) return "-";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    std::array<char, 400> text;  // the largest double has 309 digits before the point
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits).ptr};
}

std::string byte_size(uint64_t bytes) {
    if (bytes < 1000) return std::to_string(bytes) + " B";
    double value = static_cast<double>(bytes) / 1000;
    constexpr std::array<const char*, 4> kUnits{" kB", " MB", " GB", " TB"};
    size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
    return fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0) + kUnits[unit];
}

std::string count_of(uint64_t count, const std::string& noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string duration(double seconds) {
    if (seconds < 60) return fixed(seconds, seconds < 10 ? 2 : 1) + " s";
    const auto whole = static_cast<int64_t>(std::min(seconds, 1e12) + 0.5);
    const std::string minutes_text = whole < 3600 ? std::to_string(whole / 60) : two_digits(whole / 60 % 60);
    return (whole < 3600 ? "" : std::to_string(whole / 3600) + ":") + minutes_text + ":" + two_digits(whole % 60);
}

std::string left(const std::string& text, size_t width) { return text + padding(text, width); }
std::string right(const std::string& text, size_t width) { return padding(text, width) + text; }

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(separator, begin), text.size());
        parts.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

std::string wrap(const std::string& text, size_t width, size_t indent) {
    std::istringstream words(text);
    std::string result, word;
    size_t used = 0;
    while (words >> word) {
        if (used != 0 && used + 1 + word.size() > width) {
            result += "\n" + std::string(indent, ' ');
            used = 0;
        }
        if (used != 0) result += " ";
        used += word.size() + (used != 0);
        result += word;
    }
    return result;
}

std::string Table::text() const {
    std::vector<size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()), 0);
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    std::string result;
    for (const auto& row : rows_) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            const bool is_left = std::find(left_.begin(), left_.end(), i) != left_.end();
            line += (i == 0 ? "" : "  ") + (is_left ? left(row[i], widths[i]) : right(row[i], widths[i]));
        }
        line.erase(line.find_last_not_of(' ') + 1);
        result += line + "\n";
    }
    return result;
}

}  // namespace decant::cli
