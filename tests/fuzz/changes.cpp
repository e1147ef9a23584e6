// Changes of a filter for a coverage-guided fuzzer: what is taken for some is the same after bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/error.h"
#include "codec/filter/filter_changes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    for (const auto& counts : {decant::counts_of_changes(1), decant::counts_of_changes(3), decant::counts_of_cross(3)}) {
        try {
            const std::vector<int16_t> changes = decant::unpack_changes({data, size}, counts);
            if (decant::unpack_changes(decant::pack_changes(changes, counts), counts) != changes) std::abort();
        } catch (const decant::Error& error) {
            if (error.code() != decant::ErrorCode::corrupt) throw;
        }
    }
    return 0;
}
