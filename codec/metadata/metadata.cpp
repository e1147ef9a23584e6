#include "codec/metadata/metadata.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "codec/error.h"

namespace decant {
namespace {

bool has_text(std::span<const std::uint8_t> bytes, std::size_t offset, std::string_view text) {
    return bytes.size() >= offset + text.size() && std::memcmp(bytes.data() + offset, text.data(), text.size()) == 0;
}

std::string size_problem(std::span<const std::uint8_t> block) {
    if (block.size() <= kMaxMetadataBlock) return "";
    return "has " + std::to_string(block.size()) + " bytes, more than the " + std::to_string(kMaxMetadataBlock) +
           " that are taken";
}

std::string text_of(const Rational& value) {
    std::array<char, 32> digits;
    const double number = static_cast<double>(value.numerator) / value.denominator;
    return {digits.data(),
            std::to_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::general, 6).ptr};
}

}  // namespace

bool is_valid(const Resolution& resolution) {
    const auto is_good = [](const Rational& r) { return r.numerator > 0 && r.denominator > 0; };
    using Unit = Resolution::Unit;
    return is_good(resolution.x) && is_good(resolution.y) &&
           (resolution.unit == Unit::none || resolution.unit == Unit::inch || resolution.unit == Unit::centimetre);
}

bool is_same(const Resolution& a, const Resolution& b) {
    using Unit = Resolution::Unit;
    if ((a.unit == Unit::none) != (b.unit == Unit::none)) return false;
    const auto is_near = [&](const Rational& x, const Rational& y) {
        const auto per_inch = [](const Rational& value, Unit unit) {
            return static_cast<double>(value.numerator) / value.denominator * (unit == Unit::centimetre ? 2.54 : 1);
        };
        const double first = per_inch(x, a.unit), second = per_inch(y, b.unit);
        return std::abs(first - second) <= 1e-3 * first;
    };
    return is_valid(a) && is_valid(b) && is_near(a.x, b.x) && is_near(a.y, b.y);
}

MetadataKinds parse_metadata_kinds(std::string_view text) {
    if (text == "all") return {};
    MetadataKinds kinds{false, false, false};
    if (text == "none") return kinds;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string_view word = text.substr(begin, end - begin);
        bool* kind = word == "icc" ? &kinds.icc : word == "exif" ? &kinds.exif : word == "xmp" ? &kinds.xmp : nullptr;
        if (kind == nullptr)
            throw Error(ErrorCode::invalid_argument,
                        '"' + std::string(text) + "\": all, none, or a list of icc, exif and xmp is needed");
        *kind = true;
        begin = end + 1;
    }
    return kinds;
}

Metadata select(Metadata metadata, const MetadataKinds& kinds) {
    if (!kinds.icc) metadata.icc.clear();
    if (!kinds.xmp) metadata.xmp.clear();
    if (!kinds.exif) {
        metadata.exif.clear();
        metadata.resolution.reset();
    }
    return metadata;
}

std::string icc_problem(std::span<const std::uint8_t> icc) {
    constexpr std::size_t header_size = 128, tag_count_size = 4;
    if (icc.size() < header_size + tag_count_size || !has_text(icc, 36, "acsp")) return "is no ICC profile";
    const std::size_t announced = std::size_t{icc[0]} << 24 | std::size_t{icc[1]} << 16 | std::size_t{icc[2]} << 8 | icc[3];
    if (announced > icc.size()) return "is truncated: " + std::to_string(icc.size()) + " bytes of " + std::to_string(announced);
    return size_problem(icc);
}

std::string exif_problem(std::span<const std::uint8_t> exif) {
    if (exif.size() < 8 || !(has_text(exif, 0, {"II*\0", 4}) || has_text(exif, 0, {"MM\0*", 4})))
        return "does not begin with a TIFF header";
    return size_problem(exif);
}

std::string xmp_problem(std::span<const std::uint8_t> xmp) { return size_problem(xmp); }

bool icc_describes(std::span<const std::uint8_t> icc, int channels) {
    constexpr std::size_t colour_space = 16;
    return has_text(icc, colour_space, "RGB ") || (channels == 1 && has_text(icc, colour_space, "GRAY"));
}

std::string describe(const Resolution& resolution) {
    const std::string numbers = text_of(resolution.x) + " x " + text_of(resolution.y);
    switch (resolution.unit) {
        case Resolution::Unit::inch:
            return numbers + " per inch";
        case Resolution::Unit::centimetre:
            return numbers + " per cm";
        case Resolution::Unit::none:
            break;
    }
    return numbers + ", no unit";
}

}  // namespace decant
