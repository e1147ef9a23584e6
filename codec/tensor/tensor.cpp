#include "codec/tensor/tensor.h"

#include <sys/mman.h>

#include <new>

namespace decant {

void* allocate_aligned(size_t bytes) {
    constexpr size_t kLargePage = size_t(2) << 20;
    const size_t alignment = bytes >= kLargePage ? kLargePage : AlignedBuffer::kAlignment;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, rounded);
    if (memory == nullptr) throw std::bad_alloc();
    if (bytes >= kLargePage) madvise(memory, rounded, MADV_HUGEPAGE);  // a wish: nothing depends on it
    return memory;
}

}  // namespace decant
