// Changes of a filter for a coverage-guided fuzzer: what is taken for some is the same after bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "codec/error.h"
#include "codec/filter/filter_changes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    for (const int planes : {1, 3}) {
        try {
            const decant::FilterChanges changes = decant::unpack_changes({data, size}, planes);
            if (decant::unpack_changes(decant::pack_changes(changes, planes), planes) != changes) std::abort();
        } catch (const decant::Error& error) {
            if (error.code() != decant::ErrorCode::corrupt) throw;
        }
    }
    return 0;
}
