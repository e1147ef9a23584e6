// A fuzz target without the fuzzer: runs it once on each file of the folders that are named. Linked with one target each, so that
// what fuzzing found is tried on every run of the tests, with any compiler.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "codec/io/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
            std::printf("%s\n", entry.path().c_str());
            std::fflush(stdout);  // if it crashes, this is the one
            const auto bytes = decant::read_file(entry.path());
            LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
            count++;
        }
    }
    std::printf("%zu inputs\n", count);
    return count > 0 ? 0 : 1;
}
