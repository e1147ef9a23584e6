#include "codec/noise/noise.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "codec/error.h"
#include "codec/image/luma.h"
#include "codec/image/reader.h"
#include "codec/image/reflection.h"
#include "codec/image/writer.h"

namespace decant {
namespace {

Crop white_field(int width, int height, int channels, RandomStream& random) {
    Crop field(width, height, channels);
    for (float& v : field.values) v = random.normal();
    return field;
}

void add_scaled(Crop& crop, const Crop& field, float factor) {
    for (size_t i = 0; i < crop.values.size(); i++) crop.values[i] += factor * field.values[i];
}

std::vector<float> gaussian_taps(float radius) {
    const int reach = std::max(1, int(std::ceil(3.0f * radius)));
    std::vector<float> taps(size_t(2 * reach + 1));
    float sum = 0;
    for (int i = -reach; i <= reach; i++) sum += taps[size_t(i + reach)] = std::exp(-0.5f * float(i * i) / (radius * radius));
    for (float& t : taps) t /= sum;
    return taps;
}

// The standard deviation of white noise of unit variance after a separable filter.
float gain_of(const std::vector<float>& taps) {
    float squares = 0;
    for (float t : taps) squares += t * t;
    return squares;  // (√Σ t²)², since it is applied in both directions
}

// One direction of a filter: `count` rows of `size` values, `step` apart.
void filter(const std::vector<float>& taps, const float* src, float* dst, int size, size_t step) {
    const int reach = int(taps.size() / 2);
    for (int i = 0; i < size; i++) {
        float sum = 0;
        for (int k = -reach; k <= reach; k++) {
            const int at = i + k >= 0 && i + k < size ? i + k : reflect(i + k, size);
            sum += taps[size_t(k + reach)] * src[size_t(at) * step];
        }
        dst[size_t(i) * step] = sum;
    }
}

// The source positions that target position i is the mean of, for each i: a triangle of the larger pixel's width.
struct Taps {
    int first = 0;
    std::vector<float> weights;  // beyond an edge its position is meant
    float sum = 0;
};

std::vector<Taps> resizing_taps(int size, int target) {
    std::vector<Taps> result(static_cast<size_t>(target));
    const float scale = float(size) / float(target), reach = std::max(scale, 1.0f);
    for (int i = 0; i < target; i++) {
        Taps& t = result[size_t(i)];
        const float centre = (float(i) + 0.5f) * scale - 0.5f;
        t.first = int(std::ceil(centre - reach));
        for (int k = t.first; k <= int(std::floor(centre + reach)); k++) {
            t.weights.push_back(std::max(0.0f, 1.0f - std::fabs(float(k) - centre) / reach));
            t.sum += t.weights.back();
        }
    }
    return result;
}

// Rows of `run` values are weighted as wholes.
void resize(const float* src, int size, size_t run, float* dst, const std::vector<Taps>& taps) {
    for (const Taps& t : taps) {
        std::fill_n(dst, run, 0.0f);
        for (size_t k = 0; k < t.weights.size(); k++) {
            const float* from = src + size_t(std::clamp(t.first + int(k), 0, size - 1)) * run;
            for (size_t i = 0; i < run; i++) dst[i] += t.weights[k] * from[i];
        }
        for (size_t i = 0; i < run; i++) dst[i] /= t.sum;
        dst += run;
    }
}

// Bilinear demosaicing of an RGGB mosaic that has a border of one pixel.
Crop demosaiced(const Crop& sensor) {
    Crop result(sensor.width - 2, sensor.height - 2, 3);
    const auto at = [&](int y, int x) { return sensor.at(y + 1, x + 1, 0); };
    for (int y = 0; y < result.height; y++) {
        for (int x = 0; x < result.width; x++) {
            const float here = at(y, x);
            const float across = 0.5f * (at(y, x - 1) + at(y, x + 1)), along = 0.5f * (at(y - 1, x) + at(y + 1, x));
            const float corners = 0.25f * (at(y - 1, x - 1) + at(y - 1, x + 1) + at(y + 1, x - 1) + at(y + 1, x + 1));
            const bool red_row = y % 2 == 0, red_column = x % 2 == 0;
            float* rgb = &result.at(y, x, 0);
            if (red_row && red_column) {
                rgb[0] = here, rgb[1] = 0.5f * (across + along), rgb[2] = corners;
            } else if (!red_row && !red_column) {
                rgb[0] = corners, rgb[1] = 0.5f * (across + along), rgb[2] = here;
            } else {
                rgb[0] = red_row ? across : along, rgb[1] = here, rgb[2] = red_row ? along : across;
            }
        }
    }
    return result;
}

// What a camera does to noise in brightness and in colour.
void smooth_noise(Crop& noise, const CameraNoise& n) {
    if (n.luma_radius <= 0 && n.chroma_radius <= 0 && n.sharpening <= 0) return;
    Crop bright(noise.width, noise.height, 1);
    for (size_t i = 0; i < bright.values.size(); i++) {
        float* p = noise.values.data() + 3 * i;
        bright.values[i] = luma(p[0], p[1], p[2]);
        for (size_t c = 0; c < 3; c++) p[c] -= bright.values[i];
    }
    if (n.chroma_radius > 0) blur(noise, n.chroma_radius);
    if (n.luma_radius > 0) blur(bright, n.luma_radius);
    if (n.sharpening > 0) {
        Crop soft = bright;
        blur(soft, 1.0f);
        for (size_t i = 0; i < bright.values.size(); i++) bright.values[i] += n.sharpening * (bright.values[i] - soft.values[i]);
    }
    for (size_t i = 0; i < bright.values.size(); i++) {
        for (size_t c = 0; c < 3; c++) noise.values[3 * i + c] += bright.values[i];
    }
}

}  // namespace

Crop::Crop(int columns, int rows, int channel_count) : width(columns), height(rows), channels(channel_count) {
    if (columns < 1 || rows < 1 || (channel_count != 1 && channel_count != 3)) {
        throw Error(ErrorCode::invalid_argument, "crop of " + std::to_string(columns) + "x" + std::to_string(rows) + ", " +
                                                     std::to_string(channel_count) +
                                                     " channels: needs at least one pixel and 1 or 3 channels");
    }
    values.resize(pixels() * size_t(channels));
}

Crop::Crop(int columns, int rows, int channel_count, std::span<const uint8_t> samples) : Crop(columns, rows, channel_count) {
    if (samples.size() != values.size()) {
        throw Error(ErrorCode::invalid_argument,
                    "crop of " + std::to_string(values.size()) + " samples: " + std::to_string(samples.size()) + " are given");
    }
    std::copy(samples.begin(), samples.end(), values.begin());
}

void finish(Crop& crop) {
    for (float& v : crop.values) v = std::clamp(std::floor(v + 0.5f), 0.0f, 255.0f);
}

Crop::Crop(const Image& image) : Crop(int(image.width), int(image.height), image.channels, image.samples()) {}

std::vector<uint8_t> to_bytes(const Crop& crop) {
    std::vector<uint8_t> bytes(crop.values.size());
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = uint8_t(std::clamp(crop.values[i] + 0.5f, 0.0f, 255.0f));
    return bytes;
}

Image to_image(const Crop& crop) { return Image(uint32_t(crop.width), uint32_t(crop.height), crop.channels, to_bytes(crop)); }

double rms_difference(const Crop& a, const Crop& b) {
    if (a.values.size() != b.values.size())
        throw Error(ErrorCode::invalid_argument, "crops of different sizes have no difference");
    double sum = 0;
    for (size_t i = 0; i < a.values.size(); i++) sum += double(a.values[i] - b.values[i]) * double(a.values[i] - b.values[i]);
    return std::sqrt(sum / double(std::max<size_t>(1, a.values.size())));
}

void add_gaussian(Crop& crop, float sigma, RandomStream& random) {
    for (float& v : crop.values) v += sigma * random.normal();
}

void add_sensor_noise(Crop& crop, const SensorNoise& n, RandomStream& random) {
    for (float& v : crop.values) {
        const float value = std::clamp(v, 0.0f, 255.0f);
        const float light = n.gamma == 1.0f ? value : 255.0f * std::pow(value / 255.0f, n.gamma);
        // Poisson counts of more than a few electrons are as good as Gaussian (Foi 2008).
        const float noisy = light + std::sqrt(n.gain * light + n.read * n.read) * random.normal();
        v = n.gamma == 1.0f ? noisy : 255.0f * std::pow(std::clamp(noisy, 0.0f, 255.0f) / 255.0f, 1.0f / n.gamma);
    }
}

float sensor_sigma(const SensorNoise& n, float value) {
    const float light = 255.0f * std::pow(value / 255.0f, n.gamma);
    const float slope = n.gamma * std::pow(std::max(value, 1.0f) / 255.0f, n.gamma - 1.0f);  // of light by value
    return std::sqrt(n.gain * light + n.read * n.read) / slope;
}

void add_blurred(Crop& crop, float sigma, float radius, RandomStream& random) {
    if (radius <= 0) return add_gaussian(crop, sigma, random);
    // With a border, since reflected noise would be louder than the rest.
    const auto taps = gaussian_taps(radius);
    const int border = int(taps.size() / 2);
    Crop field = white_field(crop.width + 2 * border, crop.height + 2 * border, crop.channels, random);
    blur(field, radius);
    const float factor = sigma / gain_of(taps);
    for (int y = 0; y < crop.height; y++) {
        for (int x = 0; x < crop.width; x++) {
            for (int c = 0; c < crop.channels; c++) crop.at(y, x, c) += factor * field.at(y + border, x + border, c);
        }
    }
}

void add_resized(Crop& crop, float sigma, float scale, RandomStream& random) {
    const int width = std::max(1, int(std::lround(float(crop.width) * scale))),
              height = std::max(1, int(std::lround(float(crop.height) * scale)));
    const Crop field = resized(white_field(width, height, crop.channels, random), crop.width, crop.height);
    double squares = 0;
    for (float v : field.values) squares += double(v) * v;
    const double std = std::sqrt(squares / double(field.values.size()));
    // The interpolation's gain differs between pixels; its mean is taken from the field itself, unless that is a pixel or two.
    add_scaled(crop, field, sigma / float(field.values.size() < 16 ? 1.0 : std));
}

void add_demosaiced(Crop& crop, float sigma, RandomStream& random) {
    if (crop.channels == 1) return add_gaussian(crop, sigma, random);
    add_scaled(crop, demosaiced(white_field(crop.width + 2, crop.height + 2, 1, random)), sigma);
}

void add_camera_noise(Crop& crop, const CameraNoise& n, RandomStream& random) {
    const auto to_light = [&](float v) { return 255.0f * std::pow(std::clamp(v, 0.0f, 255.0f) / 255.0f, n.gamma); };
    const auto to_value = [&](float light) { return 255.0f * std::pow(std::clamp(light, 0.0f, 255.0f) / 255.0f, 1.0f / n.gamma); };
    const bool gray = crop.channels == 1;
    Crop light(crop.width, crop.height, 3);
    for (size_t i = 0; i < light.values.size(); i++) light.values[i] = to_light(crop.values[gray ? i / 3 : i]);

    const float own = 1.0f - 2.0f * n.crosstalk, other = n.crosstalk, balance[3] = {n.red, 1.0f, n.blue};
    Crop sensor(crop.width + 2, crop.height + 2, 1);  // of noise alone, with a border
    for (int y = -1; y <= crop.height; y++) {
        for (int x = -1; x <= crop.width; x++) {
            const int c = (y & 1) == 0 && (x & 1) == 0 ? 0 : (y & 1) != 0 && (x & 1) != 0 ? 2 : 1;
            const int v = std::clamp(y, 0, crop.height - 1), u = std::clamp(x, 0, crop.width - 1);
            float sum = 0;
            for (int k = 0; k < 3; k++) sum += (k == c ? own : other) * light.at(v, u, k);
            const float seen = sum / balance[c];
            sensor.at(y + 1, x + 1, 0) = std::sqrt(n.gain * seen + n.read * n.read) * random.normal();
        }
    }
    // The inverse of a matrix of `own` and `other` is such a matrix, too.
    const float step = own - other, back_own = (1.0f - other) / step, back_other = -other / step;
    Crop noise = demosaiced(sensor);
    for (size_t i = 0; i < noise.pixels(); i++) {
        float* p = noise.values.data() + 3 * i;
        const float rgb[3] = {p[0] * balance[0], p[1], p[2] * balance[2]};
        for (size_t c = 0; c < 3; c++) {
            float sum = 0;
            for (size_t k = 0; k < 3; k++) sum += (k == c ? back_own : back_other) * rgb[k];
            const float clean = light.values[3 * i + c];
            p[c] = to_value(clean + sum) - to_value(clean);
        }
    }
    smooth_noise(noise, n);
    for (size_t i = 0; i < crop.pixels(); i++) {
        const float* p = noise.values.data() + 3 * i;
        if (gray) {
            crop.values[i] += luma(p[0], p[1], p[2]);
        } else {
            for (size_t c = 0; c < 3; c++) crop.values[3 * i + c] += p[c];
        }
    }
}

void add_chroma(Crop& crop, float luma, float chroma, float radius, RandomStream& random) {
    if (crop.channels == 1) return add_gaussian(crop, luma, random);
    Crop field(crop.width, crop.height, 3);  // Cb, Cr, and a channel that is not used
    add_blurred(field, chroma, radius, random);
    for (size_t i = 0; i < crop.pixels(); i++) {
        const float y = luma * random.normal(), cb = field.values[3 * i], cr = field.values[3 * i + 1];
        crop.values[3 * i] += y + 1.402f * cr;
        crop.values[3 * i + 1] += y - 0.344136f * cb - 0.714136f * cr;
        crop.values[3 * i + 2] += y + 1.772f * cb;
    }
}

void add_salt_and_pepper(Crop& crop, float share, RandomStream& random) {
    for (size_t i = 0; i < crop.pixels(); i++) {
        const float at = random.next();
        if (at >= share) continue;
        for (int c = 0; c < crop.channels; c++)
            crop.values[i * size_t(crop.channels) + size_t(c)] = at < 0.5f * share ? 0.0f : 255.0f;
    }
}

void compress_jpeg(Crop& crop, int quality) {
    WriteOptions options;
    options.jpeg_quality = quality;
    const Image decoded = read_image(encode_image(to_image(crop), ImageFormat::jpeg, options), "JPEG noise");
    std::copy(decoded.samples().begin(), decoded.samples().end(), crop.values.begin());
}

void blur(Crop& crop, float radius) {
    if (radius <= 0) return;
    const auto taps = gaussian_taps(radius);
    std::vector<float> turned(crop.values.size());
    const size_t channels = size_t(crop.channels), row = size_t(crop.width) * channels;
    for (size_t y = 0; y < size_t(crop.height); y++) {
        for (size_t c = 0; c < channels; c++)
            filter(taps, crop.values.data() + y * row + c, turned.data() + y * row + c, crop.width, channels);
    }
    for (size_t x = 0; x < row; x++) filter(taps, turned.data() + x, crop.values.data() + x, crop.height, row);
}

Crop resized(const Crop& crop, int width, int height) {
    Crop wide(width, crop.height, crop.channels), result(width, height, crop.channels);
    const size_t channels = size_t(crop.channels), from = size_t(crop.width) * channels, to = size_t(width) * channels;
    const std::vector<Taps> across = resizing_taps(crop.width, width);
    for (size_t y = 0; y < size_t(crop.height); y++)
        resize(crop.values.data() + y * from, crop.width, channels, wide.values.data() + y * to, across);
    resize(wide.values.data(), crop.height, to, result.values.data(), resizing_taps(crop.height, height));
    return result;
}

}  // namespace decant
