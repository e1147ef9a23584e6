// Pictures for the viewer of a report: small enough for one page, as data URIs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/image/image.h"
#include "tools/decant/json.h"

namespace decant::cli {

struct ShownPicture {
    std::string label;
    const Image* image;                // of the original's shape
    const char* media_type;            // of the file that it was decoded from, where browsers show such files; or ""
    std::span<const uint8_t> file;
};

class PictureViews {
public:
    // All pictures of a page together take about 12 MB of it, so the more there are, the more they are compressed; beyond 48, and
    // those of other codecs than the first where they would get too few bytes, are left out.
    PictureViews(size_t pictures, size_t others);

    // The original and what became of it: at least one picture. With both the map of their differences, and of all the region of
    // 80x80 pixels where the first of `others` has the largest squared error.
    void add(const std::string& name, const Image& original, const std::vector<ShownPicture>& others);

    // A list of objects: name, width, height, region [x, y, side], src, crop and others, a list of label, src, difference and crop.
    const Json& json() const { return views_; }
    // What was left out, in words; "" if nothing.
    std::string note() const;

private:
    size_t pictures_;
    size_t shown_others_;
    uint64_t bytes_a_picture_;  // for all that is made of an original
    bool is_short_of_codecs_;
    Json views_ = Json::array();
};

}  // namespace decant::cli
