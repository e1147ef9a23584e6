// Scratch is planned: things that are never needed at the same time share memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "codec/tensor/tensor.h"

namespace decant {

// As many bytes or a few more, so that what lies behind them in a buffer is aligned as its beginning is.
constexpr size_t aligned_size(size_t bytes) { return (bytes + AlignedBuffer::kAlignment - 1) / AlignedBuffer::kAlignment * AlignedBuffer::kAlignment; }

class MemoryPlan {
public:
    // share = false: everything has a place of its own.
    explicit MemoryPlan(bool share = true) : share_(share) {}

    // A block for what is written at step `from` and no longer needed from step `until` on. Steps must not fall from call to call.
    size_t take(size_t bytes, int from, int until) {
        size_t best = blocks_.size();
        const auto misfit = [&](size_t b) { return std::max(blocks_[b].bytes, bytes) - std::min(blocks_[b].bytes, bytes); };
        for (size_t b = 0; b < blocks_.size() && share_; b++) {
            if (blocks_[b].free_from <= from && (best == blocks_.size() || misfit(b) < misfit(best))) best = b;
        }
        if (best == blocks_.size()) blocks_.push_back({0, 0});
        blocks_[best].bytes = std::max(blocks_[best].bytes, bytes);
        blocks_[best].free_from = until;
        return best;
    }
    // The block is needed until another step.
    void extend(size_t block, int until) { blocks_[block].free_from = until; }

    // Where each block begins; and, at the end, the size of them all.
    std::vector<size_t> offsets() const {
        std::vector<size_t> result{0};
        for (const Block& b : blocks_) {
            result.push_back(result.back() + aligned_size(b.bytes));
        }
        return result;
    }

private:
    struct Block {
        size_t bytes;
        int free_from;
    };
    bool share_;
    std::vector<Block> blocks_;
};

}  // namespace decant
