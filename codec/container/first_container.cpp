// Files of the versions 1 to 3: container.h says how they differ.
#include <algorithm>

#include "codec/container/container_bytes.h"
#include "codec/error.h"

namespace decant::container {

namespace {

constexpr std::array<uint8_t, 4> kSignatureEnd{'\r', '\n', 0x1A, '\n'};
constexpr std::size_t kBeforeHead = kSignature.size() + kSignatureEnd.size() + 2;
constexpr std::array<char, 4> kSectionHead{'H', 'E', 'A', 'D'};
constexpr std::size_t kFieldBytes = 28, kFrame = kFirstSectionOverhead;  // of HEAD, before the tiles' lengths; around a section's payload
constexpr uint16_t kLastVersion = 3;

struct SectionView {
    std::array<char, 4> type;
    std::span<const uint8_t> payload;
    uint32_t crc;
};

// The section at the beginning of `bytes`, which is shortened by it; `offset` is its position in the file, for messages. Its CRC begins with one of what is before it.
SectionView take_section(std::span<const uint8_t>& bytes, std::size_t offset, uint32_t before = 0) {
    const std::string where = "section at byte " + std::to_string(offset) + ": ";
    if (bytes.size() < kFrame) throw Error(ErrorCode::corrupt, where + "truncated, " + std::to_string(bytes.size()) + " bytes left");
    const std::size_t length = load<uint32_t>(bytes, 4);
    if (length > bytes.size() - kFrame)
        throw Error(ErrorCode::corrupt, where + "truncated, it announces " + std::to_string(length) + " bytes and " +
                                            std::to_string(bytes.size() - kFrame) + " are left");
    SectionView section;
    std::copy_n(bytes.begin(), 4, section.type.begin());
    section.payload = bytes.subspan(8, length);
    section.crc = load<uint32_t>(bytes, 8 + length);
    if (const uint32_t crc = crc_of(bytes.first(8 + length), before); crc != section.crc)
        throw Error(ErrorCode::corrupt, where + "checksum is " + std::to_string(crc) + ", the file says " + std::to_string(section.crc));
    if (!is_section_type(section.type)) throw Error(ErrorCode::corrupt, where + "its type is not made of letters, digits and spaces");
    bytes = bytes.subspan(kFrame + length);
    return section;
}

}  // namespace

Head parse_first_head(std::span<const uint8_t> file, const Fetch& fetch, uint64_t max_pixels) {
    fetch(0, kBeforeHead + kFrame);
    // A .dcn file all the same, which something has cut off or converted.
    if (file.size() < kBeforeHead || !std::equal(kSignatureEnd.begin(), kSignatureEnd.end(), file.begin() + kSignature.size()))
        throw Error(ErrorCode::corrupt, "signature of a .dcn file is damaged: truncated, or transferred as text");
    const auto version = load<uint16_t>(file, kBeforeHead - 2);
    if (version < 1 || version > kLastVersion) refuse_version(version);

    std::span<const uint8_t> bytes = file.subspan(kBeforeHead);
    if (bytes.size() >= kFrame) fetch(kBeforeHead, kFrame + load<uint32_t>(bytes, 4));
    const SectionView section = take_section(bytes, kBeforeHead, version == 1 ? 0 : crc_of(file.subspan(kBeforeHead - 2, 2)));
    if (section.type != kSectionHead) throw Error(ErrorCode::corrupt, "section " + name_of(section.type) + " where \"HEAD\" must be");
    const std::span<const uint8_t> fields = section.payload;
    if (fields.size() < kFieldBytes)
        throw Error(ErrorCode::corrupt, "header: " + std::to_string(fields.size()) + " bytes, at least " + std::to_string(kFieldBytes) + " are needed");
    Head head;
    head.crc = section.crc;
    Header& header = head.header;
    header.version = version;
    header.model = load<uint64_t>(fields, 0);
    header.width = load<uint32_t>(fields, 8);
    header.height = load<uint32_t>(fields, 12);
    header.channels = fields[16];
    header.depth = fields[17];
    header.quality = load<uint16_t>(fields, 18);
    header.tile = load<uint16_t>(fields, 20);
    const auto flags = load<uint16_t>(fields, 22);
    const std::size_t ancillary = load<uint32_t>(fields, 24);
    constexpr std::array kTrellis{Quantiser::first_trellis, Quantiser::trellis, Quantiser::large_trellis};
    header.quantiser = (flags & 1) == 0 ? Quantiser::scalar : kTrellis[version - 1u];
    header.filter = uint16_t(flags >> 1);
    check_fields(header, ErrorCode::unsupported);
    check_pixels(header, max_pixels);

    // Tiles are fewer than pixels, but a caller may have lifted that limit: no product that can overflow.
    const uint64_t tile_count = tile_grid(header).count();
    const uint64_t lengths_size = fields.size() - kFieldBytes;
    if (lengths_size % 4 != 0 || lengths_size / 4 != tile_count)
        throw Error(ErrorCode::corrupt, "header: " + std::to_string(lengths_size) + " bytes of tile lengths, where the image has " +
                                            std::to_string(tile_count) + " tiles");
    for (std::size_t at = kFieldBytes; at < fields.size(); at += 4) head.tile_lengths.push_back(load<uint32_t>(fields, at));

    const std::size_t begin = file.size() - bytes.size();
    if (ancillary > bytes.size())
        throw Error(ErrorCode::corrupt, "header announces sections of " + std::to_string(ancillary) + " bytes, the file has " + std::to_string(bytes.size()));
    fetch(begin, ancillary);
    head.size = begin + ancillary;
    for (std::span<const uint8_t> sections = bytes.first(ancillary); !sections.empty();) {
        const std::size_t offset = head.size - sections.size();
        const SectionView view = take_section(sections, offset);
        if (is_critical(view.type) && !is_known(view.type))
            throw Error(ErrorCode::unsupported, "critical section " + name_of(view.type) + " at byte " + std::to_string(offset) + " is unknown");
        head.sections.push_back({view.type, {view.payload.begin(), view.payload.end()}});
    }
    return head;
}

}  // namespace decant::container
