// Model files for a coverage-guided fuzzer, through a file in memory.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "codec/error.h"
#include "codec/network/model_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace decant;
    static const int file = memfd_create("model", 0);
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) return 0;
    try {
        load_any_model("/proc/self/fd/" + std::to_string(file));
    } catch (const Error& error) {
        if (error.code() == ErrorCode::internal || error.code() == ErrorCode::not_found) throw;
    }
    return 0;
}
