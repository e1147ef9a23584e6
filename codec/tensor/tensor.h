// Dense arrays in NHWC order, the one memory format from the picture to the bits: pixel (un)shuffle is a copy of runs, a 1×1
// convolution a matrix product, and a channel-wise operation a plain vector loop. Only inside a graph of floats there is another one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace decant {

enum class DataType { f32, bf16, u8, s8, s16, s32 };

inline size_t size_of(DataType type) {
    switch (type) {
        case DataType::f32:
        case DataType::s32: return 4;
        case DataType::bf16:
        case DataType::s16: return 2;
        case DataType::u8:
        case DataType::s8: return 1;
    }
    return 0;
}

struct Shape {
    int n = 0, h = 0, w = 0, c = 0;

    size_t pixels() const { return size_t(n) * h * w; }
    size_t elements() const { return pixels() * c; }
    bool operator==(const Shape&) const = default;
    auto operator<=>(const Shape&) const = default;
};

inline std::string to_string(const Shape& s) {
    return "[" + std::to_string(s.n) + ", " + std::to_string(s.h) + ", " + std::to_string(s.w) + ", " + std::to_string(s.c) + "]";
}

// How an array of [n, h, w, c] lies in memory: as that; or, c in multiples of 8, as [n, c / 8, h, w, 8].
enum class Layout { plain, blocked };
inline constexpr int kLayoutBlock = 8;

// A rectangle of positions.
struct Area {
    int y = 0, x = 0, h = 0, w = 0;

    int bottom() const { return y + h; }
    int right() const { return x + w; }
    bool operator==(const Area&) const = default;
};

// Throws std::bad_alloc. To be freed with the same number of bytes.
void* allocate_aligned(size_t bytes);
void* allocate_zeroed(size_t bytes);
void free_aligned(void* memory, size_t bytes) noexcept;

// Memory aligned to a cache line, as the convolution kernels like it; contents are not initialised. Large buffers lie on large pages
// where the system has them: touching new memory page by page costs more than what small pictures are computed in.
class AlignedBuffer {
public:
    static constexpr size_t kAlignment = 64;

    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t bytes) : data_(bytes == 0 ? nullptr : static_cast<std::byte*>(allocate_aligned(bytes))), size_(bytes) {}
    ~AlignedBuffer() { free_aligned(data_, size_); }
    AlignedBuffer(AlignedBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
        AlignedBuffer old(std::move(*this));
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }

    std::byte* data() { return data_; }
    const std::byte* data() const { return data_; }
    size_t size() const { return size_; }

    // Contents are lost when the buffer grows.
    std::byte* grow(size_t bytes) {
        if (bytes > size_) {
            *this = AlignedBuffer();  // never both at once
            *this = AlignedBuffer(bytes);
        }
        return data();
    }

private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
};

// For vectors that are as large, on large pages. New memory is zero, so elements that are made without a value are not written: in memory
// that a vector had before, they are what was there.
template <class T>
struct LargePageAllocator {
    using value_type = T;

    LargePageAllocator() = default;
    template <class U>
    LargePageAllocator(const LargePageAllocator<U>&) {}
    T* allocate(size_t count) { return static_cast<T*>(allocate_zeroed(count * sizeof(T))); }
    void deallocate(T* p, size_t count) { free_aligned(p, count * sizeof(T)); }
    void construct(T*) {}
    template <class... Values>
    void construct(T* p, Values&&... values) {
        ::new (static_cast<void*>(p)) T{std::forward<Values>(values)...};
    }
    bool operator==(const LargePageAllocator&) const { return true; }
};
template <class T>
using LargeVector = std::vector<T, LargePageAllocator<T>>;
using FloatVector = LargeVector<float>;

// A typed view of memory that somebody else owns.
struct TensorRef {
    Shape shape;
    DataType type = DataType::f32;
    void* data = nullptr;
    Layout layout = Layout::plain;

    template <class T>
    T* as() const {
        return static_cast<T*>(data);
    }
    size_t bytes() const { return shape.elements() * size_of(type); }
};

class Tensor {
public:
    Tensor() = default;
    Tensor(Shape shape, DataType type) : shape_(shape), type_(type), buffer_(shape.elements() * size_of(type)) {}

    const Shape& shape() const { return shape_; }
    DataType type() const { return type_; }
    size_t bytes() const { return shape_.elements() * size_of(type_); }
    void zero() {
        if (bytes() != 0) std::memset(buffer_.data(), 0, bytes());
    }
    TensorRef view() { return {shape_, type_, buffer_.data()}; }

    template <class T>
    T* as() {
        return reinterpret_cast<T*>(buffer_.data());
    }
    template <class T>
    const T* as() const {
        return reinterpret_cast<const T*>(buffer_.data());
    }

private:
    Shape shape_;
    DataType type_ = DataType::f32;
    AlignedBuffer buffer_;
};

}  // namespace decant
