#include "codec/image/png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

#include "codec/error.h"

namespace decant {
namespace {

// libpng reports errors by a jump, which must not pass over a C++ destructor. So libpng is only ever called inside
// `guarded`, from functions whose locals are all trivial; whatever owns memory lives in the caller of `guarded`.
struct Stream {
    std::span<const std::uint8_t> input;          // reading: what is left
    std::vector<std::uint8_t>* output = nullptr;  // writing
    bool out_of_memory = false;
    std::array<char, 160> message{};
};

Stream& stream_of(png_structp png) { return *static_cast<Stream*>(png_get_io_ptr(png)); }

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
    auto& text = static_cast<Stream*>(png_get_error_ptr(png))->message;
    std::snprintf(text.data(), text.size(), "%s", message);
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // what libpng recovers from is no reason to refuse or to print

void read_input(png_structp png, png_bytep target, std::size_t size) {
    Stream& stream = stream_of(png);
    if (size > stream.input.size()) png_error(png, "the file ends early");
    std::memcpy(target, stream.input.data(), size);
    stream.input = stream.input.subspan(size);
}

void append_output(png_structp png, png_bytep bytes, std::size_t size) {
    Stream& stream = stream_of(png);
    try {
        stream.output->insert(stream.output->end(), bytes, bytes + size);
    } catch (const std::bad_alloc&) {
        stream.out_of_memory = true;
    }
    if (stream.out_of_memory) png_error(png, "out of memory");
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

    explicit Reader(std::span<const std::uint8_t> bytes) {
        stream.input = bytes;
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

[[noreturn]] void throw_damaged(const Source& source, const Stream& stream) {
    throw_corrupt(source, std::string("damaged or truncated PNG (") + stream.message.data() + ")");
}

}  // namespace

Pixels read_png(const Source& source, const ReadOptions& options, Remarks& remarks) {
    Reader reader(source.bytes);
    const png_structp png = reader.png;
    const png_infop info = reader.info;

    if (!guarded(png, [&] {
            png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_dimensions below is the limit
            skip_other_chunks(png);
            png_read_info(png, info);
        }))
        throw_damaged(source, reader.stream);
    const std::uint32_t width = png_get_image_width(png, info);
    const std::uint32_t height = png_get_image_height(png, info);
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE) remarks.emplace_back(kPaletteRemark);
    const int depth = std::max<int>(png_get_bit_depth(png, info), 8);  // what it comes to below
    check_dimensions(source, width, height, depth, options);

    // Deflate shrinks at most 1032:1, so a short file cannot hold a huge picture: nothing is allocated for a lie.
    const std::uint64_t stored_size = static_cast<std::uint64_t>(png_get_rowbytes(png, info)) * height;
    if (stored_size / 1032 > source.bytes.size())
        throw_corrupt(source, "damaged or truncated PNG (" + std::to_string(source.bytes.size()) + " bytes cannot hold " +
                                  std::to_string(width) + "x" + std::to_string(height) + " pixels)");

    if (!guarded(png, [&] {
            png_set_expand(png);  // palette to RGB, gray of fewer bits to 8 bit, transparent colours to alpha
            use_machine_order(png);
            png_set_interlace_handling(png);
            png_read_update_info(png, info);
        }))
        throw_damaged(source, reader.stream);
    const int channels = png_get_channels(png, info);
    const std::size_t row_size = png_get_rowbytes(png, info);

    Samples samples = make_samples(std::size_t{width} * static_cast<std::size_t>(channels) * height, depth);
    const png_bytep first = std::visit([](auto& values) { return reinterpret_cast<png_bytep>(values.data()); }, samples);
    std::vector<png_bytep> rows(height);
    for (std::uint32_t y = 0; y < height; ++y) rows[y] = first + y * row_size;
    if (!guarded(png, [&] {
            png_read_image(png, rows.data());
            png_read_end(png, nullptr);
        }))
        throw_damaged(source, reader.stream);
    return separate_alpha(width, height, channels, std::move(samples));
}

std::vector<std::uint8_t> write_png(const Image& image, const Image* alpha, int level) {
    std::vector<std::uint8_t> output;
    const auto bytes = image.bytes();
    const std::size_t row_size = bytes.size() / image.height;
    output.reserve(bytes.size() / 2 + 4096);
    const int sample_size = image.depth() / 8;
    std::vector<std::uint8_t> mixed(alpha != nullptr ? row_size + std::size_t{image.width} * static_cast<std::size_t>(sample_size) : 0);
    Writer writer(output);
    const png_structp png = writer.png;
    const png_infop info = writer.info;
    if (!guarded(png, [&] {
            png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
            const int color_type = (image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB) |
                                   (alpha != nullptr ? PNG_COLOR_MASK_ALPHA : 0);
            png_set_IHDR(png, info, image.width, image.height, image.depth(), color_type, PNG_INTERLACE_NONE,
                         PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
            png_set_compression_level(png, std::clamp(level, 1, 9));
            // Paeth at every row costs a quarter of the time of libpng's search among the filters, for the same size
            // (four Kodak images: 726 kB in 19 ms at level 2; libpng's defaults 726 kB in 77 ms).
            png_set_compression_strategy(png, Z_FILTERED);
            png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_PAETH);
            png_write_info(png, info);
            use_machine_order(png);  // of what is given; it lasts from here on
            for (std::uint32_t y = 0; y < image.height; ++y) {
                if (alpha == nullptr) {
                    png_write_row(png, bytes.data() + y * row_size);
                    continue;
                }
                if (sample_size == 1)
                    interleave_row(image, *alpha, y, mixed.data());
                else
                    interleave_row(image, *alpha, y, reinterpret_cast<std::uint16_t*>(mixed.data()));
                png_write_row(png, mixed.data());
            }
            png_write_end(png, info);
        })) {
        if (writer.stream.out_of_memory) throw std::bad_alloc();
        throw Error(ErrorCode::internal,
                    "writing a PNG of " + describe_shape(image) + " failed: " + writer.stream.message.data());
    }
    return output;
}

}  // namespace decant
