// The one exception type of the library. A tool turns `code` into an exit status in one place.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace decant {

enum class ErrorCode {
    invalid_argument,  // a parameter is out of its range, or parameters exclude each other
    not_found,         // no such file, folder or model
    io,                // reading or writing failed: permissions, disk full, closed pipe
    unsupported,       // a valid input of a kind that is not handled (yet)
    corrupt,           // damaged or truncated data; a checksum that does not match
    model_mismatch,    // the model that a file was made with is not at hand, or a model file does not fit
    limit,             // a declared size exceeds a limit that the caller set
    exists,            // the output is there already and overwriting was not asked for
    cancelled,         // the caller asked to stop
    internal           // a bug in decant
};

// Message convention: what is wrong, where (file, section, tensor), with both values where two disagree, and what to do.
class Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

}  // namespace decant
