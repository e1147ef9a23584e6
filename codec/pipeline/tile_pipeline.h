// A picture as tasks for a WorkerPool: windows through the transforms and tiles through the entropy coder, each as soon as what it
// needs is there. What is in flight at once, and with it the memory, depends on the number of threads and not on the picture.
//
//   encode:  window ─analysis─► y of its tile ─(all windows of the tile)─► gain, entropy coding ─► stream
//   decode:  stream ─entropy decoding─► latents of a tile ─(all tiles that a window sees)─► synthesis ─► pixels
//
// Encoding, windows are tiles; decoding, they are equal parts of the picture, and a tile's latents go when the last window that sees
// them is done. Of pictures with fewer windows than threads, windows are parts of these.
//
// Where the filter is fitted between rounds of refinement, tiles wait for each other after each: encoding is then
//            window ─analysis─► y of its tile ─round─► changes of all tiles ─► their filter ─► next round … ─► streams
//
// Pictures that pass row by row are in memory as a band of rows, at most two tiles or windows and their margins high, in which one
// task reads or writes while others work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "codec/container/container.h"
#include "codec/image/rows.h"
#include "codec/image/sample_view.h"
#include "codec/image/turn.h"
#include "codec/latents/latent_coder.h"
#include "codec/pipeline/supervision.h"
#include "codec/pipeline/worker_pool.h"
#include "codec/refine/effort.h"
#include "codec/transform/transform.h"

namespace decant {

struct EncodedTiles {
    std::vector<std::vector<uint8_t>> streams;
    Turn turn;                     // of the picture, before it was coded
    FilterChanges filter_changes;  // for decoding; empty: none
    double model_bits = 0;         // where it was asked for
};

// Any number of threads may use one at once.
class TilePipeline {
public:
    // Everything must outlive it.
    TilePipeline(const ModelContents& model, CodecWeights& weights, LatentWeights& latent_weights, std::shared_ptr<WorkerPool> pool);
    ~TilePipeline();

    EncodedTiles encode(const SampleView& picture, const Header& header, const Effort& effort, bool predict_bits, const Supervision& supervision);
    EncodedTiles encode(RowReader& rows, const Header& header, const Effort& effort, bool predict_bits, const Supervision& supervision);
    // A region of the picture, which must not reach beyond it: the tiles around it are decoded, and no others.
    Image decode(const Container& container, const Region& region, const Supervision& supervision);
    void decode(const Container& container, const Region& region, RowWriter& rows, const Supervision& supervision);
    // Whether decoding a region needs a tile.
    bool is_needed(const Container& container, const Region& region, uint64_t tile) const;
    // f(latents [h, w, M] in multiples of 1/64 step) for each tile in order.
    void decode_latents(const Container& container, const std::function<void(std::span<const int32_t>)>& f);

private:
    // What a thread needs to run windows and tiles: networks for the shapes that it met.
    class Workspace;
    class Lease;
    class Encoding;
    class Decoding;

    // That in which a picture takes least, bits and squared errors together.
    Turn best_turn(const SampleView& picture, const Header& header, const Supervision& supervision);
    std::optional<PostFilter> filter_of(const Header& header, const FilterChanges& changes) const;  // that files ask for
    FilterChanges changes_of(const Container& container) const;
    bool is_new(const char* what, int h, int w);

    const ModelContents& model_;
    CodecWeights& weights_;
    LatentWeights& latent_weights_;
    std::shared_ptr<WorkerPool> pool_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> free_;  // never more than threads
    std::set<std::tuple<std::string, int, int>> met_;
};

// The area of a tile of a picture, in latents; header: of the picture as it is coded.
Area tile_area(const Header& header, uint64_t number);

}  // namespace decant
