// What people see: results on standard output; words and progress on standard error. Safe to call from several threads.
#pragma once

#include <string>
#include <string_view>

namespace decant::cli {

struct Settings;

// Takes over --quiet, --verbose and --progress.
void set_up_console(const Settings& settings);

// Results. Throws Error(io), as when the reader of a pipe has gone.
void print(std::string_view text);

void complain(const std::string& text);  // "decant: text", always
void note(const std::string& text);      // unless --quiet
void detail(const std::string& text);    // with --verbose

// One line that the next one replaces, some six times a second at most. Others first remove it.
void show_progress(const std::string& text);
void clear_progress();

}  // namespace decant::cli
