// The plane of alpha for a coverage-guided fuzzer; the first two bytes are its sides.
// What decodes is encoded again, and has to come back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/alpha/plane_coder.h"
#include "codec/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace decant;
    if (size < 2) return 0;
    const uint32_t width = data[0] + 1u, height = data[1] + 1u;
    try {
        const Image plane = decode_plane({data + 2, size - 2}, width, height);
        if (decode_plane(encode_plane(plane), width, height) != plane) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
    }
    // The bytes as a plane of their own.
    const Image bytes(static_cast<uint32_t>(size), 1, 1, std::vector<uint8_t>(data, data + size));
    if (decode_plane(encode_plane(bytes), bytes.width, 1) != bytes) std::abort();
    return 0;
}
