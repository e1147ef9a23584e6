// Trains a model, a codec or a denoiser, on a folder of pictures. What the kinds of models do not share is in train/training_task.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "codec/latents/trellis_quantiser.h"
#include "codec/network/parameters.h"
#include "codec/ranks/ranks.h"
#include "codec/tensor/tensor.h"
#include "codec/train/optimiser.h"
#include "codec/train/schedule.h"
#include "codec/train/validation_point.h"

namespace decant {

enum class Precision {
    automatic,  // bf16 if the CPU has it in hardware, else f32
    bf16,
    f32
};

struct TrainOptions {
    std::string data;                 // folder of pictures
    std::string checkpoint;           // file that the state is kept in; resumed from if it is there. Empty: none
    int64_t steps = 10000;
    int batch = 8;                    // crops a step
    int crop = 192;                   // pixels a side, a multiple of 16
    int shards = 2;                   // parts of a batch, each on a thread of its own; part of the recipe, since sums depend on it
    Precision compute = Precision::automatic;
    OptimiserOptions optimiser;
    double rate = 1e-3;               // of learning, at its height
    Schedule schedule = Schedule::cosine;
    int64_t warm_up = 300;            // steps
    double hold = 0.5;                // cosine: share of the steps before the decay begins
    double decay = 0.5;               // step and plateau: factor on the rate
    int64_t decay_every = 2500;       // step: steps
    int64_t patience = 5;             // plateau: validations without improvement
    int64_t early_stop = 0;           // validations without improvement after which the training ends with the best weights; 0: never
    double improvement = 1e-4;        // of the validation's loss, less is none
    double seconds = 0;               // of training, after which it ends; 0: after the steps
    double clip = 1.0;                // norm of the gradient
    double average = 0.999;           // what the exponential average of the weights keeps a step
    double balance = 0.45;            // codec: samples' losses are multiplied by λ^-balance, so that all rates count alike
    double charbonnier = 0.5;         // denoiser: ε of its loss, in steps of 8 bits
    bool psnr_loss = false;           // denoiser: the logarithmic loss
    int fit_rounding = 0;             // denoiser: crops for codec/train/fit_rounding.h, before the first step; 0: weights are rounded to the nearest
    std::string teacher;              // denoiser: one to learn from, a name or a file; empty: none
    double teacher_share = 1.0;       // its part in what is learned, 0 … 1
    int64_t hyper_warm_up = 2000;     // codec: steps until z's bits count in full
    Quantiser quantiser = Quantiser::trellis;  // codec: of the latents that networks read
    uint64_t seed = 1;
    int64_t checkpoint_every = 2000;  // steps
    int64_t validate_every = 500;
    uint64_t max_bytes = 4ull << 30;  // of decoded pictures in memory
    int examples = 0;                 // held-out crops that validations show
};

struct TrainProgress {
    int64_t step = 0, steps = 0;
    size_t pictures = 0, held_out = 0, left_out = 0;        // files of the data
    std::string why_left_out;                               // of the first of them: its name and the reason
    double loss = 0, gradient_norm = 0, bpp = 0, psnr = 0;  // averages since the last report; bpp of a codec
    double rate = 0;                                        // of learning, in the last step
    double crops_per_second = 0, seconds_left = 0, seconds = 0;  // seconds: of training in all, over interruptions
    std::vector<ValidationPoint> validation;                      // filled when it was measured at this step
    std::vector<Example> examples;                                // of that validation, as TrainOptions asks for
    std::vector<Figure> figures;                                  // with the validation: what the kind of model has to tell
    double validation_loss = 0;                                   // of it: one number, the lower the better (TrainingTask)
};

struct TrainResult {
    Parameters parameters;  // the averaged weights; with early stopping the best of them
    std::vector<ValidationPoint> validation;
    std::vector<Figure> figures;
    std::vector<ValidationPoint> start_validation;  // of the weights that the training started from, if they were given
    double validation_loss = 0;
    double seconds = 0;
    int64_t steps = 0, best_step = 0;  // with early stopping, parameters are those of best_step
    size_t pictures = 0, held_out = 0;
};

// `report` is called about once a second and after each validation; returning false stops the training at a checkpoint
// (Error cancelled). The same options and seed give the same numbers, with and without interruptions, on the same kind of CPU.
// start: weights to go on from, as far as they fit (initialise.h); null begins anew (a codec with the KLT).
// ranks: the processes that share the work (codec/ranks/ranks.h); null is this one alone. Each has its part of the shards, so that any number
// of them gives the same numbers, to rounding. Only rank 0 calls `report` and writes the checkpoint, which all must be able to read.
// Throws Error not_found without enough pictures, invalid_argument for options out of range, model_mismatch if the checkpoint is of
// another description.
TrainResult train_model(const Description& description, const TrainOptions& options, const Parameters* start,
                        const std::function<bool(const TrainProgress&)>& report, Ranks* ranks = nullptr);

// A checkpoint is a safetensors file: F32 arrays of the length of Parameters::values() called weights, first, second, average, rate
// (see OptimiserState), with early stopping best (the averaged weights of the best validation so far); and as metadata the description,
// step (how many were done), seconds (of training, in all), optimiser (none: adam) and schedule (ScheduleState). A trainer on
// other hardware may read and write it, too (tools/torch_train.py); further metadata are for the model that is made of it.
struct Checkpoint {
    Description description;
    Parameters parameters;  // the averaged weights, or the best of them
    int64_t steps = 0;
    double seconds = 0;
    std::vector<std::pair<std::string, std::string>> metadata;  // the further ones
};

// To make a model of what a training, running or interrupted, has learned so far.
// Throws Error not_found, io, corrupt, model_mismatch.
Checkpoint read_checkpoint(const std::string& path);

}  // namespace decant
