#include "codec/pipeline/tile_pipeline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "codec/error.h"
#include "codec/filter/filter_changes.h"
#include "codec/filter/filter_fit.h"
#include "codec/image/metrics.h"
#include "codec/latents/dequantise.h"
#include "codec/latents/latent_kernels.h"
#include "codec/refine/refiner.h"

namespace decant {
namespace {

constexpr int kWindow = 64;         // latents a side of a window of the synthesis, at most
constexpr int kSmallestSplit = 32;  // sides below this are not split: margins would be most of the work
constexpr int kRowsAtOnce = 64;     // that a task reads
constexpr size_t kCoderLimit = 2;   // tile shapes kept: making one costs little once its like was made, keeping it costs memory

// Larger pictures are not held in memory for the sake of the effort. Of these each place is better off turned otherwise, so that there is little to gain.
constexpr uint64_t kSmallPixels = uint64_t{1} << 22;
// A filter is fitted to each so many rows, an odd number: many pictures once had half as many rows of colours, and every second one differs from those between.
constexpr int kFitStep = 1, kRefitStep = 3;  // at the end, and between rounds of refinement
constexpr int kTurnEffort = 2;         // with which turns are tried
constexpr double kTurnBits = 8 * (kSectionOverhead + 1);  // of the section
constexpr uint32_t kTurnedRows = 1024;  // that are decoded at once of a turned picture

float rate_point(const Header& header) { return float(header.quality) / 256.0f; }

// `area` in up to `parts` parts.
void split(const Area& area, int parts, std::vector<Area>& result) {
    const bool rows = area.h >= area.w;
    if (parts <= 1 || (rows ? area.h : area.w) < kSmallestSplit) {
        result.push_back(area);
        return;
    }
    Area a = area, b = area;
    if (rows) {
        a.h = area.h / 2;
        b.y = a.bottom();
        b.h = area.h - a.h;
    } else {
        a.w = area.w / 2;
        b.x = a.right();
        b.w = area.w - a.w;
    }
    split(a, (parts + 1) / 2, result);
    split(b, parts / 2, result);
}

// Adds the time of a scope.
class StageTimer {
public:
    StageTimer(const Supervision& supervision, double StageSeconds::*stage, std::mutex& mutex)
        : seconds_(supervision.seconds), stage_(stage), mutex_(mutex), start_(Clock::now()) {}
    ~StageTimer() {
        if (seconds_ == nullptr) return;
        const double passed = std::chrono::duration<double>(Clock::now() - start_).count();
        const std::lock_guard lock(mutex_);
        seconds_->*stage_ += passed;
    }
    StageTimer(const StageTimer&) = delete;
    StageTimer& operator=(const StageTimer&) = delete;

private:
    using Clock = std::chrono::steady_clock;
    StageSeconds* seconds_;
    double StageSeconds::*stage_;
    std::mutex& mutex_;
    Clock::time_point start_;
};

bool is_small(const Header& header) { return uint64_t{header.width} * header.height <= kSmallPixels; }

// The latents that a region of pixels lies in.
Area latents_of(const Region& region) {
    constexpr uint64_t side = kLatentStride;
    const int y = int(region.y / side), x = int(region.x / side);
    return {y, x, int((region.bottom() + side - 1) / side) - y, int((region.right() + side - 1) / side) - x};
}

void stop_if_cancelled(const Supervision& supervision) {
    if (supervision.is_cancelled && supervision.is_cancelled()) throw Error(ErrorCode::cancelled, "cancelled");
}

Turn turn_of(const Container& container) {
    const Section* section = find_section(container, kSectionTurn);
    if (section == nullptr) return {};
    if (section->payload.size() != 1 || section->payload[0] == 0 || section->payload[0] > 7) throw Error(ErrorCode::corrupt, "how the picture is turned is not among what there is");
    return Turn::from_code(section->payload[0]);
}

// Of the picture as it is coded.
Header turned(Header header, Turn turn) {
    if (turn.transposed) std::swap(header.width, header.height);
    return header;
}

// Buffers of one size that go from one tile to the next: new memory costs time, page by page.
class BufferStore {
public:
    AlignedBuffer take(size_t bytes) {
        if (store_.empty()) return AlignedBuffer(bytes);
        AlignedBuffer buffer = std::move(store_.back());
        store_.pop_back();
        buffer.grow(bytes);
        return buffer;
    }
    void give_back(AlignedBuffer buffer) { store_.push_back(std::move(buffer)); }

private:
    std::vector<AlignedBuffer> store_;
};

}  // namespace

Area tile_area(const Header& header, uint64_t number) {
    const Area whole = latent_area(header.width, header.height);
    const uint64_t across = tile_grid(header).columns;
    const int y = int(number / across) * header.tile, x = int(number % across) * header.tile;
    return {y, x, std::min<int>(header.tile, whole.h - y), std::min<int>(header.tile, whole.w - x)};
}

class TilePipeline::Workspace {
public:
    explicit Workspace(TilePipeline& owner)
        : owner_(owner), transform_(owner.model_.description, owner.weights_, memory_) {}

    Transform& transform() { return transform_; }
    Refiner& refiner() {
        if (refiner_ == nullptr) refiner_ = std::make_unique<Refiner>(owner_.model_, owner_.weights_);
        return *refiner_;
    }

    LatentCoder& coder(const Area& tile) {
        auto& slot = coders_[{tile.h, tile.w}];
        if (slot == nullptr) {
            if (coders_.size() > kCoderLimit) {
                coders_.clear();
                return coder(tile);
            }
            slot = std::make_unique<LatentCoder>(owner_.latent_weights_, memory_, tile.h, tile.w);
        }
        return *slot;
    }
    bool has_coder(const Area& tile) const { return coders_.contains({tile.h, tile.w}); }

private:
    TilePipeline& owner_;
    SharedMemory memory_;
    Transform transform_;
    std::unique_ptr<Refiner> refiner_;
    std::map<std::pair<int, int>, std::unique_ptr<LatentCoder>> coders_;
};

// A workspace for the time of a task.
class TilePipeline::Lease {
public:
    // One that has a coder for this tile, if there is one.
    Lease(TilePipeline& owner, const Area& tile) : owner_(owner) {
        {
            const std::lock_guard lock(owner_.mutex_);
            auto& free = owner_.free_;
            const auto found = std::find_if(free.rbegin(), free.rend(), [&](const auto& w) { return w->has_coder(tile); });
            if (!free.empty()) {
                if (found != free.rend()) std::swap(*found, free.back());
                workspace_ = std::move(free.back());
                free.pop_back();
            }
        }
        if (workspace_ == nullptr) workspace_ = std::make_unique<Workspace>(owner_);
    }
    ~Lease() {
        const std::lock_guard lock(owner_.mutex_);
        owner_.free_.push_back(std::move(workspace_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    Workspace* operator->() const { return workspace_.get(); }

private:
    TilePipeline& owner_;
    std::unique_ptr<Workspace> workspace_;
};

TilePipeline::TilePipeline(const ModelContents& model, CodecWeights& weights, LatentWeights& latent_weights, std::shared_ptr<WorkerPool> pool)
    : model_(model), weights_(weights), latent_weights_(latent_weights), pool_(std::move(pool)) {}
TilePipeline::~TilePipeline() = default;

FilterChanges TilePipeline::changes_of(const Container& container) const {
    const int planes = filter_planes(picture_channels(model_.description));
    const auto unpacked = [&](const std::array<char, 4>& type, std::span<const size_t> counts) {
        const Section* section = find_section(container, type);
        return section == nullptr ? std::vector<int16_t>() : unpack_changes(section->payload, counts);
    };
    return {unpacked(kSectionFilter, counts_of_changes(planes)), unpacked(kSectionFilterCross, counts_of_cross(planes))};
}

bool TilePipeline::is_new(const char* what, int h, int w) {
    const std::lock_guard lock(mutex_);
    return met_.emplace(what, h, w).second;
}

std::optional<PostFilter> TilePipeline::filter_of(const Header& header, const FilterChanges& changes) const {
    if (header.filter == 0 && !changes.empty()) throw Error(ErrorCode::corrupt, "the file changes a filter, but names none");
    if (header.filter == 0) return std::nullopt;
    return PostFilter(model_.filter(header.filter), header.quality, picture_channels(model_.description)).with(changes);
}

class TilePipeline::Encoding {
public:
    // A picture in memory, all of it or what `rows` gives meanwhile.
    Encoding(TilePipeline& owner, const Header& header, const Effort& effort, bool predict_bits, const Supervision& supervision)
        : owner_(owner),
          header_(header),
          effort_(effort),
          predict_bits_(predict_bits),
          supervision_(supervision),
          gain_(gains_at(owner.model_.parameters["gain"], owner.model_.description.levels(), rate_point(header))),
          filter_(effort.fits_filter ? owner.filter_of(header, {}) : std::nullopt),
          expected_filter_(filter_),
          last_round_(filter_ && is_small(header) ? Refiner::first_fit(effort.rounds) : effort.rounds),
          dequantise_(owner.model_.step, owner.model_.description.levels(), header.quality),
          tiles_(size_t(tile_grid(header).count())),
          lines_(tile_grid(header).rows) {
        const int threads = owner.pool_->threads(), parts = int((size_t(threads) + tiles_.size() - 1) / tiles_.size());
        for (size_t i = 0; i < tiles_.size(); i++) {
            tiles_[i].area = tile_area(header, i);
            std::vector<Area> areas;
            split(tiles_[i].area, parts, areas);
            tiles_[i].windows_left = areas.size();
            for (const Area& area : areas) windows_.push_back({i, area, seen(area, Transform::analysis_margin(owner.model_.description))});
        }
        // The networks of the entropy coder, made while the first window is analysed.
        const Area& first = tiles_[0].area;
        if (owner.is_new("encoder", first.h, first.w) && threads > 1) preparation_ = first;
    }

    EncodedTiles run(const SampleView& picture) {
        picture_ = &picture;
        rows_read_ = int64_t{header_.height};
        return run();
    }

    EncodedTiles run(RowReader& rows) {
        rows_ = &rows;
        plan_lines();
        const PictureShape shape = rows.shape();
        int64_t held = 0;  // two lines of tiles: one is begun while the other ends
        for (size_t i = 0; i < lines_.size(); i++) held = std::max(held, lines_[std::min(i + 1, lines_.size() - 1)].end - lines_[i].begin);
        held_ = uint32_t(held);
        band_ = AlignedBuffer(shape.row_bytes() * held_);
        const SampleView picture(shape.width, shape.height, shape.channels, shape.depth, band_.data(), held_);
        picture_ = &picture;
        return run();
    }

private:
    EncodedTiles run() {
        for (;; last_round_++) {
            owner_.pool_->run([&] { return next(); });
            if (last_round_ == effort_.rounds) break;
            expected_filter_ = filter_->with(changes_of_tiles());
            for (size_t i = tiles_.size(); i-- > 0;) complete_.push_back(i);
        }
        EncodedTiles result;
        result.filter_changes = changes_of_tiles();
        for (Tile& tile : tiles_) {
            result.streams.push_back(std::move(tile.stream));
            result.model_bits += tile.model_bits;
        }
        return result;
    }

    // Those of the filter that suit all tiles, which have been looked at.
    FilterChanges changes_of_tiles() {
        std::optional<ChangesFit> changes;
        for (Tile& tile : tiles_) {
            if (changes && tile.changes) changes->add(*tile.changes);
            if (!changes) changes = std::move(tile.changes);
            tile.changes.reset();
        }
        if (!changes) return {};
        return changes->solve(bits_per_square(owner_.model_.description, header_.quality, header_.channels), uint64_t{header_.width} * header_.height);
    }

    WorkerPool::Task next() {
        stop_if_cancelled(supervision_);
        const std::lock_guard lock(mutex_);
        if (rows_ != nullptr && !is_reading_) {
            const int64_t end = std::min<int64_t>(header_.height, lines_[first_line_].begin + held_);
            if (const int64_t count = std::min<int64_t>(end - rows_read_, kRowsAtOnce); count > 0) {
                is_reading_ = true;
                return [this, count] { read(count); };
            }
        }
        if (!complete_.empty()) {
            Tile& tile = tiles_[complete_.back()];
            complete_.pop_back();
            return [this, &tile] { code(tile); };
        }
        if (preparation_ && next_window_ > 0) {
            const Area area = *preparation_;
            preparation_.reset();
            return [this, area] { Lease(owner_, area)->coder(area); };
        }
        if (next_window_ == windows_.size() || rows_read_ < line_of(windows_[next_window_].tile).end) return {};
        const Window& window = windows_[next_window_++];
        Tile& tile = tiles_[window.tile];
        if (tile.y.size() == 0) tile.y = store_.take(size_t(tile.area.h) * size_t(tile.area.w) * gain_.size() * sizeof(float));
        return [this, &window] { analyse(window); };
    }

    struct Tile {
        Area area;
        AlignedBuffer y;  // from its first window to its stream
        size_t windows_left = 0;
        std::vector<uint8_t> stream;
        double model_bits = 0;
        std::optional<ChangesFit> changes;  // of the filter, where it is fitted
        std::vector<float> around;          // y and its neighbours, where it is refined
        Refinement refinement;

        float* row(int r, size_t channels) { return reinterpret_cast<float*>(y.data()) + size_t(r) * size_t(area.w) * channels; }
    };
    struct Window {
        size_t tile;
        Area area, seen;
    };
    // Tiles side by side, and the rows of pixels that are read for them.
    struct Line {
        int64_t begin = 0, end = 0;
        size_t tiles_left = 0;
    };

    Line& line_of(size_t tile) { return lines_[tile / tile_grid(header_).columns]; }

    void plan_lines() {
        const Area whole = latent_area(header_.width, header_.height);
        for (Line& line : lines_) line.begin = header_.height;
        const auto include = [&](Line& line, const Area& seen) {
            // The rows beyond the last are reflections of up to 15 before it.
            line.begin = std::min(line.begin, std::max<int64_t>(0, int64_t{seen.y - 1} * kLatentStride));
            line.end = std::max(line.end, std::min<int64_t>(header_.height, int64_t{seen.bottom()} * kLatentStride));
        };
        for (const Window& window : windows_) include(line_of(window.tile), window.seen);
        for (size_t i = 0; i < tiles_.size(); i++) {
            Line& line = line_of(i);
            line.tiles_left++;
            if (effort_.rounds > 0) {
                const int margin = ErrorGradient::margin(owner_.model_.description) + Transform::analysis_margin(owner_.model_.description);
                include(line, widened(tiles_[i].area, margin, whole));
            }
        }
        // What one line needs no more, none behind it needs.
        for (size_t i = lines_.size() - 1; i-- > 0;) lines_[i].begin = std::min(lines_[i].begin, lines_[i + 1].begin);
    }

    void read(int64_t count) {
        const StageTimer timer(supervision_, &StageSeconds::reading, mutex_);
        const size_t row_bytes = band_.size() / held_;
        for (int64_t y = rows_read_; y < rows_read_ + count; y++) rows_->read(band_.data() + size_t(y % held_) * row_bytes);
        const std::lock_guard lock(mutex_);
        rows_read_ += count;
        is_reading_ = false;
    }

    // All whole tiles see areas of one size.
    Area seen(const Area& window, int margin) const {
        const auto length = [&](int side) { return side == header_.tile ? side + 2 * margin : 0; };
        return widened_to(window, margin, latent_area(header_.width, header_.height), length(window.h), length(window.w));
    }

    // Latents of an area in quantisation steps, as Transform::analyse gives them.
    void analyse(Transform& transform, const Area& area, const Area& seen, float* y, size_t row_stride) const {
        transform.analyse(*picture_, area, seen, rate_point(header_), y, row_stride);
        for (int r = 0; r < area.h; r++) {
            for (int x = 0; x < area.w; x++) {
                float* at = y + size_t(r) * row_stride + size_t(x) * gain_.size();
                latent_kernels::multiply(at, gain_.data(), gain_.size(), at);
            }
        }
    }

    void analyse(const Window& window) {
        Tile& tile = tiles_[window.tile];
        {
            const StageTimer timer(supervision_, &StageSeconds::analysis, mutex_);
            const size_t channels = gain_.size(), stride = size_t(tile.area.w) * channels;
            float* y = tile.row(window.area.y - tile.area.y, channels) + size_t(window.area.x - tile.area.x) * channels;
            analyse(Lease(owner_, tile.area)->transform(), window.area, window.seen, y, stride);
        }
        const std::lock_guard lock(mutex_);
        if (--tile.windows_left == 0) complete_.push_back(window.tile);
    }

    void code(Tile& tile) {
        const StageTimer timer(supervision_, &StageSeconds::entropy_encoding, mutex_);
        const size_t count = size_t(tile.area.h) * size_t(tile.area.w) * gain_.size();
        Lease lease(owner_, tile.area);
        const std::span<float> y(tile.row(0, gain_.size()), count);
        LatentCoder& coder = lease->coder(tile.area);
        const bool is_refined = effort_.rounds > 0;
        if (is_refined) refine(lease, coder, tile, y);
        if (last_round_ < effort_.rounds) return;
        const LatentCoder::Settings settings = is_refined ? tile.refinement.settings(effort_.settings.quantiser) : effort_.settings;
        tile.stream = coder.encode(is_refined ? tile.refinement.best : y, header_.quality, predict_bits_ ? &tile.model_bits : nullptr, settings);
        if (filter_) fit_filter(lease, tile, coder.latents());
        tile.around = {};
        tile.refinement = {};
        const std::lock_guard lock(mutex_);
        store_.give_back(std::move(tile.y));
        if (rows_ == nullptr) return;
        line_of(size_t(&tile - tiles_.data())).tiles_left--;
        while (first_line_ + 1 < lines_.size() && lines_[first_line_].tiles_left == 0) first_line_++;
    }

    // Up to last_round_.
    void refine(Lease& lease, LatentCoder& coder, Tile& tile, std::span<float> y) {
        // Its neighbours are analysed for it once more, so that it neither waits for other tiles nor depends on what was made of them.
        const Area whole = latent_area(header_.width, header_.height), window = widened(tile.area, ErrorGradient::margin(owner_.model_.description), whole);
        const bool has_neighbours = window != tile.area;
        if (has_neighbours && tile.around.empty()) {
            tile.around.resize(size_t(window.h) * size_t(window.w) * gain_.size());
            analyse(lease->transform(), window, widened(window, Transform::analysis_margin(owner_.model_.description), whole), tile.around.data(),
                    size_t(window.w) * gain_.size());
        }
        Refiner& refiner = lease->refiner();
        refiner.refine(coder, {*picture_, tile.area, window, has_neighbours ? std::span<const float>(tile.around) : y, expected_filter_ ? &*expected_filter_ : nullptr}, header_.quality,
                       effort_.settings.quantiser, effort_.rounds, last_round_, y, tile.refinement, [&] { stop_if_cancelled(supervision_); });
        if (last_round_ < effort_.rounds) tile.changes = refiner.fit(*filter_, kRefitStep);
    }

    // Looks at a tile as a decoder will have it, as far as that takes no other tile.
    void fit_filter(Lease& lease, Tile& tile, std::span<const int32_t> latents) {
        const Description& d = owner_.model_.description;
        const Area whole = latent_area(header_.width, header_.height);
        const int margin = Transform::synthesis_margin(d), edge = margin + 1;  // the filter looks at pixels around
        const auto inside = [&](int begin, int size, int end) {
            const int first = begin == 0 ? begin : begin + edge, last = begin + size == end ? end : begin + size - edge;
            return std::pair(first, last - first);
        };
        const auto [top, rows] = inside(tile.area.y, tile.area.h, whole.h);
        const auto [left, columns] = inside(tile.area.x, tile.area.w, whole.w);
        if (rows <= 0 || columns <= 0) return;
        const Area area{top, left, rows, columns}, window = widened(area, 1, whole), seen = widened(window, margin, whole);

        const size_t M = gain_.size();
        std::vector<int16_t> dequantised(size_t(seen.h) * size_t(seen.w) * M);
        for (int y = 0; y < seen.h; y++) {
            const size_t from = (size_t(seen.y - tile.area.y + y) * size_t(tile.area.w) + size_t(seen.x - tile.area.x)) * M;
            dequantise_(latents.data() + from, dequantised.data() + size_t(y) * size_t(seen.w) * M, size_t(seen.w));
        }
        const auto read = [&](int y, int x, int count, int16_t* dst) {
            std::copy_n(dequantised.data() + (size_t(y - seen.y) * size_t(seen.w) + size_t(x - seen.x)) * M, size_t(count) * M, dst);
        };
        const int channels = picture_channels(d), h = window.h * kLatentStride, w = window.w * kLatentStride;
        Image decoded(uint32_t(w), uint32_t(h), channels, 16);
        const Region region{uint32_t(window.x) * kLatentStride, uint32_t(window.y) * kLatentStride, uint32_t(w), uint32_t(h)};
        lease->transform().synthesise(read, window, seen, rate_point(header_), nullptr, SampleTarget(decoded, region));
        const int known_rows = std::min(rows * kLatentStride, int(header_.height) - top * kLatentStride);
        const int known_columns = std::min(columns * kLatentStride, int(header_.width) - left * kLatentStride);
        const int y0 = (top - window.y) * kLatentStride, x0 = (left - window.x) * kLatentStride;
        const std::vector<int32_t> sums = sums_of(decoded), original = original_sums(window, channels);
        PostFilter::Workspace workspace;
        tile.changes.emplace(channels, header_.channels < channels);
        for (int y = 0; y < known_rows; y += kLatentStride)
            tile.changes->add(*filter_, sums.data(), original.data(), h, w, {y0 + y, x0, kLatentStride, columns * kLatentStride}, known_rows - y, known_columns, kFitStep, workspace);
    }

    // The pixels of a window as the synthesis would give them, [h, w, channels]; 0 beyond the picture.
    std::vector<int32_t> original_sums(const Area& window, int channels) const {
        const int top = window.y * kLatentStride, left = window.x * kLatentStride, w = window.w * kLatentStride;
        const int rows = std::min(window.h * kLatentStride, int(header_.height) - top), columns = std::min(w, int(header_.width) - left);
        std::vector<int32_t> sums(size_t(window.h) * kLatentStride * size_t(w) * size_t(channels));
        std::vector<float> row(size_t(columns) * header_.channels);
        for (int y = 0; y < rows; y++) {
            picture_->read(top + y, left, columns, row.data());
            int32_t* to = sums.data() + size_t(y) * size_t(w) * size_t(channels);
            for (size_t x = 0; x < size_t(columns); x++) {
                for (size_t c = 0; c < size_t(channels); c++, to++)
                    *to = int32_t(row[header_.channels < channels ? x : x * size_t(channels) + c] * float(kStepSum) + 0.5f) - kPixelZero * kStepSum;
            }
        }
        return sums;
    }

    TilePipeline& owner_;
    const Header& header_;
    const Effort& effort_;
    const bool predict_bits_;
    const Supervision& supervision_;
    const std::vector<float> gain_;
    const std::optional<PostFilter> filter_;    // for efforts that look at it
    std::optional<PostFilter> expected_filter_;  // as the file will have it, as far as that is known
    int last_round_;                             // of refinement that is done without a look at other tiles
    const Dequantiser dequantise_;
    std::mutex mutex_;
    std::vector<Tile> tiles_;
    std::vector<Window> windows_;  // in the order of the tiles
    size_t next_window_ = 0;
    std::vector<size_t> complete_;  // tiles that are analysed
    std::optional<Area> preparation_;
    BufferStore store_;
    const SampleView* picture_ = nullptr;
    // Of a picture that passes:
    RowReader* rows_ = nullptr;
    std::vector<Line> lines_;
    AlignedBuffer band_;
    uint32_t held_ = 0;
    int64_t rows_read_ = 0;
    bool is_reading_ = false;
    size_t first_line_ = 0;  // that is not coded yet
};

class TilePipeline::Decoding {
public:
    // header, region: of the picture as it is coded. rows: null for a picture in memory.
    Decoding(TilePipeline& owner, const Header& header, const Container& container, const Region& region, RowWriter* rows, const Supervision& supervision)
        : owner_(owner),
          header_(header),
          container_(container),
          region_(region),
          supervision_(supervision),
          channels_(size_t(owner.model_.description.latent_channels)),
          dequantise_(owner.model_.step, owner.model_.description.levels(), header.quality),
          whole_(latent_area(header.width, header.height)),
          filter_(owner.filter_of(header, owner.changes_of(container))),
          tiles_(container.tiles.size()),
          rows_(rows) {
        for (size_t i = 0; i < tiles_.size(); i++) tiles_[i].area = tile_area(header, i);
        plan_windows();
        const Area& seen = windows_[0].seen;
        if (owner.is_new("decoder", seen.h, seen.w) && owner.pool_->threads() > 1) preparation_ = seen;
    }

    Image run() {
        owner_.pool_->run([&] { return next(); });
        return std::move(image_);
    }

private:
    WorkerPool::Task next() {
        stop_if_cancelled(supervision_);
        const std::lock_guard lock(mutex_);
        if (rows_ != nullptr && !is_writing_ && next_line_ < lines_.size() && lines_[next_line_].windows_left == 0) {
            is_writing_ = true;
            return [this] { write_line(); };
        }
        while (first_window_ < windows_.size() && windows_[first_window_].is_started) first_window_++;
        // No further ahead than the threads need: this bounds the latents that are held.
        const size_t horizon = std::min(windows_.size(), first_window_ + size_t(owner_.pool_->threads()) + 1);
        for (size_t i = first_window_; i < horizon; i++) {
            Window& window = windows_[i];
            if (window.is_started || (rows_ != nullptr && window.line > next_line_ + 1) || !std::all_of(window.tiles.begin(), window.tiles.end(), [&](size_t t) { return tiles_[t].is_decoded; })) continue;
            window.is_started = true;
            return [this, &window] { synthesise(window); };
        }
        if (preparation_ && next_tile_ > 0) {
            const Area area = *preparation_;
            preparation_.reset();
            return [this, area] { Lease(owner_, {})->transform().prepare_synthesis(area); };
        }
        if (next_tile_ == order_.size() || tiles_[order_[next_tile_]].first_window >= horizon) return {};
        Tile& tile = tiles_[order_[next_tile_]];
        tile.latents = store_.take(size_t(tile.area.h) * size_t(tile.area.w) * channels_ * sizeof(int16_t));
        return [this, number = order_[next_tile_++]] { decode(number); };
    }

    struct Tile {
        Area area;
        AlignedBuffer latents;  // dequantised, while windows need it
        bool is_decoded = false;
        size_t first_window = 0, windows_left = 0;
    };
    struct Window {
        Area area, seen;
        size_t line;
        std::vector<size_t> tiles;  // that it sees
        bool is_started = false;
    };
    // Windows side by side, and the rows of pixels that they are.
    struct Line {
        int64_t begin, end;
        size_t windows_left;
    };

    // Windows of a side, as equal as can be: where they end, and how much each sees.
    struct Side {
        std::vector<int> ends{0};
        int seen;

        Side(int size, int margin) {
            const int count = (size + kWindow - 1) / kWindow;
            for (int i = 1; i <= count; i++) ends.push_back(int(int64_t(size) * i / count));
            seen = (size + count - 1) / count + (count > 2 ? 2 : 1) * margin;
        }
        int begin(size_t i) const { return ends[i]; }
        int length(size_t i) const { return ends[i + 1] - ends[i]; }
        size_t count() const { return ends.size() - 1; }
    };

    void plan_windows() {
        const int margin = Transform::synthesis_margin(owner_.model_.description);
        const Area needed = latents_of(region_), around = widened(needed, margin, whole_);
        const Side rows(needed.h, margin), columns(needed.w, margin);
        // Along the shorter side first: fewer tiles wait for the windows of the next line.
        const bool by_rows = rows_ != nullptr || whole_.w <= whole_.h;
        const size_t count = rows.count() * columns.count(), line = (by_rows ? columns : rows).count();
        const int parts = int((size_t(owner_.pool_->threads()) + count - 1) / count);
        for (size_t r = 0; r < rows.count(); r++) {
            const int64_t begin = int64_t{needed.y + rows.begin(r)} * kLatentStride, end = begin + int64_t{rows.length(r)} * kLatentStride;
            lines_.push_back({std::max<int64_t>(begin, region_.y), std::min<int64_t>(end, int64_t(region_.bottom())), 0});
        }
        for (size_t i = 0; i < count; i++) {
            const size_t r = by_rows ? i / line : i % line, c = by_rows ? i % line : i / line;
            const Area area{needed.y + rows.begin(r), needed.x + columns.begin(c), rows.length(r), columns.length(c)};
            std::vector<Area> pieces;
            split(area, parts, pieces);
            lines_[r].windows_left += pieces.size();
            for (const Area& piece : pieces) {
                const bool whole = piece == area;
                windows_.push_back({piece, widened_to(piece, margin, around, whole ? rows.seen : 0, whole ? columns.seen : 0), r, {}, false});
            }
        }
        const int tile = header_.tile;
        const size_t across = size_t(tile_grid(header_).columns);
        for (size_t i = 0; i < windows_.size(); i++) {
            const Area& seen = windows_[i].seen;
            for (int y = seen.y / tile; y * tile < seen.bottom(); y++) {
                for (int x = seen.x / tile; x * tile < seen.right(); x++) {
                    const size_t number = size_t(y) * across + size_t(x);
                    if (tiles_[number].windows_left++ == 0) {
                        tiles_[number].first_window = i;
                        order_.push_back(number);
                    }
                    windows_[i].tiles.push_back(number);
                }
            }
        }
    }

    void decode(size_t number) {
        Tile& tile = tiles_[number];
        {
            const StageTimer timer(supervision_, &StageSeconds::entropy_decoding, mutex_);
            Lease lease(owner_, tile.area);
            LatentCoder& coder = lease->coder(tile.area);
            coder.decode(container_.tiles[number], header_.quality, header_.quantiser);
            dequantise_(coder.latents().data(), reinterpret_cast<int16_t*>(tile.latents.data()), size_t(tile.area.h) * size_t(tile.area.w));
        }
        const std::lock_guard lock(mutex_);
        tile.is_decoded = true;
    }

    void synthesise(Window& window) {
        // A stream that decodes comes before memory for a whole picture.
        std::call_once(target_made_, [&] { make_target(); });
        {
            const StageTimer timer(supervision_, &StageSeconds::synthesis, mutex_);
            const auto read = [&](int y, int x, int count, int16_t* dst) { read_latents(y, x, count, dst); };
            Lease(owner_, {})->transform().synthesise(read, window.area, window.seen, rate_point(header_), filter_ ? &*filter_ : nullptr, *target_);
        }
        const std::lock_guard lock(mutex_);
        lines_[window.line].windows_left--;
        for (const size_t t : window.tiles) {
            if (--tiles_[t].windows_left == 0) store_.give_back(std::move(tiles_[t].latents));
        }
    }

    void make_target() {
        if (rows_ == nullptr) {
            image_ = Image(region_.width, region_.height, header_.channels, header_.depth);
            target_.emplace(image_, region_);
            return;
        }
        // Two lines: one is written while the other is made.
        int64_t held = 0;
        for (size_t i = 0; i < lines_.size(); i++) held = std::max(held, lines_[std::min(i + 1, lines_.size() - 1)].end - lines_[i].begin);
        const PictureShape shape{region_.width, region_.height, header_.channels, header_.depth};
        band_ = AlignedBuffer(shape.row_bytes() * size_t(held));
        target_.emplace(region_, shape.channels, shape.depth, band_.data(), uint32_t(held));
        rows_->begin(shape);
    }

    void write_line() {
        const StageTimer timer(supervision_, &StageSeconds::writing, mutex_);
        const Line& line = lines_[next_line_];
        for (int64_t y = line.begin; y < line.end; y++) {
            if (target_->depth() == 8) {
                rows_->write(target_->at(y, region_.x));
            } else {
                rows_->write(target_->at<uint16_t>(y, region_.x));
            }
        }
        const std::lock_guard lock(mutex_);
        next_line_++;
        is_writing_ = false;
    }

    void read_latents(int y, int x, int count, int16_t* dst) const {
        const int tile = header_.tile;
        const size_t channels = channels_, across = size_t(tile_grid(header_).columns);
        while (count > 0) {
            const Tile& from = tiles_[size_t(y / tile) * across + size_t(x / tile)];
            const int run = std::min(count, from.area.right() - x);
            const size_t at = (size_t(y - from.area.y) * size_t(from.area.w) + size_t(x - from.area.x)) * channels;
            dst = std::copy_n(reinterpret_cast<const int16_t*>(from.latents.data()) + at, size_t(run) * channels, dst);
            x += run;
            count -= run;
        }
    }

    TilePipeline& owner_;
    const Header header_;
    const Container& container_;
    const Region region_;
    const Supervision& supervision_;
    const size_t channels_;
    const Dequantiser dequantise_;
    const Area whole_;
    const std::optional<PostFilter> filter_;
    std::mutex mutex_;
    std::vector<Tile> tiles_;
    std::vector<Window> windows_;
    std::vector<size_t> order_;  // tiles as windows need them
    size_t first_window_ = 0, next_tile_ = 0;
    std::optional<Area> preparation_;
    BufferStore store_;
    std::once_flag target_made_;
    Image image_;
    std::optional<SampleTarget> target_;
    std::vector<Line> lines_;
    // Of a picture that passes:
    RowWriter* rows_;
    AlignedBuffer band_;
    bool is_writing_ = false;
    size_t next_line_ = 0;  // to be written
};

EncodedTiles TilePipeline::encode(const SampleView& picture, const Header& header, const Effort& effort, bool predict_bits, const Supervision& supervision) {
    if (!effort.tries_turns || !is_small(header)) return Encoding(*this, header, effort, predict_bits, supervision).run(picture);
    const Turn turn = best_turn(picture, header, supervision);
    EncodedTiles result = Encoding(*this, turned(header, turn), effort, predict_bits, supervision).run(turned(picture, turn));
    result.turn = turn;
    return result;
}

EncodedTiles TilePipeline::encode(RowReader& rows, const Header& header, const Effort& effort, bool predict_bits, const Supervision& supervision) {
    if (effort.rounds == 0 || !is_small(header)) return Encoding(*this, header, effort, predict_bits, supervision).run(rows);
    Image image(header.width, header.height, header.channels, header.depth);
    image.visit([&](auto& samples) {
        for (uint32_t y = 0; y < header.height; y++) rows.read(samples.data() + y * image.row_size());
    });
    return encode(image, header, effort, predict_bits, supervision);
}

Turn TilePipeline::best_turn(const SampleView& picture, const Header& header, const Supervision& supervision) {
    const Effort quick = effort_of(kTurnEffort);
    const double scale = header.depth == 8 ? 1.0 : 1.0 / (257.0 * 257.0);
    const double worth = scale * bits_per_square(model_.description, header.quality, header.channels) * double(header.width) * header.height * header.channels;
    double least = 0;
    Turn best;
    for (int code = 0; code < 8; code++) {
        const Turn turn = Turn::from_code(code);
        const Image tried = turned(picture, turn);
        Header tried_header = turned(header, turn);
        tried_header.quantiser = quick.settings.quantiser;
        const EncodedTiles tiles = Encoding(*this, tried_header, quick, false, supervision).run(tried);
        Container container{tried_header, {}, {tiles.streams.begin(), tiles.streams.end()}};
        double cost = turn.is_none() ? 0 : kTurnBits;
        for (const auto& stream : tiles.streams) cost += 8.0 * double(stream.size());
        cost += worth * mse(tried, decode(container, {0, 0, tried.width, tried.height}, supervision));
        if (turn.is_none() || cost < least) {
            least = cost;
            best = turn;
        }
    }
    return best;
}

Image TilePipeline::decode(const Container& container, const Region& region, const Supervision& supervision) {
    const Turn turn = turn_of(container);
    const Header& header = container.header;
    Image coded = Decoding(*this, turned(header, turn), container, turned(region, header.width, header.height, turn), nullptr, supervision).run();
    return turn.is_none() ? std::move(coded) : turned(coded, turn.inverse());
}

void TilePipeline::decode(const Container& container, const Region& region, RowWriter& rows, const Supervision& supervision) {
    if (turn_of(container).is_none()) {
        Decoding(*this, container.header, container, region, &rows, supervision).run();
        return;
    }
    // Rows that lie across those that are coded: in bands, since the picture may be large.
    for (uint32_t y = 0; y < region.height; y += kTurnedRows) {
        const Image band = decode(container, {region.x, region.y + y, region.width, std::min(kTurnedRows, region.height - y)}, supervision);
        if (y == 0) rows.begin({region.width, region.height, band.channels, band.depth()});
        band.visit([&](const auto& samples) {
            for (uint32_t row = 0; row < band.height; row++) rows.write(samples.data() + row * band.row_size());
        });
    }
}

bool TilePipeline::is_needed(const Container& container, const Region& region, uint64_t tile) const {
    const Turn turn = turn_of(container);
    const Header header = turned(container.header, turn);
    const Region coded = turned(region, container.header.width, container.header.height, turn);
    const Area around = widened(latents_of(coded), Transform::synthesis_margin(model_.description), latent_area(header.width, header.height));
    const Area area = tile_area(header, tile);
    return area.y < around.bottom() && around.y < area.bottom() && area.x < around.right() && around.x < area.right();
}

void TilePipeline::decode_latents(const Container& container, const std::function<void(std::span<const int32_t>)>& f) {
    const Header header = turned(container.header, turn_of(container));
    size_t next = 0;
    std::atomic<bool> is_running = false;  // one tile after the other
    pool_->run([&]() -> WorkerPool::Task {
        if (is_running || next == container.tiles.size()) return {};
        is_running = true;
        return [&] {
            const Area area = tile_area(header, next);
            Lease lease(*this, area);
            LatentCoder& coder = lease->coder(area);
            coder.decode(container.tiles[next++], header.quality, header.quantiser);
            f(coder.latents());
            is_running = false;
        };
    });
}

}  // namespace decant
