#include "codec/denoise/page_detector.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "codec/image/luma.h"

namespace decant {
namespace {

constexpr int kCell = 16;       // positions of the reduced picture a side
constexpr int kReduced = 1024;  // positions that a long side is reduced to, about

struct Reduced {
    int width = 0, height = 0;
    std::vector<float> luma;
    double saturation = 0;
};

// Means of k × k pixels. At least of 2 × 2: what is left of noise then hides no ink.
Reduced reduce(const SampleView& picture) {
    const int k = std::max(1, int(std::lround(double(std::max(picture.width(), picture.height())) / kReduced))) + 1;
    Reduced r;
    r.width = picture.width() / k;
    r.height = picture.height() / k;
    const int channels = picture.channels();
    std::vector<float> row(size_t(r.width) * size_t(k) * size_t(channels)), sums(size_t(r.width) * size_t(channels));
    for (int y = 0; y < r.height; y++) {
        std::fill(sums.begin(), sums.end(), 0.0f);
        for (int dy = 0; dy < k; dy++) {
            picture.read(y * k + dy, 0, r.width * k, row.data());
            const float* from = row.data();
            for (int x = 0; x < r.width; x++) {
                float* sum = sums.data() + size_t(x) * size_t(channels);
                for (int dx = 0; dx < k; dx++, from += channels) {
                    for (int c = 0; c < channels; c++) sum[c] += from[c];
                }
            }
        }
        const float share = 1.0f / float(k * k);
        for (int x = 0; x < r.width; x++) {
            const float* p = sums.data() + size_t(x) * size_t(channels);
            if (channels == 1) {
                r.luma.push_back(share * p[0]);
                continue;
            }
            const auto [low, high] = std::minmax({p[0], p[1], p[2]});
            r.saturation += double(share * (high - low));
            r.luma.push_back(share * luma(p[0], p[1], p[2]));
        }
    }
    if (!r.luma.empty()) r.saturation /= double(r.luma.size());
    return r;
}

float quantile(std::vector<float>& values, double share) {
    const auto at = values.begin() + std::ptrdiff_t(share * double(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

// Of the noise that is left, by the median of the finest diagonal details (Donoho & Johnstone 1994).
float remaining_noise(const Reduced& r) {
    std::vector<float> details;
    for (int y = 0; y + 1 < r.height; y += 2) {
        const float* upper = r.luma.data() + size_t(y) * size_t(r.width);
        const float* lower = upper + r.width;
        for (int x = 0; x + 1 < r.width; x += 2) details.push_back(0.5f * std::fabs(upper[x] - upper[x + 1] - lower[x] + lower[x + 1]));
    }
    return quantile(details, 0.5) / 0.6745f;
}

}  // namespace

PageEvidence page_evidence(const SampleView& picture) {
    const Reduced r = reduce(picture);
    const int rows = r.height / kCell, columns = r.width / kCell;
    PageEvidence e;
    if (rows < 2 || columns < 2) return e;
    const float noise = remaining_noise(r);
    struct Cell {
        float dark, middle, light, top;
    };
    std::vector<Cell> cells;
    std::vector<float> values;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
            values.clear();
            for (int i = 0; i < kCell; i++) {
                const float* row = r.luma.data() + size_t(y * kCell + i) * size_t(r.width) + size_t(x) * kCell;
                values.insert(values.end(), row, row + kCell);
            }
            // Quantiles of what is below the noise: its own, those of a normal distribution, are taken away.
            cells.push_back({quantile(values, 0.06) + 1.55f * noise, quantile(values, 0.5), quantile(values, 0.9) - 1.28f * noise,
                             quantile(values, 0.95) - 1.64f * noise});
        }
    }
    // The ground of a cell is what is light in the cells around it, even where it is covered itself.
    std::vector<float> ground;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
            values.clear();
            for (int v = y - 1; v <= y + 1; v++) {
                for (int u = x - 1; u <= x + 1; u++)
                    values.push_back(cells[size_t(std::clamp(v, 0, rows - 1) * columns + std::clamp(u, 0, columns - 1))].light);
            }
            ground.push_back(quantile(values, 0.75));
        }
    }
    const double count = double(rows) * double(columns);
    double down = 0, across = 0;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
            const size_t at = size_t(y * columns + x);
            const float g = ground[at];
            e.ground += double(g);
            if (y > 0) down += double(std::fabs(g - ground[at - size_t(columns)]));
            if (x > 0) across += double(std::fabs(g - ground[at - 1]));
            const Cell& c = cells[at];
            const auto mark = [&](PageEvidence::Marks& marks, float dark, float middle, float top) {
                if (c.dark >= dark * g) return;
                marks.all += 1 / count;
                if (c.middle > middle * g && c.top < top * g) marks.strokes += 1 / count;
            };
            mark(e.ink, 0.75f, 0.85f, 1.12f);
            mark(e.pale, 0.85f, 0.91f, 1.075f);
        }
    }
    e.ground /= count;
    e.saturation = r.saturation;
    if (e.ground > 0) e.roughness = 0.5 * (down / (double(rows - 1) * columns) + across / (double(rows) * (columns - 1))) / e.ground;
    return e;
}

bool is_page(const PageEvidence& e) {
    const bool has_ink = e.roughness < 0.022 && e.saturation < 25 && e.ink.strokes > 0.06 && e.ink.strokes > 0.62 * e.ink.all;
    const bool has_pale_ink = e.roughness < 0.012 && e.saturation < 4 && e.pale.strokes > 0.06 && e.pale.strokes > 0.8 * e.pale.all;
    return e.ground > 90 && (has_ink || has_pale_ink);
}

}  // namespace decant
