// PNG (Portable Network Graphics specification 1.2; eXIf: extensions 1.5).
#include <zlib.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "codec/metadata/fields.h"
#include "codec/metadata/formats.h"

namespace decant {
namespace {

constexpr std::size_t chunk_overhead = 12;  // length, type, CRC
constexpr std::size_t after_header = 8 + chunk_overhead + 13;
constexpr std::string_view xmp_keyword = "XML:com.adobe.xmp";
constexpr std::uint64_t longest_keyword = 79;

// Grows with what really comes, so that a lie costs nothing. Throws Error: corrupt, limit for more than kMaxMetadataBlock bytes.
std::vector<std::uint8_t> inflated(const Fields& fields, std::span<const std::uint8_t> packed) {
    z_stream stream{};
    if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
    struct End {
        z_stream& stream;
        ~End() { inflateEnd(&stream); }
    } end{stream};
    std::vector<std::uint8_t> result;
    std::array<std::uint8_t, 1 << 15> part;
    stream.next_in = const_cast<Bytef*>(packed.data());
    stream.avail_in = static_cast<uInt>(packed.size());  // of a chunk: below 2^31
    for (int status = Z_OK; status != Z_STREAM_END;) {
        stream.next_out = part.data();
        stream.avail_out = static_cast<uInt>(part.size());
        status = inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END) fields.fail("its compressed data are damaged");
        const std::size_t count = part.size() - stream.avail_out;
        if (result.size() + count > kMaxMetadataBlock)
            throw Error(ErrorCode::limit, "more than the " + std::to_string(kMaxMetadataBlock) + " bytes that are taken");
        result.insert(result.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return result;
}

// The offset behind the 0 that ends a text.
std::uint64_t behind_text(const Fields& fields, std::uint64_t offset) {
    while (fields.u8(offset) != 0) ++offset;
    return offset + 1;
}

std::vector<std::uint8_t> read_iccp(const Fields& data) {
    const std::uint64_t method = behind_text(data, 0);
    if (method > longest_keyword + 1 || data.u8(method) != 0) data.fail("a name or method that is not possible");
    return inflated(data, data.bytes().subspan(method + 1));
}

std::vector<std::uint8_t> read_itxt(const Fields& data) {
    const std::uint64_t flag = xmp_keyword.size() + 1;
    const bool is_compressed = data.u8(flag) != 0;
    if (is_compressed && data.u8(flag + 1) != 0) data.fail("an unknown compression");
    const std::uint64_t text = behind_text(data, behind_text(data, flag + 2));  // language, translated keyword
    const auto rest = data.bytes().subspan(text);
    return is_compressed ? inflated(data, rest) : std::vector<std::uint8_t>(rest.begin(), rest.end());
}

Resolution read_phys(const Fields& data) {
    const std::uint32_t x = data.u32(0), y = data.u32(4);
    constexpr std::uint32_t metre = 1, centimetres = 100;
    if (data.u8(8) == metre) return {{x, centimetres}, {y, centimetres}, Resolution::Unit::centimetre};
    return {{x, 1}, {y, 1}, Resolution::Unit::none};
}

std::uint32_t crc_of(std::span<const std::uint8_t> bytes) {
    return static_cast<std::uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

void append_chunk(std::vector<std::uint8_t>& chunks, std::string_view type, std::span<const std::uint8_t> data) {
    append_number(chunks, data.size(), 4, ByteOrder::big);
    const std::size_t begin = chunks.size();
    chunks.insert(chunks.end(), type.begin(), type.end());
    chunks.insert(chunks.end(), data.begin(), data.end());
    append_number(chunks, crc_of(std::span(chunks).subspan(begin)), 4, ByteOrder::big);
}

std::vector<std::uint8_t> text_bytes(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<std::uint8_t> make_iccp(std::span<const std::uint8_t> icc) {
    std::vector<std::uint8_t> data = text_bytes({"icc\0\0", 5});  // a name, and the only method there is
    const std::size_t begin = data.size();
    uLongf size = compressBound(icc.size());
    data.resize(begin + size);
    if (compress2(data.data() + begin, &size, icc.data(), icc.size(), Z_BEST_COMPRESSION) != Z_OK) throw std::bad_alloc();
    data.resize(begin + size);
    return data;
}

}  // namespace

void read_png_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector) {
    const Fields fields(file, ByteOrder::big, "PNG");
    for (std::uint64_t offset = 8; fields.holds(offset, chunk_overhead);) {
        const std::uint32_t length = fields.u32(offset);
        const bool is_icc = fields.has_text(offset + 4, "iCCP"), is_exif = fields.has_text(offset + 4, "eXIf");
        const bool is_resolution = fields.has_text(offset + 4, "pHYs");
        const bool is_xmp = fields.has_text(offset + 4, "iTXt") && fields.has_text(offset + 8, xmp_keyword) &&
                            length > xmp_keyword.size() && fields.u8(offset + 8 + xmp_keyword.size()) == 0;
        if (is_icc || is_exif || is_xmp || is_resolution) {
            const std::string what = is_icc ? "ICC profile" : is_exif ? "EXIF block" : is_xmp ? "XMP packet" : "resolution";
            collector.attempt(what, [&] {
                const Fields data(fields.part(offset + 8, length), ByteOrder::big, "PNG");
                if (crc_of(fields.part(offset + 4, std::uint64_t{length} + 4)) != fields.u32(offset + 8 + length))
                    data.fail("a wrong checksum");
                if (is_icc) collector.add_icc(read_iccp(data));
                if (is_exif) collector.add_exif(data.bytes());
                if (is_xmp) collector.add_xmp(read_itxt(data));
                if (is_resolution) collector.add_resolution(read_phys(data));
            });
        }
        offset += std::uint64_t{length} + chunk_overhead;
    }
}

void embed_png_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector) {
    const Fields fields(file, ByteOrder::big, "PNG");
    if (!fields.has_text(12, "IHDR") || !fields.holds(0, after_header)) fields.fail("no header");
    std::vector<std::uint8_t> chunks;
    if (!metadata.icc.empty()) append_chunk(chunks, "iCCP", make_iccp(metadata.icc));
    if (metadata.resolution) {
        const auto unit = metadata.resolution->unit;
        const bool is_in_inches = unit == Resolution::Unit::inch;
        // A metre is 100 centimetres and 10000/254 inches.
        const auto whole = whole_resolution(*metadata.resolution, is_in_inches ? 10000 : 100, is_in_inches ? 254 : 1, INT32_MAX);
        if (whole) {
            std::vector<std::uint8_t> data;
            append_number(data, whole->x, 4, ByteOrder::big);
            append_number(data, whole->y, 4, ByteOrder::big);
            data.push_back(unit == Resolution::Unit::none ? 0 : 1);
            append_chunk(chunks, "pHYs", data);
        } else {
            collector.leave_out("the resolution (" + describe(*metadata.resolution) + ") is beyond PNG's numbers");
        }
    }
    if (!metadata.exif.empty()) append_chunk(chunks, "eXIf", metadata.exif);
    if (!metadata.xmp.empty()) {
        std::vector<std::uint8_t> data = text_bytes(xmp_keyword);
        data.insert(data.end(), 5, 0);  // end of keyword, not compressed, no method, no language, no translation
        data.insert(data.end(), metadata.xmp.begin(), metadata.xmp.end());
        append_chunk(chunks, "iTXt", data);
    }
    file.insert(file.begin() + after_header, chunks.begin(), chunks.end());
}

}  // namespace decant
