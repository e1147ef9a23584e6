// Ctrl-C and SIGTERM ask the program to stop in an orderly way; a second one ends it at once.
#pragma once

namespace decant::cli {

// SIGPIPE becomes an error of the write that met it.
void install_signal_handlers();

bool is_interrupted();

// Throws Error(cancelled) once a signal has come.
void stop_if_interrupted();

}  // namespace decant::cli
