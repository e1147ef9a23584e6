// ICC profiles, EXIF, XMP and resolution out of picture files and into them; blocks that are damaged, too large or a trap.
#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>

#include "codec/image/reader.h"
#include "codec/image/writer.h"
#include "codec/metadata/embedding.h"
#include "codec/metadata/fields.h"
#include "tests/metadata_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

using Bytes = std::vector<std::uint8_t>;
using Unit = Resolution::Unit;

constexpr ImageFormat holding_formats[] = {ImageFormat::png, ImageFormat::jpeg, ImageFormat::webp, ImageFormat::tiff};

Bytes file_with(const Metadata& metadata, ImageFormat format, int channels = 3) {
    const EncodedPicture encoded = encode_picture({smooth_image(24, 16, channels), {}, metadata, {}}, format);
    CHECK(encoded.remarks.empty());
    return encoded.bytes;
}

Metadata read(std::span<const std::uint8_t> file, ImageFormat format) {
    Remarks remarks;
    const Bytes exact(file.begin(), file.end());  // so that a sanitizer sees a read past the end
    return read_metadata(exact, format, remarks);
}

std::string remarks_of(std::span<const std::uint8_t> file, ImageFormat format) {
    Remarks remarks;
    read_metadata(file, format, remarks);
    std::string text;
    for (const std::string& remark : remarks) text += remark + "\n";
    return text;
}

std::string embedding_remarks(const Metadata& metadata, ImageFormat format, int channels = 3) {
    std::string text;
    for (const std::string& remark : encode_picture({smooth_image(24, 16, channels), {}, metadata, {}}, format).remarks) text += remark + "\n";
    return text;
}

Bytes concatenated(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

Bytes with_inserted(Bytes file, std::size_t offset, const Bytes& bytes) {
    file.insert(file.begin() + static_cast<std::ptrdiff_t>(offset), bytes.begin(), bytes.end());
    return file;
}

Bytes jpeg_segment(std::uint8_t marker, const std::string& name, const Bytes& data) {
    Bytes segment = {0xFF, marker};
    append_number(segment, 2 + name.size() + data.size(), 2, ByteOrder::big);
    return concatenated({segment, bytes_of(name), data});
}

// A JPEG with these segments behind its first.
Bytes jpeg_with(std::initializer_list<Bytes> segments) {
    return with_inserted(encode_image(smooth_image(24, 16, 3), ImageFormat::jpeg), 20, concatenated(segments));
}

Bytes icc_segment(const Bytes& icc, int number, int count) {
    const std::size_t size = (icc.size() + static_cast<std::size_t>(count) - 1) / static_cast<std::size_t>(count);
    const std::size_t begin = size * static_cast<std::size_t>(number - 1), end = std::min(begin + size, icc.size());
    Bytes data = {static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(count)};
    data.insert(data.end(), icc.begin() + static_cast<std::ptrdiff_t>(begin), icc.begin() + static_cast<std::ptrdiff_t>(end));
    return jpeg_segment(0xE2, std::string("ICC_PROFILE\0", 12), data);
}

Bytes big_endian(std::uint64_t value) {
    Bytes bytes;
    append_number(bytes, value, 4, ByteOrder::big);
    return bytes;
}

Bytes png_chunk(const std::string& type, const Bytes& data) {
    const Bytes body = concatenated({bytes_of(type), data});
    return concatenated({big_endian(data.size()), body, big_endian(crc32(0, body.data(), static_cast<uInt>(body.size())))});
}

Bytes png_with(const std::string& type, const Bytes& data) {
    return with_inserted(encode_image(smooth_image(24, 16, 3), ImageFormat::png), 33, png_chunk(type, data));
}

Bytes deflated(const Bytes& bytes) {
    uLongf size = compressBound(bytes.size());
    Bytes packed(size);
    REQUIRE(compress(packed.data(), &size, bytes.data(), bytes.size()) == Z_OK);
    packed.resize(size);
    return packed;
}

Bytes compressed_xmp(const Bytes& text) { return concatenated({bytes_of(std::string("XML:com.adobe.xmp\0\1\0\0\0", 22)), deflated(text)}); }

// Big endian, with nothing but these entries, which hold their values themselves.
struct Entry {
    std::uint16_t tag, type;
    std::uint32_t count, value;
};
Bytes big_endian_exif(const std::vector<Entry>& entries, const Bytes& behind = {}) {
    Bytes exif = {'M', 'M', 0, 42, 0, 0, 0, 8};
    append_number(exif, entries.size(), 2, ByteOrder::big);
    for (const Entry& entry : entries) {
        append_number(exif, entry.tag, 2, ByteOrder::big);
        append_number(exif, entry.type, 2, ByteOrder::big);
        append_number(exif, entry.count, 4, ByteOrder::big);
        append_number(exif, entry.value, 4, ByteOrder::big);
    }
    exif.insert(exif.end(), 4, 0);
    return concatenated({exif, behind});
}

}  // namespace

TEST_CASE("metadata survive from each format to each other") {
    const Metadata metadata = all_metadata();
    for (const ImageFormat from : holding_formats)
        for (const ImageFormat to : holding_formats) {
            CAPTURE(format_name(from));
            CAPTURE(format_name(to));
            const Picture first = read_picture(file_with(metadata, from), "x");
            CHECK(first.remarks.empty());
            const Picture second = read_picture(file_with(first.metadata, to), "x");
            CHECK(second.remarks.empty());
            for (const Metadata& m : {first.metadata, second.metadata}) {
                CHECK(m.icc == metadata.icc);
                CHECK(m.xmp == metadata.xmp);
                CHECK(orientation_of(m) == 6);
                const TiffTree tree = read_description(m.exif);
                CHECK(tree.fields == exif_tree().fields);
                CHECK(make_exif(tree.children.at(tiff_tag::exif_directory)) == make_exif(exif_tree().children.at(tiff_tag::exif_directory)));
                CHECK(make_exif(tree.children.at(tiff_tag::gps_directory)) == make_exif(exif_tree().children.at(tiff_tag::gps_directory)));
            }
            // Each format rounds in its own way: PNG to whole pixels a metre.
            const auto resolution = second.metadata.resolution ? second.metadata.resolution : exif_resolution(second.metadata.exif);
            REQUIRE(resolution);
            const double inch = resolution->unit == Unit::inch ? 1 : 2.54;
            CHECK(inch * resolution->x.numerator / resolution->x.denominator == doctest::Approx(300).epsilon(0.0001));
            CHECK(inch * resolution->y.numerator / resolution->y.denominator == doctest::Approx(200).epsilon(0.0001));
            if (from == to && from != ImageFormat::tiff && from != ImageFormat::webp) CHECK(second.metadata.exif == metadata.exif);
        }
}

TEST_CASE("pixels and their metadata do not touch each other") {
    for (const ImageFormat format : holding_formats)
        for (const int channels : {1, 3}) {
            Metadata metadata = all_metadata();
            if (channels == 1) metadata.icc.clear();
            const Image image = smooth_image(24, 16, channels);
            CHECK(read_image(file_with(metadata, format, channels), "x") == read_image(encode_image(image, format), "x"));
            CHECK(encode_picture({image, {}, {}, {}}, format).bytes == encode_image(image, format));
            const Metadata none = read(encode_image(image, format), format);
            CHECK(none.empty());
        }
}

TEST_CASE("a file cut anywhere gives whole blocks or none") {
    const Metadata metadata = all_metadata();
    for (const ImageFormat format : holding_formats) {
        const Bytes file = file_with(metadata, format);
        const Metadata whole = read(file, format);
        for (std::size_t size = 0; size < file.size(); ++size) {
            const Metadata part = read(std::span(file).first(size), format);
            CHECK((part.icc.empty() || part.icc == whole.icc));
            CHECK((part.exif.empty() || part.exif == whole.exif));
            CHECK((part.xmp.empty() || part.xmp == whole.xmp));
        }
    }
}

TEST_CASE("files with a few wrong bytes do no harm") {
    std::mt19937 random(3);
    std::vector<Bytes> targets;
    for (const ImageFormat format : holding_formats) targets.push_back(encode_image(Image(2, 2, 3), format));
    for (const ImageFormat format : holding_formats) {
        const Bytes file = file_with(all_metadata(), format);
        for (int round = 0; round < 500; ++round) {
            Bytes damaged = file;
            for (int i = 0; i <= round % 4; ++i) damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
            const Metadata found = read(damaged, format);
            // What was read goes into every format, or is left out with a remark.
            for (std::size_t i = 0; i < targets.size(); ++i) {
                Bytes target = targets[i];
                Remarks remarks;
                embed_metadata(target, holding_formats[i], found, 3, remarks);
                if (round % 25 == 0) CHECK(read_image(target, "x").width == 2);
            }
        }
    }
}

TEST_CASE("JPEG: an ICC profile in three segments in any order, with duplicates, with one missing") {
    const Bytes icc = make_icc(150000);
    const Bytes a = icc_segment(icc, 1, 3), b = icc_segment(icc, 2, 3), c = icc_segment(icc, 3, 3);
    CHECK(read(jpeg_with({a, b, c}), ImageFormat::jpeg).icc == icc);
    CHECK(read(jpeg_with({c, a, b}), ImageFormat::jpeg).icc == icc);
    CHECK(read(jpeg_with({c, a, a, b, c}), ImageFormat::jpeg).icc == icc);
    CHECK(read(jpeg_with({a, c}), ImageFormat::jpeg).icc.empty());
    CHECK(contains(remarks_of(jpeg_with({a, c}), ImageFormat::jpeg), "segment 2 of 3 is missing"));
    CHECK(contains(remarks_of(jpeg_with({a, b, icc_segment(icc, 3, 4)}), ImageFormat::jpeg), "contradict"));
    for (const Bytes& numbers : {Bytes{}, Bytes{1}, Bytes{0, 1}, Bytes{2, 1}, Bytes{1, 0}}) {
        const Bytes file = jpeg_with({jpeg_segment(0xE2, std::string("ICC_PROFILE\0", 12), numbers)});
        CHECK(contains(remarks_of(file, ImageFormat::jpeg), "ICC profile is damaged"));
    }
    const Metadata large{icc, {}, {}, {}};
    CHECK(read(file_with(large, ImageFormat::jpeg), ImageFormat::jpeg).icc == icc);
}

TEST_CASE("JPEG: of blocks that come twice the first counts") {
    const std::string name("http://ns.adobe.com/xap/1.0/\0", 29);
    const Bytes file = jpeg_with({jpeg_segment(0xE1, name, {1, 2}), jpeg_segment(0xE1, name, {3})});
    CHECK(read(file, ImageFormat::jpeg).xmp == Bytes{1, 2});
}

TEST_CASE("JPEG: a block fills a segment, and one byte more is left out with a word") {
    Metadata metadata;
    metadata.exif = make_exif(exif_tree());
    metadata.exif.resize(65533 - 6);
    metadata.xmp = make_xmp(65533 - 29);
    CHECK(read(file_with(metadata, ImageFormat::jpeg), ImageFormat::jpeg) == metadata);
    metadata.exif.push_back(0);
    metadata.xmp.push_back(' ');
    const std::string remarks = embedding_remarks(metadata, ImageFormat::jpeg);
    CHECK(contains(remarks, "EXIF block has 65528 bytes, and a JPEG holds 65527; it is left out"));
    CHECK(contains(remarks, "XMP packet has 65505 bytes, and a JPEG holds 65504; it is left out"));
    // Others hold them.
    CHECK(read(file_with(metadata, ImageFormat::png), ImageFormat::png) == metadata);
    CHECK(read(file_with(metadata, ImageFormat::webp), ImageFormat::webp) == metadata);
}

TEST_CASE("JPEG: extended XMP is named, the standard packet kept") {
    const Bytes file = jpeg_with({jpeg_segment(0xE1, std::string("http://ns.adobe.com/xap/1.0/\0", 29), {'x'}),
                                  jpeg_segment(0xE1, std::string("http://ns.adobe.com/xmp/extension/\0", 35), Bytes(80))});
    CHECK(read(file, ImageFormat::jpeg).xmp == Bytes{'x'});
    CHECK(contains(remarks_of(file, ImageFormat::jpeg), "extension of the XMP packet"));
}

TEST_CASE("EXIF: byte order marks, and what is too short") {
    for (const std::string& start : {std::string("IM*\0", 4), std::string("II\0*", 4), std::string("MM*\0", 4), std::string("II*\0", 4), std::string()}) {
        const Bytes file = png_with("eXIf", bytes_of(start));
        CHECK(read(file, ImageFormat::png).exif.empty());
        CHECK(contains(remarks_of(file, ImageFormat::png), "EXIF block does not begin with a TIFF header"));
    }
    const Metadata big{{}, big_endian_exif({{274, 3, 1, 8u << 16}}), {}, {}};
    CHECK(orientation_of(big) == 8);
    CHECK(orientation_of({{}, big_endian_exif({{274, 3, 1, 9u << 16}}), {}, {}}) == 1);
    CHECK(orientation_of({{}, bytes_of(std::string("II*\0\xff\xff\xff\xff", 8)), {}, {}}) == 1);
    CHECK(orientation_of({}) == 1);
    // As it is where it is a block, in the other order where it becomes tags.
    CHECK(read(file_with(big, ImageFormat::jpeg), ImageFormat::jpeg).exif == big.exif);
    CHECK(orientation_of(read(file_with(big, ImageFormat::tiff), ImageFormat::tiff)) == 8);
}

TEST_CASE("EXIF: directories that point to themselves, values that many entries share") {
    CHECK_NOTHROW(read_description(big_endian_exif({{tiff_tag::exif_directory, 4, 1, 8}, {tiff_tag::gps_directory, 4, 1, 8}})));
    // 60,000 entries with one million bytes each, which are the same bytes.
    const std::uint32_t behind = 8 + 2 + 12 * 1 + 4;
    Bytes exif = big_endian_exif({{tiff_tag::exif_directory, 4, 1, behind}});
    append_number(exif, 60000, 2, ByteOrder::big);
    const auto begin = static_cast<std::uint32_t>(exif.size() + 12 * 60000 + 4);
    for (std::uint32_t i = 0; i < 60000; ++i) {
        append_number(exif, i, 2, ByteOrder::big);
        append_number(exif, 7, 2, ByteOrder::big);
        append_number(exif, 1000000, 4, ByteOrder::big);
        append_number(exif, begin, 4, ByteOrder::big);
    }
    exif.resize(begin + 1000000);
    CHECK(failure_of([&] { read_description(exif); }).code == ErrorCode::limit);
    CHECK(contains(embedding_remarks({{}, exif, {}, {}}, ImageFormat::tiff), "EXIF block cannot be used"));
    // A value that lies behind the end.
    CHECK(failure_of([&] { read_description(big_endian_exif({{271, 2, 100, 1000}})); }).code == ErrorCode::corrupt);
    CHECK(failure_of([&] { read_description(bytes_of(std::string("MM\0*\0\0\0\x08", 8))); }).code == ErrorCode::corrupt);
}

TEST_CASE("EXIF: other values stay where they are when a resolution is set") {
    const Resolution resolution{{300, 1}, {300, 1}, Unit::inch};
    for (Bytes exif : {make_exif(exif_tree()), big_endian_exif({{274, 3, 1, 6u << 16}, {296, 3, 1, 3u << 16}})}) {
        const Bytes before = exif;
        set_fields(exif, resolution_fields(resolution));
        CHECK(exif_resolution(exif) == resolution);
        CHECK(orientation_of({{}, exif, {}, {}}) == 6);
        CHECK(std::equal(before.begin() + 8, before.end(), exif.begin() + 8));  // a new directory at the end; the old one is left
    }
}

TEST_CASE("PNG: compressed texts and profiles, and those that would burst") {
    const Bytes xmp = make_xmp(5000), icc = make_icc(4000);
    CHECK(read(png_with("iTXt", compressed_xmp(xmp)), ImageFormat::png).xmp == xmp);
    CHECK(read(png_with("iCCP", concatenated({bytes_of(std::string("name\0\0", 6)), deflated(icc)})), ImageFormat::png).icc == icc);

    const Bytes bomb(kMaxMetadataBlock + 1);  // 16 kB of file
    const Bytes text_bomb = png_with("iTXt", compressed_xmp(bomb));
    CHECK(text_bomb.size() < 100000);
    CHECK(read(text_bomb, ImageFormat::png).empty());
    CHECK(contains(remarks_of(text_bomb, ImageFormat::png), "XMP packet cannot be used (more than the 16777216 bytes that are taken)"));
    const Bytes profile_bomb = png_with("iCCP", concatenated({bytes_of(std::string("name\0\0", 6)), deflated(bomb)}));
    CHECK(contains(remarks_of(profile_bomb, ImageFormat::png), "ICC profile cannot be used (more than"));
    CHECK(read_image(text_bomb, "x") == smooth_image(24, 16, 3));  // the pixels are good
    // Of zTXt and tEXt only raw profiles are looked at.
    CHECK(remarks_of(png_with("zTXt", compressed_xmp(bomb)), ImageFormat::png).empty());
    const Bytes raw_bomb = concatenated({bytes_of(std::string("Raw profile type xmp\0\0", 22)), deflated(bomb)});
    CHECK(contains(remarks_of(png_with("zTXt", raw_bomb), ImageFormat::png), "raw profile cannot be used (more than"));
}

TEST_CASE("PNG: raw profiles in texts") {
    const auto hexadecimal = [](const std::string& kind, const Bytes& data) {
        std::string text = "\n" + kind + "\n" + std::to_string(data.size());
        for (std::size_t i = 0; i < data.size(); ++i) {
            if (i % 36 == 0) text += '\n';
            text += {"0123456789abcdef"[data[i] >> 4], "0123456789abcdef"[data[i] & 15]};
        }
        return bytes_of(text + "\n");
    };
    const auto plain = [&](const std::string& kind, const Bytes& data) {
        return png_with("tEXt", concatenated({bytes_of("Raw profile type " + kind), {0}, hexadecimal(kind, data)}));
    };
    const auto packed = [&](const std::string& kind, const Bytes& data) {
        return png_with("zTXt", concatenated({bytes_of("Raw profile type " + kind), {0, 0}, deflated(hexadecimal(kind, data))}));
    };
    const Metadata all = all_metadata();
    const Bytes exif_name = bytes_of(std::string("Exif\0\0", 6)), xmp_name = bytes_of(std::string("http://ns.adobe.com/xap/1.0/\0", 29));
    CHECK(read(packed("xmp", all.xmp), ImageFormat::png).xmp == all.xmp);
    CHECK(read(plain("xmp", all.xmp), ImageFormat::png).xmp == all.xmp);
    CHECK(read(packed("exif", concatenated({exif_name, all.exif})), ImageFormat::png).exif == all.exif);
    CHECK(read(plain("exif", all.exif), ImageFormat::png).exif == all.exif);
    CHECK(read(packed("APP1", concatenated({exif_name, all.exif})), ImageFormat::png).exif == all.exif);
    CHECK(read(packed("APP1", concatenated({xmp_name, all.xmp})), ImageFormat::png).xmp == all.xmp);
    CHECK(read(plain("icm", all.icc), ImageFormat::png).icc == all.icc);
    CHECK(read(packed("icc", all.icc), ImageFormat::png).icc == all.icc);
    CHECK(contains(remarks_of(packed("iptc", {1}), ImageFormat::png), "IPTC"));
    CHECK(remarks_of(packed("other", {1}), ImageFormat::png).empty());
    for (const char* text : {"", "\n", "\nxmp\n", "\nxmp\n 2\n0g\n", "\nxmp\n 2\n0A\n"}) {
        const Bytes file = png_with("tEXt", concatenated({bytes_of("Raw profile type xmp"), {0}, bytes_of(text)}));
        CAPTURE(text);
        CHECK(contains(remarks_of(file, ImageFormat::png), "the raw profile cannot be used"));
    }
}

TEST_CASE("PNG: colours that differ from sRGB without a profile are remarked on") {
    const std::string said = "gAMA, cHRM";
    const auto remarks = [](const std::string& type, const Bytes& data) { return remarks_of(png_with(type, data), ImageFormat::png); };
    CHECK(contains(remarks("gAMA", big_endian(100000)), said));
    CHECK(remarks("gAMA", big_endian(45455)).empty());
    CHECK(remarks("gAMA", big_endian(45000)).empty());
    Bytes primaries;
    for (const std::uint32_t value : {31270u, 32900u, 64000u, 33000u, 30000u, 60000u, 15000u, 6000u})
        append_number(primaries, value, 4, ByteOrder::big);
    CHECK(remarks("cHRM", primaries).empty());
    primaries[9] ^= 0x40;  // the x of red
    CHECK(contains(remarks("cHRM", primaries), said));
    CHECK(contains(remarks("cHRM", {1, 2}), "cannot be used"));
    CHECK(contains(remarks("cICP", {9, 16, 0, 1}), "cICP"));
    // A profile, or the word of the file that it is sRGB, comes first.
    const Bytes gamma = png_chunk("gAMA", big_endian(100000));
    const Bytes plain = encode_image(smooth_image(24, 16, 3), ImageFormat::png);
    CHECK(remarks_of(with_inserted(plain, 33, concatenated({gamma, png_chunk("sRGB", {0})})), ImageFormat::png).empty());
    CHECK(remarks_of(with_inserted(file_with(all_metadata(), ImageFormat::png), 33, gamma), ImageFormat::png).empty());
}

TEST_CASE("PNG: chunks that are damaged") {
    const auto refused = [](const std::string& type, const Bytes& data) {
        const Bytes file = png_with(type, data);
        CAPTURE(type);
        CHECK(read(file, ImageFormat::png).empty());
        CHECK(contains(remarks_of(file, ImageFormat::png), "left out"));
    };
    refused("iCCP", {});
    refused("iCCP", bytes_of("no end"));
    refused("iCCP", bytes_of(std::string("name\0", 5)));
    refused("iCCP", bytes_of(std::string("name\0\1abc", 9)));            // method 1
    refused("iCCP", bytes_of(std::string("name\0\0not deflate", 17)));
    refused("iCCP", concatenated({Bytes(90, 'n'), bytes_of(std::string("\0\0", 2)), deflated(make_icc())}));
    const Bytes packed = deflated(make_icc());
    refused("iCCP", concatenated({bytes_of(std::string("n\0\0", 3)), Bytes(packed.begin(), packed.end() - 20)}));
    refused("iTXt", bytes_of(std::string("XML:com.adobe.xmp\0", 18)));
    refused("iTXt", bytes_of(std::string("XML:com.adobe.xmp\0\1\7\0\0abc", 25)));
    refused("iTXt", bytes_of(std::string("XML:com.adobe.xmp\0\0\0en", 22)));
    refused("pHYs", {0, 0, 1});
    Bytes wrong = file_with(all_metadata(), ImageFormat::png);
    const std::string type = "eXIf";
    const auto exif = std::search(wrong.begin(), wrong.end(), type.begin(), type.end());
    REQUIRE(exif != wrong.end());
    exif[20] ^= 1;
    CHECK(contains(remarks_of(wrong, ImageFormat::png), "EXIF block cannot be used (PNG: a wrong checksum)"));
    CHECK(read(wrong, ImageFormat::png).icc == all_metadata().icc);
}

TEST_CASE("resolutions are the same to within rounding") {
    const Resolution inch{{300, 1}, {72, 1}, Unit::inch};
    CHECK(is_same(inch, inch));
    CHECK(is_same(inch, {{11811, 100}, {2835, 100}, Unit::centimetre}));
    CHECK(!is_same(inch, {{11811, 100}, {2845, 100}, Unit::centimetre}));
    CHECK(!is_same(inch, {{301, 1}, {72, 1}, Unit::inch}));
    CHECK(!is_same(inch, {{300, 1}, {72, 1}, Unit::none}));
    CHECK(!is_same(inch, {{300, 0}, {72, 1}, Unit::inch}));
    // In WebP EXIF is left alone where it says the same already, and corrected where it does not.
    Metadata metadata;
    metadata.exif = make_exif(resolution_fields(inch));
    metadata.resolution = {{11811, 100}, {2835, 100}, Unit::centimetre};
    CHECK(read(file_with(metadata, ImageFormat::webp), ImageFormat::webp).exif == metadata.exif);
    metadata.resolution = {{100, 1}, {100, 1}, Unit::centimetre};
    CHECK(exif_resolution(read(file_with(metadata, ImageFormat::webp), ImageFormat::webp).exif) == metadata.resolution);
}

TEST_CASE("WebP: JPEG's name in front of EXIF is taken off") {
    Metadata metadata;
    metadata.exif = make_exif(exif_tree());
    Bytes file = file_with(metadata, ImageFormat::webp);
    const std::string type = "EXIF";
    const auto found = std::search(file.begin(), file.end(), type.begin(), type.end());
    REQUIRE(found != file.end());
    REQUIRE(found[5] == 0);
    const int size = found[4] + 6;
    found[4] = static_cast<std::uint8_t>(size);
    found[5] = static_cast<std::uint8_t>(size >> 8);
    file = with_inserted(file, static_cast<std::size_t>(found - file.begin()) + 8, bytes_of(std::string("Exif\0\0", 6)));
    CHECK(read(file, ImageFormat::webp).exif == metadata.exif);
}

TEST_CASE("profiles that are none, and profiles of other colours") {
    CHECK(icc_problem(make_icc()).empty());
    CHECK(contains(icc_problem(Bytes(1000)), "no ICC profile"));
    Bytes truncated = make_icc();
    truncated.pop_back();
    CHECK(contains(icc_problem(truncated), "559 bytes of 560"));
    CHECK_FALSE(icc_problem({}).empty());

    Metadata cmyk{make_icc(560, "CMYK"), {}, {}, {}}, gray{make_icc(560, "GRAY"), {}, {}, {}}, rgb{make_icc(), {}, {}, {}};
    CHECK(contains(embedding_remarks(cmyk, ImageFormat::png), "another colour space than the picture, RGB; it is left out"));
    CHECK(contains(embedding_remarks(gray, ImageFormat::png), "another colour space"));
    CHECK(read(file_with(gray, ImageFormat::png, 1), ImageFormat::png) == gray);
    CHECK(read(file_with(rgb, ImageFormat::jpeg, 1), ImageFormat::jpeg) == rgb);
    CHECK(contains(embedding_remarks(gray, ImageFormat::webp, 1), "another colour space"));  // WebP has no gray
    // A file that says so all the same: its pixels are read, the profile is not.
    const Picture picture = read_picture(jpeg_with({icc_segment(cmyk.icc, 1, 1)}), "x");
    CHECK(picture.metadata.empty());
    REQUIRE(picture.remarks.size() == 1);
    CHECK(contains(picture.remarks[0], "another colour space"));
}

TEST_CASE("formats without metadata say what they lose") {
    CHECK(contains(embedding_remarks(all_metadata(), ImageFormat::pnm),
                   "PPM/PGM files hold no metadata: ICC profile, EXIF, XMP and resolution left out"));
    CHECK(contains(embedding_remarks({{}, {}, make_xmp(), {}}, ImageFormat::bmp), "BMP files hold no metadata: XMP left out"));
    CHECK(embedding_remarks({}, ImageFormat::bmp).empty());
}

TEST_CASE("resolutions in the numbers of each format") {
    const auto through = [](const Resolution& resolution, ImageFormat format) { return read(file_with({{}, {}, {}, resolution}, format), format).resolution; };
    const Resolution metres{{2835, 100}, {11811, 100}, Unit::centimetre}, shape{{4, 1}, {3, 1}, Unit::none};
    const Resolution centimetres{{118, 1}, {118, 1}, Unit::centimetre}, odd{{721, 10}, {UINT32_MAX, 65536}, Unit::inch};
    CHECK(through(metres, ImageFormat::png) == metres);
    CHECK(through(metres, ImageFormat::jpeg) == Resolution{{72, 1}, {300, 1}, Unit::inch});
    CHECK(through(centimetres, ImageFormat::jpeg) == centimetres);
    CHECK(through({{300, 1}, {72, 1}, Unit::inch}, ImageFormat::png) == Resolution{{11811, 100}, {2835, 100}, Unit::centimetre});
    for (const ImageFormat format : {ImageFormat::png, ImageFormat::jpeg, ImageFormat::tiff}) CHECK(through(shape, format) == shape);
    for (const Resolution& resolution : {metres, shape, centimetres, odd}) {
        CHECK(through(resolution, ImageFormat::tiff) == resolution);
        const Metadata webp = read(file_with({{}, {}, {}, resolution}, ImageFormat::webp), ImageFormat::webp);
        CHECK(exif_resolution(webp.exif) == resolution);
    }
    // Fractions of a shape are made whole; what does not fit is named.
    CHECK(through({{1, 3}, {1, 2}, Unit::none}, ImageFormat::jpeg) == Resolution{{2, 1}, {3, 1}, Unit::none});
    CHECK(contains(embedding_remarks({{}, {}, {}, Resolution{{65536, 1}, {1, 1}, Unit::inch}}, ImageFormat::jpeg), "beyond JPEG's numbers"));
    CHECK(contains(embedding_remarks({{}, {}, {}, Resolution{{1, 1000}, {1, 1}, Unit::inch}}, ImageFormat::png), "beyond PNG's numbers"));
    CHECK_FALSE(is_valid({{1, 0}, {1, 1}, Unit::inch}));
    CHECK_FALSE(is_valid({{0, 1}, {1, 1}, Unit::inch}));
    CHECK_FALSE(is_valid({{1, 1}, {1, 1}, static_cast<Unit>(4)}));
    CHECK(describe(Resolution{{300, 1}, {721, 10}, Unit::inch}) == "300 x 72.1 per inch");
}

TEST_CASE("kinds are chosen by name") {
    CHECK(parse_metadata_kinds("all") == MetadataKinds{});
    CHECK(parse_metadata_kinds("none") == MetadataKinds{false, false, false});
    CHECK(parse_metadata_kinds("xmp,icc") == MetadataKinds{true, false, true});
    for (const char* text : {"", "some", "icc,", ",icc", "icc,,xmp", "all,icc", "ICC"})
        CHECK(failure_of([&] { parse_metadata_kinds(text); }).code == ErrorCode::invalid_argument);
    const Metadata all = all_metadata();
    CHECK(select(all, {}) == all);
    CHECK(select(all, {false, false, false}).empty());
    CHECK(select(all, {true, false, false}) == Metadata{all.icc, {}, {}, {}});
    CHECK(select(all, {false, true, false}) == Metadata{{}, all.exif, {}, all.resolution});
}
