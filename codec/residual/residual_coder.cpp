#include "codec/residual/residual_coder.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "codec/entropy/decision_coder.h"
#include "codec/error.h"

namespace decant {
namespace {

constexpr uint32_t kBandRows = 64;
constexpr int kMostBits = 18;  // behind the highest of |d|
constexpr std::array<int32_t, 12> kBounds = {1, 2, 3, 5, 8, 12, 18, 28, 48, 96, 256, 1024};
constexpr size_t kContexts = kBounds.size() + 1;
constexpr int32_t kLargest = 1 << 20;  // of k; what no encoder writes is cut to it

// Between the values that a bound lets a sample have.
int32_t step_of(uint16_t bound) { return 2 * int32_t{bound} + 1; }

// What stands before the bands.
std::vector<uint8_t> head_of(uint16_t bound) { return {uint8_t(bound), uint8_t(bound >> 8)}; }

size_t band_count(uint32_t height) { return (height + kBandRows - 1) / kBandRows; }

// 0 … 2, by sign.
size_t sign_of(int32_t d) { return d == 0 ? 0 : d > 0 ? 1 : 2; }

// Of each channel in the order of coding, where it lies in a pixel.
std::span<const size_t> channel_order(int channels) {
    static constexpr std::array<size_t, 1> kGray = {0};
    static constexpr std::array<size_t, 3> kColour = {1, 0, 2};
    return channels == 1 ? std::span<const size_t>(kGray) : std::span<const size_t>(kColour);
}

// From those of the channels before, with one of four weights.
int32_t predicted(std::span<const int32_t> before, uint32_t weight) {
    constexpr std::array<int32_t, 4> kWeights = {0, 2, 3, 4};
    if (before.empty()) return 0;
    const int32_t p = before.size() == 1 ? before[0] : (before[0] + before[1]) >> 1;
    return kWeights[weight] * p >> 2;
}

// A band, in either direction: the same decisions for both.
template <class Coder>
class BandModel {
public:
    BandModel(Coder& coder, uint32_t width, int channels) : coder_(coder), channels_(size_t(channels)), above_((width + 2) * channels_), row_(above_.size()) {}

    // k: [channels] in the order of coding; as it is for a writer, filled in by a reader. Call for each pixel, in rows.
    void code_pixel(uint32_t x, std::span<int32_t> k, const std::array<uint32_t, 3>& weights) {
        for (size_t c = 0; c < channels_; c++) {
            const int32_t p = predicted(k.first(c), weights[c]);
            k[c] = std::clamp(code(x, c, k[c] - p) + p, -kLargest, kLargest);
        }
    }
    void end_row() {
        std::swap(above_, row_);
        std::fill(row_.begin(), row_.end(), 0);
    }

private:
    struct Estimates {
        std::array<AdaptiveBit, kContexts> zero;
        std::array<AdaptiveBit, 9> negative;
        std::array<std::array<AdaptiveBit, kMostBits>, kContexts> larger;
        std::array<AdaptiveBit, kMostBits + 1> second;
    };

    int32_t code(uint32_t x, size_t channel, int32_t d) {
        const size_t at = (x + 1) * channels_ + channel;
        const int32_t w = row_[at - channels_], n = above_[at], nw = above_[at - channels_], ne = above_[at + channels_];
        const int64_t activity = 2 * int64_t{std::abs(w)} + 2 * int64_t{std::abs(n)} + std::abs(nw) + std::abs(ne);
        const auto context = size_t(std::upper_bound(kBounds.begin(), kBounds.end(), activity) - kBounds.begin());
        Estimates& e = estimates_[channel];
        if (coder_.decide(d == 0, e.zero[context])) return 0;
        const bool negative = coder_.decide(d < 0, e.negative[3 * sign_of(w) + sign_of(n)]);
        const auto size = uint32_t(std::abs(d));
        int bits = 0;
        while (bits < kMostBits && coder_.decide(size >> (bits + 1) != 0, e.larger[context][size_t(bits)])) bits++;
        uint32_t value = 1;
        if (bits > 0) {
            value = 2 | uint32_t(coder_.decide((size >> (bits - 1) & 1) != 0, e.second[size_t(bits)]));
            const int rest = bits - 1, upper = std::max(rest - kProbabilityBits, 0), lower = rest - upper;
            value = value << upper | coder_.raw(size >> lower & ((1u << upper) - 1), upper);
            value = value << lower | coder_.raw(size & ((1u << lower) - 1), lower);
        }
        return row_[at] = negative ? -int32_t(value) : int32_t(value);
    }

    Coder& coder_;
    const size_t channels_;
    std::vector<int32_t> above_, row_;  // d, with a pixel of 0 at either end
    std::array<Estimates, 3> estimates_;
};

template <class T>
int32_t steps(T original, T decoded, int32_t step) {
    const int32_t difference = int32_t{original} - int32_t{decoded}, half = step / 2;
    return difference >= 0 ? (difference + half) / step : -((half - difference) / step);
}

// Of each channel the weight with the smallest sum of |d|.
std::array<uint32_t, 3> best_weights(std::span<const int32_t> k, size_t channels) {
    std::array<uint32_t, 3> best{};
    for (size_t c = 1; c < channels; c++) {
        int64_t least = -1;
        for (uint32_t w = 0; w < 4; w++) {
            int64_t sum = 0;
            for (size_t i = 0; i < k.size(); i += channels) sum += std::abs(k[i + c] - predicted(k.subspan(i, c), w));
            if (least >= 0 && sum >= least) continue;
            least = sum;
            best[c] = w;
        }
    }
    return best;
}

template <Sample T>
std::vector<uint8_t> encode_band_of(const Image& original, const Image& decoded, int32_t step, uint32_t first, uint32_t end) {
    const std::span<const size_t> order = channel_order(original.channels);
    const size_t channels = order.size();
    std::vector<int32_t> k;
    k.reserve(size_t(end - first) * original.width * channels);
    for (uint32_t y = first; y < end; y++) {
        const T *a = original.row<T>(y), *b = decoded.row<T>(y);
        for (size_t i = 0; i < size_t(original.width) * channels; i += channels) {
            for (const size_t c : order) k.push_back(steps(a[i + c], b[i + c], step));
        }
    }
    const std::array<uint32_t, 3> weights = best_weights(k, channels);
    DecisionWriter writer;
    for (size_t c = 1; c < channels; c++) writer.raw(weights[c], 2);
    BandModel<DecisionWriter> model(writer, original.width, original.channels);
    std::span<int32_t> rest = k;
    for (uint32_t y = first; y < end; y++) {
        for (uint32_t x = 0; x < original.width; x++) {
            model.code_pixel(x, rest.first(channels), weights);
            rest = rest.subspan(channels);
        }
        model.end_row();
    }
    return writer.stream.finish();
}

template <Sample T>
void add_band_of(std::span<const uint8_t> stream, uint32_t width, int32_t step, uint32_t first, uint32_t end, uint32_t x0, uint32_t y0, Image& image) {
    const std::span<const size_t> order = channel_order(image.channels);
    const size_t channels = order.size();
    DecisionReader reader{RansDecoder(stream)};
    std::array<uint32_t, 3> weights{};
    for (size_t c = 1; c < channels; c++) weights[c] = reader.raw(0, 2);
    BandModel<DecisionReader> model(reader, width, image.channels);
    constexpr int64_t peak = std::numeric_limits<T>::max();
    for (uint32_t y = first; y < end; y++) {
        T* row = y >= y0 && y - y0 < image.height ? image.row<T>(y - y0) : nullptr;
        for (uint32_t x = 0; x < width; x++) {
            std::array<int32_t, 3> k{};
            model.code_pixel(x, std::span(k).first(channels), weights);
            if (row == nullptr || x < x0 || x - x0 >= image.width) continue;
            T* pixel = row + size_t(x - x0) * channels;
            for (size_t c = 0; c < channels; c++) pixel[order[c]] = T(std::clamp<int64_t>(int64_t{pixel[order[c]]} + int64_t{step} * k[c], 0, peak));
        }
        model.end_row();
    }
    reader.stream.finish();
}

// Rows first … end - 1 of both pictures.
std::vector<uint8_t> encode_band(const Image& original, const Image& decoded, int32_t step, uint32_t first, uint32_t end) {
    return original.depth() == 8 ? encode_band_of<uint8_t>(original, decoded, step, first, end) : encode_band_of<uint16_t>(original, decoded, step, first, end);
}

// To `image`, the pixels from (x, y) on of a picture of width × height.
void add_band(std::span<const uint8_t> stream, uint32_t width, uint32_t height, int32_t step, uint32_t band, uint32_t x, uint32_t y, Image& image) {
    const uint32_t first = band * kBandRows, end = std::min(first + kBandRows, height);
    if (image.depth() == 8) {
        add_band_of<uint8_t>(stream, width, step, first, end, x, y, image);
    } else {
        add_band_of<uint16_t>(stream, width, step, first, end, x, y, image);
    }
}

std::vector<std::span<const uint8_t>> bands_of(std::span<const uint8_t> bytes, uint32_t height) {
    bytes = bytes.subspan(2);
    std::vector<std::span<const uint8_t>> bands;
    for (size_t i = 0; i < band_count(height); i++) bands.push_back(take_stream(bytes, "residual: the rows from " + std::to_string(i * kBandRows) + " on"));
    if (!bytes.empty()) throw Error(ErrorCode::corrupt, "residual: " + std::to_string(bytes.size()) + " bytes left over after the last band");
    return bands;
}

std::byte* row_of(Image& image, uint32_t y) {
    return image.visit([&](auto& samples) { return reinterpret_cast<std::byte*>(samples.data() + size_t(y) * image.row_size()); });
}

}  // namespace

std::vector<uint8_t> encode_residual(const Image& original, const Image& decoded, uint16_t bound, const ForEach& for_each) {
    check_image(original);
    if (describe_shape(original) != describe_shape(decoded)) {
        throw Error(ErrorCode::invalid_argument, "residual: " + describe_shape(original) + " and " + describe_shape(decoded) + " are different shapes");
    }
    const int32_t step = step_of(bound);
    std::vector<std::vector<uint8_t>> bands(band_count(original.height));
    for_each(bands.size(), [&](size_t i) {
        const uint32_t first = uint32_t(i) * kBandRows, end = std::min(first + kBandRows, original.height);
        bands[i] = encode_band(original, decoded, step, first, end);
    });
    std::vector<uint8_t> bytes = head_of(bound);
    for (const std::vector<uint8_t>& band : bands) append_stream(bytes, band);
    return bytes;
}

uint16_t residual_bound(std::span<const uint8_t> bytes) {
    if (bytes.size() < 2) throw Error(ErrorCode::corrupt, "residual: truncated");
    return uint16_t(bytes[0] | bytes[1] << 8);
}

void add_residual(std::span<const uint8_t> bytes, uint32_t width, uint32_t height, uint32_t x, uint32_t y, Image& image, const ForEach& for_each) {
    const int32_t step = step_of(residual_bound(bytes));
    const std::vector<std::span<const uint8_t>> bands = bands_of(bytes, height);
    const size_t begin = y / kBandRows, end = (size_t{y} + image.height + kBandRows - 1) / kBandRows;
    for_each(end - begin, [&](size_t i) { add_band(bands[begin + i], width, height, step, uint32_t(begin + i), x, y, image); });
}

ResidualMaker::ResidualMaker(RowReader& original, uint16_t bound)
    : reader_(original), step_(step_of(bound)), shape_(original.shape()), bytes_(head_of(bound)) {}

void ResidualMaker::begin(const PictureShape& shape) {
    if (shape != shape_) throw Error(ErrorCode::invalid_argument, "residual: the decoded picture has another shape than the original");
}

void ResidualMaker::write(const void* row) {
    const uint32_t at = y_ % kBandRows;
    if (at == 0) {
        original_ = Image(shape_.width, std::min(kBandRows, shape_.height - y_), shape_.channels, shape_.depth);
        decoded_ = original_;
    }
    reader_.read(row_of(original_, at));
    std::memcpy(row_of(decoded_, at), row, shape_.row_bytes());
    y_++;
    if (at + 1 == original_.height) append_stream(bytes_, encode_band(original_, decoded_, step_, 0, original_.height));
}

ResidualAdder::ResidualAdder(std::span<const uint8_t> bytes, uint32_t width, uint32_t height, const Region& region, RowWriter& rows)
    : step_(step_of(residual_bound(bytes))), bands_(bands_of(bytes, height)), width_(width), height_(height), region_(region), rows_(rows) {}

void ResidualAdder::begin(const PictureShape& shape) {
    shape_ = shape;
    rows_.begin(shape);
}

void ResidualAdder::write(const void* row) {
    const uint32_t y = region_.y + y_, band = y / kBandRows;
    if (y_ == first_) band_ = Image(shape_.width, std::min((band + 1) * kBandRows, uint32_t(region_.bottom())) - y, shape_.channels, shape_.depth);
    std::memcpy(row_of(band_, y_ - first_), row, shape_.row_bytes());
    y_++;
    if (y_ - first_ < band_.height) return;
    add_band(bands_[band], width_, height_, step_, band, region_.x, region_.y + first_, band_);
    for (uint32_t i = 0; i < band_.height; i++) rows_.write(row_of(band_, i));
    first_ = y_;
}

}  // namespace decant
