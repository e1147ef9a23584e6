#include "codec/image/pnm.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "codec/error.h"

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

std::vector<std::uint8_t> header_of(const PictureShape& shape) {
    const std::string text = (shape.channels == 1 ? "P5\n" : "P6\n") + std::to_string(shape.width) + " " + std::to_string(shape.height) +
                             (shape.depth == 16 ? "\n65535\n" : "\n255\n");
    return {text.begin(), text.end()};
}

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

namespace {

// Samples of 16 bits have the high byte first in the file.
void swap_bytes(std::span<std::uint8_t> row) {
    for (std::size_t i = 0; i + 1 < row.size(); i += 2) std::swap(row[i], row[i + 1]);
}

class Rows : public RowReader {
public:
    Rows(ByteAccess file, const PictureShape& shape, std::uint64_t begin) : file_(std::move(file)), shape_(shape), position_(begin) {}

    PictureShape shape() const override { return shape_; }
    void read(void* row) override {
        const std::span bytes(static_cast<std::uint8_t*>(row), shape_.row_bytes());
        file_.read(position_, bytes);
        position_ += bytes.size();
        if (shape_.depth == 16) swap_bytes(bytes);
    }

private:
    ByteAccess file_;
    PictureShape shape_;
    std::uint64_t position_;
};

class FileWriter : public RowWriter {
public:
    FileWriter(std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin, ByteSink sink)
        : begin_(std::move(begin)), sink_(std::move(sink)) {}

    void begin(const PictureShape& shape) override {
        shape_ = shape;
        std::vector<std::uint8_t> header = header_of(shape);
        begin_(header, shape);
        sink_(header);
    }
    void write(const void* row) override {
        const std::span bytes(static_cast<const std::uint8_t*>(row), shape_.row_bytes());
        if (shape_.depth == 8) return sink_(bytes);
        row_.assign(bytes.begin(), bytes.end());
        swap_bytes(row_);
        sink_(row_);
    }

private:
    std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin_;
    ByteSink sink_;
    PictureShape shape_;
    std::vector<std::uint8_t> row_;
};

}  // namespace

std::unique_ptr<RowReader> open_pnm_rows(ByteAccess file, const std::string& name, const ReadOptions& options) {
    // A header with more comments than that is read with the whole file.
    std::vector<std::uint8_t> begin(static_cast<std::size_t>(std::min<std::uint64_t>(file.size, 4096)));
    file.read(0, begin);
    const Source source{begin, name};
    PictureShape shape;
    std::uint64_t pixels = 0;
    try {
        HeaderParser header(source);
        const std::uint64_t width = header.number("width"), height = header.number("height"), largest = header.number("largest value");
        if (width == 0 || height == 0 || (largest != 255 && largest != 65535)) return nullptr;
        pixels = header.end();
        shape = {static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), begin[1] == '6' ? 3 : 1, largest == 255 ? 8 : 16};
    } catch (const Error&) {
        return nullptr;
    }
    check_dimensions(source, shape.width, shape.height, shape.depth, options);
    if (shape.row_bytes() > (file.size - pixels) / shape.height) return nullptr;
    return std::make_unique<Rows>(std::move(file), shape, pixels);
}

std::unique_ptr<RowWriter> make_pnm_writer(std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin, ByteSink sink) {
    return std::make_unique<FileWriter>(std::move(begin), std::move(sink));
}

std::vector<std::uint8_t> write_pnm(const Image& image) {
    std::vector<std::uint8_t> output;
    FileWriter writer([&](std::vector<std::uint8_t>& header, const PictureShape&) { output.reserve(header.size() + image.bytes().size()); },
                      [&](std::span<const std::uint8_t> bytes) { output.insert(output.end(), bytes.begin(), bytes.end()); });
    const PictureShape shape = shape_of(image);
    writer.begin(shape);
    for (std::uint32_t y = 0; y < image.height; ++y) writer.write(image.bytes().data() + y * shape.row_bytes());
    return output;
}

}  // namespace decant
