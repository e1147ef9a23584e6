#include "codec/denoise/denoiser.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "codec/denoise/network_input.h"
#include "codec/engine/any_graph.h"
#include "codec/error.h"
#include "codec/filter/post_filter.h"
#include "codec/image/reflection.h"
#include "codec/transform/transform.h"

namespace decant {
namespace {

constexpr int kTile = 512;  // pixels a side that a task computes, about
constexpr int kDenoiserTrunkExponent = 11;  // of a network in integers: a step of 8 bits is 1/256, and what is left of noise is less

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
        std::vector<float> pixels, level, residual;  // residual: of a network in integers
        // Where there is a filter: what the network reads, [h, w, colours], and what the filter makes of the window.
        std::vector<float> picture, filtered;
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

    // What the network gave, [seen, colours].
    static const float* residual_of(Station& station) {
        const TensorRef out = station.graph->output();
        if (out.type != DataType::s32) return out.as<float>();
        station.residual.resize(out.shape.elements());
        for (size_t i = 0; i < station.residual.size(); i++) station.residual[i] = float(out.as<int32_t>()[i]) * (1.0f / float(1 << kTransformExponent));
        return station.residual.data();
    }

    // first: the picture's channel that a network for gray reads. filters: keeps what a filter needs.
    void fill(Station& station, const SampleView& src, const NoiseLevel& level, const Area& seen, int first, bool filters) {
        const int h = seen.h * block, w = seen.w * block, y0 = seen.y * block, x0 = seen.x * block;
        const int channels = src.channels();
        // Beyond the right edge by less than a block, so what is reflected is not far; in narrow pictures it is all there is.
        const int from = std::max(0, std::min(x0, src.width() - block)), end = std::min(x0 + w, src.width());
        station.pixels.resize(size_t(end - from) * size_t(channels));
        station.level.resize(size_t(w));
        const TensorRef input = graph(station, {1, h, w, colours + 1}).input();
        const size_t pixel_size = size_t(colours) + 1;
        std::vector<float> values(pixel_size);  // of a pixel
        size_t at_pixel = 0;
        if (filters) station.picture.resize(size_t(h) * size_t(w) * size_t(colours));
        float* kept = station.picture.data();
        double sum = 0;
        for (int y = 0; y < h; y++) {
            const int row = reflect(y0 + y, src.height());
            src.read(row, from, end - from, station.pixels.data());
            level.read(y0 + y, x0, w, station.level.data());
            for (int x = 0; x < w; x++, at_pixel += pixel_size) {
                const int at = x0 + x < end ? x0 + x : reflect(x0 + x, src.width());
                const float* pixel = station.pixels.data() + size_t(at - from) * size_t(channels) + size_t(first);
                for (int c = 0; c < colours; c++) values[size_t(c)] = pixel_value(pixel[channels == 3 && colours == 3 ? c : 0]);
                const float sigma = std::min(station.level[size_t(x)], kMaxLevel);
                values[size_t(colours)] = level_value(sigma);
                if (input.type == DataType::s16) {
                    for (size_t i = 0; i < pixel_size; i++) input.as<int16_t>()[at_pixel + i] = int16_t(std::nearbyint(values[i] * float(1 << kPixelExponent)));
                } else {
                    std::ranges::copy(values, input.as<float>() + at_pixel);
                }
                if (!filters) continue;
                kept = std::copy_n(values.data(), colours, kept);
                sum += double(sigma);
            }
        }
        station.mean_level = sum / (double(h) * w);
    }

    // What the network gives for the window through the filter: station.filtered, [window, colours].
    void apply_filter(Station& station, const Area& window, const Area& seen) {
        constexpr float kUnit = float(1 << kTransformExponent);
        const int h = seen.h * block, w = seen.w * block;
        const FilterArea area{(window.y - seen.y) * block, (window.x - seen.x) * block, window.h * block, window.w * block};
        const float* residual = residual_of(station);
        station.sums.resize(station.picture.size());
        for (size_t i = 0; i < station.sums.size(); i++) station.sums[i] = int32_t(std::nearbyint(std::clamp(station.picture[i] + residual[i], -8.0f, 8.0f) * kUnit));
        const size_t values = size_t(area.h) * size_t(area.w) * size_t(colours);
        station.filtered_sums.resize(values);
        station.filtered.resize(values);
        PostFilter(*filter, int(std::lround(station.mean_level * 256)), colours).apply(station.sums.data(), h, w, area, station.workspace, station.filtered_sums.data());
        const size_t row = size_t(area.w) * size_t(colours);
        for (size_t y = 0, i = 0; y < size_t(area.h); y++) {
            const float* picture = station.picture.data() + (size_t(area.y) + y) * size_t(w) * size_t(colours) + size_t(area.x) * size_t(colours);
            for (size_t k = 0; k < row; k++, i++) station.filtered[i] = float(station.filtered_sums[i]) * (1.0f / kUnit) - picture[k];
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
        const float* residual = filters ? station.filtered.data() : residual_of(station);
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
        const NoiseLevel level = o.sigma ? uniform_level(*o.sigma) : estimate_noise_level(src, pool.get());

        const Area whole{0, 0, (src.height() + block - 1) / block, (src.width() + block - 1) / block};
        const int side = std::max(1, kTile / block), down = (whole.h + side - 1) / side, across = (whole.w + side - 1) / side;
        const bool filters = o.filter && filter != nullptr;
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
                    fill(*station, src, level, seen, first, filters);
                    station->graph->forward();
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
