// The residual of a picture for a coverage-guided fuzzer; the first three bytes are its sides and kind.
// What decodes is encoded again, and has to come back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "codec/error.h"
#include "codec/image/metrics.h"
#include "codec/residual/residual_coder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace decant;
    if (size < 3) return 0;
    const uint32_t width = data[0] + 1u, height = data[1] + 1u;
    const Image decoded(width, height, (data[2] & 1) != 0 ? 3 : 1, (data[2] & 2) != 0 ? 16 : 8);
    const ForEach in_turn = [](size_t count, const std::function<void(size_t)>& f) {
        for (size_t i = 0; i < count; i++) f(i);
    };
    try {
        Image image = decoded;
        add_residual({data + 3, size - 3}, width, height, 0, 0, image, in_turn);
        const uint16_t bound = residual_bound({data + 3, size - 3});
        Image again = decoded;
        add_residual(encode_residual(image, decoded, bound, in_turn), width, height, 0, 0, again, in_turn);
        if (max_error(image, again) > bound) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
    }
    return 0;
}
