#include "codec/image/pnm.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

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

// Samples lie in the file as one byte, or as two with the high one first.
template <Sample T>
std::vector<T> unpack(std::span<const std::uint8_t> stored, std::size_t count) {
    std::vector<T> samples(count);
    if constexpr (sizeof(T) == 1) {
        std::copy_n(stored.begin(), count, samples.begin());
    } else {
        for (std::size_t i = 0; i < count; ++i) samples[i] = static_cast<T>(stored[2 * i] << 8 | stored[2 * i + 1]);
    }
    return samples;
}

template <Sample T>
Image read_pixels(const Source& source, std::span<const std::uint8_t> stored, std::uint64_t width, std::uint64_t height,
                  int channels, std::uint32_t largest) {
    // Divided, not multiplied: sides of 32 bits times 3 channels overflow 64 bits.
    if (width > stored.size() / (static_cast<std::uint64_t>(channels) * sizeof(T)) / height)
        throw_corrupt(source, "truncated PPM/PGM: " + std::to_string(stored.size()) + " bytes of pixels for " +
                                  std::to_string(width) + "x" + std::to_string(height));
    std::vector<T> samples = unpack<T>(stored, width * height * static_cast<std::uint64_t>(channels));
    constexpr std::uint32_t full = std::numeric_limits<T>::max();
    if (largest != full)
        for (T& sample : samples) {
            if (sample > largest)
                throw_corrupt(source, "damaged PPM/PGM: a sample of " + std::to_string(sample) +
                                          ", the header's largest value is " + std::to_string(largest));
            sample = static_cast<T>((sample * full + largest / 2) / largest);  // 32 bits just hold it
        }
    return Image(static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), channels, std::move(samples));
}

}  // namespace

Image read_pnm(const Source& source, const ReadOptions& options) {
    HeaderParser header(source);
    const std::uint64_t width = header.number("width");
    const std::uint64_t height = header.number("height");
    const std::uint64_t largest = header.number("largest value");
    if (largest == 0 || largest > 65535) throw_corrupt(source, "the PPM/PGM header has an impossible largest value");
    const bool is_deep = largest > 255;
    check_dimensions(source, width, height, is_deep ? 16 : 8, options);
    const int channels = source.bytes[1] == '6' ? 3 : 1;
    const auto read = is_deep ? read_pixels<std::uint16_t> : read_pixels<std::uint8_t>;
    return read(source, source.bytes.subspan(header.end()), width, height, channels, static_cast<std::uint32_t>(largest));
}

std::vector<std::uint8_t> write_pnm(const Image& image) {
    const std::string header = (image.channels == 1 ? "P5\n" : "P6\n") + std::to_string(image.width) + " " +
                               std::to_string(image.height) + (image.depth() == 16 ? "\n65535\n" : "\n255\n");
    std::vector<std::uint8_t> output;
    output.reserve(header.size() + image.bytes().size());
    output.insert(output.end(), header.begin(), header.end());
    image.visit([&]<Sample T>(const std::vector<T>& samples) {
        if constexpr (sizeof(T) == 1) {
            output.insert(output.end(), samples.begin(), samples.end());
        } else {
            for (const T sample : samples) {
                output.push_back(static_cast<std::uint8_t>(sample >> 8));
                output.push_back(static_cast<std::uint8_t>(sample));
            }
        }
    });
    return output;
}

}  // namespace decant
