// The codec, as decant's own tools use it: pictures to .dcn bytes and back. What other programs use, decant/decant.h, is built on it and
// declares what both share. Error is the only exception type thrown on purpose.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "codec/container/container.h"
#include "codec/image/image.h"
#include "codec/metadata/metadata.h"
#include "codec/network/description.h"
#include "codec/network/parameters.h"
#include "codec/pipeline/supervision.h"
#include "codec/pipeline/worker_pool.h"
#include "decant/decant.h"

namespace decant {

// A trained model, read-only; may be shared by threads and codecs.
class Model {
public:
    // Throws Error not_found, io, corrupt, or model_mismatch with the tensor's name and both shapes.
    static std::shared_ptr<const Model> load(const std::string& path);
    ~Model();

    const std::string& path() const;
    const std::string& name() const;
    uint64_t identity() const;              // hash of everything that decoding depends on; stored in each .dcn
    const Description& description() const;
    const Parameters& parameters() const;
    // Training recipe and results as written by the trainer: "steps", "seconds", "data", "results", ...
    const std::vector<std::pair<std::string, std::string>>& metadata() const;

    struct State;
    const State& state() const { return *state_; }

private:
    explicit Model(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// An identity as people see it: 16 digits.
std::string hexadecimal(uint64_t identity);

struct EncodeOptions {
    double quality = 50;        // 0 … 100, continuous: the model's rate points from the lowest to the highest
    bool predict_bits = false;  // fill EncodeResult::model_bits; costs time
    EncodeTarget target = {};   // unless none, `quality` is not looked at
    int effort = 2;             // 1 … 9: the encoder's work for a smaller file; the decoder's does not depend on it
    Supervision supervision = {};  // to cancel, and to see where the time goes
    Metadata metadata = {};        // goes into the file as it is, and counts in its size
    std::optional<Image> alpha = {};  // the same: 1 channel of 8 bits, as large as the image; colours are not multiplied with it
};

struct EncodeResult {
    std::vector<uint8_t> bytes;  // a .dcn file
    double model_bits = 0;       // entropy of the symbols by the model's own probabilities; the file is within 1 % of it
    int quality_q8 = 0;          // as the file states it: the model's rate point in 1/256
    double quality = 0;          // the same in 0 … 100
    // With a target:
    bool target_met = true;
    double psnr = 0;  // of the decoded picture, if that was the target
    int passes = 1;   // encodings that the search took
};

struct DecodeOptions {
    uint64_t max_pixels = uint64_t{1} << 28;  // more is refused before anything is allocated
    Supervision supervision = {};
};

// Encodes and decodes with one model. A codec keeps what it built for a picture's shape, so that further pictures of that shape are
// quicker. Several threads may use one at once: large pictures are cut into tiles for all threads of its budget, small ones run
// side by side.
class Codec {
public:
    // threads: 0 = all cores. Neither the file nor the symbols in it depend on it.
    explicit Codec(std::shared_ptr<const Model> model, int threads = 0);
    // With a budget of threads that is shared with other codecs, and with the caller's own work.
    Codec(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> threads);
    ~Codec();

    const Model& model() const;

    // 8-bit gray or RGB of any size. Throws Error invalid_argument for a quality out of range or a malformed image, unsupported for
    // 16 bits a sample, which the container cannot hold yet.
    EncodeResult encode(const Image& image, const EncodeOptions& options = {});

    // Throws Error unsupported, corrupt or limit as parse_container does, model_mismatch if the file was made with another model,
    // corrupt if the symbols do not decode.
    Image decode(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

    // The symbols alone, without the synthesis transform, as one hash: equal on every CPU and for every number of threads.
    uint64_t symbol_hash(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

private:
    struct State;
    std::unique_ptr<State> state_;
};

// What a .dcn file carries beside its picture, without decoding it. Throws what parse_container throws, corrupt or limit where the
// metadata are damaged or larger than any encoder makes them.
Metadata decode_metadata(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

// Its alpha, without decoding the picture: 1 channel of 8 bits, exactly what was encoded; none: opaque. Throws what parse_container
// throws, corrupt where it is damaged.
std::optional<Image> decode_alpha(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

// The identity of the model that a .dcn file needs, without decoding it. Throws what parse_container throws.
uint64_t required_model(std::span<const uint8_t> bytes);

}  // namespace decant
