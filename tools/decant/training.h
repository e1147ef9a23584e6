// What a single training and a search have in common.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "codec/decant.h"
#include "codec/train/recipe.h"
#include "tools/decant/json.h"
#include "tools/decant/options.h"

namespace decant::cli {

// Whether a model can be written there: better said now than after days of training. Throws Error invalid_argument, exists, not_found.
void check_model_output(const std::string& path, bool overwrite);

// The recipe of the command line, with what `assignments` set after that. start: of --from, or null.
Recipe read_recipe(const Settings& settings, const Model* start, const std::vector<Assignment>& assignments = {});

// The options of a training that are not in recipes, from the command line.
TrainOptions with_settings(TrainOptions options, const Settings& settings);

// The line of progress; of a validation a line that stays. prefix: of both.
void show(const TrainProgress& progress, const std::string& prefix = "");

std::string validation_text(const std::vector<ValidationPoint>& points, const std::vector<Figure>& figures);

// As numbers, a value of JSON each.
Json to_json(const std::vector<ValidationPoint>& points);
std::vector<ValidationPoint> parse_validation(const Json& points);  // Error corrupt

// In percent, of two codecs at the same rate points, negative: fewer bits; NaN if the points are no curves, or apart.
double bd_rate_of(const std::vector<ValidationPoint>& anchor, const std::vector<ValidationPoint>& test);

// What a trained model says of its training.
std::vector<std::pair<std::string, std::string>> metadata_of(const TrainResult& result, const TrainOptions& options, const Model* start);

}  // namespace decant::cli
