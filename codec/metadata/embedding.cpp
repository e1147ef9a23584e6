#include "codec/metadata/embedding.h"

#include <array>
#include <numeric>

#include "codec/error.h"
#include "codec/metadata/exif.h"
#include "codec/metadata/formats.h"

namespace decant {
namespace {

struct Functions {
    void (*read)(std::span<const std::uint8_t>, MetadataCollector&);
    void (*embed)(std::vector<std::uint8_t>&, const Metadata&, MetadataCollector&);
};

// None for a format that holds no metadata.
std::optional<Functions> functions_of(ImageFormat format) {
    switch (format) {
        case ImageFormat::png:
            return Functions{read_png_metadata, embed_png_metadata};
        case ImageFormat::jpeg:
            return Functions{read_jpeg_metadata, embed_jpeg_metadata};
        case ImageFormat::webp:
            return Functions{read_webp_metadata, embed_webp_metadata};
        case ImageFormat::tiff:
            return Functions{read_tiff_metadata, embed_tiff_metadata};
        case ImageFormat::pnm:
        case ImageFormat::bmp:
            break;
    }
    return std::nullopt;
}

// "ICC profile, EXIF and resolution"
std::string names_of(const Metadata& metadata) {
    std::vector<std::string> names;
    if (!metadata.icc.empty()) names.emplace_back("ICC profile");
    if (!metadata.exif.empty()) names.emplace_back("EXIF");
    if (!metadata.xmp.empty()) names.emplace_back("XMP");
    if (metadata.resolution) names.emplace_back("resolution");
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    return text;
}

}  // namespace

void MetadataCollector::leave_out(const std::string& what_and_why) { remarks_.push_back(what_and_why + "; it is left out"); }

void MetadataCollector::add_icc(std::span<const std::uint8_t> block) {
    if (!metadata_.icc.empty()) return;
    if (const std::string problem = icc_problem(block); !problem.empty()) return leave_out("the ICC profile " + problem);
    metadata_.icc.assign(block.begin(), block.end());
}

void MetadataCollector::add_exif(std::span<const std::uint8_t> block) {
    if (!metadata_.exif.empty()) return;
    if (const std::string problem = exif_problem(block); !problem.empty()) return leave_out("the EXIF block " + problem);
    metadata_.exif.assign(block.begin(), block.end());
}

void MetadataCollector::add_xmp(std::span<const std::uint8_t> block) {
    if (!metadata_.xmp.empty()) return;
    if (const std::string problem = xmp_problem(block); !problem.empty()) return leave_out("the XMP packet " + problem);
    metadata_.xmp.assign(block.begin(), block.end());
}

void MetadataCollector::add_resolution(const Resolution& resolution) {
    const bool says_nothing = resolution.unit == Resolution::Unit::none && resolution.x == resolution.y;
    if (!metadata_.resolution && is_valid(resolution) && !says_nothing) metadata_.resolution = resolution;
}

std::optional<WholeResolution> whole_resolution(const Resolution& resolution, std::uint64_t unit_numerator,
                                                std::uint64_t unit_denominator, std::uint32_t largest) {
    std::uint64_t x = 0, y = 0;
    if (resolution.unit == Resolution::Unit::none) {
        x = std::uint64_t{resolution.x.numerator} * resolution.y.denominator;
        y = std::uint64_t{resolution.y.numerator} * resolution.x.denominator;
        const std::uint64_t divisor = std::gcd(x, y);
        x /= divisor;
        y /= divisor;
    } else {
        // Factors of up to 10,000: 46 bits at most.
        const auto whole = [&](const Rational& value) {
            const std::uint64_t denominator = value.denominator * unit_denominator;
            return (value.numerator * unit_numerator + denominator / 2) / denominator;
        };
        x = whole(resolution.x);
        y = whole(resolution.y);
    }
    if (x < 1 || y < 1 || x > largest || y > largest) return std::nullopt;
    return WholeResolution{static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y)};
}

Metadata read_metadata(std::span<const std::uint8_t> file, ImageFormat format, Remarks& remarks) {
    Metadata metadata;
    MetadataCollector collector(metadata, remarks);
    if (const auto functions = functions_of(format))
        collector.attempt("rest of the metadata", [&] { functions->read(file, collector); });
    return metadata;
}

void embed_metadata(std::vector<std::uint8_t>& file, ImageFormat format, const Metadata& metadata, int channels,
                    Remarks& remarks) {
    if (metadata.empty()) return;
    const auto functions = functions_of(format);
    if (!functions) {
        remarks.push_back(std::string(format_name(format)) + " files hold no metadata: " + names_of(metadata) +
                          " left out; PNG, JPEG, TIFF and WebP hold them");
        return;
    }
    Metadata good;
    MetadataCollector collector(good, remarks);
    if (!metadata.icc.empty()) collector.add_icc(metadata.icc);
    if (!metadata.exif.empty()) collector.add_exif(metadata.exif);
    if (!metadata.xmp.empty()) collector.add_xmp(metadata.xmp);
    // What the file's own field says is shown by more programs than EXIF, so that the field is filled from there.
    good.resolution = metadata.resolution ? metadata.resolution : exif_resolution(good.exif);
    const int stored_channels = format == ImageFormat::webp ? 3 : channels;  // WebP has no gray
    if (!good.icc.empty() && !icc_describes(good.icc, stored_channels)) {
        good.icc.clear();
        collector.leave_out("the ICC profile is of another colour space than the picture, " +
                            std::string(stored_channels == 1 ? "gray" : "RGB"));
    }
    if (!good.empty()) functions->embed(file, good, collector);
}

}  // namespace decant
