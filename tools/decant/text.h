// Numbers, sizes and tables as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace decant::cli {

std::string plain(double value);                                // the shortest text: "50", "0.45", "1e-05"
std::string fixed(double value, int digits);                    // "-" for NaN
std::string byte_size(uint64_t bytes);                          // "815 B", "12.3 kB", "4.56 MB"
std::string count_of(uint64_t count, const std::string& noun);  // "1 file", "2 files"
std::string duration(double seconds);                           // "0.52 s", "1:05", "2:00:05"

// Padded with spaces to `width` characters of UTF-8.
std::string left(const std::string& text, size_t width);
std::string right(const std::string& text, size_t width);

std::vector<std::string> split(std::string_view text, char separator);

// Lines of at most `width` characters, all but the first with `indent` spaces in front.
std::string wrap(const std::string& text, size_t width, size_t indent);

// Columns as wide as their widest cell; the first is aligned left, the others right unless align_left says otherwise.
class Table {
public:
    explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    void align_left(size_t column) { left_.push_back(column); }
    std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
    std::vector<size_t> left_{0};
};

}  // namespace decant::cli
