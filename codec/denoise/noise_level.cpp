#include "codec/denoise/noise_level.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>

namespace decant {
namespace {

constexpr int kWindow = 64;  // pixels a side that one covariance is made of
constexpr int kMostCells = 1024;
constexpr int kPatch = 7, kPatchValues = kPatch * kPatch;
constexpr int kPatchStep = 2;
constexpr int kFewestPatches = 2 * kPatchValues;
constexpr float kUnknown = -1.0f;

using Covariance = Eigen::Matrix<float, kPatchValues, kPatchValues>;

struct Window {
    float sigma = kUnknown, brightness = 0;
};

// The variance that the largest eigenvalues do not explain.
double tail_variance(const Covariance& covariance) {
    const Eigen::SelfAdjointEigenSolver<Covariance> solver(covariance, Eigen::EigenvaluesOnly);
    const auto& values = solver.eigenvalues();  // rising
    double sum = 0;
    for (int i = 0; i < kPatchValues; i++) sum += std::max(0.0f, values[i]);
    for (int count = kPatchValues; count > 1; count--) {
        const double mean = std::max(0.0, sum / count);
        const double median = 0.5 * (double(values[(count - 1) / 2]) + double(values[count / 2]));
        // Sampling spreads equal eigenvalues a little to the right, so the mean of a pure tail is slightly above its median.
        if (mean <= 1.02 * median) return mean;
        sum -= std::max(0.0f, values[count - 1]);
    }
    return std::max(0.0f, values[0]);
}

Window measure_window(const SampleView& picture, int y0, int x0, int h, int w) {
    const int channels = picture.channels();
    std::vector<float> values(size_t(h) * size_t(w) * size_t(channels));
    for (int y = 0; y < h; y++) picture.read(y0 + y, x0, w, values.data() + size_t(y) * size_t(w) * size_t(channels));
    Window result;
    double sum = 0;
    for (float v : values) sum += v;
    result.brightness = float(sum / double(values.size()));

    const int across = (w - kPatch) / kPatchStep + 1, down = (h - kPatch) / kPatchStep + 1;
    if (w < kPatch || h < kPatch || across * down * channels < kFewestPatches) return result;
    // Patches as columns, all channels together: the covariance is the mean of theirs.
    Eigen::Matrix<float, kPatchValues, Eigen::Dynamic> patches(kPatchValues, across * down);
    Covariance covariance = Covariance::Zero();
    int used = 0;
    for (int c = 0; c < channels; c++) {
        int count = 0;
        for (int y = 0; y < down; y++) {
            for (int x = 0; x < across; x++) {
                int clipped = 0;
                float* patch = patches.col(count).data();
                for (int dy = 0; dy < kPatch; dy++) {
                    const float* row = values.data() +
                                       (size_t(y * kPatchStep + dy) * size_t(w) + size_t(x * kPatchStep)) * size_t(channels) +
                                       size_t(c);
                    for (int dx = 0; dx < kPatch; dx++) {
                        const float v = row[dx * channels];
                        clipped += v <= 0.0f || v >= 255.0f;
                        *patch++ = v;
                    }
                }
                // All black or all white: whatever noise there was is cut off, so it says nothing of the rest.
                if (clipped < kPatchValues) count++;
            }
        }
        if (count < 2) continue;
        auto block = patches.leftCols(count);
        block.colwise() -= block.rowwise().mean().eval();
        covariance.selfadjointView<Eigen::Lower>().rankUpdate(block);
        used += count - 1;
    }
    if (used < kFewestPatches) {
        result.sigma = 0;  // nothing but black or white
        return result;
    }
    covariance /= float(used);
    result.sigma = float(std::sqrt(tail_variance(covariance)));
    return result;
}

float quantile(std::vector<float> values, double share) {
    const size_t at = std::min(values.size() - 1, size_t(share * double(values.size())));
    std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(at), values.end());
    return values[at];
}

// For pictures too small for patches: the median of the finest diagonal details (Donoho & Johnstone 1994).
float diagonal_sigma(const SampleView& picture) {
    const int w = picture.width(), h = picture.height(), channels = picture.channels();
    if (w < 2 || h < 2) return 0.0f;
    std::vector<float> details, upper(size_t(w) * size_t(channels)), lower(upper.size());
    for (int y = 0; y + 1 < h; y += 2) {
        picture.read(y, 0, w, upper.data());
        picture.read(y + 1, 0, w, lower.data());
        for (size_t i = 0; i + size_t(channels) < upper.size(); i++) {
            details.push_back(
                std::fabs(0.5f * (upper[i] - upper[i + size_t(channels)] - lower[i] + lower[i + size_t(channels)])));
        }
    }
    return quantile(std::move(details), 0.5) / 0.6745f;
}

// What calm windows of each brightness show; linear between the middles of the bins.
class LevelByBrightness {
public:
    explicit LevelByBrightness(const std::vector<Window>& windows) {
        std::array<std::vector<float>, kBins> bins;
        std::vector<float> all;
        for (const Window& w : windows) {
            if (w.sigma < 0) continue;
            bins[size_t(std::clamp(int(w.brightness * kBins / 256.0f), 0, kBins - 1))].push_back(w.sigma);
            all.push_back(w.sigma);
        }
        const float overall = quantile(all, kCalm);
        for (size_t b = 0; b < kBins; b++) level_[b] = bins[b].size() >= kFewest ? quantile(bins[b], kCalm) : kUnknown;
        for (size_t b = 0; b < kBins; b++) {
            if (level_[b] >= 0) continue;
            // The nearest bins that know.
            float below = kUnknown, above = kUnknown;
            for (size_t k = b; k-- > 0 && below < 0;) below = bins[k].size() >= kFewest ? level_[k] : kUnknown;
            for (size_t k = b + 1; k < kBins && above < 0; k++) above = bins[k].size() >= kFewest ? level_[k] : kUnknown;
            filled_[b] = below >= 0 && above >= 0 ? 0.5f * (below + above) : below >= 0 ? below : above >= 0 ? above : overall;
        }
        for (size_t b = 0; b < kBins; b++) {
            if (level_[b] < 0) level_[b] = filled_[b];
        }
    }

    float at(float brightness) const {
        const float b = std::clamp(brightness * kBins / 256.0f - 0.5f, 0.0f, float(kBins - 1));
        const size_t k = std::min(size_t(b), size_t(kBins - 2));
        const float t = b - float(k);
        return level_[k] * (1 - t) + level_[k + 1] * t;
    }

private:
    static constexpr int kBins = 12;
    static constexpr size_t kFewest = 6;
    static constexpr double kCalm = 0.1;
    std::array<float, kBins> level_{}, filled_{};
};

}  // namespace

void NoiseLevel::read(int y, int x, int count, float* dst) const {
    const auto place = [&](int pixel, int cells, int& index) {
        const float at = std::clamp((float(pixel) + 0.5f) / float(cell) - 0.5f, 0.0f, float(cells - 1));
        index = std::min(int(at), std::max(0, cells - 2));
        return at - float(index);
    };
    int row = 0;
    const float v = place(y, rows, row);
    const float* upper = local.data() + size_t(row) * size_t(columns);
    const float* lower = rows > 1 ? upper + columns : upper;
    for (int i = 0; i < count; i++) {
        int column = 0;
        const float u = place(x + i, columns, column);
        const int next = columns > 1 ? column + 1 : column;
        dst[i] = (1 - v) * ((1 - u) * upper[column] + u * upper[next]) + v * ((1 - u) * lower[column] + u * lower[next]);
    }
}

NoiseLevel uniform_level(double sigma) {
    NoiseLevel level;
    level.sigma = sigma;
    level.local = {float(sigma)};
    return level;
}

NoiseLevel estimate_noise_level(const SampleView& picture, WorkerPool* pool) {
    NoiseLevel level;
    level.cell = kWindow;
    const auto count_cells = [&](int size) { return std::max(1, size / level.cell); };
    while (int64_t(count_cells(picture.width())) * count_cells(picture.height()) > kMostCells) level.cell *= 2;
    level.columns = count_cells(picture.width());
    level.rows = count_cells(picture.height());

    std::vector<Window> windows(size_t(level.columns) * size_t(level.rows));
    const auto measure_row = [&](int row) {
        for (int column = 0; column < level.columns; column++) {
            const int h = std::min(kWindow, picture.height()), w = std::min(kWindow, picture.width());
            const int y = std::clamp(row * level.cell + (level.cell - h) / 2, 0, picture.height() - h);
            const int x = std::clamp(column * level.cell + (level.cell - w) / 2, 0, picture.width() - w);
            windows[size_t(row) * size_t(level.columns) + size_t(column)] = measure_window(picture, y, x, h, w);
        }
    };
    if (pool == nullptr) {
        for (int row = 0; row < level.rows; row++) measure_row(row);
    } else {
        int next = 0;
        pool->run([&]() -> WorkerPool::Task {
            if (next == level.rows) return {};
            return [&measure_row, row = next++] { measure_row(row); };
        });
    }

    if (std::none_of(windows.begin(), windows.end(), [](const Window& w) { return w.sigma >= 0; })) {
        NoiseLevel flat = uniform_level(diagonal_sigma(picture));
        return flat;
    }
    const LevelByBrightness usual(windows);
    constexpr float kExcess = 1.15f;  // over the calm windows of its brightness that a window is believed
    std::vector<float> believed;
    for (const Window& w : windows) {
        const float most = kExcess * usual.at(w.brightness);
        believed.push_back(w.sigma < 0 ? usual.at(w.brightness) : std::min(w.sigma, most));
    }
    // Means over 3×3 cells take the edges away, which the interpolation would show.
    double squares = 0;
    for (int row = 0; row < level.rows; row++) {
        for (int column = 0; column < level.columns; column++) {
            float sum = 0;
            int count = 0;
            for (int y = std::max(0, row - 1); y <= std::min(level.rows - 1, row + 1); y++) {
                for (int x = std::max(0, column - 1); x <= std::min(level.columns - 1, column + 1); x++, count++) {
                    sum += believed[size_t(y) * size_t(level.columns) + size_t(x)];
                }
            }
            level.local.push_back(sum / float(count));
            squares += double(level.local.back()) * level.local.back();
        }
    }
    level.sigma = std::sqrt(squares / double(level.local.size()));
    return level;
}

}  // namespace decant
