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
#include "codec/filter/filter_tables.h"
#include "codec/image/image.h"
#include "codec/image/rows.h"
#include "codec/image/sample_view.h"
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
    const std::vector<FilterTables>& filters() const;  // behind its network (codec/filter/filter_tables.h); the last one is in use
    // Training recipe and results as written by the trainer: "steps", "seconds", "data", "results", ...
    const std::vector<std::pair<std::string, std::string>>& metadata() const;

    // Where the model serves only some of its rate points: one that serves others (Description::companion), loaded when first asked for; the
    // companion of that may serve yet others, and so on. Null if it names none. Throws what load throws, model_mismatch if it has other rate points.
    std::shared_ptr<const Model> companion() const;
    // The one for gray pictures (Description::gray), in the same way, which may have companions of its own; model_mismatch also if it is not for these.
    std::shared_ptr<const Model> gray() const;

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
    // No sample is to differ by more than this, 0: by nothing at all. Goes with 8 and 16 bits, not with a target.
    std::optional<uint16_t> max_error = {};
    EncodeTarget target = {};   // unless none, `quality` is not looked at
    bool filter = true;         // the decoder is to use the model's filter behind the synthesis (codec/filter/post_filter.h), if it has one
    int effort = 2;             // 1 … 9: the encoder's work for a smaller file; the decoder's does not depend on it
    Supervision supervision = {};  // to cancel, and to see where the time goes
    Metadata metadata = {};        // goes into the file as it is, and counts in its size
    std::optional<Image> alpha = {};  // the same: 1 channel, as large and deep as the image; colours are not multiplied with it
    // Pictures of at least that many pixels get a preview, of up to 256 pixels a side, in 1 to 3 KB: see decode_preview.
    uint64_t preview_from = uint64_t{1} << 23;
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
    std::optional<Region> region = {};  // of the picture: no other tiles are read or decoded; the pixels are the same
    // Of bytes that are still to come (ParseOptions::fetch in container.h): called for each part of the file that is needed.
    std::function<void(std::size_t offset, std::size_t length)> fetch = {};
};

// Encodes and decodes with one model and those that it names: its companions take the qualities that it does not serve, its model for gray
// takes gray pictures. A codec keeps what it built for a picture's shape, so that further pictures of that shape are quicker. Several threads may
// use one at once: large pictures are cut into tiles for all threads of its budget, small ones run side by side.
class Codec {
public:
    // threads: 0 = all cores. Neither the file nor the symbols in it depend on it.
    explicit Codec(std::shared_ptr<const Model> model, int threads = 0);
    // With a budget of threads that is shared with other codecs, and with the caller's own work.
    Codec(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> threads);
    ~Codec();

    const Model& model() const;

    // Gray or RGB of any size, of 8 or 16 bits. Throws Error invalid_argument for a quality out of range or one that neither the model nor one of
    // its companions serves, for RGB with a model for gray pictures, and for a malformed image; and what Model::companion and Model::gray throw.
    EncodeResult encode(const Image& image, const EncodeOptions& options = {});
    // The same file from a picture that is never in memory as a whole: about two lines of tiles are, 2,200 rows. Throws Error
    // invalid_argument also for a target, which takes several passes, and for alpha; and what `rows` throws.
    // again: opens the picture anew; a largest error, which needs it twice, is refused without.
    using Reopen = std::function<std::unique_ptr<RowReader>()>;
    EncodeResult encode(RowReader& rows, const EncodeOptions& options = {}, const Reopen& again = {});

    // Throws Error unsupported, corrupt or limit as parse_container does, model_mismatch if the file was made with another model,
    // corrupt if the symbols do not decode, invalid_argument for a region that is empty or reaches beyond the picture.
    Image decode(std::span<const uint8_t> bytes, const DecodeOptions& options = {});
    // The same pixels row by row, with two lines of windows in memory, 2,048 rows. Throws what `rows` throws, too.
    void decode(std::span<const uint8_t> bytes, RowWriter& rows, const DecodeOptions& options = {});
    // At most `side` pixels, 1 …, a side: from the preview in the file if it has as many, else from the whole picture; 8 bits a sample. Never
    // larger than the picture.
    Image decode_preview(std::span<const uint8_t> bytes, uint32_t side, const DecodeOptions& options = {});

    // The symbols alone, without the synthesis transform, as one hash: equal on every CPU and for every number of threads.
    uint64_t symbol_hash(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

private:
    struct State;
    std::unique_ptr<State> state_;
};

struct FileFacts {
    Header header;
    bool has_alpha = false;
    std::optional<uint16_t> max_error = {};  // of a sample, as it was encoded; none: whatever it is
};

// What a .dcn file is, without decoding it, or looking at its tiles. Throws what parse_container throws.
FileFacts inspect(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

// What a .dcn file carries beside its picture, without decoding it. Throws what parse_container throws, corrupt or limit where the
// metadata are damaged or larger than any encoder makes them.
Metadata decode_metadata(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

// Its alpha, without decoding the picture: 1 channel of the file's depth, exactly what was encoded, or the region of it; none: opaque. Throws what parse_container
// throws, corrupt where it is damaged.
std::optional<Image> decode_alpha(std::span<const uint8_t> bytes, const DecodeOptions& options = {});

// The identity of the model that a .dcn file needs, without decoding it. Throws what parse_container throws.
uint64_t required_model(std::span<const uint8_t> bytes);

}  // namespace decant
