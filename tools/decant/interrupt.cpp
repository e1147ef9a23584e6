#include "tools/decant/interrupt.h"

#include <atomic>
#include <csignal>

#include "codec/error.h"

namespace decant::cli {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait for a lock");

void handle_signal(int) { interrupted = true; }

void handle(int number) {
    struct sigaction current {};
    // A shell starts jobs in the background with SIGINT ignored, nohup those with SIGHUP: that stays.
    if (sigaction(number, nullptr, &current) == 0 && current.sa_handler == SIG_IGN) return;
    struct sigaction action {};
    action.sa_handler = handle_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error of the write
    handle(SIGINT);
    handle(SIGTERM);
    handle(SIGHUP);
}

bool is_interrupted() { return interrupted; }

void stop_if_interrupted() {
    if (interrupted) throw Error(ErrorCode::cancelled, "interrupted");
}

}  // namespace decant::cli
