// TIFF 6.0; ICC.1:2022, annex B.3; XMP specification part 3, 1.1.4.
#include "codec/metadata/exif.h"
#include "codec/metadata/fields.h"
#include "codec/metadata/formats.h"
#include "codec/metadata/tiff_directory.h"

namespace decant {
namespace {

constexpr std::uint16_t type_byte = 1, type_undefined = 7;

std::span<const std::uint8_t> block_of(const Fields& fields, const TiffDirectory& directory, std::uint16_t tag) {
    const auto entry = directory.find(tag);
    return entry ? fields.part(entry->offset, entry->size()) : std::span<const std::uint8_t>();
}

}  // namespace

void read_tiff_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector) {
    const Fields fields(file, tiff_order(file), "TIFF");
    const TiffDirectory directory(fields, fields.u32(4));
    collector.attempt("ICC profile", [&] {
        if (const auto block = block_of(fields, directory, tiff_tag::icc); !block.empty()) collector.add_icc(block);
    });
    collector.attempt("XMP packet", [&] {
        if (const auto block = block_of(fields, directory, tiff_tag::xmp); !block.empty()) collector.add_xmp(block);
    });
    collector.attempt("resolution", [&] {
        if (const auto resolution = read_resolution(file)) collector.add_resolution(*resolution);
    });
    collector.attempt("EXIF block", [&] {
        TiffTree tree = read_description(file);
        // Most TIFF files say that they are stored as they are stored, which is nothing to carry.
        const TiffField as_stored{3, 1, {1, 0}};
        if (const auto found = tree.fields.find(tiff_tag::orientation); found != tree.fields.end() && found->second == as_stored)
            tree.fields.erase(found);
        if (!tree.empty()) collector.add_exif(make_exif(tree));
    });
    if (directory.find(tiff_tag::iptc)) collector.leave_out(kIptcRemark);
}

void embed_tiff_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector) {
    TiffTree tree;
    if (!metadata.exif.empty()) collector.attempt("EXIF block", [&] { tree = read_description(metadata.exif); });
    if (metadata.resolution) tree.fields.merge(resolution_fields(*metadata.resolution).fields);
    const auto set_block = [&](std::uint16_t tag, std::uint16_t type, const std::vector<std::uint8_t>& block) {
        if (!block.empty()) tree.fields[tag] = {type, static_cast<std::uint32_t>(block.size()), block};
    };
    set_block(tiff_tag::icc, type_undefined, metadata.icc);
    set_block(tiff_tag::xmp, type_byte, metadata.xmp);
    set_fields(file, tree);
}

}  // namespace decant
