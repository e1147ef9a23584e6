// What the metrics of whole pictures and of rows are made of.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "codec/image/image.h"

namespace decant {

struct Differences {
    std::uint64_t squares = 0;  // room for 2^32 samples of 16 bits that could not be farther apart
    std::uint32_t largest = 0;

    // Of as many samples on both sides.
    template <Sample T>
    void add(std::span<const T> a, std::span<const T> b) {
        std::uint64_t sum = 0;
        std::uint32_t most = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            const auto difference = static_cast<std::uint32_t>(std::abs(int{a[i]} - int{b[i]}));
            sum += difference * difference;
            most = std::max(most, difference);
        }
        squares += sum;
        largest = std::max(largest, most);
    }
};

}  // namespace decant
