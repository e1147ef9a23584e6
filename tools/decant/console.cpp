#include "tools/decant/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <system_error>

#include "codec/error.h"
#include "tools/decant/options.h"

namespace decant::cli {
namespace {

using Clock = std::chrono::steady_clock;

// "\n" and "\x1b" in their place: a name must not move the cursor or make a second message.
std::string without_control_characters(const std::string& text) {
    std::string result;
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (code >= 32 && code != 127) {
            result += c;
        } else if (c == '\n') {
            result += "\\n";
        } else {
            constexpr const char* digits = "0123456789abcdef";
            result += {'\\', 'x', digits[code >> 4], digits[code & 15]};
        }
    }
    return result;
}

struct Console {
    std::mutex mutex;
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    bool quiet = false, verbose = false, progress = false;
    bool has_line = false;  // a progress line stands on the terminal
    Clock::time_point shown;

    void clear_line() {
        if (has_line) std::fputs("\r\033[K", stderr);
        has_line = false;
    }

    // A message is one line, whatever the names of files hold.
    void write_line(const std::string& text) {
        const std::lock_guard lock(mutex);
        clear_line();
        std::fputs((without_control_characters(text) + "\n").c_str(), stderr);
    }
};

Console& console() {
    static Console instance;
    return instance;
}

size_t terminal_width() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

void set_up_console(const Settings& settings) {
    Console& c = console();
    c.quiet = settings.quiet;
    c.verbose = settings.verbose;
    c.progress = settings.progress == "always" || (settings.progress == "auto" && c.is_terminal && !c.quiet);
}

void print(std::string_view text) {
    Console& c = console();
    const std::lock_guard lock(c.mutex);
    c.clear_line();
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        throw Error(ErrorCode::io, "standard output: cannot be written: " + std::generic_category().message(errno));
}

void complain(const std::string& text) { console().write_line("decant: " + text); }

void note(const std::string& text) {
    if (!console().quiet) console().write_line(text);
}

void detail(const std::string& text) {
    if (console().verbose) console().write_line(text);
}

void show_progress(const std::string& text) {
    Console& c = console();
    if (!c.progress) return;
    const std::lock_guard lock(c.mutex);
    const auto now = Clock::now();
    if (now - c.shown < std::chrono::milliseconds(160)) return;
    c.shown = now;
    // A log gets whole lines instead of one that changes; a line that wraps could not be replaced.
    if (!c.is_terminal) {
        std::fputs((text + "\n").c_str(), stderr);
        return;
    }
    std::fputs(("\r" + text.substr(0, terminal_width() - 1) + "\033[K").c_str(), stderr);
    c.has_line = true;
}

void clear_progress() {
    Console& c = console();
    const std::lock_guard lock(c.mutex);
    c.clear_line();
}

}  // namespace decant::cli
