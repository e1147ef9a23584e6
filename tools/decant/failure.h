// What went wrong with a file, and what the program's exit code makes of it.
#pragma once

#include <string>
#include <utility>

#include "codec/error.h"
#include "tools/decant/console.h"

namespace decant::cli {

// The contract with scripts.
enum class ExitCode {
    done = 0,          // everything, or it was deliberately skipped
    failed = 1,        // at least one file
    usage = 2,         // the command line
    no_input = 3,      // nothing matched
    damaged = 4,       // a corrupt .dcn or model file, a model that is not at hand, or a failed --verify
    interrupted = 130  // by a signal
};

// Of an error with a file, or one that stops the program.
ExitCode exit_code_of(ErrorCode code);

// The exit code of a run over several files: damaged wins over failed.
class ExitStatus {
public:
    void add(ExitCode code) {
        if (code == ExitCode::damaged || code_ == ExitCode::done) code_ = code;
    }
    ExitCode code() const { return code_; }

private:
    ExitCode code_ = ExitCode::done;
};

struct Failure {
    std::string message;
    ExitCode code;
};

// For use in a catch block: the exception at hand as the failure of the file of this name. Error(cancelled) is thrown on.
Failure current_failure(const std::string& name);

// The name of an input or output in messages: "-" is called by what it stands for.
std::string input_name(const std::string& path);

// Calls f; puts the file's name in front of the message of an Error, for those parts of the library that do not know it.
template <class F>
decltype(auto) in_file(const std::string& path, F&& f) {
    try {
        return f();
    } catch (const Error& error) {
        throw Error(error.code(), input_name(path) + ": " + error.what());
    }
}

// Calls f; complains of a failure and adds it to the status. Whether f succeeded.
template <class F>
bool attempt(const std::string& path, ExitStatus& status, F&& f) {
    try {
        f();
        return true;
    } catch (...) {
        const Failure failure = current_failure(path);
        complain(failure.message);
        status.add(failure.code);
        return false;
    }
}

}  // namespace decant::cli
