// One directory (IFD) of a TIFF file, or of an EXIF block, which is built in the same way (TIFF 6.0, section 2; Exif 2.32, 4.6.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "codec/metadata/fields.h"

namespace decant {

// The byte order that the first byte of a TIFF header stands for.
inline ByteOrder tiff_order(std::span<const std::uint8_t> bytes) {
    return !bytes.empty() && bytes[0] == 'M' ? ByteOrder::big : ByteOrder::little;
}

class TiffDirectory {
public:
    struct Entry {
        std::uint32_t tag = 0, type = 0;
        std::uint32_t count = 0;       // values
        std::uint32_t value_size = 0;  // bytes of one; 0 for a type that is not known
        std::uint64_t offset = 0;      // where the values begin
        std::uint64_t position = 0;    // where the entry itself lies

        std::uint64_t size() const { return std::uint64_t{count} * value_size; }
        bool is_integer() const { return type == 1 || type == 3 || type == 4; }
    };

    // `start`: its offset in the file. Throws Error(corrupt) if it is not all there.
    TiffDirectory(const Fields& fields, std::uint32_t start) : fields_(fields), start_(start), count_(fields.u16(start)) {
        constexpr std::uint64_t offset_of_next_size = 4;
        if (!fields.holds(std::uint64_t{start_} + 2, 12 * std::uint64_t{count_} + offset_of_next_size))
            fields.fail("truncated TIFF: its directory goes on after the end of the file");
    }

    std::uint32_t size() const { return count_; }
    std::uint32_t next() const { return fields_.u32(position_of(count_)); }  // offset of the next directory; 0: none

    // Throws Error(corrupt) if the values are not all there.
    Entry entry(std::uint32_t index) const {
        constexpr std::uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};
        Entry entry;
        entry.position = position_of(index);
        entry.tag = fields_.u16(entry.position);
        entry.type = fields_.u16(entry.position + 2);
        entry.count = fields_.u32(entry.position + 4);
        entry.value_size = entry.type < sizeof sizes ? sizes[entry.type] : 0;
        const bool fits_in_entry = entry.size() <= 4;
        entry.offset = fits_in_entry ? entry.position + 8 : fields_.u32(entry.position + 8);
        if (!fields_.holds(entry.offset, entry.size()))
            fields_.fail("truncated TIFF: tag " + std::to_string(entry.tag) + " points behind the end of the file");
        return entry;
    }

    // The first one of that tag.
    std::optional<Entry> find(std::uint32_t tag) const {
        for (std::uint32_t i = 0; i < count_; ++i)
            if (fields_.u16(position_of(i)) == tag) return entry(i);
        return std::nullopt;
    }

    // Of an entry of integers, its value number `index`, which must be below the count.
    std::uint32_t integer(const Entry& entry, std::uint32_t index) const {
        const std::uint64_t offset = entry.offset + std::uint64_t{index} * entry.value_size;
        return entry.value_size == 1 ? fields_.u8(offset) : entry.value_size == 2 ? fields_.u16(offset) : fields_.u32(offset);
    }

    // The first value of an integer tag, or the fallback where it is absent.
    std::uint32_t first_integer(std::uint32_t tag, std::uint32_t fallback) const {
        const auto found = find(tag);
        return found && found->is_integer() && found->count > 0 ? integer(*found, 0) : fallback;
    }

private:
    std::uint64_t position_of(std::uint32_t index) const { return std::uint64_t{start_} + 2 + 12 * std::uint64_t{index}; }

    const Fields& fields_;
    std::uint32_t start_;
    std::uint32_t count_;
};

}  // namespace decant
