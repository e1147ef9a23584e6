#include "codec/entropy/rans.h"

#include <algorithm>
#include <string>

#include "codec/error.h"

namespace decant {

namespace {

constexpr std::size_t kStateBytes = kRansStates * sizeof(uint32_t);

}  // namespace

void RansEncoder::put_bits(uint32_t value, int count) {
    if (count < 1 || count > kProbabilityBits || value >> count != 0)
        throw Error(ErrorCode::invalid_argument, "raw field: value " + std::to_string(value) + " in " + std::to_string(count) +
                                                     " bits; a field has 1 to " + std::to_string(kProbabilityBits) + " bits");
    const int rest = kProbabilityBits - count;
    slices_.push_back({static_cast<uint16_t>(value << rest), static_cast<uint16_t>(1u << rest)});
}

std::vector<uint8_t> RansEncoder::finish() {
    std::array<uint32_t, kRansStates> states;
    states.fill(kRansLowerBound);
    std::vector<uint16_t> words;  // last one first
    for (std::size_t i = slices_.size(); i-- > 0;) {
        const Slice slice = slices_[i];
        uint32_t& state = states[i % kRansStates];
        // The upper bound from which coding the symbol would leave 32 bits: frequency · 2^32 / 2^15.
        if (state >= uint64_t{slice.frequency} << (32 - kProbabilityBits)) {
            words.push_back(static_cast<uint16_t>(state));
            state >>= 16;
        }
        state = ((state / slice.frequency) << kProbabilityBits) + state % slice.frequency + slice.start;
    }
    slices_.clear();

    const bool nothing_said =
        words.empty() && std::all_of(states.begin(), states.end(), [](uint32_t state) { return state == kRansLowerBound; });
    std::vector<uint8_t> bytes;
    if (nothing_said) return bytes;
    bytes.reserve(kStateBytes + 2 * words.size());
    for (const uint32_t state : states)
        for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(state >> shift));
    for (auto word = words.rbegin(); word != words.rend(); ++word) {
        bytes.push_back(static_cast<uint8_t>(*word));
        bytes.push_back(static_cast<uint8_t>(*word >> 8));
    }
    return bytes;
}

RansDecoder::RansDecoder(std::span<const uint8_t> bytes) {
    states_.fill(kRansLowerBound);
    if (!bytes.empty()) {
        if (bytes.size() < kStateBytes || bytes.size() % 2 != 0)
            throw Error(ErrorCode::corrupt, "entropy-coded data: " + std::to_string(bytes.size()) +
                                                " bytes; a stream has 0, or an even number from " + std::to_string(kStateBytes));
        for (std::size_t i = 0; i < kRansStates; ++i) {
            const uint8_t* source = bytes.data() + 4 * i;
            states_[i] = source[0] | source[1] << 8 | source[2] << 16 | uint32_t{source[3]} << 24;
            if (states_[i] < kRansLowerBound)
                throw Error(ErrorCode::corrupt, "entropy-coded data: start state " + std::to_string(i) + " is " +
                                                    std::to_string(states_[i]) + ", less than " +
                                                    std::to_string(kRansLowerBound));
        }
        bytes = bytes.subspan(kStateBytes);
    }
    words_.resize(bytes.size() / 2 + 1);  // one word of padding, see advance()
    for (std::size_t i = 0; i + 1 < words_.size(); ++i) words_[i] = static_cast<uint16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8);
    next_ = words_.data();
    end_ = next_ + words_.size() - 1;
}

void RansDecoder::finish() const {
    if (next_ != end_)
        throw Error(ErrorCode::corrupt,
                    "entropy-coded data: " + std::to_string(2 * (end_ - next_)) + " bytes left over after the last symbol");
    for (std::size_t i = 0; i < kRansStates; ++i)
        if (states_[i] != kRansLowerBound)
            throw Error(ErrorCode::corrupt, "entropy-coded data: state " + std::to_string(i) + " ends at " +
                                                std::to_string(states_[i]) + ", not at " + std::to_string(kRansLowerBound));
}

void RansDecoder::fail_exhausted() {
    next_ = end_;  // a caller that goes on after the exception must still not read outside
    throw Error(ErrorCode::corrupt, "entropy-coded data: end before the last symbol");
}

}  // namespace decant
