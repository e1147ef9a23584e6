// Decoding for a coverage-guided fuzzer, with the small model of the tests.
// The input is tried as a file, and as the stream of a file whose header and checksums are right.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/decant.h"
#include "codec/error.h"
#include "tests/image_samples.h"
#include "tests/tiny_model.h"

namespace {

using namespace decant;

void try_decoding(Codec& codec, std::span<const uint8_t> bytes) {
    try {
        DecodeOptions options;
        options.max_pixels = uint64_t{1} << 16;
        codec.decode_preview(bytes, 5, options);
        const Image whole = codec.decode(bytes, options);
        options.region = Region{whole.width / 2, whole.height / 3, 1, 1};
        if (codec.decode(bytes, options) != cropped(whole, *options.region)) std::abort();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::internal || error.code() == ErrorCode::invalid_argument) throw;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Codec codec(test::tiny_model(), 1);
    static const std::vector<uint8_t> file = codec.encode(test::mixed_image(40, 24, 3)).bytes;
    try_decoding(codec, {data, size});
    Container container = parse_container(file);
    container.tiles[0] = {data, size};
    try_decoding(codec, write_container(container));
    return 0;
}
