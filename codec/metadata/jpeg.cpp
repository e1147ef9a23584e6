// JPEG: JFIF 1.02; Exif 2.32, 4.7.2; ICC.1:2022, annex B.4; XMP specification part 3, 1.1.3.
#include <algorithm>
#include <optional>
#include <string_view>

#include "codec/metadata/fields.h"
#include "codec/metadata/formats.h"

namespace decant {
namespace {

constexpr std::string_view jfif_name("JFIF\0", 5), exif_name("Exif\0\0", 6), icc_name("ICC_PROFILE\0", 12),
    xmp_name("http://ns.adobe.com/xap/1.0/\0", 29), extended_xmp_name("http://ns.adobe.com/xmp/extension/\0", 35),
    photoshop_name("Photoshop 3.0\0", 14);
constexpr std::string_view iptc_resource("8BIM\4\4", 6);  // among Photoshop's
constexpr std::size_t largest_payload = 65533;  // of a segment: 16 bits, less the length itself
constexpr std::uint8_t app0 = 0xE0, app1 = 0xE1, app2 = 0xE2, app13 = 0xED, start_of_scan = 0xDA, end_of_image = 0xD9;

struct Segment {
    std::uint8_t marker = 0;
    std::uint64_t offset = 0;  // of the payload
    std::span<const std::uint8_t> payload;
};

// Calls visit(segment) for each segment before the pixels.
template <class Visit>
void visit_segments(const Fields& fields, const Visit& visit) {
    for (std::uint64_t offset = 2; fields.holds(offset, 2);) {
        if (fields.u8(offset) != 0xFF) {  // bytes between segments, which decoders pass over
            ++offset;
            continue;
        }
        const auto marker = static_cast<std::uint8_t>(fields.u8(offset + 1));
        if (marker == start_of_scan || marker == end_of_image) return;
        const bool is_fill = marker == 0xFF, is_alone = marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8);
        if (is_fill || is_alone) {
            offset += is_fill ? 1 : 2;
            continue;
        }
        const std::uint32_t length = fields.u16(offset + 2);
        if (length < 2) fields.fail("a segment of " + std::to_string(length) + " bytes");
        visit(Segment{marker, offset + 4, fields.part(offset + 4, length - 2)});
        offset += 2 + std::uint64_t{length};
    }
}

// A profile in numbered segments, which may come in any order.
class IccSegments {
public:
    void add(std::span<const std::uint8_t> numbered) {
        const std::size_t number = numbered.size() < 2 ? 0 : numbered[0], count = numbered.size() < 2 ? 0 : numbered[1];
        if (parts_.empty()) parts_.resize(count);
        if (number == 0 || number > count || count != parts_.size())
            contradiction_ = true;
        else if (!parts_[number - 1])  // of duplicates the first counts
            parts_[number - 1] = numbered.subspan(2);
    }

    void collect(MetadataCollector& collector) const {
        if (contradiction_) return collector.leave_out("the ICC profile is damaged: its segments contradict each other");
        std::vector<std::uint8_t> icc;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            if (!parts_[i])
                return collector.leave_out("the ICC profile is damaged: segment " + std::to_string(i + 1) + " of " +
                                           std::to_string(parts_.size()) + " is missing");
            icc.insert(icc.end(), parts_[i]->begin(), parts_[i]->end());
        }
        if (!parts_.empty()) collector.add_icc(icc);
    }

private:
    std::vector<std::optional<std::span<const std::uint8_t>>> parts_;
    bool contradiction_ = false;
};

bool begins_with(std::span<const std::uint8_t> payload, std::string_view name) {
    return payload.size() >= name.size() && std::equal(name.begin(), name.end(), payload.begin(),
                                                       [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

constexpr std::uint64_t density_unit = 7, density_x = 8, density_y = 10, jfif_size = 12;  // offsets in JFIF's payload
enum class DensityUnit : std::uint8_t { none = 0, inch = 1, centimetre = 2 };

bool is_jfif(const Segment& segment) {
    return segment.marker == app0 && begins_with(segment.payload, jfif_name) && segment.payload.size() >= jfif_size;
}

Resolution read_density(const Fields& fields, std::uint64_t payload) {
    Resolution resolution{{fields.u16(payload + density_x), 1}, {fields.u16(payload + density_y), 1}, Resolution::Unit::none};
    const auto unit = static_cast<DensityUnit>(fields.u8(payload + density_unit));
    if (unit == DensityUnit::inch) resolution.unit = Resolution::Unit::inch;
    if (unit == DensityUnit::centimetre) resolution.unit = Resolution::Unit::centimetre;
    return resolution;
}

void append_segment(std::vector<std::uint8_t>& segments, std::uint8_t marker, std::string_view name,
                    std::span<const std::uint8_t> data) {
    segments.push_back(0xFF);
    segments.push_back(marker);
    append_number(segments, 2 + name.size() + data.size(), 2, ByteOrder::big);
    segments.insert(segments.end(), name.begin(), name.end());
    segments.insert(segments.end(), data.begin(), data.end());
}

void append_icc(std::vector<std::uint8_t>& segments, std::span<const std::uint8_t> icc, MetadataCollector& collector) {
    constexpr std::size_t part_size = largest_payload - icc_name.size() - 2, most_parts = 255;
    const std::size_t count = (icc.size() + part_size - 1) / part_size;
    if (count > most_parts)
        return collector.leave_out("the ICC profile has " + std::to_string(icc.size()) + " bytes, more than a JPEG can hold");
    for (std::size_t i = 0; i < count; ++i) {
        std::vector<std::uint8_t> numbered = {static_cast<std::uint8_t>(i + 1), static_cast<std::uint8_t>(count)};
        const auto part = icc.subspan(i * part_size, std::min(part_size, icc.size() - i * part_size));
        numbered.insert(numbered.end(), part.begin(), part.end());
        append_segment(segments, app2, icc_name, numbered);
    }
}

void append_block(std::vector<std::uint8_t>& segments, std::string_view name, std::span<const std::uint8_t> block,
                  const std::string& what, MetadataCollector& collector) {
    if (block.empty()) return;
    if (const std::size_t most = largest_payload - name.size(); block.size() > most)
        return collector.leave_out("the " + what + " has " + std::to_string(block.size()) + " bytes, and a JPEG holds " +
                                   std::to_string(most));
    append_segment(segments, app1, name, block);
}

void store_density(std::vector<std::uint8_t>& file, std::uint64_t payload, const Resolution& resolution,
                   MetadataCollector& collector) {
    // Centimetres where they come out even, as a JPEG may have had them; inches otherwise.
    DensityUnit unit = DensityUnit::inch;
    std::optional<WholeResolution> whole;
    if (resolution.unit == Resolution::Unit::none) {
        unit = DensityUnit::none;
        whole = whole_resolution(resolution, 1, 1, UINT16_MAX);
    } else if (resolution.unit == Resolution::Unit::inch) {
        whole = whole_resolution(resolution, 1, 1, UINT16_MAX);
    } else if (resolution.x.numerator % resolution.x.denominator == 0 && resolution.y.numerator % resolution.y.denominator == 0) {
        unit = DensityUnit::centimetre;
        whole = whole_resolution(resolution, 1, 1, UINT16_MAX);
    } else {
        whole = whole_resolution(resolution, 254, 100, UINT16_MAX);
    }
    if (!whole) return collector.leave_out("the resolution (" + describe(resolution) + ") is beyond JPEG's numbers");
    std::vector<std::uint8_t> bytes = {static_cast<std::uint8_t>(unit)};
    append_number(bytes, whole->x, 2, ByteOrder::big);
    append_number(bytes, whole->y, 2, ByteOrder::big);
    std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(payload + density_unit));
}

}  // namespace

void read_jpeg_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector) {
    const Fields fields(file, ByteOrder::big, "JPEG");
    IccSegments icc;
    bool has_extended_xmp = false, has_iptc = false;
    visit_segments(fields, [&](const Segment& segment) {
        const auto payload = segment.payload;
        if (is_jfif(segment)) collector.add_resolution(read_density(fields, segment.offset));
        if (segment.marker == app1 && begins_with(payload, exif_name)) collector.add_exif(payload.subspan(exif_name.size()));
        if (segment.marker == app1 && begins_with(payload, xmp_name)) collector.add_xmp(payload.subspan(xmp_name.size()));
        if (segment.marker == app1 && begins_with(payload, extended_xmp_name)) has_extended_xmp = true;
        if (segment.marker == app2 && begins_with(payload, icc_name)) icc.add(payload.subspan(icc_name.size()));
        if (segment.marker == app13 && begins_with(payload, photoshop_name))
            has_iptc |= std::search(payload.begin(), payload.end(), iptc_resource.begin(), iptc_resource.end()) != payload.end();
    });
    icc.collect(collector);
    if (has_extended_xmp) collector.leave_out("the extension of the XMP packet, beyond its first 64 KiB, is not supported");
    if (has_iptc) collector.leave_out(kIptcRemark);
}

void embed_jpeg_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector) {
    std::uint64_t jfif = 0;
    {
        const Fields fields(file, ByteOrder::big, "JPEG");
        visit_segments(fields, [&](const Segment& segment) {
            if (jfif == 0 && is_jfif(segment)) jfif = segment.offset;
        });
        if (jfif == 0) fields.fail("no JFIF header");
    }
    if (metadata.resolution) store_density(file, jfif, *metadata.resolution, collector);
    std::vector<std::uint8_t> segments;
    append_block(segments, exif_name, metadata.exif, "EXIF block", collector);
    append_block(segments, xmp_name, metadata.xmp, "XMP packet", collector);
    append_icc(segments, metadata.icc, collector);
    const std::uint64_t length = std::uint64_t{file[jfif - 2]} << 8 | file[jfif - 1];
    file.insert(file.begin() + static_cast<std::ptrdiff_t>(jfif - 2 + length), segments.begin(), segments.end());
}

}  // namespace decant
