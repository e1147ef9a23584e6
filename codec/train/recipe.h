// What a model is made from, as one JSON file: the description of its networks (codec/network/description.h) and, in "training", how it is
// trained.
//
//     {"name": …, "networks": {…}, "training": {"steps": 20000, "rate": 1e-3, …}}
//
// All of it may be left out but the networks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "codec/network/description.h"
#include "codec/train/trainer.h"

namespace decant {

// A value of "training". The one list of them serves files, models' metadata, the command line and its help.
struct TrainingField {
    using Target = std::variant<bool*, int*, int64_t*, uint64_t*, double*, std::string*, Precision*, Optimiser*, Schedule*, Quantiser*>;

    const char* key;
    const char* meaning;
    double low, high;  // of numbers
    Target (*of)(TrainOptions&);
    bool is_kept = true;  // in the model's metadata

    std::string argument() const;  // N or X for numbers, TEXT, or the words that it may be: "bf16|f32"
    std::string preset() const;    // the default, as text
};
std::span<const TrainingField> training_fields();

// A value set from outside.
struct Assignment {
    std::string path;    // codec/network/json_document.h
    std::string value;   // JSON, or else a string
    std::string origin;  // what errors call it: "--set training.rate=1"
};

struct Recipe {
    Description description;
    TrainOptions training;
};

// Throws Error model_mismatch for what is wrong in the text, with its line, and invalid_argument for an assignment.
// start: the description of a model to go on from; then the text, which may be empty, has "training" alone, and what is assigned must
// leave the model's weights their shapes; or it describes networks of its own, which take the weights that fit (initialise.h).
Recipe parse_recipe(const std::string& text, const std::vector<Assignment>& assignments = {}, const Description* start = nullptr);

std::string name_of(Optimiser optimiser);  // as in recipes

// All values that the result depends on, beside the pictures.
std::string to_json(const TrainOptions& options);

// A hash of all that the result depends on, with the name of the folder.
uint64_t fingerprint(const Recipe& recipe);

// Throws Error invalid_argument, beginning with the path of the value.
void check(const TrainOptions& options);

}  // namespace decant
