// The command line: one table of options, from which both the parser and the help texts are made.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/image/image.h"
#include "codec/metadata/metadata.h"
#include "codec/ranks/ranks.h"
#include "codec/train/trainer.h"
#include "codec/train/recipe.h"

namespace decant::cli {

enum class Verb { encode, decode, denoise, eval, compare, info, train, embed, anomaly, sample, models };

struct ByteCount {
    uint64_t value = 0;
};

// What the options say. Each verb uses the part that the table gives it.
struct Settings {
    std::vector<std::string> inputs;

    std::string output, output_dir, files_from;
    bool recursive = false, force = false, skip_existing = false, dry_run = false, fail_fast = false;

    std::string model;  // name or file; empty: the verb's default
    double quality = 50;
    double target_bpp = 0, target_psnr = 0;  // 0: none
    ByteCount target_size;
    bool lossless = false;              // the same as max_error 0
    std::optional<uint16_t> max_error;  // none: whatever comes of the quality
    std::optional<int> effort;          // none: the encoder's default, and a denoiser's by the size of the picture
    std::vector<double> qualities = {50};
    std::string format, depth;  // of pictures that are written; empty: by the output's name, as stored
    bool skip_if_larger = false, verify = false;
    std::optional<double> sigma;  // none: estimated
    double strength = 100;
    bool denoise = false;       // encode: before; eval: measure that, not compression
    std::string denoise_model;  // of encode, as model
    // Of eval --denoise:
    std::vector<double> sigmas = {15, 25, 50};
    std::string noisy;  // folder; empty: noise is added
    uint64_t seed = 1;
    bool known_sigma = false;
    int threads = 0;  // 0: all cores
    uint64_t max_pixels = uint64_t{1} << 28;
    ByteCount max_memory{2'000'000'000};
    std::optional<Region> region;  // that is decoded; none: all
    uint32_t preview = 0;          // longest side; 0: none

    bool json = false, quiet = false, verbose = false;
    std::string progress = "auto";

    std::string against;

    TrainOptions train;                   // only what is not in recipes
    std::vector<Assignment> assignments;  // to the recipe: --set, and the options that are short for it
    std::string trained_model, recipe, start_model;
    bool export_checkpoint = false;
    uint64_t filter_crops = 0;
    std::string log, search, results;

    MetadataKinds metadata;  // that are carried over

    // Of eval; compare has the last two, too.
    int repeats = 3;
    std::string csv, html;
    bool butteraugli = false;

    Ranks* ranks = nullptr;  // the processes that run this command together; set by main

    int pooled = 0;             // embed: cells a side; 0: all positions
    bool decoded = false;       // embed: pictures in the place of codes
    std::string learn;          // anomaly: a folder of normal pictures
    int count = 16, side = 64;  // of samples
};

struct CommandLine {
    enum class Action { run, help, version };
    Action action = Action::run;
    Verb verb = Verb::encode;
    bool has_verb = false;
    Settings settings;
};

// Throws Error invalid_argument for whatever is not in the table or out of its range.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

// The texts of --help: of the program, and of one verb.
std::string program_help();
std::string verb_help(Verb verb);

// The same in parts, for manual pages and completion.
struct OptionText {
    std::string name, argument;  // "output", "FILE"; with bars in the argument: one of these words; empty: a switch
    char letter;                 // 'o'; 0: none
    std::string meaning;         // with range and default
};
struct VerbTexts {
    std::string name, arguments, summary, details, examples;  // of lines, as --help has them
    std::vector<OptionText> options;
};
std::vector<VerbTexts> verb_texts();
const char* program_examples();

struct ExitCodeText {
    int code;
    const char* meaning;
};
std::span<const ExitCodeText> exit_code_texts();

}  // namespace decant::cli
