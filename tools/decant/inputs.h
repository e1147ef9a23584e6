// From the arguments to the files that are meant, and to the names of the outputs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codec/error.h"
#include "tools/decant/options.h"

namespace decant::cli {

struct Input {
    std::string path;
    std::string relative;          // to the folder that was given; of a file that was given its name alone
    std::optional<Error> problem;  // why it cannot even be tried, such as a folder that cannot be listed
};

// Whether a file found in a folder is meant, by its name. Files that are given themselves are meant whatever they are called.
using Accept = bool (*)(const std::string& path);
bool is_picture_name(const std::string& path);
bool is_dcn_name(const std::string& path);

// The files and the contents of the folders among settings.inputs and in --files-from; in folders sorted by name, without names
// that begin with a dot. Throws Error if the list cannot be read.
std::vector<Input> collect_inputs(const Settings& settings, Accept accept);

// Says that nothing matched; for the verb to return.
void complain_of_no_input(const Settings& settings);

struct Job {
    std::string input, output;
    std::optional<Error> problem;
};

// The path below --output-dir (or beside the input) that belongs to an input, with this extension in the place of its own.
std::string output_path(const Input& input, const Settings& settings, const std::string& extension);

// One job an input; a file that is named twice is one. An output that is an input of the batch, or another job's output, becomes the job's problem.
// Throws Error invalid_argument for several inputs with one --output.
std::vector<Job> plan_jobs(const std::vector<Input>& inputs, const Settings& settings, const std::string& extension);

}  // namespace decant::cli
