// decant train --search: many trainings, of which the best one's model is kept.
#pragma once

#include <string>

#include "codec/decant.h"
#include "tools/decant/failure.h"
#include "tools/decant/options.h"

namespace decant::cli {

std::string results_file(const Settings& settings);  // --results, or its default

ExitCode search_models(const Settings& settings, const Model* start);

}  // namespace decant::cli
