// decant VERB ...: the verb is called here, and here alone an Error becomes an exit code.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <new>

#include "codec/engine/convolution.h"
#include "codec/models/model_finder.h"
#include "tools/decant/console.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/options.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

std::string version_text() {
    std::string names;
    for (const std::string& path : model_files())
        names += (names.empty() ? "" : ", ") + std::filesystem::path(path).stem().string();
    return "decant " DECANT_VERSION "\nmodels: " + (names.empty() ? "none" : names) + "\nengine: " + engine_version() + "\n";
}

ExitCode run_verb(Verb verb, const Settings& settings) {
    switch (verb) {
        case Verb::encode:
            return encode(settings);
        case Verb::decode:
            return decode(settings);
        case Verb::denoise:
            return denoise(settings);
        case Verb::eval:
            return eval(settings);
        case Verb::compare:
            return compare(settings);
        case Verb::info:
            return info(settings);
        case Verb::train:
            return train(settings);
        case Verb::embed:
            return embed(settings);
        case Verb::anomaly:
            return anomaly(settings);
        case Verb::sample:
            return sample(settings);
        case Verb::models:
            return models(settings);
    }
    throw Error(ErrorCode::internal, "a verb without a function");
}

// Several ranks share what these do; the others would do the same work several times.
bool shares_work(Verb verb) {
    return verb == Verb::train || verb == Verb::encode || verb == Verb::decode || verb == Verb::denoise || verb == Verb::embed;
}

ExitCode run(const std::vector<std::string>& arguments, std::unique_ptr<Ranks>& ranks) {
    CommandLine line = parse_command_line(arguments);
    switch (line.action) {
        case CommandLine::Action::help:
            print(line.has_verb ? verb_help(line.verb) : program_help());
            return ExitCode::done;
        case CommandLine::Action::version:
            print(version_text());
            return ExitCode::done;
        case CommandLine::Action::run:
            break;
    }
    ranks = Ranks::start();
    line.settings.ranks = ranks.get();
    if (ranks->size() > 1 && !shares_work(line.verb))
        throw Error(ErrorCode::invalid_argument, "this verb does not share its work among ranks; run it without mpirun");
    // One voice is enough, but for what goes wrong.
    if (ranks->rank() > 0) line.settings.quiet = true;
    set_up_console(line.settings);
    // A verb that writes no file has nothing to tidy up: `decant info FILE | head` may end it.
    const bool writes_files = line.verb != Verb::info && line.verb != Verb::models && line.verb != Verb::compare;
    if (writes_files) install_signal_handlers();
    const ExitCode code = run_verb(line.verb, line.settings);
    ranks->finish();
    return code;
}

// Keeps freed memory for the next picture instead of giving it back: the kernel's work on fresh pages is a third of a short run.
void keep_memory() {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 1 << 24);
}

// A stream that the caller closed would give its number to the next file that is opened, and messages would land in an output. What
// takes its place can be used for nothing, so that using it stays an error.
void hold_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(stream, F_GETFD) < 0) static_cast<void>(open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

}  // namespace
}  // namespace decant::cli

int main(int argc, char** argv) {
    using namespace decant;
    using namespace decant::cli;
    hold_standard_streams();
    keep_memory();
    ExitCode code = ExitCode::failed;
    std::unique_ptr<Ranks> ranks;  // to the end: what went wrong is said before the others are ended
    try {
        code = run({argv + 1, argv + argc}, ranks);
    } catch (const Error& error) {
        complain(error.what());
        code = error.code() == ErrorCode::invalid_argument ? ExitCode::usage : exit_code_of(error.code());
    } catch (const std::bad_alloc&) {
        complain("there is not enough memory; fewer threads (-t 1) need less");
    } catch (const std::exception& error) {
        complain(std::string("a bug in decant: ") + error.what());
    }
    return static_cast<int>(code);
}
