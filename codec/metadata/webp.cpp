// WebP (WebP container specification: RIFF, extended file format).
#include <algorithm>
#include <string_view>

#include "codec/metadata/exif.h"
#include "codec/metadata/fields.h"
#include "codec/metadata/formats.h"

namespace decant {
namespace {

constexpr std::uint64_t first_chunk = 12, chunk_header = 8;
constexpr std::uint8_t flag_icc = 0x20, flag_alpha = 0x10, flag_exif = 0x08, flag_xmp = 0x04;

struct Chunk {
    std::uint64_t offset = 0;  // of its header
    std::span<const std::uint8_t> payload;
    std::uint64_t end = 0;  // with the byte that makes its size even
};

template <class Visit>
void visit_chunks(const Fields& fields, const Visit& visit) {
    for (std::uint64_t offset = first_chunk; fields.holds(offset, chunk_header);) {
        const std::uint32_t size = fields.u32(offset + 4);
        const Chunk chunk{offset, fields.part(offset + chunk_header, size), offset + chunk_header + size + size % 2};
        visit(chunk);
        offset = chunk.end;
    }
}

void append_chunk(std::vector<std::uint8_t>& file, std::string_view type, std::span<const std::uint8_t> data) {
    file.insert(file.end(), type.begin(), type.end());
    append_number(file, data.size(), 4, ByteOrder::little);
    file.insert(file.end(), data.begin(), data.end());
    if (data.size() % 2 != 0) file.push_back(0);
}

// WebP has no field for the resolution but those of EXIF.
std::vector<std::uint8_t> exif_with_resolution(const Metadata& metadata, MetadataCollector& collector) {
    std::vector<std::uint8_t> exif = metadata.exif;
    if (!metadata.resolution) return exif;
    if (const auto own = exif_resolution(exif); own && is_same(*own, *metadata.resolution)) return exif;
    const TiffTree fields = resolution_fields(*metadata.resolution);
    if (exif.empty()) return make_exif(fields);
    collector.attempt("resolution", [&] { set_fields(exif, fields); });
    return exif;
}

}  // namespace

void read_webp_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector) {
    const Fields fields(file, ByteOrder::little, "WebP");
    visit_chunks(fields, [&](const Chunk& chunk) {
        auto payload = chunk.payload;
        if (fields.has_text(chunk.offset, "ICCP")) collector.add_icc(payload);
        if (fields.has_text(chunk.offset, "XMP ")) collector.add_xmp(payload);
        if (fields.has_text(chunk.offset, "EXIF")) {
            // Some programs put the name from JPEG's segment in front.
            constexpr std::string_view jpeg_name("Exif\0\0", 6);
            if (fields.has_text(chunk.offset + chunk_header, jpeg_name) && payload.size() >= jpeg_name.size())
                payload = payload.subspan(jpeg_name.size());
            collector.add_exif(payload);
        }
    });
}

void embed_webp_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector) {
    const Fields fields(file, ByteOrder::little, "WebP");
    if (!fields.has_text(first_chunk, "VP8L")) fields.fail("no picture without loss at its beginning");
    // The bitstream's header: signature, then 14 bits each of width - 1 and height - 1, and one whether there is alpha.
    const std::uint32_t header = fields.u32(first_chunk + chunk_header + 1);
    const std::vector<std::uint8_t> exif = exif_with_resolution(metadata, collector);
    std::uint8_t flags = (header >> 28 & 1) != 0 ? flag_alpha : 0;
    if (!metadata.icc.empty()) flags |= flag_icc;
    if (!exif.empty()) flags |= flag_exif;
    if (!metadata.xmp.empty()) flags |= flag_xmp;
    std::vector<std::uint8_t> canvas = {flags, 0, 0, 0};
    append_number(canvas, header & 0x3FFF, 3, ByteOrder::little);
    append_number(canvas, header >> 14 & 0x3FFF, 3, ByteOrder::little);

    std::vector<std::uint8_t> result(file.begin(), file.begin() + first_chunk);
    append_chunk(result, "VP8X", canvas);
    if (!metadata.icc.empty()) append_chunk(result, "ICCP", metadata.icc);
    result.insert(result.end(), file.begin() + first_chunk, file.end());
    if (!exif.empty()) append_chunk(result, "EXIF", exif);
    if (!metadata.xmp.empty()) append_chunk(result, "XMP ", metadata.xmp);
    std::vector<std::uint8_t> size;
    append_number(size, result.size() - chunk_header, 4, ByteOrder::little);
    std::copy(size.begin(), size.end(), result.begin() + 4);
    file = std::move(result);
}

}  // namespace decant
