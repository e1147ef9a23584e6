// Runs the jobs of a verb over several threads, and reports on each in order.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tools/decant/failure.h"
#include "tools/decant/inputs.h"
#include "tools/decant/options.h"
#include "tools/decant/report.h"

namespace decant::cli {

// Does one job and fills in its report; throws when it fails. Used by one thread.
using Worker = std::function<void(const Job&, FileReport&)>;

// Called once for each thread that works on files; `threads` is what its codec may use. Many files are done side by side with a
// thread each, a single one with all threads.
using MakeWorker = std::function<Worker(int threads)>;

ExitCode run_batch(const std::vector<Job>& jobs, const Settings& settings, const MakeWorker& make_worker);

// Writes a job's output: the whole file or nothing, with the input's time and mode, its folder made below --output-dir.
// Throws Error(cancelled) instead once the program was interrupted.
void write_output(const Job& job, std::span<const uint8_t> bytes, const Settings& settings);

}  // namespace decant::cli
