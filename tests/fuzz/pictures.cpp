// The picture readers for a coverage-guided fuzzer: PNG and PPM/PGM as a whole, of the formats that OpenCV decodes the headers, which
// stand between a hostile file and OpenCV.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/image/headers.h"
#include "codec/image/png.h"
#include "codec/image/pnm.h"
#include "codec/image/rows.h"

namespace {

using namespace decant;

template <class Read>
void attempt(const Read& read) {
    try {
        read();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported && error.code() != ErrorCode::limit) throw;
    }
}

// Row by row: where that is possible, the pixels are those of the whole picture.
void read_rows(const Source& source, const ReadOptions& options, const Image* whole) {
    const ByteAccess access{source.bytes.size(), [&](uint64_t offset, std::span<uint8_t> target) {
                                if (offset + target.size() > source.bytes.size()) std::abort();
                                std::copy_n(source.bytes.begin() + int64_t(offset), target.size(), target.begin());
                            }};
    auto rows = open_rows(access, source.name, options);
    if (!rows) return;
    const PictureShape shape = rows->rows->shape();
    std::vector<uint8_t> row(shape.row_bytes());
    for (uint32_t y = 0; y < shape.height; y++) {
        rows->rows->read(row.data());
        if (whole != nullptr && !std::equal(row.begin(), row.end(), whole->bytes().begin() + int64_t(y * row.size()))) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string name = "x";
    const Source source{{data, size}, name};
    const ReadOptions options{.max_pixels = 1u << 20};
    Remarks remarks;
    const auto format = sniff_image_format(source.bytes);
    if (!format) return 0;
    Image whole;
    attempt([&] {
        switch (*format) {
            case ImageFormat::png:
                whole = read_png(source, options, remarks).image;
                break;
            case ImageFormat::pnm:
                whole = read_pnm(source, options);
                break;
            case ImageFormat::jpeg:
                read_jpeg_header(source);
                break;
            case ImageFormat::webp:
                read_webp_header(source);
                break;
            case ImageFormat::tiff:
                read_tiff_header(source);
                break;
            case ImageFormat::bmp:
                read_bmp_header(source);
                break;
        }
    });
    attempt([&] { read_rows(source, options, whole.width > 0 ? &whole : nullptr); });
    return 0;
}
