// How a caller watches a call that takes long.
#pragma once

#include <functional>

namespace decant {

// Where the time goes, in seconds of one thread, summed over all threads.
struct StageSeconds {
    double analysis = 0, entropy_encoding = 0;
    double entropy_decoding = 0, synthesis = 0;
    double reading = 0, writing = 0;  // of pictures that pass row by row
};

// What a call may be given to watch it.
struct Supervision {
    std::function<bool()> is_cancelled = {};  // asked before each task; true ends the call with Error cancelled
    StageSeconds* seconds = nullptr;          // added to
};

}  // namespace decant
