// Model files: round trips, identity, messages that name the tensor, and hostile headers.
#include "codec/network/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "codec/error.h"

using namespace decant;

namespace {

template <class T>
TensorView view(Dtype dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
    return {dtype, std::move(shape), std::as_bytes(std::span(values))};
}

std::vector<std::byte> file_of(const std::string& header, std::size_t data_size) {
    std::vector<std::byte> bytes(8 + header.size() + data_size);
    const uint64_t size = header.size();
    std::memcpy(bytes.data(), &size, sizeof size);
    std::memcpy(bytes.data() + 8, header.data(), header.size());
    return bytes;
}

// The error of a file with this header, and its text.
std::pair<ErrorCode, std::string> error_of(std::span<const std::byte> bytes) {
    try {
        SafetensorsFile::parse(bytes, "test");
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    return {ErrorCode::internal, "accepted"};
}

bool corrupt(const std::string& header, std::size_t data_size = 0) {
    const auto [code, text] = error_of(file_of(header, data_size));
    INFO(header << ": " << text);
    CHECK(code == ErrorCode::corrupt);
    return code == ErrorCode::corrupt;
}

const std::vector<float> kWeights{1, -2, 3.5f, 4, 5, 6};
const std::vector<int8_t> kBytes{1, 2, -3};
const std::vector<int64_t> kLong{int64_t{1} << 40};

TensorMap some_tensors() {
    return {{"enc.conv1.weight", view(Dtype::F32, {2, 3}, kWeights)},
            {"a.bytes", view(Dtype::I8, {3}, kBytes)},
            {"scalar", view(Dtype::I64, {}, kLong)},
            {"empty", view(Dtype::U16, {4, 0}, std::vector<uint16_t>{})}};
}

}  // namespace

TEST_CASE("tensors and metadata come back") {
    const TextMap metadata{{"network", "a \"quoted\" text, ü"}, {"step", "12"}};
    const std::vector<std::byte> bytes = write_safetensors(some_tensors(), metadata);
    uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), 8);
    CHECK(header_size % 8 == 0);

    const SafetensorsFile file = SafetensorsFile::parse(bytes, "test");
    CHECK(file.metadata() == metadata);
    CHECK(file.tensors().size() == 4);
    CHECK(file.get("enc.conv1.weight", {Dtype::F32}, {2, 3}).values<float>() == kWeights);
    CHECK(file.get("a.bytes", {Dtype::U8, Dtype::I8}).values<int8_t>() == kBytes);
    CHECK(file.get("scalar", {Dtype::I64}, {}).values<int64_t>() == kLong);
    CHECK(file.get("empty").values<uint16_t>().empty());
    CHECK_THROWS_AS(file.get("scalar").values<int32_t>(), Error);
    CHECK(write_safetensors(file.tensors(), file.metadata()) == bytes);
}

TEST_CASE("a file without tensors is a file") {
    const SafetensorsFile file = SafetensorsFile::parse(write_safetensors({}), "test");
    CHECK(file.tensors().empty());
    CHECK(file.metadata().empty());
}

TEST_CASE("what does not fit the network is named") {
    const SafetensorsFile file = SafetensorsFile::parse(write_safetensors(some_tensors()), "m.safetensors");
    CHECK_THROWS_WITH_AS(file.get("enc.conv2.weight"), "m.safetensors: tensor enc.conv2.weight: missing", Error);
    CHECK_THROWS_WITH_AS(file.get("enc.conv1.weight", {Dtype::F32}, {3, 2}),
                         "m.safetensors: tensor enc.conv1.weight: shape [2, 3] in the file, [3, 2] in the network", Error);
    CHECK_THROWS_WITH_AS(file.get("a.bytes", {Dtype::F32, Dtype::BF16}),
                         "m.safetensors: tensor a.bytes: dtype I8 in the file, F32 or BF16 in the network", Error);
}

TEST_CASE("identity is that of the tensors") {
    const uint64_t identity = tensors_identity(some_tensors());
    const SafetensorsFile file = SafetensorsFile::parse(write_safetensors(some_tensors(), {{"note", "x"}}), "test");
    CHECK(file.identity() == identity);

    const std::vector<std::string> text{"network"}, two{"net", "work"};
    CHECK(tensors_identity(some_tensors(), text) != identity);
    CHECK(tensors_identity(some_tensors(), text) != tensors_identity(some_tensors(), two));

    TensorMap renamed = some_tensors();
    renamed["b.bytes"] = renamed["a.bytes"];
    renamed.erase("a.bytes");
    CHECK(tensors_identity(renamed) != identity);
    TensorMap retyped = some_tensors();
    retyped["a.bytes"].dtype = Dtype::U8;
    CHECK(tensors_identity(retyped) != identity);
    TensorMap reshaped = some_tensors();
    reshaped["enc.conv1.weight"].shape = {3, 2};
    CHECK(tensors_identity(reshaped) != identity);
    TensorMap changed = some_tensors();
    const std::vector<int8_t> other{1, 2, -4};
    changed["a.bytes"].data = std::as_bytes(std::span(other));
    CHECK(tensors_identity(changed) != identity);
}

TEST_CASE("identity does not depend on the order in the file") {
    const std::string a = R"("a": {"dtype": "U8", "shape": [2], "data_offsets": )",
                      b = R"("b": {"dtype": "U8", "shape": [2], "data_offsets": )";
    std::vector<std::byte> forward = file_of("{" + a + "[0, 2]}, " + b + "[2, 4]}}", 4);
    std::vector<std::byte> backward = file_of("{" + b + "[0, 2]}, " + a + "[2, 4]}}", 4);
    forward[forward.size() - 4] = backward[backward.size() - 2] = std::byte{7};
    CHECK(SafetensorsFile::parse(forward, "test").identity() == SafetensorsFile::parse(backward, "test").identity());
}

TEST_CASE("files on disk") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("decant_safetensors_" + std::to_string(std::random_device()()));
    std::filesystem::create_directory(folder);
    const std::filesystem::path path = folder / "m.safetensors";
    save_safetensors(path, some_tensors());
    save_safetensors(path, some_tensors(), {{"second", "time"}});
    CHECK(SafetensorsFile::load(path).metadata().at("second") == "time");
    CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);

    const auto code_of = [](auto&& action) {
        try {
            action();
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode::internal;
    };
    CHECK(code_of([&] { SafetensorsFile::load(folder / "none"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { SafetensorsFile::load(folder); }) == ErrorCode::io);
    CHECK(code_of([&] { save_safetensors(folder / "none" / "m", some_tensors()); }) != ErrorCode::internal);
    std::ofstream(folder / "empty").close();
    CHECK(code_of([&] { SafetensorsFile::load(folder / "empty"); }) == ErrorCode::corrupt);
    std::filesystem::remove_all(folder);
}

TEST_CASE("what cannot be written is refused") {
    CHECK_THROWS_AS(write_safetensors({{"x", view(Dtype::F32, {7}, kWeights)}}), Error);
    CHECK_THROWS_AS(write_safetensors({{"x", view(Dtype::F32, {-2, -3}, kWeights)}}), Error);
    CHECK_THROWS_AS(write_safetensors({{"__metadata__", view(Dtype::F32, {6}, kWeights)}}), Error);
    CHECK_THROWS_AS(write_safetensors({{"\xff", view(Dtype::F32, {6}, kWeights)}}), Error);
}

TEST_CASE("a truncated file is refused at every length") {
    const std::vector<std::byte> bytes = write_safetensors(some_tensors(), {{"a", "b"}});
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK(error_of(std::span(bytes).first(size)).first == ErrorCode::corrupt);
    std::vector<std::byte> longer = bytes;
    longer.push_back(std::byte{0});
    CHECK(error_of(longer).first == ErrorCode::corrupt);
}

TEST_CASE("hostile headers are refused") {
    const auto tensor = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
        return R"({"t": {"dtype": ")" + dtype + R"(", "shape": )" + shape + R"(, "data_offsets": )" + offsets + "}}";
    };
    REQUIRE(error_of(file_of(tensor("F32", "[2]", "[0, 8]"), 8)).second == "accepted");

    // not JSON, or not the JSON that it should be
    for (const char* header :
         {"", "{", "[]", "1", "null", "{} x", "{\"t\": 1}", "{\"t\": {}}", "{\"t\": []}", "{\"__metadata__\": 1}",
          "{\"__metadata__\": {\"a\": 1}}", "{\"__metadata__\": {\"a\": [[]]}}", "{\"\xff\": {}}"})
        corrupt(header);
    corrupt(std::string(100000, '['));
    corrupt("{\"a\": " + std::string(100000, '['));
    std::string nested;
    for (int i = 0; i < 100000; ++i) nested += "{\"a\":";
    corrupt(nested);

    // shapes
    for (const char* shape :
         {"[3]", "[-2]", "[2.0]", "[\"2\"]", "2", "null", "[2, 0]", "[9223372036854775807]", "[18446744073709551615]",
          "[4294967296, 4294967296]", "[4294967297, 4294967297]", "[3037000500, 3037000500, 0]", "[1e400]", "[[2]]"})
        corrupt(tensor("F32", shape, "[0, 8]"), 8);
    // offsets
    for (const char* offsets : {"[0, 9]", "[8, 0]", "[1, 8]", "[-8, 0]", "[0]", "[0, 8, 8]", "[]", "8", "[0, 8.0]", "[8, 16]",
                                "[18446744073709551608, 18446744073709551615]", "[9223372036854775800, 9223372036854775807]"})
        corrupt(tensor("F32", "[2]", offsets), 8);
    // data that belong to no tensor
    corrupt(tensor("F32", "[2]", "[0, 8]"), 9);
    corrupt(tensor("F32", "[2]", "[1, 9]"), 9);
    corrupt("{}", 1);
    // more and other entries
    corrupt(R"({"t": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "more": 1}})", 1);
    corrupt(R"({"t": {"dtype": 3, "shape": [1], "data_offsets": [0, 1]}})", 1);

    const auto two = [](const std::string& first, const std::string& second) {
        return R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": )" + first +
               R"(}, "b": {"dtype": "U8", "shape": [2], "data_offsets": )" + second + "}}";
    };
    REQUIRE(error_of(file_of(two("[2, 4]", "[0, 2]"), 4)).second == "accepted");
    corrupt(two("[0, 2]", "[0, 2]"), 2);
    corrupt(two("[0, 2]", "[1, 3]"), 3);
    corrupt(two("[0, 2]", "[3, 5]"), 5);
    corrupt(
        R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}})",
        1);
    corrupt(R"({"a": {"dtype": "U8", "shape": [1], "shape": [1], "data_offsets": [0, 1]}})", 1);
    corrupt(R"({"__metadata__": {"k": "1", "k": "2"}})");

    CHECK(error_of(file_of(tensor("F64", "[1]", "[0, 8]"), 8)).first == ErrorCode::unsupported);
    CHECK(error_of(file_of(std::string((16 << 20) + 1, ' '), 0)).first == ErrorCode::limit);
    std::vector<std::byte> huge(16, std::byte{0xff});
    CHECK(error_of(huge).first == ErrorCode::corrupt);
}

TEST_CASE("random damage never does worse than an error") {
    std::mt19937 random(1);
    const std::vector<std::byte> bytes = write_safetensors(some_tensors(), {{"a", "b"}});
    for (int repeat = 0; repeat < 5000; ++repeat) {
        std::vector<std::byte> damaged = bytes;
        for (int change = 0; change < 3; ++change) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
        const ErrorCode code = error_of(damaged).first;
        CHECK((code == ErrorCode::internal || code == ErrorCode::corrupt || code == ErrorCode::unsupported ||
               code == ErrorCode::limit));
    }
}
