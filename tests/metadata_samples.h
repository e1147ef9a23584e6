// Metadata for tests: blocks of any size that pass for good ones.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "codec/metadata/exif.h"
#include "codec/metadata/metadata.h"
#include "tests/image_samples.h"

namespace decant::test {

inline std::vector<std::uint8_t> make_icc(std::size_t size = 560, const std::string& colour_space = "RGB ") {
    std::vector<std::uint8_t> icc(size);
    std::mt19937 random(static_cast<std::uint32_t>(size));
    for (std::uint8_t& byte : icc) byte = static_cast<std::uint8_t>(random());
    for (std::size_t i = 0; i < 4; ++i) icc[i] = static_cast<std::uint8_t>(size >> (24 - 8 * i));
    std::copy_n(colour_space.begin(), 4, icc.begin() + 16);
    std::copy_n("acsp", 4, icc.begin() + 36);
    return icc;
}

inline std::vector<std::uint8_t> make_xmp(std::size_t size = 300) {
    std::string text = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">";
    text.resize(size, ' ');
    return bytes_of(text);
}

inline TiffField text_field(const std::string& text) {
    std::vector<std::uint8_t> values = bytes_of(text);
    values.push_back(0);
    return {2, static_cast<std::uint32_t>(values.size()), values};
}

// Orientation 6, a maker, a date, a place.
inline TiffTree exif_tree() {
    TiffTree tree;
    tree.fields[271] = text_field("Maker");
    tree.fields[tiff_tag::orientation] = {3, 1, {6, 0}};
    TiffTree& exif = tree.children[tiff_tag::exif_directory];
    exif.fields[36867] = text_field("2024:02:29 12:00:00");
    exif.fields[33434] = {5, 1, {1, 0, 0, 0, 250, 0, 0, 0}};  // exposure time 1/250
    exif.children[tiff_tag::interoperability_directory].fields[1] = text_field("R98");
    tree.children[tiff_tag::gps_directory].fields[1] = text_field("N");
    return tree;
}

inline Metadata all_metadata() {
    return {make_icc(), make_exif(exif_tree()), make_xmp(), Resolution{{300, 1}, {200, 1}, Resolution::Unit::inch}};
}

}  // namespace decant::test
