// Integers out of the bytes of a file that nobody vouches for.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/error.h"

namespace decant {

enum class ByteOrder { little, big };

// Reading past the end is Error(corrupt).
class Fields {
public:
    // `name` begins the messages; it has to outlive the object.
    Fields(std::span<const std::uint8_t> bytes, ByteOrder order, std::string_view name)
        : bytes_(bytes), order_(order), name_(name) {}

    std::span<const std::uint8_t> bytes() const { return bytes_; }
    ByteOrder order() const { return order_; }

    std::uint64_t size() const { return bytes_.size(); }
    bool holds(std::uint64_t offset, std::uint64_t count) const { return count <= size() && offset <= size() - count; }
    bool has_text(std::uint64_t offset, std::string_view text) const {
        return holds(offset, text.size()) && std::memcmp(bytes_.data() + offset, text.data(), text.size()) == 0;
    }

    std::uint32_t u8(std::uint64_t offset) const { return number(offset, 1); }
    std::uint32_t u16(std::uint64_t offset) const { return number(offset, 2); }
    std::uint32_t u24(std::uint64_t offset) const { return number(offset, 3); }
    std::uint32_t u32(std::uint64_t offset) const { return number(offset, 4); }
    std::span<const std::uint8_t> part(std::uint64_t offset, std::uint64_t count) const {
        if (!holds(offset, count))
            fail("truncated: " + std::to_string(count) + " bytes at " + std::to_string(offset) + " are not all there");
        return bytes_.subspan(offset, count);
    }

    [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorCode::corrupt, std::string(name_) + ": " + what); }

private:
    std::uint32_t number(std::uint64_t offset, std::uint32_t count) const {
        if (!holds(offset, count)) fail("truncated: the header goes on after the end of the file");
        std::uint32_t value = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::uint32_t shift = 8 * (order_ == ByteOrder::little ? i : count - 1 - i);
            value |= static_cast<std::uint32_t>(bytes_[offset + i]) << shift;
        }
        return value;
    }

    std::span<const std::uint8_t> bytes_;
    ByteOrder order_;
    std::string_view name_;
};

// The last `count` bytes of the number, in that order.
inline void append_number(std::vector<std::uint8_t>& bytes, std::uint64_t value, int count, ByteOrder order) {
    for (int i = 0; i < count; ++i)
        bytes.push_back(static_cast<std::uint8_t>(value >> (8 * (order == ByteOrder::little ? i : count - 1 - i))));
}

}  // namespace decant
