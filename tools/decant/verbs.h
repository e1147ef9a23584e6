// The verbs of the program, one source file each. They throw Error for what stops them as a whole.
#pragma once

#include "tools/decant/failure.h"
#include "tools/decant/options.h"

namespace decant::cli {

ExitCode encode(const Settings& settings);
ExitCode decode(const Settings& settings);
ExitCode denoise(const Settings& settings);
ExitCode eval(const Settings& settings);
ExitCode compare(const Settings& settings);
ExitCode info(const Settings& settings);
ExitCode train(const Settings& settings);
ExitCode embed(const Settings& settings);
ExitCode anomaly(const Settings& settings);
ExitCode sample(const Settings& settings);
ExitCode models(const Settings& settings);

}  // namespace decant::cli
