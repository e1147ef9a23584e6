#include "tools/decant/failure.h"

#include <exception>
#include <new>

namespace decant::cli {

ExitCode exit_code_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::corrupt:
        case ErrorCode::model_mismatch:
            return ExitCode::damaged;
        case ErrorCode::cancelled:
            return ExitCode::interrupted;
        default:
            return ExitCode::failed;
    }
}

std::string input_name(const std::string& path) { return path == "-" ? "standard input" : path; }

Failure current_failure(const std::string& name) {
    try {
        throw;
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        return {error.what(), exit_code_of(error.code())};
    } catch (const std::bad_alloc&) {
        return {input_name(name) + ": there is not enough memory for it; fewer threads (-t 1) need less", ExitCode::failed};
    } catch (const std::exception& error) {
        return {input_name(name) + ": a bug in decant: " + error.what(), ExitCode::failed};
    }
}

}  // namespace decant::cli
