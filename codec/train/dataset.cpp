#include "codec/train/dataset.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <optional>
#include <string_view>
#include <thread>

#include "codec/error.h"
#include "codec/image/luma.h"
#include "codec/image/reader.h"
#include "codec/io/file.h"
#include "codec/noise/noise.h"

namespace decant {
namespace {

// RGB of 8 bits, whatever the picture is.
Image as_rgb(Image picture) {
    const Image image = with_depth(std::move(picture), 8);
    if (image.channels == 3) return image;
    Image rgb(image.width, image.height, 3);
    for (size_t i = 0; i < rgb.samples().size(); i++) rgb.samples()[i] = image.samples()[i / 3];
    return rgb;
}

double mean_gradient(const Image& image) {
    double sum = 0;
    size_t count = 0;
    for (uint32_t y = 0; y < image.height; y += 2) {
        const uint8_t* row = image.row(y);
        for (uint32_t x = 2; x < image.width; x += 2, count++) sum += std::abs(int(row[3 * x + 1]) - int(row[3 * (x - 2) + 1]));
    }
    return count == 0 ? 0.0 : sum / double(count);
}

bool is_held_out(const std::string& stem, int every) {
    const std::string photograph = stem.substr(0, stem.find_last_of("_-"));
    uint32_t hash = 2166136261u;  // FNV-1a
    for (unsigned char c : photograph) hash = (hash ^ c) * 16777619u;
    return mix_bits(hash) % uint32_t(every) == 0;
}

// Pictures of other cameras, films and tastes: contrast, brightness and saturation of one crop in three are changed, and its primary
// colours exchanged in one of six. A few hundred photographs do not show how far colours and edges go.
void vary_colours(RandomStream& random, std::span<uint8_t> rgb) {
    if (random.next() < 1.0f / 6.0f) {
        constexpr uint8_t kOrders[5][3] = {{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        const uint8_t* order = kOrders[random.below(5)];
        for (size_t i = 0; i < rgb.size(); i += 3) {
            const uint8_t old[3] = {rgb[i], rgb[i + 1], rgb[i + 2]};
            for (size_t c = 0; c < 3; c++) rgb[i + c] = old[order[c]];
        }
    }
    if (random.next() >= 1.0f / 3.0f) return;
    const float contrast = std::exp2(random.next() * 1.2f - 0.4f), saturation = std::exp2(random.next() * 1.6f - 0.6f);
    const float brightness = 128.0f + 50.0f * (random.next() - 0.5f);
    for (size_t i = 0; i < rgb.size(); i += 3) {
        const float bright = luma(rgb[i], rgb[i + 1], rgb[i + 2]);
        for (size_t c = 0; c < 3; c++) {
            const float v = (bright + (float(rgb[i + c]) - bright) * saturation - 128.0f) * contrast + brightness;
            rgb[i + c] = uint8_t(std::clamp(v + 0.5f, 0.0f, 255.0f));
        }
    }
}

// More contrast of what ink covers, around a middle of at most a half, so that no stroke gets thinner. White and black stay.
void sharpen_ink(RandomStream& random, float crispest, std::span<uint8_t> rgb) {
    const float contrast = std::pow(crispest, random.next()), middle = 0.5f - random.next() * 0.5f * (1.0f - 1.0f / contrast);
    for (uint8_t& v : rgb) v = uint8_t(255.0f * (1.0f - std::clamp(0.5f + contrast * (1.0f - float(v) / 255.0f - middle), 0.0f, 1.0f)) + 0.5f);
}

// Lines, dots, rings and checks, fine and regular as no photograph is: a network that has never seen such answers with anything.
// They cover a rectangle of the crop, often all of it.
void draw_pattern(RandomStream& random, int side, std::span<uint8_t> rgb) {
    const auto between = [&](float low, float high) { return low + (high - low) * random.next(); };
    const int kind = random.below(4);
    const float period = 2.0f * std::exp2(between(0.0f, 4.0f)), angle = std::numbers::pi_v<float> * random.next();
    const float ny = std::sin(angle) / period, nx = std::cos(angle) / period, phase = random.next();
    const float cy = between(-0.5f, 1.5f) * float(side), cx = between(-0.5f, 1.5f) * float(side);
    const float chirp = between(0.1f, 0.5f) / float(side);  // of rings: cycles a pixel, a pixel from the centre
    const float hard = random.next() < 0.5f ? 1.0f : 20.0f, threshold = between(-0.8f, 0.8f);
    float low[3], high[3];
    const bool gray = random.next() < 0.5f;
    for (int c = 0; c < 3; c++) {
        low[c] = gray && c > 0 ? low[0] : between(0.0f, 255.0f);
        high[c] = gray && c > 0 ? high[0] : between(0.0f, 255.0f);
    }
    int y0 = 0, x0 = 0, y1 = side, x1 = side;
    if (random.next() < 0.6f) {
        y0 = random.below(side), x0 = random.below(side);
        y1 = y0 + 1 + random.below(side - y0), x1 = x0 + 1 + random.below(side - x0);
    }
    const auto wave = [](float turns) { return std::sin(2.0f * std::numbers::pi_v<float> * turns); };
    for (int y = y0; y < y1; y++) {
        for (int x = x0; x < x1; x++) {
            const float u = nx * float(x) + ny * float(y) + phase, v = nx * float(y) - ny * float(x);
            const float r2 = (float(y) - cy) * (float(y) - cy) + (float(x) - cx) * (float(x) - cx);
            const float value = kind == 0 ? wave(u) : kind == 1 ? wave(u) * wave(v) : kind == 2 ? 0.5f * (wave(u) + wave(v)) : wave(0.5f * chirp * r2 + phase);
            const float t = std::clamp(0.5f + 0.5f * hard * (value - (hard > 1.0f ? threshold : 0.0f)), 0.0f, 1.0f);
            for (size_t c = 0; c < 3; c++) rgb[size_t(y * side + x) * 3 + c] = uint8_t(low[c] + (high[c] - low[c]) * t + 0.5f);
        }
    }
}

void cut(const Image& image, int side, int y0, int x0, std::span<uint8_t> dst) {
    for (int y = 0; y < side; y++) std::copy_n(image.row(uint32_t(y0 + y)) + 3 * x0, 3 * side, dst.data() + size_t(y) * 3 * size_t(side));
}

}  // namespace

Dataset::Dataset(const std::string& folder, const DatasetOptions& options) : options_(options) {
    namespace fs = std::filesystem;
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        if (it->is_regular_file(error)) paths.push_back(it->path());
    }
    if (error) throw Error(ErrorCode::not_found, folder + ": cannot list the folder: " + error.message());
    std::sort(paths.begin(), paths.end());

    // Threads decode a stretch of names at a time; what fits is decided in the order of the names, so that it does not depend on them.
    constexpr size_t kStretch = 64;
    std::vector<std::optional<Image>> images(paths.size());
    std::vector<std::string> reasons(paths.size());  // why they are left out; empty: memory is full
    uint64_t bytes = 0;
    for (size_t first = 0; first < paths.size() && bytes < options.max_bytes; first += kStretch) {
        const size_t end = std::min(paths.size(), first + kStretch);
        std::atomic<size_t> next{first};
        const auto load = [&] {
            for (size_t i; (i = next++) < end;) {
                try {
                    images[i] = as_rgb(read_image(read_file(paths[i].string()), paths[i].string()));
                } catch (const Error& e) {
                    reasons[i] = e.what();  // left out, and counted
                }
            }
        };
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); t++) threads.emplace_back(load);
        threads.clear();
        for (size_t i = first; i < end; i++) {
            if (!images[i]) continue;
            const uint64_t size = images[i]->samples().size();
            const bool is_small = int64_t(std::min(images[i]->width, images[i]->height)) < options.min_side;
            if (is_small || bytes + size > options.max_bytes) {
                if (is_small) reasons[i] = paths[i].string() + ": has sides of less than " + std::to_string(options.min_side) + " pixels";
                images[i].reset();
            } else {
                bytes += size;
            }
        }
    }
    for (size_t i = 0; i < images.size(); i++) {
        if (!images[i]) {
            if (left_out_++ == 0) why_left_out_ = reasons[i].empty() ? paths[i].string() + ": memory is full" : reasons[i];
        } else if (is_held_out(paths[i].stem().string(), options.held_out_every)) {
            validation_.push_back(std::move(*images[i]));
        } else {
            const double weight = std::clamp(mean_gradient(*images[i]), 2.0, 12.0);
            cumulative_.push_back(weight + (cumulative_.empty() ? 0.0 : cumulative_.back()));
            training_.push_back(std::move(*images[i]));
        }
    }
    if (training_.empty() || validation_.empty()) {
        throw Error(ErrorCode::not_found, folder + ": " + std::to_string(training_.size()) + " pictures to train on and " + std::to_string(validation_.size()) +
                                              " held out for validation; at least one of each is needed, with sides of at least " +
                                              std::to_string(options.min_side) + " pixels");
    }
}

void Dataset::crop(RandomStream& random, int side, std::span<uint8_t> dst) const {
    const double at = double(random.next()) * cumulative_.back();
    const size_t index = std::min(size_t(std::upper_bound(cumulative_.begin(), cumulative_.end(), at) - cumulative_.begin()), training_.size() - 1);
    const Image& image = training_[index];
    int seen = side;  // pixels of the picture a side
    if (options_.smallest_size < options_.largest_size) {
        const double low = std::log(options_.smallest_size), high = std::log(options_.largest_size);
        seen = int(std::lround(double(side) / std::exp(low + (high - low) * double(random.next()))));
        seen = std::clamp(seen, 1, int(std::min(image.width, image.height)));
    }
    const int y0 = random.below(int(image.height) - seen + 1), x0 = random.below(int(image.width) - seen + 1);
    if (seen == side) {
        cut(image, side, y0, x0, dst);
    } else {
        std::vector<uint8_t> pixels(size_t(seen) * size_t(seen) * 3);
        cut(image, seen, y0, x0, pixels);
        std::ranges::copy(to_bytes(resized(Crop(seen, seen, 3, pixels), side, side)), dst.begin());
    }
    if (options_.crispest > 1) sharpen_ink(random, options_.crispest, dst.first(size_t(side) * size_t(side) * 3));
    const uint32_t turn = random.bits();
    const auto swap_pixels = [&](int ya, int xa, int yb, int xb) {
        std::swap_ranges(dst.begin() + (ya * side + xa) * 3, dst.begin() + (ya * side + xa) * 3 + 3, dst.begin() + (yb * side + xb) * 3);
    };
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            if ((turn & 1) && x < side / 2) swap_pixels(y, x, y, side - 1 - x);
        }
    }
    for (int y = 0; y < side / 2; y++) {
        for (int x = 0; x < side; x++) {
            if (turn & 2) swap_pixels(y, x, side - 1 - y, x);
        }
    }
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < y; x++) {
            if (turn & 4) swap_pixels(y, x, x, y);
        }
    }
    if (options_.patterns > 0 && random.next() < options_.patterns) draw_pattern(random, side, dst);
    if (options_.other_colours) vary_colours(random, dst.first(size_t(side) * size_t(side) * 3));
}

void Dataset::validation_crop(size_t index, int side, std::span<uint8_t> dst) const {
    const Image& image = validation_[index];
    cut(image, side, (int(image.height) - side) / 2, (int(image.width) - side) / 2, dst);
}

}  // namespace decant
