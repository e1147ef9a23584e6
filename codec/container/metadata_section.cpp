#include "codec/container/metadata_section.h"

#include <zstd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "codec/error.h"
#include "codec/metadata/fields.h"

namespace decant {
namespace {

constexpr const char* kName = "metadata";
constexpr std::string_view kIcc = "icc ", kExif = "exif", kXmp = "xmp ", kResolution = "res ";
constexpr uint64_t kMaxContent = uint64_t{1} << 26;
// A block of 128 KiB takes at least 4 bytes (RFC 8878, 3.1.1.2).
constexpr uint64_t kMaxExpansion = 32768;
// A few kB as a rule, so that time is no matter; where it is many MB, it is tenths of a second.
constexpr int kLevel = 12;

void append_item(std::vector<uint8_t>& content, std::string_view kind, std::span<const uint8_t> data) {
    if (data.size() > kMaxMetadataBlock)
        throw Error(ErrorCode::invalid_argument, "metadata: a block of " + std::to_string(data.size()) + " bytes; up to " +
                                                     std::to_string(kMaxMetadataBlock) + " are possible");
    content.insert(content.end(), kind.begin(), kind.end());
    append_number(content, data.size(), 4, ByteOrder::little);
    content.insert(content.end(), data.begin(), data.end());
}

std::vector<uint8_t> bytes_of(const Resolution& resolution) {
    if (!is_valid(resolution)) throw Error(ErrorCode::invalid_argument, "metadata: the resolution is not valid");
    std::vector<uint8_t> bytes{static_cast<uint8_t>(resolution.unit)};
    for (const Rational& value : {resolution.x, resolution.y}) {
        append_number(bytes, value.numerator, 4, ByteOrder::little);
        append_number(bytes, value.denominator, 4, ByteOrder::little);
    }
    return bytes;
}

Resolution read_resolution(std::span<const uint8_t> data) {
    const Fields fields(data, ByteOrder::little, kName);
    const Resolution resolution{
        {fields.u32(1), fields.u32(5)}, {fields.u32(9), fields.u32(13)}, static_cast<Resolution::Unit>(fields.u8(0))};
    if (data.size() != 17 || !is_valid(resolution)) fields.fail("the resolution is not valid");
    return resolution;
}

std::vector<uint8_t> unpacked(std::span<const uint8_t> packed) {
    const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), packed.size());
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR)
        throw Error(ErrorCode::corrupt, "metadata: no Zstandard frame that says its size");
    if (size > kMaxContent)
        throw Error(ErrorCode::limit,
                    "metadata: " + std::to_string(size) + " bytes; the limit is " + std::to_string(kMaxContent));
    if (size / kMaxExpansion > packed.size())
        throw Error(ErrorCode::corrupt,
                    "metadata: " + std::to_string(packed.size()) + " bytes cannot hold " + std::to_string(size));
    std::vector<uint8_t> content(size);
    const std::size_t result = ZSTD_decompress(content.data(), content.size(), packed.data(), packed.size());
    if (ZSTD_isError(result))
        throw Error(ErrorCode::corrupt, std::string("metadata: damaged (") + ZSTD_getErrorName(result) + ")");
    if (result != content.size()) throw Error(ErrorCode::corrupt, "metadata: shorter than announced");
    return content;
}

}  // namespace

Section pack_metadata(const Metadata& metadata) {
    std::vector<uint8_t> content;
    if (!metadata.icc.empty()) append_item(content, kIcc, metadata.icc);
    if (!metadata.exif.empty()) append_item(content, kExif, metadata.exif);
    if (!metadata.xmp.empty()) append_item(content, kXmp, metadata.xmp);
    if (metadata.resolution) append_item(content, kResolution, bytes_of(*metadata.resolution));

    const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
    if (context == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
    Section section{kSectionMetadata, std::vector<uint8_t>(ZSTD_compressBound(content.size()))};
    const std::size_t size =
        ZSTD_compress2(context.get(), section.payload.data(), section.payload.size(), content.data(), content.size());
    if (ZSTD_isError(size))
        throw Error(ErrorCode::internal, std::string("metadata: compression failed: ") + ZSTD_getErrorName(size));
    section.payload.resize(size);
    return section;
}

Metadata unpack_metadata(const Container& container) {
    Metadata metadata;
    const Section* section = find_section(container, kSectionMetadata);
    if (section == nullptr) return metadata;
    const std::vector<uint8_t> content = unpacked(section->payload);
    const Fields fields(content, ByteOrder::little, kName);
    const auto set_block = [&](std::vector<uint8_t>& block, std::span<const uint8_t> data) {
        if (!block.empty()) fields.fail("a kind comes twice");
        if (data.size() > kMaxMetadataBlock)
            throw Error(ErrorCode::limit, "metadata: a block of " + std::to_string(data.size()) + " bytes; the limit is " +
                                              std::to_string(kMaxMetadataBlock));
        block.assign(data.begin(), data.end());
    };
    for (uint64_t offset = 0; offset < fields.size();) {
        const std::span<const uint8_t> data = fields.part(offset + 8, fields.u32(offset + 4));
        if (fields.has_text(offset, kIcc)) set_block(metadata.icc, data);
        if (fields.has_text(offset, kExif)) set_block(metadata.exif, data);
        if (fields.has_text(offset, kXmp)) set_block(metadata.xmp, data);
        if (fields.has_text(offset, kResolution)) {
            if (metadata.resolution) fields.fail("a kind comes twice");
            metadata.resolution = read_resolution(data);
        }
        offset += 8 + data.size();
    }
    return metadata;
}

std::size_t packed_metadata_size(const Container& container) { return section_size(container, kSectionMetadata); }

}  // namespace decant
