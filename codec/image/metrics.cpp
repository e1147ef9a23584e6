#include "codec/image/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "codec/error.h"
#include "codec/image/differences.h"

namespace decant {
void check_same_shape(const Image& reference, const Image& distorted) {
    check_image(reference);
    check_image(distorted);
    const std::string shapes = describe_shape(reference) + " and " + describe_shape(distorted);
    if (reference.width != distorted.width || reference.height != distorted.height || reference.channels != distorted.channels)
        throw Error(ErrorCode::invalid_argument, "the pictures differ in shape: " + shapes + "; compare pictures of one shape");
    if (reference.depth() != distorted.depth())
        throw Error(ErrorCode::invalid_argument,
                    "the pictures differ in depth: " + shapes + "; bring them to one depth first, which is never done silently");
}

namespace {

// One channel, samples 0..255.
struct Plane {
    std::size_t width = 0;
    std::size_t height = 0;
    std::vector<float> samples;

    const float* row(std::size_t y) const { return samples.data() + y * width; }
};

Plane extract_channel(const Image& image, int channel) {
    Plane plane{image.width, image.height, std::vector<float>(image.pixel_count())};
    const auto step = static_cast<std::size_t>(image.channels);
    image.visit([&]<Sample T>(const std::vector<T>& samples) {
        constexpr float scale = 255.0F / static_cast<float>(std::numeric_limits<T>::max());
        for (std::size_t i = 0; i < plane.samples.size(); ++i)
            plane.samples[i] = scale * static_cast<float>(samples[i * step + static_cast<std::size_t>(channel)]);
    });
    return plane;
}

Plane halve(const Plane& src) {
    const std::size_t odd_x = src.width % 2, odd_y = src.height % 2;
    Plane dst{(src.width + odd_x) / 2, (src.height + odd_y) / 2, {}};
    dst.samples.resize(dst.width * dst.height);
    const auto sample = [&](std::size_t y, std::size_t x) {  // y and x count from the padding
        return (y < odd_y || x < odd_x) ? 0.0F : src.row(y - odd_y)[x - odd_x];
    };
    for (std::size_t y = 0; y < dst.height; ++y)
        for (std::size_t x = 0; x < dst.width; ++x)
            dst.samples[y * dst.width + x] = 0.25F * ((sample(2 * y, 2 * x) + sample(2 * y, 2 * x + 1)) +
                                                      (sample(2 * y + 1, 2 * x) + sample(2 * y + 1, 2 * x + 1)));
    return dst;
}

constexpr std::size_t window_size = 11;
constexpr std::array<double, 5> scale_weights = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

using Window = std::array<float, window_size>;

Window gaussian_window() {
    constexpr double sigma = 1.5;
    std::array<double, window_size> values{};
    double sum = 0;
    for (std::size_t i = 0; i < window_size; ++i) {
        const double distance = static_cast<double>(i) - static_cast<double>(window_size / 2);
        values[i] = std::exp(-distance * distance / (2 * sigma * sigma));
        sum += values[i];
    }
    Window window{};
    for (std::size_t i = 0; i < window_size; ++i) window[i] = static_cast<float>(values[i] / sum);
    return window;
}

void filter_row(const Window& window, const float* src, std::size_t dst_width, float* dst) {
    for (std::size_t x = 0; x < dst_width; ++x) {
        float sum = 0;
        for (std::size_t k = 0; k < window_size; ++k) sum += window[k] * src[x + k];
        dst[x] = sum;
    }
}

struct Similarity {
    double structure = 0;  // mean of contrast x structure
    double full = 0;       // mean of luminance x contrast x structure
};

// The local statistics of a pair of planes, one output row at a time: every input row is filtered along x once and kept
// as long as a window above it needs it.
Similarity compare_scale(const Plane& a, const Plane& b, const Window& window) {
    // Samples are moved to -128..127 first: variances do not change, and their squares lose fewer digits.
    constexpr float middle = 128, c1 = (0.01F * 255) * (0.01F * 255), c2 = (0.03F * 255) * (0.03F * 255);
    enum { mean_a, mean_b, squares, product, statistic_count };
    const std::size_t dst_width = a.width - window_size + 1, dst_height = a.height - window_size + 1;
    std::array<std::vector<float>, statistic_count> ring, src, dst;
    for (auto& rows : ring) rows.resize(window_size * dst_width);
    for (auto& row : src) row.resize(a.width);
    for (auto& row : dst) row.resize(dst_width);

    Similarity sum;
    for (std::size_t y = 0; y < a.height; ++y) {
        for (std::size_t x = 0; x < a.width; ++x) {
            const float value_a = a.row(y)[x] - middle, value_b = b.row(y)[x] - middle;
            src[mean_a][x] = value_a;
            src[mean_b][x] = value_b;
            src[squares][x] = value_a * value_a + value_b * value_b;
            src[product][x] = value_a * value_b;
        }
        for (std::size_t s = 0; s < statistic_count; ++s)
            filter_row(window, src[s].data(), dst_width, ring[s].data() + y % window_size * dst_width);
        if (y + 1 < window_size) continue;

        for (std::size_t s = 0; s < statistic_count; ++s) {
            std::fill(dst[s].begin(), dst[s].end(), 0.0F);
            for (std::size_t k = 0; k < window_size; ++k) {
                const float* row = ring[s].data() + (y + 1 + k) % window_size * dst_width;  // oldest row first
                float* target = dst[s].data();
                for (std::size_t x = 0; x < dst_width; ++x) target[x] += window[k] * row[x];
            }
        }
        for (std::size_t x = 0; x < dst_width; ++x) {
            const float moved_a = dst[mean_a][x], moved_b = dst[mean_b][x];
            const float variances = dst[squares][x] - (moved_a * moved_a + moved_b * moved_b);
            const float covariance = dst[product][x] - moved_a * moved_b;
            const float structure = (2 * covariance + c2) / (variances + c2);
            const float mu_a = moved_a + middle, mu_b = moved_b + middle;
            const float luminance = (2 * mu_a * mu_b + c1) / (mu_a * mu_a + mu_b * mu_b + c1);
            sum.structure += static_cast<double>(structure);
            sum.full += static_cast<double>(luminance * structure);
        }
    }
    const double count = static_cast<double>(dst_width) * static_cast<double>(dst_height);
    return {sum.structure / count, sum.full / count};
}

std::size_t count_scales(std::size_t side) {
    std::size_t scales = 0;
    for (; scales < scale_weights.size() && side >= window_size; side = (side + 1) / 2) ++scales;
    return scales;
}

// SSIM is that of the first scale, which MS-SSIM needs as well.
struct SsimPair {
    double single_scale = 0, multi_scale = 1;
};

SsimPair compare_channel(Plane a, Plane b, std::size_t scales, const Window& window) {
    double weight_sum = 0;
    for (std::size_t s = 0; s < scales; ++s) weight_sum += scale_weights[s];
    SsimPair result;
    for (std::size_t s = 0; s < scales; ++s) {
        const Similarity similarity = compare_scale(a, b, window);
        if (s == 0) result.single_scale = similarity.full;
        const bool is_last = s + 1 == scales;
        result.multi_scale *=
            std::pow(std::max(is_last ? similarity.full : similarity.structure, 0.0), scale_weights[s] / weight_sum);
        if (is_last) break;
        a = halve(a);
        b = halve(b);
    }
    return result;
}

// With at most that many scales. Of pictures of one shape.
SsimPair compare_scales(const Image& reference, const Image& distorted, std::size_t most_scales) {
    const std::size_t scales = std::min(count_scales(std::min(reference.width, reference.height)), most_scales);
    if (scales == 0)
        throw Error(ErrorCode::unsupported, "SSIM and MS-SSIM need at least " + std::to_string(window_size) +
                                                " pixels a side, not " + describe_shape(reference) + "; use PSNR");
    const Window window = gaussian_window();
    SsimPair sum{0, 0};
    for (int c = 0; c < reference.channels; ++c) {
        const SsimPair of_channel =
            compare_channel(extract_channel(reference, c), extract_channel(distorted, c), scales, window);
        sum.single_scale += of_channel.single_scale / reference.channels;
        sum.multi_scale += of_channel.multi_scale / reference.channels;
    }
    return sum;
}

}  // namespace

double psnr_of(double mean_squared_error, int depth) {
    if (mean_squared_error == 0) return std::numeric_limits<double>::infinity();
    const double peak = (1 << depth) - 1;
    return 10 * std::log10(peak * peak / mean_squared_error);
}

namespace {

Differences differences_of(const Image& reference, const Image& distorted) {
    check_same_shape(reference, distorted);
    Differences differences;
    reference.visit([&]<Sample T>(const std::vector<T>& a) { differences.add(std::span(a), std::span(distorted.samples<T>())); });
    return differences;
}

}  // namespace

double mse(const Image& reference, const Image& distorted) {
    return static_cast<double>(differences_of(reference, distorted).squares) /
           (static_cast<double>(reference.pixel_count()) * reference.channels);
}

double psnr(const Image& reference, const Image& distorted) { return psnr_of(mse(reference, distorted), reference.depth()); }

double psnr_luma(const Image& reference, const Image& distorted) {
    if (reference.channels != 3) return psnr(reference, distorted);
    check_same_shape(reference, distorted);
    return reference.visit([&]<Sample T>(const std::vector<T>& a) {
        const std::vector<T>& b = distorted.samples<T>();
        // In thousandths, so that the sum of the differences is exact.
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); i += 3) {
            const int thousandths = 299 * (int{a[i]} - int{b[i]}) + 587 * (int{a[i + 1]} - int{b[i + 1]}) +
                                    114 * (int{a[i + 2]} - int{b[i + 2]});
            sum += static_cast<double>(thousandths) * thousandths;
        }
        return psnr_of(sum * 1e-6 / static_cast<double>(reference.pixel_count()), reference.depth());
    });
}

std::uint32_t max_error(const Image& reference, const Image& distorted) { return differences_of(reference, distorted).largest; }

double ssim(const Image& reference, const Image& distorted) {
    check_same_shape(reference, distorted);
    return compare_scales(reference, distorted, 1).single_scale;
}

double ms_ssim(const Image& reference, const Image& distorted) {
    check_same_shape(reference, distorted);
    return compare_scales(reference, distorted, scale_weights.size()).multi_scale;
}

Distortion measure_distortion(const Image& reference, const Image& distorted) {
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    Distortion result{psnr(reference, distorted), psnr_luma(reference, distorted), none, none, max_error(reference, distorted)};
    if (count_scales(std::min(reference.width, reference.height)) == 0) return result;
    const SsimPair similarity = compare_scales(reference, distorted, scale_weights.size());
    result.ssim = similarity.single_scale;
    result.ms_ssim = similarity.multi_scale;
    return result;
}

}  // namespace decant
