#include "codec/image/png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include "codec/error.h"

namespace decant {
namespace {

constexpr std::size_t kBufferSize = std::size_t{1} << 16;

// libpng reports errors by a jump, which must not pass over a C++ destructor. So libpng is only ever called inside
// `guarded`, from functions whose locals are all trivial; whatever owns memory lives in the caller of `guarded`.
struct Stream {
    ByteAccess input;  // reading
    std::uint64_t position = 0, buffer_begin = 0;
    std::vector<std::uint8_t> buffer;
    std::vector<std::uint8_t>* output = nullptr;  // writing
    std::exception_ptr failure;                   // not libpng's
    std::array<char, 160> message{};

    // A call to the system for each of the few bytes that libpng asks for would take longer than unpacking them.
    void take(std::uint8_t* target, std::size_t size) {
        while (size > 0) {
            if (position < buffer_begin || position >= buffer_begin + buffer.size()) {
                buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBufferSize, input.size - position)));
                buffer_begin = position;
                input.read(position, buffer);
            }
            const std::size_t at = static_cast<std::size_t>(position - buffer_begin), count = std::min(size, buffer.size() - at);
            target = std::copy_n(buffer.data() + at, count, target);
            position += count;
            size -= count;
        }
    }
};

Stream& stream_of(png_structp png) { return *static_cast<Stream*>(png_get_io_ptr(png)); }

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
    auto& text = static_cast<Stream*>(png_get_error_ptr(png))->message;
    std::snprintf(text.data(), text.size(), "%s", message);
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // what libpng recovers from is no reason to refuse or to print

// What work() throws is kept, since it must not pass through libpng.
template <typename Work>
void attempt(png_structp png, const Work& work) {
    Stream& stream = stream_of(png);
    try {
        work(stream);
    } catch (...) {
        stream.failure = std::current_exception();
    }
    if (stream.failure) png_error(png, "the file cannot be read or written");
}

void read_input(png_structp png, png_bytep target, std::size_t size) {
    const Stream& stream = stream_of(png);
    if (size > stream.input.size - stream.position) png_error(png, "the file ends early");
    attempt(png, [&](Stream& s) { s.take(target, size); });
}

void append_output(png_structp png, png_bytep bytes, std::size_t size) {
    attempt(png, [&](Stream& stream) { stream.output->insert(stream.output->end(), bytes, bytes + size); });
}

void flush_output(png_structp) {}

// PNG has the high byte first. Nothing happens for samples of 8 bits.
void use_machine_order(png_structp png) {
    if constexpr (std::endian::native == std::endian::little) png_set_swap(png);
}

template <typename Calls>
[[nodiscard]] bool guarded(png_structp png, const Calls& calls) {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    calls();
    return true;
}

struct Reader {
    Stream stream;
    png_structp png = nullptr;
    png_infop info = nullptr;

    explicit Reader(ByteAccess input) {
        stream.input = std::move(input);
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning);
        info = png != nullptr ? png_create_info_struct(png) : nullptr;
        if (info == nullptr) {
            png_destroy_read_struct(&png, nullptr, nullptr);
            throw std::bad_alloc();
        }
        png_set_read_fn(png, &stream, read_input);
    }
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
};

struct Writer {
    Stream stream;
    png_structp png = nullptr;
    png_infop info = nullptr;

    explicit Writer(std::vector<std::uint8_t>& output) {
        stream.output = &output;
        png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning);
        info = png != nullptr ? png_create_info_struct(png) : nullptr;
        if (info == nullptr) {
            png_destroy_write_struct(&png, nullptr);
            throw std::bad_alloc();
        }
        png_set_write_fn(png, &stream, append_output, flush_output);
    }
    ~Writer() { png_destroy_write_struct(&png, &info); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
};

// Chunks that say nothing about the pixels, such as texts and colour profiles, are skipped: unpacking them takes time, and
// codec/metadata reads them where they are wanted.
void skip_other_chunks(png_structp png) {
    static constexpr png_byte skipped[] = {'i', 'C', 'C', 'P', 0, 'z', 'T', 'X', 't', 0,
                                           'i', 'T', 'X', 't', 0, 't', 'E', 'X', 't', 0, 'e', 'X', 'I', 'f', 0};
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, 5);
    png_set_chunk_malloc_max(png, 2 * kMaxMetadataBlock);  // libpng's limit of 8 MB would refuse files for what is skipped
}

ByteAccess access_to(std::span<const std::uint8_t> bytes) {
    return {bytes.size(), [bytes](std::uint64_t offset, std::span<std::uint8_t> target) {
                std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), target.size(), target.begin());
            }};
}

// A file whose header is read, and whose rows come as the Image of a reader has them.
class PngDecoder {
public:
    PngDecoder(ByteAccess input, const std::string& name, const ReadOptions& options, Remarks& remarks) : name_(name), reader_(std::move(input)) {
        const png_structp png = reader_.png;
        const png_infop info = reader_.info;
        call([&] {
            png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_dimensions below is the limit
            skip_other_chunks(png);
            png_read_info(png, info);
        });
        width = png_get_image_width(png, info);
        height = png_get_image_height(png, info);
        is_interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
        if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE) remarks.emplace_back(kPaletteRemark);
        depth = std::max<int>(png_get_bit_depth(png, info), 8);  // what it comes to below
        check_dimensions(source(), width, height, depth, options);

        // Deflate shrinks at most 1032:1, so a short file cannot hold a huge picture: nothing is allocated for a lie.
        const std::uint64_t stored_size = static_cast<std::uint64_t>(png_get_rowbytes(png, info)) * height;
        if (stored_size / 1032 > reader_.stream.input.size)
            throw_corrupt(source(), "damaged or truncated PNG (" + std::to_string(reader_.stream.input.size) + " bytes cannot hold " +
                                        std::to_string(width) + "x" + std::to_string(height) + " pixels)");
        call([&] {
            png_set_expand(png);  // palette to RGB, gray of fewer bits to 8 bit, transparent colours to alpha
            use_machine_order(png);
            png_set_interlace_handling(png);
            png_read_update_info(png, info);
        });
        channels = png_get_channels(png, info);
        row_size = png_get_rowbytes(png, info);
    }

    std::uint32_t width = 0, height = 0;
    int depth = 8, channels = 0;  // of alpha as well
    bool is_interlaced = false;
    std::size_t row_size = 0;  // bytes

    void read_all(png_bytepp rows) {
        call([&] { png_read_image(reader_.png, rows); });
        finish();
    }
    void read_row(png_bytep row) {
        call([&] { png_read_row(reader_.png, row, nullptr); });
    }
    void finish() {
        call([&] { png_read_end(reader_.png, nullptr); });
    }

private:
    Source source() const { return {{}, name_}; }

    template <typename Calls>
    void call(const Calls& calls) {
        if (guarded(reader_.png, calls)) return;
        if (reader_.stream.failure) std::rethrow_exception(reader_.stream.failure);
        throw_corrupt(source(), std::string("damaged or truncated PNG (") + reader_.stream.message.data() + ")");
    }

    std::string name_;
    Reader reader_;
};

class Rows : public RowReader {
public:
    explicit Rows(std::unique_ptr<PngDecoder> decoder) : decoder_(std::move(decoder)) {}

    PictureShape shape() const override { return {decoder_->width, decoder_->height, decoder_->channels, decoder_->depth}; }
    void read(void* row) override {
        decoder_->read_row(static_cast<png_bytep>(row));
        if (++rows_read_ == decoder_->height) decoder_->finish();
    }

private:
    std::unique_ptr<PngDecoder> decoder_;
    std::uint32_t rows_read_ = 0;
};

// A picture on its way into a file: `row` takes its rows, with alpha as the last channel.
class PngEncoder {
public:
    PngEncoder(const PictureShape& shape, bool has_alpha, int level, std::vector<std::uint8_t>& output) : shape_(shape), writer_(output) {
        const png_structp png = writer_.png;
        call([&] {
            png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
            const int color_type = (shape.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB) | (has_alpha ? PNG_COLOR_MASK_ALPHA : 0);
            png_set_IHDR(png, writer_.info, shape.width, shape.height, shape.depth, color_type, PNG_INTERLACE_NONE,
                         PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
            png_set_compression_level(png, std::clamp(level, 1, 9));
            // Paeth at every row costs a quarter of the time of libpng's search among the filters, for the same size
            // (four Kodak images: 726 kB in 19 ms at level 2; libpng's defaults 726 kB in 77 ms).
            png_set_compression_strategy(png, Z_FILTERED);
            png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_PAETH);
            png_write_info(png, writer_.info);
            use_machine_order(png);  // of what is given; it lasts from here on
        });
    }

    void row(const void* samples) {
        call([&] { png_write_row(writer_.png, static_cast<png_const_bytep>(samples)); });
    }
    void finish() {
        call([&] { png_write_end(writer_.png, writer_.info); });
    }

private:
    template <typename Calls>
    void call(const Calls& calls) {
        if (guarded(writer_.png, calls)) return;
        if (writer_.stream.failure) std::rethrow_exception(writer_.stream.failure);
        throw Error(ErrorCode::internal, "writing a PNG of " + std::to_string(shape_.width) + "x" + std::to_string(shape_.height) +
                                             " failed: " + writer_.stream.message.data());
    }

    PictureShape shape_;
    Writer writer_;
};

class FileWriter : public RowWriter {
public:
    FileWriter(int level, std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin, ByteSink sink)
        : level_(level), begin_(std::move(begin)), sink_(std::move(sink)) {}

    void begin(const PictureShape& shape) override {
        rows_left_ = shape.height;
        encoder_.emplace(shape, false, level_, buffer_);
        begin_(buffer_, shape);
    }
    void write(const void* row) override {
        encoder_->row(row);
        const bool is_last = --rows_left_ == 0;
        if (is_last) encoder_->finish();
        if (!is_last && buffer_.size() < kBufferSize) return;
        sink_(buffer_);
        buffer_.clear();
    }

private:
    const int level_;
    std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin_;
    ByteSink sink_;
    std::vector<std::uint8_t> buffer_;
    std::optional<PngEncoder> encoder_;
    std::uint32_t rows_left_ = 0;
};

}  // namespace

Pixels read_png(const Source& source, const ReadOptions& options, Remarks& remarks) {
    PngDecoder decoder(access_to(source.bytes), source.name, options, remarks);
    Samples samples = make_samples(std::size_t{decoder.width} * static_cast<std::size_t>(decoder.channels) * decoder.height, decoder.depth);
    const png_bytep first = std::visit([](auto& values) { return reinterpret_cast<png_bytep>(values.data()); }, samples);
    std::vector<png_bytep> rows(decoder.height);
    for (std::uint32_t y = 0; y < decoder.height; ++y) rows[y] = first + y * decoder.row_size;
    decoder.read_all(rows.data());
    return separate_alpha(decoder.width, decoder.height, decoder.channels, std::move(samples));
}

std::unique_ptr<RowReader> open_png_rows(ByteAccess file, const std::string& name, const ReadOptions& options, Remarks& remarks) {
    auto decoder = std::make_unique<PngDecoder>(std::move(file), name, options, remarks);
    if (decoder->is_interlaced || decoder->channels % 2 == 0) return nullptr;
    return std::make_unique<Rows>(std::move(decoder));
}

std::vector<std::uint8_t> png_without_pixels(const ByteAccess& file, std::size_t most) {
    constexpr std::uint64_t signature = 8, overhead = 12;
    std::vector<std::uint8_t> result(signature);
    if (file.size < signature) return {};
    file.read(0, result);
    for (std::uint64_t at = signature; at + overhead <= file.size;) {
        std::array<std::uint8_t, 8> begin;
        file.read(at, begin);
        const std::uint64_t length = overhead + (std::uint64_t{begin[0]} << 24 | std::uint64_t{begin[1]} << 16 | std::uint64_t{begin[2]} << 8 | begin[3]);
        if (length > file.size - at) return {};
        if (!std::equal(begin.begin() + 4, begin.end(), "IDAT")) {
            if (length > most - result.size()) return {};
            result.resize(result.size() + length);
            file.read(at, std::span(result).last(length));
        }
        at += length;
    }
    return result;
}

std::unique_ptr<RowWriter> make_png_writer(int level, std::function<void(std::vector<std::uint8_t>&, const PictureShape&)> begin, ByteSink sink) {
    return std::make_unique<FileWriter>(level, std::move(begin), std::move(sink));
}

std::vector<std::uint8_t> write_png(const Image& image, const Image* alpha, int level) {
    std::vector<std::uint8_t> output;
    const auto bytes = image.bytes();
    const std::size_t row_size = bytes.size() / image.height;
    output.reserve(bytes.size() / 2 + 4096);
    std::vector<std::uint8_t> mixed(alpha != nullptr ? row_size + std::size_t{image.width} * static_cast<std::size_t>(image.depth() / 8) : 0);
    PngEncoder encoder(shape_of(image), alpha != nullptr, level, output);
    for (std::uint32_t y = 0; y < image.height; ++y) {
        if (alpha == nullptr) {
            encoder.row(bytes.data() + y * row_size);
            continue;
        }
        if (image.depth() == 8)
            interleave_row(image, *alpha, y, mixed.data());
        else
            interleave_row(image, *alpha, y, reinterpret_cast<std::uint16_t*>(mixed.data()));
        encoder.row(mixed.data());
    }
    encoder.finish();
    return output;
}

}  // namespace decant
