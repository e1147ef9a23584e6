// PNG (Portable Network Graphics specification 1.2; eXIf: extensions 1.5). Also the texts "Raw profile type ..." that ImageMagick and
// ExifTool write: a profile in hexadecimal digits behind a name and a length, in tEXt or zTXt.
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
constexpr std::string_view raw_keyword = "Raw profile type ";
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

struct RawProfile {
    std::string_view kind;  // "exif", "xmp", "icc", ...; "APP1" holds one of the first two
    std::vector<std::uint8_t> data;
};

int digit_value(std::uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

RawProfile read_raw_profile(const Fields& data, std::string_view type) {
    const std::uint64_t value = behind_text(data, 0);
    std::vector<std::uint8_t> text;
    if (type == "zTXt") {
        if (data.u8(value) != 0) data.fail("an unknown compression");
        text = inflated(data, data.bytes().subspan(value + 1));
    } else {
        text.assign(data.bytes().begin() + static_cast<std::ptrdiff_t>(value), data.bytes().end());
    }
    // A line end, the name's line, the length's line, lines of digits. The length is that of the data, so it is not needed.
    auto at = text.begin();
    for (int lines = 0; lines < 3; ++lines) {
        at = std::find(at, text.end(), '\n');
        if (at == text.end()) data.fail("a raw profile without its name and length");
        ++at;
    }
    RawProfile profile;
    profile.kind = {reinterpret_cast<const char*>(data.bytes().data()) + raw_keyword.size(), value - 1 - raw_keyword.size()};
    int high = -1;
    for (; at != text.end(); ++at) {
        if (*at == '\n') continue;
        const int digit = digit_value(*at);
        if (digit < 0) data.fail("a raw profile that is not in hexadecimal digits");
        if (high >= 0) profile.data.push_back(static_cast<std::uint8_t>(high << 4 | digit));
        high = high >= 0 ? -1 : digit;
    }
    return profile;
}

void add_raw_profile(const RawProfile& profile, MetadataCollector& collector) {
    std::span<const std::uint8_t> data = profile.data;
    const auto take = [&](std::string_view name) {
        const bool found = data.size() >= name.size() && std::equal(name.begin(), name.end(), data.begin());
        if (found) data = data.subspan(name.size());
        return found;
    };
    // With the names that JPEG's segments have.
    if (take({"Exif\0\0", 6}))
        collector.add_exif(data);
    else if (take({"http://ns.adobe.com/xap/1.0/\0", 29}) || profile.kind == "xmp")
        collector.add_xmp(data);
    else if (profile.kind == "icc" || profile.kind == "icm")
        collector.add_icc(data);
    else if (profile.kind == "exif")
        collector.add_exif(data);
    else if (profile.kind == "iptc" || profile.kind == "8bim")
        collector.leave_out(kIptcRemark);
}

// What a picture says of its colours without a profile.
struct ColourChunks {
    bool is_srgb = false, has_gamma = false, has_primaries = false, has_code = false;

    // In steps of 1/100000. A difference within rounding is none.
    static bool is_near(std::uint32_t value, std::uint32_t expected) {
        return value + expected / 50 >= expected && value <= expected + expected / 50;
    }
    void add_gamma(const Fields& data) { has_gamma = !is_near(data.u32(0), 45455); }
    void add_primaries(const Fields& data) {
        constexpr std::array<std::uint32_t, 8> srgb = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
        for (std::size_t i = 0; i < srgb.size(); ++i) has_primaries |= !is_near(data.u32(4 * i), srgb[i]);
    }
    void remark(MetadataCollector& collector) const {
        if (has_code) collector.leave_out("the description of the colours (cICP) is not supported");
        if (!is_srgb && !collector.has_icc() && (has_gamma || has_primaries))
            collector.leave_out("the gamma or the primaries of the colours (gAMA, cHRM) differ from those of sRGB, and there is no "
                                "profile that says so; the numbers of the colours stay, their description is not supported");
    }
};

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
    ColourChunks colours;
    for (std::uint64_t offset = 8; fields.holds(offset, chunk_overhead);) {
        const std::uint32_t length = fields.u32(offset);
        const auto is = [&](std::string_view type) { return fields.has_text(offset + 4, type); };
        // The chunk, if its checksum is right.
        const auto use = [&](const std::string& what, const auto& work) {
            collector.attempt(what, [&] {
                const Fields data(fields.part(offset + 8, length), ByteOrder::big, "PNG");
                if (crc_of(fields.part(offset + 4, std::uint64_t{length} + 4)) != fields.u32(offset + 8 + length))
                    data.fail("a wrong checksum");
                work(data);
            });
        };
        const bool is_xmp = is("iTXt") && fields.has_text(offset + 8, xmp_keyword) && length > xmp_keyword.size() &&
                            fields.u8(offset + 8 + xmp_keyword.size()) == 0;
        const bool is_raw = (is("tEXt") || is("zTXt")) && length > raw_keyword.size() && fields.has_text(offset + 8, raw_keyword);
        if (is("iCCP")) use("ICC profile", [&](const Fields& data) { collector.add_icc(read_iccp(data)); });
        if (is("eXIf")) use("EXIF block", [&](const Fields& data) { collector.add_exif(data.bytes()); });
        if (is_xmp) use("XMP packet", [&](const Fields& data) { collector.add_xmp(read_itxt(data)); });
        if (is_raw)
            use("raw profile", [&](const Fields& data) {
                add_raw_profile(read_raw_profile(data, is("zTXt") ? "zTXt" : "tEXt"), collector);
            });
        if (is("pHYs")) use("resolution", [&](const Fields& data) { collector.add_resolution(read_phys(data)); });
        if (is("gAMA")) use("gamma", [&](const Fields& data) { colours.add_gamma(data); });
        if (is("cHRM")) use("chromaticities", [&](const Fields& data) { colours.add_primaries(data); });
        colours.is_srgb |= is("sRGB");
        colours.has_code |= is("cICP");
        offset += std::uint64_t{length} + chunk_overhead;
    }
    colours.remark(collector);
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
