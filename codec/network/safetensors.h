// The safetensors file format (Hugging Face), in which models and training states are kept:
//   u64         length of the header in bytes, little endian
//   header      JSON: {"__metadata__": {text: text, …}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]},
//   …},
//               padded with spaces; the offsets are bytes from the end of the header
//   data        the tensors, in any order, without gaps or overlap, in little endian and row-major order
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/tensor/tensor.h"

namespace decant {

enum class Dtype { F32, F16, BF16, I8, U8, I16, U16, I32, I64 };

const char* dtype_name(Dtype dtype);  // as in the file: "F32"
std::size_t dtype_size(Dtype dtype);  // bytes of an element

struct TensorView {
    Dtype dtype;
    std::vector<int64_t> shape;       // outermost dimension first; none for a scalar
    std::span<const std::byte> data;  // product of the shape × dtype_size(dtype) bytes, not necessarily aligned

    // The elements as numbers of a type of the same size; F16 and BF16 come as uint16_t. Throws Error internal for another size.
    template <class T>
    std::vector<T> values() const {
        check_element_size(sizeof(T));
        std::vector<T> values(data.size() / sizeof(T));
        if (!values.empty()) std::memcpy(values.data(), data.data(), data.size());
        return values;
    }

private:
    void check_element_size(std::size_t size) const;
};

using TensorMap = std::map<std::string, TensorView>;
using TextMap = std::map<std::string, std::string>;

// XXH3-64 of names, dtypes, shapes and data in the order of the names, and of the extra texts in the given order. The same
// tensors have the same identity in whatever order they lie in a file and whatever its metadata say.
uint64_t tensors_identity(const TensorMap& tensors, std::span<const std::string> extra = {});

class SafetensorsFile {
public:
    // Throws Error not_found, io, or what parse() throws.
    static SafetensorsFile load(const std::filesystem::path& path);

    // source: how messages call the file. Throws Error corrupt for anything that the format does not allow, unsupported for a
    // dtype that is not in Dtype, limit for a header of more than 16 MiB. Sizes are compared with those of the file before
    // anything is allocated.
    static SafetensorsFile parse(std::span<const std::byte> bytes, const std::string& source);

    const TensorMap& tensors() const { return tensors_; }
    const TextMap& metadata() const { return metadata_; }
    bool contains(const std::string& name) const { return tensors_.contains(name); }

    // The tensor of this name, which must have one of these dtypes and, if given, this shape. The view lives as long as the file.
    // Throws Error model_mismatch: "model.safetensors: tensor enc.conv1.weight: missing", or with both dtypes or shapes.
    const TensorView& get(const std::string& name) const;
    const TensorView& get(const std::string& name, std::initializer_list<Dtype> dtypes) const;
    const TensorView& get(const std::string& name, std::initializer_list<Dtype> dtypes, const std::vector<int64_t>& shape) const;

    uint64_t identity(std::span<const std::string> extra = {}) const { return tensors_identity(tensors_, extra); }

private:
    SafetensorsFile(AlignedBuffer bytes, const std::string& source);

    AlignedBuffer bytes_;
    std::string source_;
    TensorMap tensors_;
    TextMap metadata_;
};

// The bytes of a file: the same for the same contents, tensors in the order of their names, data aligned to 8 bytes.
// Throws Error invalid_argument if a tensor's data do not fit its shape, or a text is not UTF-8.
std::vector<std::byte> write_safetensors(const TensorMap& tensors, const TextMap& metadata = {});

// Replaces the file at once, so that a reader or an interruption never meets half of it. Throws Error io, or as
// write_safetensors().
void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors, const TextMap& metadata = {});

}  // namespace decant
