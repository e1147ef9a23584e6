#include "codec/alpha/plane_coder.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "codec/entropy/decision_coder.h"
#include "codec/error.h"

namespace decant {
namespace {

constexpr uint32_t kBandRows = 64, kBlock = 16;
constexpr int kClassContexts = 729, kSteps = 6;

struct Neighbours {
    int w = 0, nw = 0, n = 0, ne = 0, ww = 0, nn = 0;
};

class PlaneModel {
public:
    explicit PlaneModel(Image& plane) : plane_(plane), blocks_((plane.width + kBlock - 1) / kBlock + 1) {}

    // `plane` holds the rows: as they are for a writer; a reader fills them in.
    template <class Coder>
    void code_band(Coder& coder, uint32_t first_row) {
        const uint32_t end = std::min(first_row + kBandRows, plane_.height);
        for (uint32_t y = first_row; y < end; y += kBlock) {
            blocks_.front() = false;  // on the left of the plane
            for (uint32_t x = 0; x < plane_.width; x += kBlock) code_block(coder, x, y, std::min(y + kBlock, end));
        }
    }

private:
    template <class Coder>
    void code_block(Coder& coder, uint32_t x0, uint32_t y0, uint32_t y1) {
        const uint32_t x1 = std::min(x0 + kBlock, plane_.width);
        const size_t i = x0 / kBlock + 1;
        const size_t context = (blocks_[i - 1] ? 1 : 0) + (blocks_[i] ? 2 : 0);
        const bool is_even = coder.decide(is_all_the_same(x0, x1, y0, y1), even_[context]);
        blocks_[i] = is_even;
        if (is_even) {
            code_pixel(coder, x0, y0, plane_.width);
            const uint8_t value = plane_.row(y0)[x0];
            for (uint32_t y = y0; y < y1; ++y) std::fill(plane_.row(y) + x0, plane_.row(y) + x1, value);
            return;
        }
        for (uint32_t y = y0; y < y1; ++y)
            for (uint32_t x = x0; x < x1; ++x) code_pixel(coder, x, y, y == y0 ? plane_.width : x1);
    }

    bool is_all_the_same(uint32_t x0, uint32_t x1, uint32_t y0, uint32_t y1) const {
        const uint8_t value = plane_.row(y0)[x0];
        for (uint32_t y = y0; y < y1; ++y)
            if (std::any_of(plane_.row(y) + x0, plane_.row(y) + x1, [&](uint8_t other) { return other != value; })) return false;
        return true;
    }

    // `known`: of the row above, the columns that are coded already.
    Neighbours neighbours(uint32_t x, uint32_t y, uint32_t known) const {
        Neighbours a;
        const uint8_t* row = plane_.row(y);
        if (y == 0) {
            if (x == 0) return a;
            a.w = a.nw = a.n = a.ne = a.nn = row[x - 1];
        } else {
            const uint8_t* above = plane_.row(y - 1);
            a.n = above[x];
            a.w = x > 0 ? row[x - 1] : a.n;
            a.nw = x > 0 ? above[x - 1] : a.n;
            a.ne = x + 1 < known ? above[x + 1] : a.n;
            a.nn = y > 1 ? plane_.row(y - 2)[x] : a.n;
        }
        a.ww = x > 1 ? row[x - 2] : a.w;
        return a;
    }

    static size_t class_of(int value) { return value == 0 ? 0 : value == 255 ? 1 : 2; }

    static size_t step_of(const Neighbours& a) {
        const int activity = std::abs(a.w - a.nw) + std::abs(a.nw - a.n) + std::abs(a.n - a.ne);
        constexpr std::array<int, kSteps - 1> from = {1, 4, 10, 26, 71};
        return static_cast<size_t>(std::upper_bound(from.begin(), from.end(), activity) - from.begin());
    }

    template <class Coder>
    void code_pixel(Coder& coder, uint32_t x, uint32_t y, uint32_t known) {
        uint8_t& pixel = plane_.row(y)[x];
        const Neighbours a = neighbours(x, y, known);
        size_t context = 0;
        for (const int value : {a.nn, a.ww, a.ne, a.nw, a.n, a.w}) context = 3 * context + class_of(value);
        if (coder.decide(pixel == 0 || pixel == 255, extreme_[context])) {
            pixel = coder.decide(pixel == 255, full_[context]) ? 255 : 0;
            return;
        }
        const int prediction = std::clamp(a.n + a.w - a.nw, std::min(a.n, a.w), std::max(a.n, a.w));
        const int e = static_cast<int8_t>(pixel - prediction);
        const unsigned r = static_cast<unsigned>(e >= 0 ? 2 * e : -2 * e - 1);
        auto& tree = residual_[step_of(a)];
        unsigned node = 1;
        for (int bit = 7; bit >= 0; --bit) node = 2 * node + (coder.decide((r >> bit & 1) != 0, tree[node]) ? 1 : 0);
        node -= 256;
        pixel = static_cast<uint8_t>(prediction + (node % 2 == 0 ? static_cast<int>(node / 2) : -static_cast<int>(node / 2) - 1));
    }

    Image& plane_;
    std::vector<bool> blocks_;  // whether they are even: those of this row up to here, then those of the row above; first the edge
    std::array<AdaptiveBit, 4> even_;
    std::array<AdaptiveBit, kClassContexts> extreme_, full_;
    std::array<std::array<AdaptiveBit, 256>, kSteps> residual_;
};

}  // namespace

std::vector<uint8_t> encode_plane(const Image& plane) {
    check_image(plane);
    if (plane.channels != 1 || plane.depth() != 8)
        throw Error(ErrorCode::invalid_argument, "plane of " + describe_shape(plane) + ": 1 channel of 8 bit is needed");
    Image same = plane;  // the model writes what it has coded, which is what is there
    PlaneModel model(same);
    DecisionWriter writer;
    std::vector<uint8_t> bytes;
    for (uint32_t y = 0; y < plane.height; y += kBandRows) {
        model.code_band(writer, y);
        append_stream(bytes, writer.stream.finish());
    }
    return bytes;
}

Image decode_plane(std::span<const uint8_t> bytes, uint32_t width, uint32_t height) {
    Image plane(width, height, 1);
    PlaneModel model(plane);
    for (uint32_t y = 0; y < height; y += kBandRows) {
        DecisionReader reader{RansDecoder(take_stream(bytes, "plane: the rows from " + std::to_string(y) + " on"))};
        model.code_band(reader, y);
        reader.stream.finish();
    }
    if (!bytes.empty())
        throw Error(ErrorCode::corrupt, "plane: " + std::to_string(bytes.size()) + " bytes left over after the last row");
    return plane;
}

}  // namespace decant
