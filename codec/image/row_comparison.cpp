#include "codec/image/row_comparison.h"

#include <xxhash.h>

#include <array>
#include <new>
#include <span>
#include <string>

#include "codec/error.h"
#include "codec/image/metrics.h"

namespace decant {
namespace {

std::string text_of(const PictureShape& shape) {
    return std::to_string(shape.width) + "x" + std::to_string(shape.height) + ", " + std::to_string(shape.channels) + " channels of " +
           std::to_string(shape.depth) + " bits";
}

}  // namespace

void RowComparison::begin(const PictureShape& shape) {
    if (shape != reference_.shape())
        throw Error(ErrorCode::invalid_argument, "the pictures differ in shape: " + text_of(reference_.shape()) + " and " + text_of(shape));
    shape_ = shape;
    row_.resize(shape.row_bytes());
}

void RowComparison::write(const void* row) {
    reference_.read(row_.data());
    const auto compare_as = [&]<Sample T>(T) {
        const size_t samples = shape_.row_bytes() / sizeof(T);
        differences_.add(std::span(static_cast<const T*>(row), samples), std::span(reinterpret_cast<const T*>(row_.data()), samples));
    };
    if (shape_.depth == 8) {
        compare_as(uint8_t{});
    } else {
        compare_as(uint16_t{});
    }
}

double RowComparison::psnr() const {
    return psnr_of(double(differences_.squares) / (double(shape_.pixel_count()) * shape_.channels), shape_.depth);
}

struct HashingWriter::State {
    std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash{XXH3_createState(), &XXH3_freeState};

    State() {
        if (hash == nullptr) throw std::bad_alloc();
        XXH3_128bits_reset(hash.get());
    }
};

HashingWriter::HashingWriter(RowWriter* rows) : rows_(rows), state_(std::make_unique<State>()) {}
HashingWriter::~HashingWriter() = default;

void HashingWriter::begin(const PictureShape& shape) {
    row_bytes_ = shape.row_bytes();
    const std::array<uint32_t, 4> numbers{shape.width, shape.height, uint32_t(shape.channels), uint32_t(shape.depth)};
    XXH3_128bits_update(state_->hash.get(), numbers.data(), sizeof numbers);
    if (rows_ != nullptr) rows_->begin(shape);
}

void HashingWriter::write(const void* row) {
    XXH3_128bits_update(state_->hash.get(), row, row_bytes_);
    if (rows_ != nullptr) rows_->write(row);
}

HashingWriter::Hash HashingWriter::hash() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_->hash.get());
    return {hash.low64, hash.high64};
}

}  // namespace decant
