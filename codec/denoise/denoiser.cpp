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
#include "codec/transform/transform.h"

namespace decant {
namespace {

constexpr int kTile = 512;  // pixels a side that a task computes, about
constexpr int kDenoiserTrunkExponent = 11;  // of a network in integers: a step of 8 bits is 1/256, and what is left of noise is less

// In which positions the network sees a tile. Of all twos and fours that hold the first one these gain most, by 0.01 dB; those of one shape stand together, since each
// shape has a graph of its own.
std::span<const Turn> turns_of(int effort) {
    static constexpr std::array two{Turn::from_code(0), Turn::from_code(5)};
    static constexpr std::array four{Turn::from_code(0), Turn::from_code(3), Turn::from_code(5), Turn::from_code(6)};
    static constexpr std::array eight{Turn::from_code(0), Turn::from_code(1), Turn::from_code(2), Turn::from_code(3),
                                      Turn::from_code(4), Turn::from_code(5), Turn::from_code(6), Turn::from_code(7)};
    if (effort < 3) return std::span(two).first(1);
    if (effort < 5) return two;
    if (effort < 7) return four;
    return eight;
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
    const Network& network;
    CodecWeights weights;
    const int colours;  // of the network
    const FilterTables* const filter;  // null if there is none
    int block, margin;  // pixels of its coarsest position, a side; and in such positions how far it sees

    // What a task needs; kept for the next ones.
    struct Station {
        std::optional<AnyGraph> graph;
        Shape shape;  // of its input
        std::vector<float> pixels, level;
        std::vector<float> values;    // what the network reads, [h, w, colours + 1]
        std::vector<float> residual;  // what it gives, [h, w, colours], in the mean over all turns
        std::vector<float> filtered;  // what the filter makes of it: of the window
        std::vector<int32_t> sums, filtered_sums;
        PostFilter::Workspace workspace;
        double mean_level = 0;
    };
    std::mutex mutex;
    std::vector<std::unique_ptr<Station>> free_stations;

    State(std::shared_ptr<const Model> m, std::shared_ptr<WorkerPool> p)
        : model(std::move(m)),
          pool(std::move(p)),
          network(checked(*model).network(kDenoiseNetwork)),
          weights(model->description(), model->parameters()),
          colours(picture_channels(model->description())),
          filter(model->filters().empty() ? nullptr : &model->filters().back()) {
        const Reach reach = reach_of(network, 1);
        block = filter == nullptr ? reach.coarsest : std::lcm(reach.coarsest, kFilterBlock);
        margin = (reach.margin + (filter == nullptr ? 0 : kFilterMargin) + block - 1) / block;
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

    AnyGraph& graph(Station& station, Shape input) {
        if (!station.graph || station.shape != input) {
            station.graph.reset();  // never both at once
            IntegerGraphOptions integers;
            integers.input_type = DataType::s16;
            integers.input_exponent = kPixelExponent;
            integers.trunk_exponent = kDenoiserTrunkExponent;
            integers.output_exponent = kTransformExponent;
            GraphOptions floats;
            floats.compute = fastest_float();
            station.graph.emplace(weights, network, input, integers, floats);
            station.shape = input;
        }
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

    // station.residual of station.values.
    void run_network(Station& station, const Area& seen, std::span<const Turn> turns) {
        const int h = seen.h * block, w = seen.w * block;
        const size_t out_size = size_t(colours), in_size = out_size + 1;
        station.residual.assign(size_t(h) * size_t(w) * out_size, 0.0f);
        for (const Turn turn : turns) {
            const int rows = turn.transposed ? w : h, columns = turn.transposed ? h : w;
            AnyGraph& network_graph = graph(station, {1, rows, columns, colours + 1});
            const auto each_row = [&](size_t size, const auto& use) {
                for (int y = 0; y < rows; y++) {
                    const TurnedRow row = turned_row(h, w, turn, y);
                    use(size_t(y) * size_t(columns) * size, row.first * ptrdiff_t(size), row.step * ptrdiff_t(size));
                }
            };
            const TensorRef input = network_graph.input();
            each_row(in_size, [&](size_t to, ptrdiff_t from, ptrdiff_t step) {
                const float* value = station.values.data() + from;
                for (int x = 0; x < columns; x++, value += step, to += in_size) {
                    if (input.type == DataType::s16) {
                        for (size_t i = 0; i < in_size; i++) input.as<int16_t>()[to + i] = int16_t(std::nearbyint(value[i] * float(1 << kPixelExponent)));
                    } else {
                        std::copy_n(value, in_size, input.as<float>() + to);
                    }
                }
            });
            network_graph.forward();
            const TensorRef output = network_graph.output();
            // Sums of what integer networks give are exact.
            const float share = (output.type == DataType::s32 ? 1.0f / float(1 << kTransformExponent) : 1.0f) / float(turns.size());
            each_row(out_size, [&](size_t from, ptrdiff_t to, ptrdiff_t step) {
                float* sum = station.residual.data() + to;
                for (int x = 0; x < columns; x++, sum += step, from += out_size) {
                    for (size_t i = 0; i < out_size; i++) sum[i] += share * (output.type == DataType::s32 ? float(output.as<int32_t>()[from + i]) : output.as<float>()[from + i]);
                }
            });
        }
    }

    // What the network gives for the window through the filter: station.filtered, [window, colours].
    void apply_filter(Station& station, const Area& window, const Area& seen) {
        constexpr float kUnit = float(1 << kTransformExponent);
        const int h = seen.h * block, w = seen.w * block;
        const FilterArea area{(window.y - seen.y) * block, (window.x - seen.x) * block, window.h * block, window.w * block};
        const size_t pixel_size = size_t(colours), value_size = pixel_size + 1;
        station.sums.resize(station.residual.size());
        for (size_t i = 0, value = 0; i < station.sums.size(); value += value_size) {
            for (size_t c = 0; c < pixel_size; c++, i++) station.sums[i] = int32_t(std::nearbyint(std::clamp(station.values[value + c] + station.residual[i], -8.0f, 8.0f) * kUnit));
        }
        const size_t count = size_t(area.h) * size_t(area.w) * pixel_size;
        station.filtered_sums.resize(count);
        station.filtered.resize(count);
        PostFilter(*filter, int(std::lround(station.mean_level * 256)), colours).apply(station.sums.data(), h, w, area, station.workspace, station.filtered_sums.data());
        for (size_t y = 0, i = 0; y < size_t(area.h); y++) {
            const float* value = station.values.data() + ((size_t(area.y) + y) * size_t(w) + size_t(area.x)) * value_size;
            for (int x = 0; x < area.w; x++, value += value_size) {
                for (size_t c = 0; c < pixel_size; c++, i++) station.filtered[i] = float(station.filtered_sums[i]) * (1.0f / kUnit) - value[c];
            }
        }
    }

    // The part of the result that `window` holds, channel `first` alone for a network for gray.
    template <class T>
    void write(Station& station, const SampleView& src, std::span<T> dst, const Area& window, const Area& seen, float strength,
               int first, bool filters) {
        const int channels = src.channels(), width = (filters ? window : seen).w * block;
        const int top = (filters ? window : seen).y * block, left = (filters ? window : seen).x * block;
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
        if (o.effort < 1 || o.effort > 9) throw Error(ErrorCode::invalid_argument, "effort " + std::to_string(o.effort) + " is not in 1 … 9");
        const NoiseLevel level = o.sigma ? uniform_level(*o.sigma) : estimate_noise_level(src, pool.get());

        const Area whole{0, 0, (src.height() + block - 1) / block, (src.width() + block - 1) / block};
        const int side = std::max(1, kTile / block), down = (whole.h + side - 1) / side, across = (whole.w + side - 1) / side;
        const bool filters = o.filter && filter != nullptr;
        const std::span<const Turn> turns = turns_of(o.effort);
        const int passes = src.channels() == 3 && colours == 1 ? 3 : 1;
        int next = 0;
        pool->run([&]() -> WorkerPool::Task {
            if (next == down * across) return {};
            if (o.supervision.is_cancelled && o.supervision.is_cancelled())
                throw Error(ErrorCode::cancelled, "denoising was stopped");
            const int tile = next++;
            return [&, tile] {
                const int y = tile / across * side, x = tile % across * side;
                const Area window{y, x, std::min(side, whole.h - y), std::min(side, whole.w - x)};
                // All of one size, for which a network is made once.
                const Area seen = widened_to(window, margin, whole, side + 2 * margin, side + 2 * margin);
                auto station = take_station();
                for (int first = 0; first < passes; first++) {
                    read(*station, src, level, seen, first);
                    run_network(*station, seen, turns);
                    if (filters) apply_filter(*station, window, seen);
                    write(*station, src, dst, window, seen, float(o.strength / 100), first, filters);
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
