// The picture readers for a coverage-guided fuzzer: PNG and PPM/PGM as a whole, of the formats that OpenCV decodes the headers, which
// stand between a hostile file and OpenCV.
#include <cstddef>
#include <cstdint>
#include <string>

#include "codec/error.h"
#include "codec/image/headers.h"
#include "codec/image/png.h"
#include "codec/image/pnm.h"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string name = "x";
    const Source source{{data, size}, name};
    const ReadOptions options{.max_pixels = 1u << 20};
    Remarks remarks;
    const auto format = sniff_image_format(source.bytes);
    if (!format) return 0;
    attempt([&] {
        switch (*format) {
            case ImageFormat::png:
                read_png(source, options, remarks);
                break;
            case ImageFormat::pnm:
                read_pnm(source, options);
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
    return 0;
}
