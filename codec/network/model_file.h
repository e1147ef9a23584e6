// A model as a safetensors file: tensors by the names of codec/network/parameters.h, the description and the recipe as metadata.
//
//   weights of integer layers   I8 [out, in, k, k], and NETWORK.LAYER.exponent I8 [out]: the weight is w·2^-exponent
//   weights of wide layers      I16 [out, in, k, k], and NETWORK.LAYER.exponent likewise
//   weights of compute layers   BF16, as training used them
//   biases and everything else  F32
//   unit                        I16 [levels, M]: log2 of the quantisation steps a standard deviation of y holds, in 1/1024
//   prediction                  I16 [kPredictionTaps, M]: multiples of 2^-12
//   step                        I16 [levels, M]: log2 of the quantisation step of y, in 1/1024
//   entropy.scales              U16: the tables of codec/entropy/scale_tables.h for y
//   entropy.hyper               U16: a table for each channel of z
//   filter.N.*                  filters behind the synthesis of a codec (codec/filter/filter_tables.h), N from 1 on, that files of this model may ask for; the last one is
//                               for new files; or behind the network of a denoiser, where the last one counts, and quality is σ, in 1/256 of a step of 8 bits: quality I32 [points], activity I32 [points, kFilterStages, kFilterActivities - 1], clips I16 [points, kFilterStages, planes,
//                               kFilterClips - 1], taps.1 and taps.2 of the stages I16 [points, kFilterClasses, filter_taps]. They are no part of the model's identity: files name them by themselves
// Of a codec, unit, step and entropy are what the decoder uses in the place of gain, inverse_gain, latent_std, hyper_mean and hyper_log2_scale, which are there for
// the encoder and for further training.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "codec/entropy/scale_tables.h"
#include "codec/filter/filter_tables.h"
#include "codec/network/description.h"
#include "codec/network/parameters.h"

namespace decant {

inline constexpr const char* kModelExtension = ".safetensors";  // of the files' names

inline constexpr int kUnitExponent = 10;
inline constexpr int kPredictionExponent = 12;

// What every model has.
struct NetworkModel {
    Description description;
    Parameters parameters;
    std::vector<std::pair<std::string, std::string>> metadata;  // without the description
    uint64_t identity = 0;  // hash of all tensors, but for filters, and of the description
    std::vector<FilterTables> filters;  // of a codec or a denoiser
};

// A codec.
struct ModelContents : NetworkModel {
    std::vector<int16_t> unit, step;  // [levels, M]
    std::vector<int16_t> prediction;  // [kPredictionTaps, M]
    ScaleTables scales;
    FactorizedTables hyper;

    const FilterTables& filter(uint16_t check) const;  // Error model_mismatch if it has none of that name
};

// Written under a temporary name first. Throws Error io.
void save_model(const std::string& path, const Description& description, const Parameters& parameters,
                const std::vector<std::pair<std::string, std::string>>& metadata);

// A copy of a model's file that has one more filter; how it was made becomes metadata, "filter N". Throws as load_model, and Error io.
void save_filter(const std::string& model, const std::string& path, const std::vector<FilterPoint>& points, const std::string& how);

// Throws Error not_found, io, corrupt (not safetensors, numbers that are not finite or out of range), model_mismatch (a tensor that is missing or of
// another shape, by name, with both shapes; a description that does not hold together).
ModelContents load_model(const std::string& path);  // of a codec
using AnyModel = std::variant<ModelContents, NetworkModel>;
AnyModel load_any_model(const std::string& path);  // ModelContents if it is a codec

}  // namespace decant
