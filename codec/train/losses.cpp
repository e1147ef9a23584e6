#include "codec/train/losses.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "codec/error.h"

namespace decant {
namespace {

constexpr int kWindow = 11;
constexpr std::array<double, 5> kScaleWeights{0.0448, 0.2856, 0.3001, 0.2363, 0.1333};  // Wang 2003
constexpr double kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;
constexpr double kLeastSimilarity = 1e-4;  // below, the product's slope would explode

struct Plane {
    int width = 0, height = 0;
    std::vector<double> values;

    Plane() = default;
    Plane(int w, int h) : width(w), height(h), values(size_t(w) * size_t(h), 0.0) {}
    double& at(int y, int x) { return values[size_t(y) * size_t(width) + size_t(x)]; }
    double at(int y, int x) const { return values[size_t(y) * size_t(width) + size_t(x)]; }
};

std::array<double, kWindow> gaussian() {
    std::array<double, kWindow> w{};
    double sum = 0;
    for (int i = 0; i < kWindow; i++) sum += w[size_t(i)] = std::exp(-(i - 5) * (i - 5) / (2 * 1.5 * 1.5));
    for (double& v : w) v /= sum;
    return w;
}

// Weighted means of the windows that lie inside.
Plane blur(const Plane& p, const std::array<double, kWindow>& w) {
    Plane rows(p.width - kWindow + 1, p.height), result(p.width - kWindow + 1, p.height - kWindow + 1);
    for (int y = 0; y < p.height; y++) {
        for (int x = 0; x < rows.width; x++) {
            for (int i = 0; i < kWindow; i++) rows.at(y, x) += w[size_t(i)] * p.at(y, x + i);
        }
    }
    for (int y = 0; y < result.height; y++) {
        for (int i = 0; i < kWindow; i++) {
            for (int x = 0; x < result.width; x++) result.at(y, x) += w[size_t(i)] * rows.at(y + i, x);
        }
    }
    return result;
}

// The transpose of blur: gradients of its result to those of what it read.
Plane spread(const Plane& g, const std::array<double, kWindow>& w) {
    Plane rows(g.width, g.height + kWindow - 1), result(g.width + kWindow - 1, g.height + kWindow - 1);
    for (int y = 0; y < g.height; y++) {
        for (int i = 0; i < kWindow; i++) {
            for (int x = 0; x < g.width; x++) rows.at(y + i, x) += w[size_t(i)] * g.at(y, x);
        }
    }
    for (int y = 0; y < rows.height; y++) {
        for (int x = 0; x < rows.width; x++) {
            for (int i = 0; i < kWindow; i++) result.at(y, x + i) += w[size_t(i)] * rows.at(y, x);
        }
    }
    return result;
}

// Means of 2×2; where a side is odd a row or column of zeros stands in front, as in the metric.
Plane halve(const Plane& p) {
    const int left = p.width % 2, top = p.height % 2;
    Plane result((p.width + left) / 2, (p.height + top) / 2);
    for (int y = 0; y < p.height; y++) {
        for (int x = 0; x < p.width; x++) result.at((y + top) / 2, (x + left) / 2) += 0.25 * p.at(y, x);
    }
    return result;
}

void add_doubled(const Plane& half, Plane& to) {
    const int left = to.width % 2, top = to.height % 2;
    for (int y = 0; y < to.height; y++) {
        for (int x = 0; x < to.width; x++) to.at(y, x) += 0.25 * half.at((y + top) / 2, (x + left) / 2);
    }
}

Plane product(const Plane& a, const Plane& b) {
    Plane result = a;
    for (size_t i = 0; i < result.values.size(); i++) result.values[i] *= b.values[i];
    return result;
}

// What one scale contributes: the mean of contrast times structure, and at the last one of luminance, too; with its slope by x.
class Scale {
public:
    Scale(const Plane& x, const Plane& y, bool last, const std::array<double, kWindow>& w) : x_(x), y_(y), last_(last), window_(w) {
        mean_x_ = blur(x, w);
        mean_y_ = blur(y, w);
        xx_ = blur(product(x, x), w);
        yy_ = blur(product(y, y), w);
        xy_ = blur(product(x, y), w);
        for (size_t i = 0; i < mean_x_.values.size(); i++) {
            const double mx = mean_x_.values[i], my = mean_y_.values[i];
            xx_.values[i] -= mx * mx;
            yy_.values[i] -= my * my;
            xy_.values[i] -= mx * my;
            value_ += similarity(i) / double(mean_x_.values.size());
        }
    }

    double value() const { return value_; }

    // The gradient of slope·value by x.
    Plane backward(double slope) const {
        const double share = slope / double(mean_x_.values.size());
        Plane by_mean(mean_x_.width, mean_x_.height), by_xx = by_mean, by_xy = by_mean;
        for (size_t i = 0; i < mean_x_.values.size(); i++) {
            const double mx = mean_x_.values[i], my = mean_y_.values[i], spread_sum = xx_.values[i] + yy_.values[i] + kC2;
            const double contrast = (2 * xy_.values[i] + kC2) / spread_sum;
            const double square = mx * mx + my * my + kC1, light = last_ ? (2 * mx * my + kC1) / square : 1.0;
            by_xy.values[i] = share * light * 2 / spread_sum;
            by_xx.values[i] = -share * light * contrast / spread_sum;
            by_mean.values[i] = -by_xy.values[i] * my - 2 * by_xx.values[i] * mx;
            if (last_) by_mean.values[i] += share * contrast * 2 * (my - mx * light) / square;
        }
        Plane result = spread(by_mean, window_);
        const Plane xx = spread(by_xx, window_), xy = spread(by_xy, window_);
        for (size_t i = 0; i < result.values.size(); i++) result.values[i] += 2 * x_.values[i] * xx.values[i] + y_.values[i] * xy.values[i];
        return result;
    }

private:
    double similarity(size_t i) const {
        const double contrast = (2 * xy_.values[i] + kC2) / (xx_.values[i] + yy_.values[i] + kC2);
        if (!last_) return contrast;
        const double mx = mean_x_.values[i], my = mean_y_.values[i];
        return contrast * (2 * mx * my + kC1) / (mx * mx + my * my + kC1);
    }

    const Plane &x_, &y_;
    bool last_;
    const std::array<double, kWindow>& window_;
    Plane mean_x_, mean_y_, xx_, yy_, xy_;
    double value_ = 0;
};

// MS-SSIM of two planes; its gradient by the first.
double ms_ssim_of(const Plane& first, const Plane& second, Plane& gradient) {
    static const std::array<double, kWindow> window = gaussian();
    size_t scales = 0;
    for (int side = std::min(first.width, first.height); side >= kWindow && scales < kScaleWeights.size(); side = (side + 1) / 2) scales++;
    double total = 0;
    for (size_t s = 0; s < scales; s++) total += kScaleWeights[s];
    std::vector<Plane> x{first}, y{second};
    for (size_t s = 1; s < scales; s++) {
        x.push_back(halve(x.back()));
        y.push_back(halve(y.back()));
    }
    std::vector<Scale> parts;
    double result = 1;
    for (size_t s = 0; s < scales; s++) {
        parts.emplace_back(x[s], y[s], s + 1 == scales, window);
        result *= std::pow(std::max(parts[s].value(), kLeastSimilarity), kScaleWeights[s] / total);
    }
    Plane below;
    for (size_t s = scales; s-- > 0;) {
        const double value = parts[s].value();
        Plane g = value > kLeastSimilarity ? parts[s].backward(result * kScaleWeights[s] / total / value) : Plane(x[s].width, x[s].height);
        if (s + 1 < scales) add_doubled(below, g);
        below = std::move(g);
    }
    gradient = std::move(below);
    return result;
}

double ms_ssim_loss(double weight, const Shape& shape, std::span<const float> reconstruction, std::span<const float> target, std::span<float> gradient) {
    if (std::min(shape.h, shape.w) < kWindow) throw Error(ErrorCode::invalid_argument, "MS-SSIM as a loss needs crops of at least 11 pixels a side");
    const size_t channels = size_t(shape.c), pixels = size_t(shape.h) * size_t(shape.w);
    const double share = weight / double(size_t(shape.n) * channels);
    double loss = 0;
    for (size_t n = 0; n < size_t(shape.n); n++) {
        for (size_t c = 0; c < channels; c++) {
            Plane x(shape.w, shape.h), y = x, g;
            const size_t from = n * pixels * channels + c;
            for (size_t i = 0; i < pixels; i++) {
                x.values[i] = double(reconstruction[from + i * channels]);
                y.values[i] = double(target[from + i * channels]);
            }
            loss += share * (1 - ms_ssim_of(x, y, g));
            for (size_t i = 0; i < pixels; i++) gradient[from + i * channels] -= float(share * g.values[i]);
        }
    }
    return loss;
}

}  // namespace

double reconstruction_loss(const Losses& losses, const Shape& shape, std::span<const float> reconstruction, std::span<const float> target, std::span<float> gradient) {
    constexpr float kEpsilon = 0.5f / 255.0f;
    constexpr float kLeast = 1e-6f;  // of a probability
    const float share = 1.0f / float(shape.elements());
    double sum = 0;
    for (size_t i = 0; i < shape.elements(); i++) {
        const float d = reconstruction[i] - target[i], root = std::sqrt(d * d + kEpsilon * kEpsilon);
        float value = losses.mse * d * d + losses.l1 * std::abs(d) + losses.charbonnier * root;
        float slope = 2.0f * losses.mse * d + losses.l1 * float((d > 0) - (d < 0)) + losses.charbonnier * d / root;
        if (losses.cross_entropy > 0) {
            const float p = std::clamp(reconstruction[i], kLeast, 1.0f - kLeast), t = target[i];
            value -= losses.cross_entropy * (t * std::log(p) + (1 - t) * std::log(1 - p));
            slope += losses.cross_entropy * (p - t) / (p * (1 - p));
        }
        sum += double(value);
        gradient[i] = share * slope;
    }
    double loss = sum / double(shape.elements());
    if (losses.ms_ssim > 0) loss += ms_ssim_loss(double(losses.ms_ssim), shape, reconstruction, target, gradient);
    return loss;
}

}  // namespace decant
