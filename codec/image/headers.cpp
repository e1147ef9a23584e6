#include "codec/image/headers.h"

#include <cstring>
#include <string>
#include <string_view>

#include "codec/metadata/exif.h"
#include "codec/metadata/tiff_directory.h"

namespace decant {
namespace {

// The offset of the next JPEG marker code (the byte after 0xFF) at or after `offset`. Stuffed zeros and restart markers,
// which belong to the coded data, are passed over.
std::uint64_t find_jpeg_marker(const Source& source, std::uint64_t offset) {
    const auto bytes = source.bytes;
    while (offset < bytes.size()) {
        const void* found = std::memchr(bytes.data() + offset, 0xFF, bytes.size() - offset);
        if (found == nullptr) break;
        offset = static_cast<std::uint64_t>(static_cast<const std::uint8_t*>(found) - bytes.data()) + 1;
        while (offset < bytes.size() && bytes[offset] == 0xFF) ++offset;  // fill bytes
        if (offset >= bytes.size()) break;
        const bool in_coded_data = bytes[offset] == 0x00 || (bytes[offset] >= 0xD0 && bytes[offset] <= 0xD7);
        if (!in_coded_data) return offset;
    }
    throw_corrupt(source, "truncated JPEG: the file ends before its end marker");
}

// TIFF's values; gray with black at 0.
constexpr std::uint32_t photometric_gray = 1, photometric_rgb = 2, photometric_palette = 3, photometric_cmyk = 5;
constexpr std::uint32_t planar_interleaved = 1;

// Every strip or tile has to lie inside the file.
void check_tiff_data(const Source& source, const Fields& fields, const TiffDirectory& directory) {
    const auto find = [&](std::uint32_t tag) {
        const auto found = directory.find(tag).value_or(TiffDirectory::Entry());
        if (found.count > 0 && !found.is_integer())
            throw_corrupt(source, "damaged TIFF: tag " + std::to_string(tag) + " is no integer");
        return found;
    };
    auto offsets = find(tiff_tag::strip_offsets);
    auto sizes = find(tiff_tag::strip_sizes);
    if (offsets.count == 0) {
        offsets = find(tiff_tag::tile_offsets);
        sizes = find(tiff_tag::tile_sizes);
    }
    if (offsets.count == 0) throw_corrupt(source, "damaged TIFF: it does not say where its pixels are");
    for (std::uint32_t i = 0; i < offsets.count; ++i) {
        const std::uint32_t size = i < sizes.count ? directory.integer(sizes, i) : 0;
        if (!fields.holds(directory.integer(offsets, i), size))
            throw_corrupt(source, "truncated TIFF: part " + std::to_string(i + 1) + " of " + std::to_string(offsets.count) +
                                      " of the pixels lies behind the end of the file");
    }
}

}  // namespace

HeaderFacts read_jpeg_header(const Source& source) {
    const Fields fields(source.bytes, ByteOrder::big, source.name);
    HeaderFacts facts;
    bool has_scan = false;
    for (std::uint64_t marker_offset = find_jpeg_marker(source, 2);;) {
        const std::uint32_t marker = fields.u8(marker_offset);
        if (marker == 0xD9) break;
        const bool is_frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if (is_frame && facts.width == 0) {
            facts.depth = static_cast<int>(fields.u8(marker_offset + 3));
            facts.height = fields.u16(marker_offset + 4);
            facts.width = fields.u16(marker_offset + 6);
            facts.is_cmyk = fields.u8(marker_offset + 8) == 4;
        }
        if (marker == 0xDA) has_scan = true;
        const bool is_alone = marker == 0x01 || marker == 0xD8;
        marker_offset = find_jpeg_marker(source, marker_offset + 1 + (is_alone ? 0 : fields.u16(marker_offset + 1)));
    }
    if (facts.width == 0 || !has_scan) throw_corrupt(source, "damaged JPEG: it holds no picture");
    return facts;
}

HeaderFacts read_webp_header(const Source& source) {
    const Fields fields(source.bytes, ByteOrder::little, source.name);
    if (!fields.holds(8, fields.u32(4)))
        throw_corrupt(source, "truncated WebP: " + std::to_string(source.bytes.size()) + " bytes instead of " +
                                  std::to_string(std::uint64_t{fields.u32(4)} + 8));
    HeaderFacts facts;
    constexpr std::uint64_t payload = 20;  // after "RIFF", size, "WEBP", the chunk's name and its size
    if (fields.has_text(12, "VP8X")) {
        constexpr std::uint32_t animation_flag = 0x02;
        if ((fields.u8(payload) & animation_flag) != 0)
            throw_unsupported(source, "animated WebP is not supported; extract a single frame first");
        facts.width = std::uint64_t{fields.u24(payload + 4)} + 1;
        facts.height = std::uint64_t{fields.u24(payload + 7)} + 1;
    } else if (fields.has_text(12, "VP8L")) {
        const std::uint32_t sides = fields.u32(payload + 1);
        facts.width = (sides & 0x3FFF) + 1;
        facts.height = ((sides >> 14) & 0x3FFF) + 1;
    } else if (fields.has_text(12, "VP8 ")) {
        facts.width = fields.u16(payload + 6) & 0x3FFF;
        facts.height = fields.u16(payload + 8) & 0x3FFF;
    } else {
        throw_corrupt(source, "damaged WebP: it does not begin with a picture");
    }
    return facts;
}

HeaderFacts read_tiff_header(const Source& source) {
    const Fields fields(source.bytes, tiff_order(source.bytes), source.name);
    const TiffDirectory directory(fields, fields.u32(4));
    const auto first_value = [&](std::uint32_t tag, std::uint32_t fallback) { return directory.first_integer(tag, fallback); };
    HeaderFacts facts;
    facts.width = first_value(tiff_tag::width, 0);
    facts.height = first_value(tiff_tag::height, 0);
    const std::uint32_t bits = first_value(tiff_tag::bits, 1);
    // Two-tone pictures come out as gray, 0 and 255.
    facts.depth = bits == 1 ? 8 : static_cast<int>(bits);
    const std::uint32_t photometric = first_value(tiff_tag::photometric, photometric_gray);
    const std::uint32_t channels = first_value(tiff_tag::channels, 1);
    if (photometric == photometric_cmyk) throw_unsupported(source, "CMYK TIFF is not supported; convert it to RGB");
    if (channels == 2)
        throw_unsupported(source, "gray TIFF with an alpha channel is not supported; remove the alpha channel first");
    if (first_value(tiff_tag::sample_format, 1) != 1)
        throw_unsupported(source, "TIFF with signed or floating-point samples is not supported; convert to 8 or 16 bit unsigned");
    // OpenCV takes 16 bits as they lie, whatever they stand for: a negative, planes in a row, colours of another space.
    const bool is_gray = photometric == photometric_gray && channels == 1;
    const bool is_rgb = photometric == photometric_rgb && (channels == 3 || channels == 4) &&
                        first_value(tiff_tag::planar, planar_interleaved) == planar_interleaved;
    if (bits == 16 && !is_gray && !is_rgb)
        throw_unsupported(source,
                          "16-bit TIFF is read as gray with black at 0 or as interleaved RGB only; convert it to one of these");
    facts.has_palette = photometric == photometric_palette;
    if (const auto orientation = directory.find(tiff_tag::orientation);
        orientation && orientation->count > 0 && orientation->value_size == 2)
        if (directory.integer(*orientation, 0) != 1) facts.orientation_offset = orientation->offset;
    // One more sample than colours; what it is said to be, if anything.
    if (const auto kind = directory.find(tiff_tag::extra_samples); kind && kind->count > 0 && kind->value_size == 2) {
        constexpr std::uint32_t associated = 1, unassociated = 2;
        facts.is_premultiplied = directory.integer(*kind, 0) == associated;
        if (directory.integer(*kind, 0) == unassociated) facts.alpha_kind_offset = kind->offset;
    }
    check_tiff_data(source, fields, directory);
    return facts;
}

HeaderFacts read_bmp_header(const Source& source) {
    const Fields fields(source.bytes, ByteOrder::little, source.name);
    HeaderFacts facts;
    std::uint32_t pixel_bits = 0;
    std::uint32_t compression = 0;
    if (constexpr std::uint32_t old_header = 12; fields.u32(14) == old_header) {
        facts.width = fields.u16(18);
        facts.height = fields.u16(20);
        pixel_bits = fields.u16(24);
    } else {
        const std::uint32_t height = fields.u32(22);
        facts.width = fields.u32(18);
        facts.height = (height & 0x80000000U) != 0 ? 0U - height : height;  // negative: stored top down
        pixel_bits = fields.u16(28);
        compression = fields.u32(30);
    }
    facts.has_palette = pixel_bits <= 8;
    if (facts.width > INT32_MAX || pixel_bits > 32) throw_corrupt(source, "damaged BMP: impossible width or depth");
    if (pixel_bits == 16) throw_unsupported(source, "BMP with 16 bits a pixel is not supported; convert it to 24 bits a pixel");
    constexpr std::uint32_t uncompressed = 0, uncompressed_masks = 3;
    if (compression == uncompressed || compression == uncompressed_masks) {
        const std::uint64_t row_size = (facts.width * pixel_bits + 31) / 32 * 4;
        if (!fields.holds(fields.u32(10), row_size * facts.height))
            throw_corrupt(source, "truncated BMP: the pixels go on after the end of the file");
    }
    return facts;
}

}  // namespace decant
