// What a module (shared_module.h) hands over through a function that it is given, its sink.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

namespace decant {

// A sink may not throw through the module: what it would throw is kept here and thrown behind the call.
template <typename Result>
struct Received {
    Result result;
    std::exception_ptr failure;
};

inline void receive_bytes(void* context, const std::uint8_t* bytes, std::size_t size) {
    auto& received = *static_cast<Received<std::vector<std::uint8_t>>*>(context);
    try {
        received.result.assign(bytes, bytes + size);
    } catch (...) {
        received.failure = std::current_exception();
    }
}

}  // namespace decant
