// The container for a coverage-guided fuzzer: the input as a file, and once more with its checksums set right, since no fuzzer finds
// a CRC. What parses is written again, and has to be the same bytes.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "codec/container/container.h"
#include "codec/error.h"

namespace {

using namespace decant;

constexpr size_t kHead = 10, kHeadFields = 28;  // signature and version come first

uint32_t load(const uint8_t* at) {
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// Sets the CRC of the section at `begin`; where it ends, or 0 if the file ends before.
size_t mend_section(std::vector<uint8_t>& file, size_t begin, uLong before = 0) {
    if (file.size() < begin + 12) return 0;
    const size_t length = load(&file[begin + 4]);
    if (length > file.size() - begin - 12) return 0;
    const uint32_t crc = uint32_t(crc32_z(before, &file[begin], 8 + length));
    std::memcpy(&file[begin + 8 + length], &crc, sizeof crc);
    return begin + 12 + length;
}

void mend_checksums(std::vector<uint8_t>& file) {
    const bool is_first = file.size() < kHead || (file[kHead - 2] == 1 && file[kHead - 1] == 0);
    const size_t head_end = mend_section(file, kHead, is_first ? 0 : crc32_z(0, &file[kHead - 2], 2));
    if (head_end < kHead + 12 + kHeadFields) return;
    const size_t ancillary_end = head_end + load(&file[kHead + 8 + kHeadFields - 4]);
    size_t at = head_end;
    while (at != 0 && at < ancillary_end) at = mend_section(file, at);
    if (at == 0) return;
    const size_t tiles = (head_end - 4 - (kHead + 8 + kHeadFields)) / 4;
    for (size_t i = 0; i < tiles; i++) {
        const size_t length = load(&file[kHead + 8 + kHeadFields + 4 * i]);
        if (at + 4 > file.size() || length > file.size() - at - 4) return;
        const uint32_t number = uint32_t(i);
        uLong crc = crc32_z(0, &file[head_end - 4], 4);
        crc = crc32_z(crc, reinterpret_cast<const Bytef*>(&number), sizeof number);
        const uint32_t value = uint32_t(crc32_z(crc, &file[at], length));
        std::memcpy(&file[at + length], &value, sizeof value);
        at += length + 4;
    }
}

void attempt(std::span<const uint8_t> bytes) {
    try {
        const Container container = parse_container(bytes);
        describe_container(container);
        const std::vector<uint8_t> written = write_container(container);
        if (!std::equal(written.begin(), written.end(), bytes.begin(), bytes.end())) std::abort();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported && error.code() != ErrorCode::limit) throw;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    attempt({data, size});
    std::vector<uint8_t> file(data, data + size);
    mend_checksums(file);
    attempt(file);
    return 0;
}
