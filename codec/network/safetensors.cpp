#include "codec/network/safetensors.h"

#include <xxhash.h>
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "codec/error.h"

namespace decant {

namespace {

static_assert(std::endian::native == std::endian::little, "tensor data are used as they lie in the file");

constexpr const char* kMetadataKey = "__metadata__";
constexpr std::size_t kMaxHeaderBytes = std::size_t{16} << 20;
constexpr int kMaxHeaderDepth = 2;  // {"name": {"shape": [

struct DtypeEntry {
    Dtype dtype;
    const char* name;
    std::size_t size;
};
constexpr std::array<DtypeEntry, 9> kDtypes{{{Dtype::F32, "F32", 4},
                                             {Dtype::F16, "F16", 2},
                                             {Dtype::BF16, "BF16", 2},
                                             {Dtype::I8, "I8", 1},
                                             {Dtype::U8, "U8", 1},
                                             {Dtype::I16, "I16", 2},
                                             {Dtype::U16, "U16", 2},
                                             {Dtype::I32, "I32", 4},
                                             {Dtype::I64, "I64", 8}}};

const DtypeEntry& entry_of(Dtype dtype) {
    return *std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeEntry& entry) { return entry.dtype == dtype; });
}

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

// Bytes of a tensor; nothing if a dimension is negative or the size does not fit 63 bits.
std::optional<uint64_t> tensor_bytes(Dtype dtype, const std::vector<int64_t>& shape) {
    // A zero makes the product zero whatever the other dimensions are, but they still have to be sane.
    int64_t bytes = static_cast<int64_t>(dtype_size(dtype));
    for (const int64_t dimension : shape)
        if (dimension < 0 || __builtin_mul_overflow(bytes, dimension, &bytes)) return std::nullopt;
    return static_cast<uint64_t>(bytes);
}

// The header as a JSON object. Doubled keys, of which nlohmann::json would keep the last, and needless nesting are refused.
nlohmann::json parse_header(std::string_view text, const std::string& source) {
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
        using Event = nlohmann::json::parse_event_t;
        if ((event == Event::object_start || event == Event::array_start) && depth > kMaxHeaderDepth)
            throw Error(ErrorCode::corrupt, source + ": header is nested too deeply");
        if (event == Event::object_start) keys.emplace_back();
        if (event == Event::object_end) keys.pop_back();
        if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second)
            throw Error(ErrorCode::corrupt, source + ": header names " + parsed.get<std::string>() + " twice");
        return true;
    };
    nlohmann::json header;
    try {
        header = nlohmann::json::parse(text, check);
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorCode::corrupt, source + ": header is not valid JSON: " + std::string(error.what()).substr(0, 200));
    }
    if (!header.is_object()) throw Error(ErrorCode::corrupt, source + ": header is not a JSON object");
    return header;
}

// A list of non-negative integers below 2^63.
std::vector<int64_t> parse_integers(const nlohmann::json& list, const std::string& where) {
    if (!list.is_array()) throw Error(ErrorCode::corrupt, where + ": not a list");
    std::vector<int64_t> values;
    for (const nlohmann::json& value : list) {
        if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
            throw Error(ErrorCode::corrupt, where + ": an entry is not an integer from 0 to 2^63 - 1");
        values.push_back(value.get<int64_t>());
    }
    return values;
}

Dtype parse_dtype(const nlohmann::json& value, const std::string& where) {
    if (!value.is_string()) throw Error(ErrorCode::corrupt, where + ": dtype is not a string");
    const std::string& name = value.get_ref<const std::string&>();
    const auto entry =
        std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeEntry& candidate) { return candidate.name == name; });
    if (entry == kDtypes.end()) throw Error(ErrorCode::unsupported, where + ": dtype " + name + " is not supported");
    return entry->dtype;
}

TensorView parse_tensor(const nlohmann::json& description, std::span<const std::byte> data, const std::string& where) {
    if (!description.is_object() || description.size() != 3 || !description.contains("dtype") || !description.contains("shape") ||
        !description.contains("data_offsets"))
        throw Error(ErrorCode::corrupt, where + ": described by something else than dtype, shape and data_offsets");
    TensorView tensor;
    tensor.dtype = parse_dtype(description["dtype"], where);
    tensor.shape = parse_integers(description["shape"], where + ": shape");
    const std::vector<int64_t> offsets = parse_integers(description["data_offsets"], where + ": data_offsets");
    if (offsets.size() != 2)
        throw Error(ErrorCode::corrupt, where + ": " + std::to_string(offsets.size()) + " data_offsets, not 2");
    const auto begin = static_cast<uint64_t>(offsets[0]), end = static_cast<uint64_t>(offsets[1]);
    if (begin > end || end > data.size())
        throw Error(ErrorCode::corrupt,
                    where + ": data_offsets " + shape_text(offsets) + " in " + std::to_string(data.size()) + " bytes of data");
    const std::optional<uint64_t> size = tensor_bytes(tensor.dtype, tensor.shape);
    if (size != end - begin)
        throw Error(ErrorCode::corrupt, where + ": " + std::to_string(end - begin) + " bytes of data, shape " +
                                            shape_text(tensor.shape) + " of " + dtype_name(tensor.dtype) + " needs " +
                                            (size ? std::to_string(*size) : "more than 2^63"));
    tensor.data = data.subspan(begin, end - begin);
    return tensor;
}

// The tensors must cover the data exactly: a gap could hide something, and an overlap is never meant.
void check_coverage(const TensorMap& tensors, std::span<const std::byte> data, const std::string& source) {
    std::vector<const TensorMap::value_type*> by_offset;
    for (const auto& tensor : tensors) by_offset.push_back(&tensor);
    // Empty tensors come before the one that begins where they lie.
    std::sort(by_offset.begin(), by_offset.end(), [](const auto* a, const auto* b) {
        return std::pair(a->second.data.data(), a->second.data.size()) < std::pair(b->second.data.data(), b->second.data.size());
    });
    const std::byte* expected = data.data();
    for (const auto* tensor : by_offset) {
        if (tensor->second.data.data() != expected)
            throw Error(ErrorCode::corrupt, source + ": tensor " + tensor->first + ": begins at byte " +
                                                std::to_string(tensor->second.data.data() - data.data()) +
                                                " of the data, the one before ends at " + std::to_string(expected - data.data()));
        expected += tensor->second.data.size();
    }
    if (expected != data.data() + data.size())
        throw Error(ErrorCode::corrupt, source + ": tensors end at byte " + std::to_string(expected - data.data()) + " of " +
                                            std::to_string(data.size()) + " bytes of data");
}

class Hash {
public:
    Hash() : state_(XXH3_createState()) {
        if (!state_) throw std::bad_alloc();
        XXH3_64bits_reset(state_.get());
    }
    void add(std::span<const std::byte> bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
    void add(uint64_t value) { add(std::as_bytes(std::span(&value, 1))); }
    // With its length, so that "ab", "c" differs from "a", "bc".
    void add(std::string_view text) {
        add(uint64_t{text.size()});
        add(std::as_bytes(std::span(text)));
    }
    uint64_t digest() const { return XXH3_64bits_digest(state_.get()); }

private:
    struct Free {
        void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
    };
    std::unique_ptr<XXH3_state_t, Free> state_;
};

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

[[noreturn]] void throw_io(const std::filesystem::path& path, const std::string& what, int error_number) {
    throw Error(error_number == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                path.string() + ": " + what + ": " + std::generic_category().message(error_number));
}

}  // namespace

const char* dtype_name(Dtype dtype) { return entry_of(dtype).name; }
std::size_t dtype_size(Dtype dtype) { return entry_of(dtype).size; }

void TensorView::check_element_size(std::size_t size) const {
    if (size != dtype_size(dtype))
        throw Error(ErrorCode::internal,
                    "a tensor of " + std::string(dtype_name(dtype)) + " read as elements of " + std::to_string(size) + " bytes");
}

uint64_t tensors_identity(const TensorMap& tensors, std::span<const std::string> extra) {
    Hash hash;
    hash.add(uint64_t{tensors.size()});
    for (const auto& [name, tensor] : tensors) {
        hash.add(name);
        hash.add(std::string_view(dtype_name(tensor.dtype)));
        hash.add(uint64_t{tensor.shape.size()});
        for (const int64_t dimension : tensor.shape) hash.add(static_cast<uint64_t>(dimension));
        hash.add(tensor.data);
    }
    for (const std::string& text : extra) hash.add(text);
    return hash.digest();
}

SafetensorsFile::SafetensorsFile(AlignedBuffer bytes, const std::string& source)
    : bytes_(std::move(bytes)), source_(source) {
    const std::span<const std::byte> file(bytes_.data(), bytes_.size());
    uint64_t header_size = 0;
    if (file.size() < sizeof header_size)
        throw Error(ErrorCode::corrupt,
                    source + ": truncated, " + std::to_string(file.size()) + " bytes are too few for a safetensors file");
    std::memcpy(&header_size, file.data(), sizeof header_size);
    const std::size_t rest = file.size() - sizeof header_size;
    if (header_size > rest)
        throw Error(ErrorCode::corrupt, source + ": truncated or not a safetensors file, it announces a header of " +
                                            std::to_string(header_size) + " bytes and " + std::to_string(rest) + " are left");
    if (header_size > kMaxHeaderBytes)
        throw Error(ErrorCode::limit, source + ": header of " + std::to_string(header_size) + " bytes; the limit is " +
                                          std::to_string(kMaxHeaderBytes));
    const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof header_size, header_size);
    const std::span<const std::byte> data = file.subspan(sizeof header_size + header_size);
    const nlohmann::json header = parse_header(text, source);
    for (const auto& [name, description] : header.items()) {
        if (name != kMetadataKey) {
            tensors_.emplace(name, parse_tensor(description, data, source + ": tensor " + name));
            continue;
        }
        if (!description.is_object()) throw Error(ErrorCode::corrupt, source + ": " + kMetadataKey + " is not an object");
        for (const auto& [key, value] : description.items()) {
            if (!value.is_string()) throw Error(ErrorCode::corrupt, source + ": metadata " + key + " is not a string");
            metadata_.emplace(key, value.get<std::string>());
        }
    }
    check_coverage(tensors_, data, source);
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, const std::string& source) {
    AlignedBuffer copy(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.data());
    return SafetensorsFile(std::move(copy), source);
}

SafetensorsFile SafetensorsFile::load(const std::filesystem::path& path) {
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
    if (!file) throw_io(path, "cannot be opened", errno);
    std::error_code status;
    const std::uintmax_t size = std::filesystem::file_size(path, status);
    if (status) throw_io(path, "has no size", status.value());
    AlignedBuffer bytes(size);
    if (std::fread(bytes.data(), 1, size, file.get()) != size)
        throw Error(ErrorCode::io, path.string() + ": reading " + std::to_string(size) + " bytes failed");
    return SafetensorsFile(std::move(bytes), path.string());
}

const TensorView& SafetensorsFile::get(const std::string& name) const {
    const auto tensor = tensors_.find(name);
    if (tensor == tensors_.end()) throw Error(ErrorCode::model_mismatch, source_ + ": tensor " + name + ": missing");
    return tensor->second;
}

const TensorView& SafetensorsFile::get(const std::string& name, std::initializer_list<Dtype> dtypes) const {
    const TensorView& tensor = get(name);
    if (std::find(dtypes.begin(), dtypes.end(), tensor.dtype) == dtypes.end()) {
        std::string wanted;
        for (const Dtype dtype : dtypes) wanted += (wanted.empty() ? "" : " or ") + std::string(dtype_name(dtype));
        throw Error(ErrorCode::model_mismatch, source_ + ": tensor " + name + ": dtype " + dtype_name(tensor.dtype) +
                                                   " in the file, " + wanted + " in the network");
    }
    return tensor;
}

const TensorView& SafetensorsFile::get(const std::string& name, std::initializer_list<Dtype> dtypes,
                                       const std::vector<int64_t>& shape) const {
    const TensorView& tensor = get(name, dtypes);
    if (tensor.shape != shape)
        throw Error(ErrorCode::model_mismatch, source_ + ": tensor " + name + ": shape " + shape_text(tensor.shape) +
                                                   " in the file, " + shape_text(shape) + " in the network");
    return tensor;
}

std::vector<std::byte> write_safetensors(const TensorMap& tensors, const TextMap& metadata) {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty()) header[kMetadataKey] = metadata;
    uint64_t offset = 0;
    for (const auto& [name, tensor] : tensors) {
        if (name == kMetadataKey)
            throw Error(ErrorCode::invalid_argument, std::string("a tensor cannot be called ") + kMetadataKey);
        if (tensor_bytes(tensor.dtype, tensor.shape) != tensor.data.size())
            throw Error(ErrorCode::invalid_argument, "tensor " + name + ": " + std::to_string(tensor.data.size()) +
                                                         " bytes of data for shape " + shape_text(tensor.shape) + " of " +
                                                         dtype_name(tensor.dtype));
        header[name] = {{"dtype", dtype_name(tensor.dtype)},
                        {"shape", tensor.shape},
                        {"data_offsets", {offset, offset + tensor.data.size()}}};
        offset += tensor.data.size();
    }
    std::string text;
    try {
        text = header.dump();
    } catch (const nlohmann::json::exception& error) {
        throw Error(ErrorCode::invalid_argument, std::string("safetensors header: ") + error.what());
    }
    text.append((8 - text.size() % 8) % 8, ' ');

    const uint64_t header_size = text.size();
    std::vector<std::byte> bytes(sizeof header_size + text.size() + offset);
    auto destination = bytes.begin();
    const auto append = [&](std::span<const std::byte> more) { destination = std::copy(more.begin(), more.end(), destination); };
    append(std::as_bytes(std::span(&header_size, 1)));
    append(std::as_bytes(std::span(text)));
    for (const auto& [name, tensor] : tensors) append(tensor.data);
    return bytes;
}

void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors, const TextMap& metadata) {
    const std::vector<std::byte> bytes = write_safetensors(tensors, metadata);
    std::filesystem::path part = path;
    part += ".part";
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    if (!file) throw_io(part, "cannot be created", errno);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    file.close();
    std::error_code status;
    if (!file) {
        const int error_number = errno;
        std::filesystem::remove(part, status);
        throw Error(ErrorCode::io, part.string() + ": writing " + std::to_string(bytes.size()) +
                                       " bytes failed: " + std::generic_category().message(error_number));
    }
    std::filesystem::rename(part, path, status);
    if (status) {
        const int error_number = status.value();
        std::filesystem::remove(part, status);
        throw Error(ErrorCode::io, path.string() + ": cannot be replaced: " + std::generic_category().message(error_number));
    }
}

}  // namespace decant
