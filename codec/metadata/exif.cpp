#include "codec/metadata/exif.h"

#include <algorithm>
#include <array>

#include "codec/error.h"
#include "codec/metadata/tiff_directory.h"

namespace decant {
namespace {

constexpr std::uint16_t type_short = 3, type_long = 4, type_rational = 5, type_signed_rational = 10;
constexpr const char* name = "EXIF";

// Tags of the first directory that describe the picture: name of document (269), description, make, model, page (285, 297),
// software, date, artist, host computer, ratings (18246, 18249), copyright, and Windows' own texts (40091 … 40095).
constexpr std::array<std::uint16_t, 19> descriptive_tags = {
    269,   270,   271,   272,  tiff_tag::orientation, 285, 297, 305, 306, 315, 316, 18246, 18249, 33432, 40091,
    40092, 40093, 40094, 40095};

bool is_descriptive(std::uint32_t tag) {
    return std::find(descriptive_tags.begin(), descriptive_tags.end(), tag) != descriptive_tags.end();
}

// From one byte order to the other.
void swap_order(TiffField& field) {
    if (field.count == 0) return;
    const bool is_pair = field.type == type_rational || field.type == type_signed_rational;  // two numbers of 4 bytes
    const std::size_t number_size = is_pair ? 4 : field.values.size() / field.count;
    for (auto i = field.values.begin(); i != field.values.end(); i += static_cast<std::ptrdiff_t>(number_size))
        std::reverse(i, i + static_cast<std::ptrdiff_t>(number_size));
}

TiffField field_of(const Fields& fields, const TiffDirectory::Entry& entry) {
    const auto values = fields.part(entry.offset, entry.size());
    TiffField field{static_cast<std::uint16_t>(entry.type), entry.count, {values.begin(), values.end()}};
    if (fields.order() == ByteOrder::big) swap_order(field);
    return field;
}

// Which tags of a directory are directories themselves. Their depth is fixed, so a loop in the file does no harm.
enum class Level { first, exif, last };

Level level_below(Level level, std::uint32_t tag) {
    if (level == Level::first && tag == tiff_tag::exif_directory) return Level::exif;
    return Level::last;
}

bool is_directory(Level level, std::uint32_t tag) {
    return (level == Level::first && (tag == tiff_tag::exif_directory || tag == tiff_tag::gps_directory)) ||
           (level == Level::exif && tag == tiff_tag::interoperability_directory);
}

// `room`: bytes that the values may still take. Entries may share their values, so a small file can announce a huge tree.
TiffTree read_tree(const Fields& fields, std::uint32_t start, Level level, std::uint64_t& room) {
    const TiffDirectory directory(fields, start);
    TiffTree tree;
    for (std::uint32_t i = 0; i < directory.size(); ++i) {
        const TiffDirectory::Entry entry = directory.entry(i);
        const auto tag = static_cast<std::uint16_t>(entry.tag);
        if (is_directory(level, tag)) {
            if (entry.value_size == 4 && entry.count == 1 && !tree.children.contains(tag))
                tree.children.emplace(tag, read_tree(fields, directory.integer(entry, 0), level_below(level, tag), room));
            continue;
        }
        if ((level == Level::first && !is_descriptive(tag)) || entry.value_size == 0) continue;
        // In a TIFF this tag turns the picture in front of programs, so nothing but what the standard says gets there.
        if (tag == tiff_tag::orientation && (entry.type != type_short || entry.count != 1)) continue;
        constexpr std::uint64_t entry_size = 12;
        const std::uint64_t size = entry.size() + entry_size;
        if (size > room)
            throw Error(ErrorCode::limit,
                        "EXIF: has more than the " + std::to_string(kMaxMetadataBlock) + " bytes that are taken");
        room -= size;
        tree.fields.emplace(tag, field_of(fields, entry));  // of duplicates the first counts
    }
    return tree;
}

// An entry as it lies in the file.
using Record = std::array<std::uint8_t, 12>;

class Appender {
public:
    Appender(std::vector<std::uint8_t>& bytes, ByteOrder order) : bytes_(bytes), order_(order) {}

    Record add(std::uint16_t tag, TiffField field) {
        if (order_ == ByteOrder::big) swap_order(field);
        std::vector<std::uint8_t>& values = field.values;
        std::vector<std::uint8_t> record;
        append_number(record, tag, 2, order_);
        append_number(record, field.type, 2, order_);
        append_number(record, field.count, 4, order_);
        if (values.size() <= 4) {
            values.resize(4);
            record.insert(record.end(), values.begin(), values.end());
        } else {
            append_number(record, align(), 4, order_);
            bytes_.insert(bytes_.end(), values.begin(), values.end());
        }
        Record result;
        std::copy(record.begin(), record.end(), result.begin());
        return result;
    }

    // The records of a tree, with everything that they point to appended.
    std::map<std::uint16_t, Record> add_records(const TiffTree& tree) {
        std::map<std::uint16_t, Record> records;
        for (const auto& [tag, field] : tree.fields) records[tag] = add(tag, field);
        for (const auto& [tag, child] : tree.children) {
            TiffField pointer{type_long, 1, {}};
            append_number(pointer.values, add_directory(add_records(child), 0), 4, ByteOrder::little);
            records[tag] = add(tag, pointer);
        }
        return records;
    }

    // Its offset.
    std::uint32_t add_directory(const std::map<std::uint16_t, Record>& records, std::uint32_t next) {
        const std::uint32_t start = align();
        append_number(bytes_, records.size(), 2, order_);
        for (const auto& [tag, record] : records) bytes_.insert(bytes_.end(), record.begin(), record.end());
        append_number(bytes_, next, 4, order_);
        return start;
    }

private:
    // Offsets are even (TIFF 6.0, section 2).
    std::uint32_t align() {
        if (bytes_.size() % 2 != 0) bytes_.push_back(0);
        if (bytes_.size() > UINT32_MAX)
            throw Error(ErrorCode::unsupported, "the file is too large for metadata: a TIFF ends at 4 GiB");
        return static_cast<std::uint32_t>(bytes_.size());
    }

    std::vector<std::uint8_t>& bytes_;
    ByteOrder order_;
};

void store_first_directory(std::vector<std::uint8_t>& tiff, std::uint32_t start, ByteOrder order) {
    std::vector<std::uint8_t> number;
    append_number(number, start, 4, order);
    std::copy(number.begin(), number.end(), tiff.begin() + 4);
}

TiffField rational_field(const Rational& value) {
    TiffField field{type_rational, 1, {}};
    append_number(field.values, value.numerator, 4, ByteOrder::little);
    append_number(field.values, value.denominator, 4, ByteOrder::little);
    return field;
}

}  // namespace

TiffTree read_description(std::span<const std::uint8_t> tiff) {
    const Fields fields(tiff, tiff_order(tiff), name);
    std::uint64_t room = kMaxMetadataBlock;
    return read_tree(fields, fields.u32(4), Level::first, room);
}

std::vector<std::uint8_t> make_exif(const TiffTree& tree) {
    if (tree.empty()) return {};
    std::vector<std::uint8_t> exif = {'I', 'I', 42, 0, 0, 0, 0, 0};
    Appender appender(exif, ByteOrder::little);
    store_first_directory(exif, appender.add_directory(appender.add_records(tree), 0), ByteOrder::little);
    return exif;
}

void set_fields(std::vector<std::uint8_t>& tiff, const TiffTree& tree) {
    const ByteOrder order = tiff_order(tiff);
    std::map<std::uint16_t, Record> records;
    std::uint32_t next = 0;
    {
        const Fields fields(tiff, order, name);
        const TiffDirectory directory(fields, fields.u32(4));
        for (std::uint32_t i = 0; i < directory.size(); ++i) {
            const TiffDirectory::Entry entry = directory.entry(i);
            Record record;
            std::copy_n(tiff.begin() + static_cast<std::ptrdiff_t>(entry.position), record.size(), record.begin());
            records.emplace(static_cast<std::uint16_t>(entry.tag), record);
        }
        next = directory.next();
    }
    Appender appender(tiff, order);
    for (auto& [tag, record] : appender.add_records(tree)) records.insert_or_assign(tag, record);
    store_first_directory(tiff, appender.add_directory(records, next), order);
}

TiffTree resolution_fields(const Resolution& resolution) {
    TiffTree tree;
    tree.fields[tiff_tag::x_resolution] = rational_field(resolution.x);
    tree.fields[tiff_tag::y_resolution] = rational_field(resolution.y);
    tree.fields[tiff_tag::resolution_unit] = {type_short, 1, {static_cast<std::uint8_t>(resolution.unit), 0}};
    return tree;
}

std::optional<Resolution> read_resolution(std::span<const std::uint8_t> tiff) {
    const Fields fields(tiff, tiff_order(tiff), name);
    const TiffDirectory directory(fields, fields.u32(4));
    const auto rational = [&](std::uint16_t tag) -> Rational {
        const auto entry = directory.find(tag);
        if (!entry || entry->type != type_rational || entry->count == 0) return {};
        return {fields.u32(entry->offset), fields.u32(entry->offset + 4)};
    };
    Resolution resolution;
    resolution.x = rational(tiff_tag::x_resolution);
    resolution.y = rational(tiff_tag::y_resolution);
    const std::uint32_t unit =
        directory.first_integer(tiff_tag::resolution_unit, static_cast<std::uint32_t>(Resolution::Unit::inch));
    resolution.unit = static_cast<Resolution::Unit>(std::min<std::uint32_t>(unit, UINT8_MAX));
    return is_valid(resolution) ? std::optional(resolution) : std::nullopt;
}

int orientation_of(const Metadata& metadata) {
    try {
        const Fields fields(metadata.exif, tiff_order(metadata.exif), name);
        const std::uint32_t value = TiffDirectory(fields, fields.u32(4)).first_integer(tiff_tag::orientation, 1);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    } catch (const Error&) {
        return 1;
    }
}

std::optional<Resolution> exif_resolution(std::span<const std::uint8_t> exif) {
    try {
        return read_resolution(exif);
    } catch (const Error&) {
        return std::nullopt;
    }
}

}  // namespace decant
