#include "tools/decant/views.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>

#include "codec/error.h"
#include "codec/image/opencv_loader.h"
#include "tools/decant/page.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

constexpr size_t kMostPictures = 48;
// Before base64, which makes four bytes of three. The crops come on top, about 0.015 MB each.
constexpr uint64_t kBytes = 7'000'000, kBytesAtMost = 600'000, kBytesForOthers = 30'000;
constexpr uint64_t kShareOfMap = 6;  // of the bytes of a picture
constexpr uint32_t kRegion = 80;

std::vector<uint8_t> webp(const Image& image, int quality) { return opencv_module().encode(image, ".webp", quality); }

std::string uri(std::span<const uint8_t> bytes, const std::string& media_type = "image/webp") { return data_uri(media_type, bytes); }

// Both sides halved, by `join` of the four samples (fewer at odd edges are repeated).
template <class Join>
Image halved(const Image& src, const Join& join) {
    Image dst((src.width + 1) / 2, (src.height + 1) / 2, src.channels);
    const auto channels = static_cast<uint32_t>(src.channels);
    for (uint32_t y = 0; y < dst.height; ++y)
        for (uint32_t x = 0; x < dst.width; ++x)
            for (uint32_t c = 0; c < channels; ++c) {
                const uint8_t *upper = src.row(2 * y), *lower = src.row(std::min(2 * y + 1, src.height - 1));
                const uint32_t left = 2 * x * channels + c, right = std::min(2 * x + 1, src.width - 1) * channels + c;
                dst.row(y)[x * channels + c] = join(upper[left], upper[right], lower[left], lower[right]);
            }
    return dst;
}

uint8_t mean(int a, int b, int c, int d) { return static_cast<uint8_t>((a + b + c + d + 2) / 4); }
uint8_t largest(uint8_t a, uint8_t b, uint8_t c, uint8_t d) { return std::max({a, b, c, d}); }

// At the best quality that fits; smaller pictures where none does.
std::string uri_within(Image image, uint64_t bytes) {
    constexpr uint32_t kLargestSide = 16383;  // of WebP
    // Photographs do not come below half a bit a pixel at these qualities: no use in trying.
    while (image.pixel_count() / 16 > bytes) image = halved(image, mean);
    for (;;) {
        if (image.width <= kLargestSide && image.height <= kLargestSide)
            for (const int quality : {96, 90, 80, 65}) {
                const std::vector<uint8_t> file = webp(image, quality);
                if (file.size() <= bytes || std::max(image.width, image.height) < 256) return uri(file);
            }
        image = halved(image, mean);
    }
}

// The largest difference among the channels, 8 times, of half the size.
Image difference_map(const Image& a, const Image& b) {
    Image map(a.width, a.height, 1);
    const auto channels = static_cast<size_t>(a.channels);
    for (size_t i = 0; i < map.samples().size(); ++i) {
        int difference = 0;
        for (size_t c = 0; c < channels; ++c)
            difference = std::max(difference, std::abs(int{a.samples()[i * channels + c]} - int{b.samples()[i * channels + c]}));
        map.samples()[i] = static_cast<uint8_t>(std::min(8 * difference, 255));
    }
    return halved(map, largest);
}

// Among squares at multiples of a sixth of their side.
Region worst_region(const Image& a, const Image& b) {
    const uint32_t side = std::min({kRegion, a.width, a.height});
    Region worst{0, 0, side, side};
    const uint32_t step = std::max<uint32_t>(1, side / 6), columns = a.width / step + 1, rows = a.height / step + 1;
    const auto channels = static_cast<uint32_t>(a.channels);
    // Sums of squares over all cells above and to the left.
    std::vector<uint64_t> sums(size_t{columns + 1} * (rows + 1));
    for (uint32_t y = 0; y < a.height; ++y)
        for (uint32_t i = 0; i < a.width * channels; ++i) {
            const int difference = int{a.row(y)[i]} - int{b.row(y)[i]};
            sums[size_t{y / step + 1} * (columns + 1) + i / channels / step + 1] += static_cast<uint64_t>(difference * difference);
        }
    for (size_t row = 1; row <= rows; ++row)
        for (size_t column = 1; column <= columns; ++column) {
            const size_t at = row * (columns + 1) + column;
            sums[at] += sums[at - 1] + sums[at - columns - 1] - sums[at - columns - 2];
        }
    const uint32_t cells = side / step;
    uint64_t most = 0;
    for (uint32_t row = 0; row * step + side <= a.height; ++row)
        for (uint32_t column = 0; column * step + side <= a.width; ++column) {
            const auto at = [&](uint32_t r, uint32_t c) { return sums[size_t{r} * (columns + 1) + c]; };
            const uint64_t sum = at(row + cells, column + cells) - at(row, column + cells) - at(row + cells, column) + at(row, column);
            if (sum <= most) continue;
            most = sum;
            worst.x = column * step;
            worst.y = row * step;
        }
    return worst;
}

std::string crop_uri(const Image& image, const Region& region) {
    return uri(webp(cropped(image, region), OpencvModule::webp_lossless));
}

}  // namespace

PictureViews::PictureViews(size_t pictures, size_t others)
    : pictures_(std::clamp<size_t>(pictures, 1, kMostPictures)),
      shown_others_(std::clamp<size_t>(kBytes / pictures_ / kBytesForOthers, 2, others + 1) - 1),
      bytes_a_picture_(kBytes / pictures_),
      is_short_of_codecs_(shown_others_ < others) {}

void PictureViews::add(const std::string& name, const Image& original, const std::vector<ShownPicture>& others) {
    if (others.empty()) throw Error(ErrorCode::internal, name + ": has nothing to be shown beside it");
    if (views_.size() == pictures_) return;
    const size_t shown = std::min(others.size(), shown_others_);
    // Files that browsers know show what was measured, and are small; what they leave goes to the others.
    const auto as_file = [&](size_t i) {
        return *others[i].media_type != 0 && others[i].file.size() <= bytes_a_picture_ / (shown + 1);
    };
    uint64_t bytes = bytes_a_picture_, made = 1;
    for (size_t i = 0; i < shown; ++i)
        if (as_file(i))
            bytes -= others[i].file.size();
        else
            ++made;
    bytes = std::min(bytes / made, kBytesAtMost);

    const Image before = with_depth(original, 8);
    Region region;
    Json list = Json::array();
    for (size_t i = 0; i < others.size(); ++i) {
        const Image after = with_depth(*others[i].image, 8);
        if (i == 0) region = worst_region(before, after);
        Json other{{"label", others[i].label}, {"src", nullptr}, {"difference", nullptr}, {"crop", crop_uri(after, region)}};
        if (i < shown) {
            const uint64_t map_bytes = bytes / kShareOfMap;
            other["src"] = as_file(i) ? uri(others[i].file, others[i].media_type) : uri_within(after, bytes - map_bytes);
            other["difference"] = uri_within(difference_map(before, after), map_bytes);
        }
        list.push_back(std::move(other));
    }
    views_.push_back({{"name", name},
                      {"width", original.width},
                      {"height", original.height},
                      {"region", {region.x, region.y, region.width}},
                      {"src", uri_within(before, bytes)},
                      {"crop", crop_uri(before, region)},
                      {"others", std::move(list)}});
}

std::string PictureViews::note() const {
    std::string note = "In the large view JPEG, WebP and AVIF are the files that were measured, as far as they are small; the others are "
                       "compressed for this page (WebP). The regions and the difference maps are of the pictures as they were measured; the "
                       "regions are exact.";
    if (is_short_of_codecs_) note += " Of the other codecs only the regions are shown, for the size of the page.";
    if (views_.size() == kMostPictures) note += " Only the first " + std::to_string(kMostPictures) + " pictures are shown.";
    return note;
}

}  // namespace decant::cli
