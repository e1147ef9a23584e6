#include "codec/tensor/tensor.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

namespace decant {
namespace {

constexpr size_t kLargePage = size_t(2) << 20;

size_t rounded_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

// Large buffers come from the system and go back to it at once: in the allocator's heaps, one for each thread, they would leave gaps
// that no other buffer fits into.
void* allocate_aligned(size_t bytes) {
    if (bytes < kLargePage) {
        void* memory = std::aligned_alloc(AlignedBuffer::kAlignment, rounded_up(bytes, AlignedBuffer::kAlignment));
        if (memory == nullptr) throw std::bad_alloc();
        return memory;
    }
    if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
    const size_t size = rounded_up(bytes, kLargePage);
    void* memory = mmap(nullptr, size + kLargePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    auto* const begin = static_cast<std::byte*>(memory);
    const size_t before = size_t(-reinterpret_cast<uintptr_t>(begin)) % kLargePage;
    if (before > 0) munmap(begin, before);
    munmap(begin + before + size, kLargePage - before);
    madvise(begin + before, size, MADV_HUGEPAGE);  // a wish: nothing depends on it
    return begin + before;
}

void* allocate_zeroed(size_t bytes) {
    void* memory = allocate_aligned(bytes);
    if (bytes < kLargePage) std::memset(memory, 0, bytes);  // pages of the system are
    return memory;
}

void free_aligned(void* memory, size_t bytes) noexcept {
    if (bytes < kLargePage) {
        std::free(memory);
    } else {
        munmap(memory, rounded_up(bytes, kLargePage));
    }
}

}  // namespace decant
