// The container for a coverage-guided fuzzer: the input as a file, and once more with its checksums set right, since no fuzzer finds
// a CRC. What parses is written again, and has to be the same bytes, or of an earlier version the same contents.
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

constexpr size_t kVersion = 4;                  // where it is
constexpr size_t kHead = 10, kHeadFields = 28;  // of versions 1 to 3: signature and version come first

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

void mend_tile(std::vector<uint8_t>& file, size_t head_crc, size_t number, size_t begin, size_t length) {
    const uint32_t index = uint32_t(number);
    uLong crc = crc32_z(0, &file[head_crc], 4);
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(&index), sizeof index);
    const uint32_t value = uint32_t(crc32_z(crc, &file[begin], length));
    std::memcpy(&file[begin + length], &value, sizeof value);
}

// Of version 4: the head's, and that of the first tile as if there were no other.
void mend_last_version(std::vector<uint8_t>& file) {
    size_t length = 0, at = kVersion + 1;
    for (int shift = 0; at < file.size() && shift < 28; shift += 7) {
        const uint8_t byte = file[at++];
        length |= size_t(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) break;
    }
    if (at + 4 > file.size() || length > file.size() - at - 4) return;
    const size_t end = at + length;
    const uint32_t crc = uint32_t(crc32_z(0, &file[kVersion], end - kVersion));
    std::memcpy(&file[end], &crc, sizeof crc);
    if (end + 8 <= file.size()) mend_tile(file, end, 0, end + 4, file.size() - end - 8);
}

void mend_checksums(std::vector<uint8_t>& file) {
    if (file.size() > kVersion && file[kVersion] == kContainerVersion) return mend_last_version(file);
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
        mend_tile(file, head_end - 4, i, at, length);
        at += length + 4;
    }
}

void attempt(std::span<const uint8_t> bytes) {
    try {
        const Container container = parse_container(bytes);
        describe_container(container);
        const std::vector<uint8_t> written = write_container(container);
        if (container.header.version == kContainerVersion) {
            if (!std::equal(written.begin(), written.end(), bytes.begin(), bytes.end())) std::abort();
            return;
        }
        Container again = parse_container(written);
        again.header.version = container.header.version;
        if (again.header != container.header || again.sections != container.sections || again.tiles.size() != container.tiles.size()) std::abort();
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
