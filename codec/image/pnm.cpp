#include "codec/image/pnm.h"

#include <algorithm>
#include <string>

namespace decant {
namespace {

class HeaderParser {
public:
    explicit HeaderParser(const Source& source) : source_(source) {}

    // The next decimal number, after white space and comments ('#' up to the end of the line).
    std::uint64_t number(const char* what) {
        skip_blanks();
        std::uint64_t value = 0;
        std::size_t digits = 0;
        for (; position_ < source_.bytes.size() && is_digit(source_.bytes[position_]); ++position_, ++digits) {
            value = value * 10 + (source_.bytes[position_] - std::uint64_t{'0'});
            if (value > UINT32_MAX) throw_corrupt(source_, std::string("the PPM/PGM header has an impossible ") + what);
        }
        if (digits == 0) throw_corrupt(source_, std::string("the PPM/PGM header has no ") + what);
        return value;
    }

    // Where the pixels begin: after exactly one white-space byte.
    std::size_t end() {
        if (position_ >= source_.bytes.size() || !is_blank(source_.bytes[position_]))
            throw_corrupt(source_, "the PPM/PGM header does not end with white space");
        return position_ + 1;
    }

private:
    static bool is_digit(std::uint8_t c) { return c >= '0' && c <= '9'; }
    static bool is_blank(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

    void skip_blanks() {
        bool in_comment = false;
        for (; position_ < source_.bytes.size(); ++position_) {
            const std::uint8_t c = source_.bytes[position_];
            if (c == '\n' || c == '\r')
                in_comment = false;
            else if (c == '#')
                in_comment = true;
            else if (!in_comment && !is_blank(c))
                return;
        }
    }

    const Source& source_;
    std::size_t position_ = 2;  // after "P5" or "P6"
};

}  // namespace

Image read_pnm(const Source& source, const ReadOptions& options) {
    HeaderParser header(source);
    const std::uint64_t width = header.number("width");
    const std::uint64_t height = header.number("height");
    check_dimensions(source, width, height, options);
    const std::uint64_t largest = header.number("largest value");
    if (largest == 0 || largest > 65535) throw_corrupt(source, "the PPM/PGM header has an impossible largest value");
    if (largest > 255) check_depth(source, 16);
    if (largest != 255)
        throw_unsupported(source,
                          "PPM/PGM with a largest value of " + std::to_string(largest) + " is not supported; convert it to 255");

    const int channels = source.bytes[1] == '6' ? 3 : 1;
    const auto stored = source.bytes.subspan(header.end());
    // Divided, not multiplied: sides of 32 bits times 3 channels overflow 64 bits.
    if (width > stored.size() / static_cast<std::uint64_t>(channels) / height)
        throw_corrupt(source, "truncated PPM/PGM: " + std::to_string(stored.size()) + " bytes of pixels for " +
                                  std::to_string(width) + "x" + std::to_string(height));
    Image image(static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), channels);
    std::copy_n(stored.begin(), image.samples.size(), image.samples.begin());
    return image;
}

std::vector<std::uint8_t> write_pnm(const Image& image) {
    const std::string header =
        (image.channels == 1 ? "P5\n" : "P6\n") + std::to_string(image.width) + " " + std::to_string(image.height) + "\n255\n";
    std::vector<std::uint8_t> output;
    output.reserve(header.size() + image.samples.size());
    output.insert(output.end(), header.begin(), header.end());
    output.insert(output.end(), image.samples.begin(), image.samples.end());
    return output;
}

}  // namespace decant
