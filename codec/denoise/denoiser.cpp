#include "codec/denoise/denoiser.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/denoise/network_input.h"
#include "codec/engine/any_graph.h"
#include "codec/error.h"
#include "codec/filter/post_filter.h"
#include "codec/image/reflection.h"
#include "codec/image/turn.h"
#include "codec/network/crop.h"
#include "codec/transform/transform.h"

namespace decant {
namespace {

constexpr int kTile = 704;         // pixels a side that a task computes, at most: 3 % slower than 768, and 100 megapixels in colour stay below a gigabyte
constexpr int kShared = 384 * 384;  // pixels from which on two threads have something to do
constexpr int kDenoiserTrunkExponent = 11;  // of a network in integers: a step of 8 bits is 1/256, and what is left of noise is less

// In which positions the network sees a tile. Of all twos and fours that hold the first one these gain most, by 0.01 dB; those of one shape stand together, since each
// shape has a graph of its own.
std::span<const Turn> turns_of(int effort, int64_t pixels) {
    static constexpr std::array two{Turn::from_code(0), Turn::from_code(5)};
    static constexpr std::array four{Turn::from_code(0), Turn::from_code(3), Turn::from_code(5), Turn::from_code(6)};
    static constexpr std::array eight{Turn::from_code(0), Turn::from_code(1), Turn::from_code(2), Turn::from_code(3),
                                      Turn::from_code(4), Turn::from_code(5), Turn::from_code(6), Turn::from_code(7)};
    constexpr int64_t kAutomatic = 2'000'000;  // pixels, over all positions
    const auto is_worth = [&](int least, const auto& turns) { return effort == 0 ? int64_t(turns.size()) * pixels <= kAutomatic : effort >= least; };
    if (is_worth(7, eight)) return eight;
    if (is_worth(5, four)) return four;
    if (is_worth(3, two)) return two;
    return std::span(two).first(1);
}

// From the 8-bit scale to samples.
void to_samples(const float* src, uint8_t* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = uint8_t(std::clamp(src[i] + 0.5f, 0.0f, 255.0f));
}
void to_samples(const float* src, uint16_t* dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = uint16_t(std::clamp(src[i] * 257.0f + 0.5f, 0.0f, 65535.0f));
}

}  // namespace

struct Denoiser::State {
    std::shared_ptr<const Model> model;
    std::shared_ptr<WorkerPool> pool;
    const int colours;  // of the network
    const FilterTables* const filter;  // null if there is none
    const CroppedNetwork cropped;
    const Description description;  // with that network
    CodecWeights weights;
    int block;                 // pixels of its coarsest position, a side
    std::vector<int> margins;  // of its stages, in such positions; what the filter sees beyond the window included
    int filter_margin;

    // What a task needs; kept for the next ones.
    struct Station {
        std::optional<AnyGraph> graph;
        Shape shape;  // of its input
        std::vector<Area> crops;  // their sizes are what it was made for
        std::vector<float> pixels, level;
        std::vector<float> values;    // what the network reads, [h, w, colours + 1]
        std::vector<float> residual;  // what it gives of the area that the filter sees, [h, w, colours], in the mean over turns
        std::vector<float> filtered;  // what the filter makes of it: of the window, in the mean over all turns
        std::vector<int32_t> sums, filtered_sums;
        PostFilter::Workspace workspace;
        double mean_level = 0;
    };
    std::mutex mutex;
    std::vector<std::unique_ptr<Station>> free_stations;

    State(std::shared_ptr<const Model> m, std::shared_ptr<WorkerPool> p)
        : model(std::move(m)),
          pool(std::move(p)),
          colours(picture_channels(checked(*model))),
          filter(model->filters().empty() ? nullptr : &model->filters().back()),
          cropped(with_crops(model->description().network(kDenoiseNetwork), 1, filter == nullptr ? 0 : kFilterMargin)),
          description(with_network(model->description(), cropped.network)),
          weights(description, model->parameters()) {
        const int coarsest = reach_of(cropped.network, 1).coarsest;
        block = filter == nullptr ? coarsest : std::lcm(coarsest, kFilterBlock);
        const auto in_blocks = [&](int pixels) { return (pixels + block - 1) / block; };
        for (const int margin : cropped.margins) margins.push_back(in_blocks(margin));
        filter_margin = filter == nullptr ? 0 : in_blocks(kFilterMargin);
    }

    static Description with_network(Description description, const Network& network) {
        for (Network& n : description.networks)
            if (n.name == network.name) n = network;
        return description;
    }

    static const Description& checked(const Model& model) {
        if (model.description().task == Task::denoise) return model.description();
        throw Error(ErrorCode::model_mismatch, model.path() + ": is no denoising model; choose another one");
    }

    std::unique_ptr<Station> take_station() {
        const std::lock_guard lock(mutex);
        if (free_stations.empty()) return std::make_unique<Station>();
        auto station = std::move(free_stations.back());
        free_stations.pop_back();
        return station;
    }

    void give_station(std::unique_ptr<Station> station) {
        const std::lock_guard lock(mutex);
        free_stations.push_back(std::move(station));
    }

    // For such an input, of which each stage computes the area that it has there.
    AnyGraph& graph(Station& station, Shape input, const std::vector<Area>& stages) {
        std::vector<Area> crops = cropped.windows(stages, block);
        if (!station.graph || station.shape != input || !same_sizes(station.crops, crops)) {
            station.graph.reset();  // never both at once
            IntegerGraphOptions integers;
            integers.crops = crops;
            integers.input_type = DataType::s16;
            integers.input_exponent = kPixelExponent;
            integers.trunk_exponent = kDenoiserTrunkExponent;
            integers.output_exponent = kTransformExponent;
            GraphOptions floats;
            floats.compute = fastest_float();
            floats.crops = crops;
            station.graph.emplace(weights, description.network(kDenoiseNetwork), input, integers, floats);
            station.shape = input;
            station.crops = crops;
        }
        station.graph->move_crops(std::move(crops));
        return *station.graph;
    }

    // station.values of the area `seen`, and the mean level there. first: the picture's channel that a network for gray reads.
    void read(Station& station, const SampleView& src, const NoiseLevel& level, const Area& seen, int first) {
        const int h = seen.h * block, w = seen.w * block, y0 = seen.y * block, x0 = seen.x * block;
        const int channels = src.channels();
        // Beyond the right edge by less than a block, so what is reflected is not far; in narrow pictures it is all there is.
        const int from = std::max(0, std::min(x0, src.width() - block)), end = std::min(x0 + w, src.width());
        station.pixels.resize(size_t(end - from) * size_t(channels));
        station.level.resize(size_t(w));
        station.values.resize(size_t(h) * size_t(w) * (size_t(colours) + 1));
        float* value = station.values.data();
        double sum = 0;
        for (int y = 0; y < h; y++) {
            const int row = reflect(y0 + y, src.height());
            src.read(row, from, end - from, station.pixels.data());
            level.read(y0 + y, x0, w, station.level.data());
            for (int x = 0; x < w; x++) {
                const int at = x0 + x < end ? x0 + x : reflect(x0 + x, src.width());
                const float* pixel = station.pixels.data() + size_t(at - from) * size_t(channels) + size_t(first);
                for (int c = 0; c < colours; c++) *value++ = pixel_value(pixel[channels == 3 && colours == 3 ? c : 0]);
                const float sigma = std::min(station.level[size_t(x)], kMaxLevel);
                *value++ = level_value(sigma);
                sum += double(sigma);
            }
        }
        station.mean_level = sum / (double(h) * w);
    }

    // A tile: what it is to compute, what of it the filter sees beyond that, and what the network does; in positions of the picture.
    struct Tile {
        Area window, made, seen;
        int h, w;  // of the largest window
    };

    // What of an area that is `seen` is `part`, where that is turned.
    static Area turned_part(const Area& part, const Area& seen, Turn turn) {
        const Region r = turned(Region{uint32_t(part.x - seen.x), uint32_t(part.y - seen.y), uint32_t(part.w), uint32_t(part.h)}, uint32_t(seen.w), uint32_t(seen.h), turn);
        return {int(r.y), int(r.x), int(r.height), int(r.width)};
    }

    // station.values, of h × w pixels, turned.
    void fill(const Station& station, int h, int w, Turn turn, const TensorRef& input) const {
        const size_t size = size_t(colours) + 1;
        for (int y = 0; y < input.shape.h; y++) {
            const TurnedRow row = turned_row(h, w, turn, y);
            const float* value = station.values.data() + row.first * ptrdiff_t(size);
            size_t to = size_t(y) * size_t(input.shape.w) * size;
            for (int x = 0; x < input.shape.w; x++, value += row.step * ptrdiff_t(size), to += size) {
                if (input.type == DataType::s16) {
                    for (size_t i = 0; i < size; i++) input.as<int16_t>()[to + i] = int16_t(std::nearbyint(value[i] * float(1 << kPixelExponent)));
                } else {
                    std::copy_n(value, size, input.as<float>() + to);
                }
            }
        }
    }

    // A share of the part of what the network gave, in pixels, to station.residual, of h × w pixels, turned back.
    void add(const TensorRef& output, const Area& part, float share, int h, int w, Turn turn, Station& station) const {
        const size_t size = size_t(colours);
        for (int y = 0; y < part.h; y++) {
            const TurnedRow row = turned_row(h, w, turn, y);
            float* sum = station.residual.data() + row.first * ptrdiff_t(size);
            size_t from = (size_t(part.y + y) * size_t(output.shape.w) + size_t(part.x)) * size;
            for (int x = 0; x < part.w; x++, sum += row.step * ptrdiff_t(size), from += size) {
                for (size_t i = 0; i < size; i++) sum[i] += share * (output.type == DataType::s32 ? float(output.as<int32_t>()[from + i]) : output.as<float>()[from + i]);
            }
        }
    }

    // station.residual of station.values.
    void run_network(Station& station, const Tile& tile, std::span<const Turn> turns) {
        const int made_h = tile.made.h * block, made_w = tile.made.w * block;
        station.residual.assign(size_t(made_h) * size_t(made_w) * size_t(colours), 0.0f);
        for (const Turn turn : turns) {
            const Area seen{0, 0, turn.transposed ? tile.seen.w : tile.seen.h, turn.transposed ? tile.seen.h : tile.seen.w};
            const Area window = turned_part(tile.window, tile.seen, turn), made = turned_part(tile.made, tile.seen, turn);
            std::vector<Area> stages{seen};
            for (size_t s = 1; s < margins.size(); s++)
                stages.push_back(widened_to(window, margins[s], seen, (turn.transposed ? tile.w : tile.h) + 2 * margins[s], (turn.transposed ? tile.h : tile.w) + 2 * margins[s]));
            AnyGraph& network_graph = graph(station, {1, seen.h * block, seen.w * block, colours + 1}, stages);
            fill(station, tile.seen.h * block, tile.seen.w * block, turn, network_graph.input());
            network_graph.forward();
            const TensorRef output = network_graph.output();
            // Sums of what integer networks give are exact.
            const float share = (output.type == DataType::s32 ? 1.0f / float(1 << kTransformExponent) : 1.0f) / float(turns.size());
            const Area& last = stages.back();
            const Area part{(made.y - last.y) * block, (made.x - last.x) * block, made.h * block, made.w * block};
            add(output, part, share, made_h, made_w, turn, station);
        }
    }

    // A share of what the network gives for the window, through the filter, to station.filtered, [window, colours].
    void apply_filter(Station& station, const Tile& tile, float share) {
        constexpr float kUnit = float(1 << kTransformExponent);
        const Area &window = tile.window, &made = tile.made, &seen = tile.seen;
        const int h = made.h * block, w = made.w * block;
        const FilterArea area{(window.y - made.y) * block, (window.x - made.x) * block, window.h * block, window.w * block};
        const size_t pixel_size = size_t(colours), value_size = pixel_size + 1;
        const auto values_at = [&](int y, int x) {  // pixels of the area `made`
            return station.values.data() + (size_t(y + (made.y - seen.y) * block) * size_t(seen.w * block) + size_t(x + (made.x - seen.x) * block)) * value_size;
        };
        station.sums.resize(station.residual.size());
        for (size_t i = 0, y = 0; y < size_t(h); y++) {
            const float* value = values_at(int(y), 0);
            for (int x = 0; x < w; x++, value += value_size) {
                for (size_t c = 0; c < pixel_size; c++, i++) station.sums[i] = int32_t(std::nearbyint(std::clamp(value[c] + station.residual[i], -8.0f, 8.0f) * kUnit));
            }
        }
        const size_t count = size_t(area.h) * size_t(area.w) * pixel_size;
        station.filtered_sums.resize(count);
        PostFilter(*filter, int(std::lround(station.mean_level * 256)), colours).apply(station.sums.data(), h, w, area, station.workspace, station.filtered_sums.data());
        for (size_t y = 0, i = 0; y < size_t(area.h); y++) {
            const float* value = values_at(area.y + int(y), area.x);
            for (int x = 0; x < area.w; x++, value += value_size) {
                for (size_t c = 0; c < pixel_size; c++, i++) station.filtered[i] += share * (float(station.filtered_sums[i]) * (1.0f / kUnit) - value[c]);
            }
        }
    }

    // station.filtered, in the mean over all turns. A filter was fitted to what the network gives once; the mean is smoother than anything that it knows, and it makes specks of that.
    void run_filtered(Station& station, const Tile& tile, std::span<const Turn> turns) {
        station.filtered.assign(size_t(tile.window.h * block) * size_t(tile.window.w * block) * size_t(colours), 0.0f);
        for (size_t i = 0; i < turns.size(); i++) {
            run_network(station, tile, turns.subspan(i, 1));
            apply_filter(station, tile, 1.0f / float(turns.size()));
        }
    }

    // The part of the result that `window` holds, channel `first` alone for a network for gray.
    template <class T>
    void write(Station& station, const SampleView& src, std::span<T> dst, const Tile& tile, float strength, int first, bool filters) {
        const Area &window = tile.window, &given = filters ? tile.window : tile.made;
        const int channels = src.channels(), width = given.w * block, top = given.y * block, left = given.x * block;
        const int x0 = window.x * block, count = std::min(window.right() * block, src.width()) - x0;
        const int bottom = std::min(window.bottom() * block, src.height());
        const float* residual = filters ? station.filtered.data() : station.residual.data();
        const float scale = strength * float(1 << kPixelExponent);
        station.pixels.resize(std::max(station.pixels.size(), size_t(count) * size_t(channels)));
        float* row = station.pixels.data();
        for (int y = window.y * block; y < bottom; y++) {
            src.read(y, x0, count, row);
            const float* r =
                residual + (size_t(y - top) * size_t(width) + size_t(x0 - left)) * size_t(colours);
            T* d = dst.data() + (size_t(y) * size_t(src.width()) + size_t(x0)) * size_t(channels);
            if (colours == channels) {
                for (size_t i = 0; i < size_t(count) * size_t(channels); i++) row[i] += scale * r[i];
                to_samples(row, d, size_t(count) * size_t(channels));
            } else if (colours == 3) {
                for (size_t i = 0; i < size_t(count); i++)
                    row[i] += scale * (1.0f / 3.0f) * (r[3 * i] + r[3 * i + 1] + r[3 * i + 2]);
                to_samples(row, d, size_t(count));
            } else {
                for (size_t i = 0; i < size_t(count); i++) {
                    const float v = row[3 * i + size_t(first)] + scale * r[i];
                    to_samples(&v, d + 3 * i + size_t(first), 1);
                }
            }
        }
    }

    template <class T>
    double run(const SampleView& src, std::span<T> dst, const DenoiseOptions& o) {
        if (dst.size() != size_t(src.width()) * size_t(src.height()) * size_t(src.channels())) {
            throw Error(ErrorCode::invalid_argument,
                        "denoise: the result has " + std::to_string(dst.size()) + " samples, another number than the picture");
        }
        if (o.sigma && !(*o.sigma >= 0 && *o.sigma <= 255))
            throw Error(ErrorCode::invalid_argument, "sigma " + std::to_string(*o.sigma) + " is not in 0 … 255");
        if (!(o.strength >= 0 && o.strength <= 100))
            throw Error(ErrorCode::invalid_argument, "strength " + std::to_string(o.strength) + " is not in 0 … 100");
        if (o.effort < 0 || o.effort > 9) throw Error(ErrorCode::invalid_argument, "effort " + std::to_string(o.effort) + " is not in 0 … 9");
        const NoiseLevel level = o.sigma ? uniform_level(*o.sigma) : estimate_noise_level(src, pool.get());

        const Area whole{0, 0, (src.height() + block - 1) / block, (src.width() + block - 1) / block};
        const int side = std::max(1, kTile / block);
        int down = (whole.h + side - 1) / side, across = (whole.w + side - 1) / side;
        if (down * across == 1 && src.height() * src.width() > kShared) (src.height() > src.width() ? down : across) = 2;
        const bool filters = o.filter && filter != nullptr;
        const std::span<const Turn> turns = turns_of(o.effort, int64_t{src.width()} * src.height());
        const int passes = src.channels() == 3 && colours == 1 ? 3 : 1;
        const auto part = [](int number, int positions, int parts) { return int(int64_t{number} * positions / parts); };
        int next = 0;
        pool->run([&]() -> WorkerPool::Task {
            if (next == down * across) return {};
            if (o.supervision.is_cancelled && o.supervision.is_cancelled())
                throw Error(ErrorCode::cancelled, "denoising was stopped");
            const int number = next++;
            return [&, number] {
                // Of sizes that differ by a position at most.
                const int y = part(number / across, whole.h, down), bottom = part(number / across + 1, whole.h, down);
                const int x = part(number % across, whole.w, across), right = part(number % across + 1, whole.w, across);
                Tile tile{{y, x, bottom - y, right - x}, {}, {}, (whole.h + down - 1) / down, (whole.w + across - 1) / across};
                tile.made = widened(tile.window, filter_margin, whole);
                // All of one size, for which a network is made once.
                tile.seen = widened_to(tile.window, margins[0], whole, tile.h + 2 * margins[0], tile.w + 2 * margins[0]);
                auto station = take_station();
                for (int first = 0; first < passes; first++) {
                    read(*station, src, level, tile.seen, first);
                    if (filters) {
                        run_filtered(*station, tile, turns);
                    } else {
                        run_network(*station, tile, turns);
                    }
                    write(*station, src, dst, tile, float(o.strength / 100), first, filters);
                }
                give_station(std::move(station));
            };
        });
        return level.sigma;
    }
};

Denoiser::Denoiser(std::shared_ptr<const Model> model, int threads)
    : Denoiser(std::move(model), std::make_shared<WorkerPool>(threads)) {}
Denoiser::Denoiser(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> threads)
    : state_(std::make_unique<State>(std::move(model), std::move(threads))) {}
Denoiser::~Denoiser() = default;

const Model& Denoiser::model() const { return *state_->model; }

DenoiseResult Denoiser::denoise(const Image& image, const DenoiseOptions& options) {
    check_image(image);
    DenoiseResult result{Image(image.width, image.height, image.channels, options.depth == 0 ? image.depth() : options.depth), 0};
    result.sigma = result.image.visit([&](auto& dst) { return denoise(SampleView(image), std::span(dst), options); });
    return result;
}

double Denoiser::denoise(const SampleView& src, std::span<uint8_t> dst, const DenoiseOptions& options) {
    return state_->run(src, dst, options);
}
double Denoiser::denoise(const SampleView& src, std::span<uint16_t> dst, const DenoiseOptions& options) {
    return state_->run(src, dst, options);
}

}  // namespace decant
