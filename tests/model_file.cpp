// Models as files: what is saved comes back, and a file that does not fit is refused with what is wrong.
#include "codec/network/model_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <list>
#include <optional>
#include <set>

#include "codec/engine/codec_weights.h"
#include "codec/error.h"
#include "codec/io/file.h"
#include "codec/network/rounding.h"
#include "codec/network/safetensors.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

// A saved tiny model whose tensors and metadata can be changed before it is loaded.
class ModelFile {
public:
    ModelFile() {
        save_model(original(), description, parameters, {{"steps", "123"}, {"data", "photos"}});
        file_.emplace(SafetensorsFile::load(original()));
        tensors = file_->tensors();
        texts = file_->metadata();
    }

    std::string original() const { return folder_ / "model.safetensors"; }

    ModelContents load_changed() const {
        save_safetensors(folder_ / "changed.safetensors", tensors, texts);
        return load_model(folder_ / "changed.safetensors");
    }

    // Replaces one element; the bytes live as long as this.
    template <class T>
    void set(const std::string& name, size_t index, T value) {
        TensorView& tensor = tensors.at(name);
        auto& bytes = changed_.emplace_back(tensor.data.begin(), tensor.data.end());
        std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
        tensor.data = bytes;
    }

    const Description description = tiny_description();
    Parameters parameters = tiny_parameters(description);
    TensorMap tensors;
    TextMap texts;

private:
    TemporaryFolder folder_;
    std::optional<SafetensorsFile> file_;
    std::list<std::vector<std::byte>> changed_;
};

struct Refusal {
    ErrorCode code;
    std::string message;
};

Refusal refusal_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    FAIL("accepted");
    return {ErrorCode::internal, ""};
}

bool mentions(const Refusal& refusal, const std::string& text) { return refusal.message.find(text) != std::string::npos; }

float as_bf16(float v) {
    uint32_t bits;
    std::memcpy(&bits, &v, 4);
    const uint32_t half = 0x8000, low = bits & 0xffff;
    bits &= 0xffff0000;
    if (low > half || (low == half && (bits & 0x10000) != 0)) bits += 0x10000;
    std::memcpy(&v, &bits, 4);
    return v;
}

}  // namespace

TEST_CASE("a model comes back with the numbers that the networks use") {
    const ModelFile file;
    const ModelContents contents = load_model(file.original());
    CHECK(contents.description == file.description);
    REQUIRE(contents.parameters.list().size() == file.parameters.list().size());
    std::set<std::string> kinds;
    for (const Network& network : file.description.networks) {
        for (const Layer& layer : network.layers) {
            if (layer.op != Operation::convolution) continue;
            const std::string name = network.name + "." + layer.name + ".weight";
            const auto saved = std::as_const(file.parameters)[name], loaded = contents.parameters[name];
            REQUIRE(saved.size() == loaded.size());
            CAPTURE(name);
            std::vector<float> want(saved.begin(), saved.end());
            if (layer.arithmetic == Arithmetic::integer) {
                const RoundedWeights r = round_weights(saved, layer.channels);
                for (size_t i = 0; i < want.size(); i++) {
                    want[i] = std::ldexp(float(r.integers[i]), -r.exponents[i / (want.size() / size_t(layer.channels))]);
                }
                kinds.insert("integer");
            } else if (layer.arithmetic == Arithmetic::compute) {
                std::transform(want.begin(), want.end(), want.begin(), as_bf16);
                kinds.insert("compute");
            } else {
                const WideWeights r = round_wide_weights(saved, layer.channels);
                for (size_t i = 0; i < want.size(); i++) {
                    want[i] = std::ldexp(float(r.integers[i]), -r.exponents[i / (want.size() / size_t(layer.channels))]);
                }
                kinds.insert("wide");
            }
            CHECK(std::equal(want.begin(), want.end(), loaded.begin()));
        }
    }
    CHECK(kinds.size() == 3);
    for (const Parameter& p : file.parameters.list()) {
        if (p.shape.size() == 4) continue;
        CAPTURE(p.name);
        const auto saved = std::as_const(file.parameters)[p.name], loaded = contents.parameters[p.name];
        REQUIRE(saved.size() == loaded.size());
        const bool fixed = p.name == "prediction";  // multiples of 2^-12, which the decoder computes with
        for (size_t i = 0; i < saved.size(); i++) {
            const float want = fixed ? std::round(saved[i] * 4096.0f) / 4096.0f : saved[i];
            CHECK(loaded[i] == want);
            if (fixed) CHECK(float(contents.prediction[i]) == want * 4096.0f);
        }
    }
}

TEST_CASE("integer networks have the same weights and biases before and after the file") {
    const ModelFile file;
    const ModelContents contents = load_model(file.original());
    CodecWeights before(file.description, file.parameters), after(contents.description, contents.parameters);
    for (const char* name : {"hyper_synthesis", "context0", "context3", "analysis", "synthesis"}) {
        const Network& network = file.description.network(name);
        for (size_t l = 0; l < network.layers.size(); l++) {
            if (network.layers[l].op != Operation::convolution) continue;
            const auto &a = before.integers(name).layer(int(l)), &b = after.integers(name).layer(int(l));
            CAPTURE(name);
            CAPTURE(l);
            CHECK(a.packed.rounded().integers == b.packed.rounded().integers);
            CHECK(a.exponents == b.exponents);
            CHECK(a.bias == b.bias);
            CHECK(a.quality == b.quality);
        }
    }
}

TEST_CASE("a loaded model saved again is the same model") {
    const ModelFile file;
    const TemporaryFolder folder;
    const ModelContents first = load_model(file.original());
    save_model(folder / "again.safetensors", first.description, first.parameters, first.metadata);
    const ModelContents second = load_model(folder / "again.safetensors");
    CHECK(second.identity == first.identity);
    CHECK(second.parameters.values() == first.parameters.values());
    CHECK(read_file(folder / "again.safetensors") == read_file(file.original()));
}

TEST_CASE("units are the logarithms of standard deviations in quantisation steps") {
    const ModelFile file;
    const ModelContents contents = load_model(file.original());
    const auto deviation = std::as_const(file.parameters)["latent_std"], gain = std::as_const(file.parameters)["gain"];
    REQUIRE(contents.unit.size() == gain.size());
    for (size_t i = 0; i < gain.size(); i++) {
        const double exact = 1024 * (std::log2(double(deviation[i % deviation.size()])) + double(gain[i]));
        CHECK(std::abs(contents.unit[i] - exact) <= 0.51);
        CHECK(std::abs(contents.step[i] - 1024 * double(file.parameters["inverse_gain"][i])) <= 0.51);
    }
    // Beyond 14 octaves they are cut.
    Parameters extreme = file.parameters;
    extreme["gain"][0] = 40;
    extreme["gain"][1] = -40;
    extreme["inverse_gain"][0] = 40;
    extreme["inverse_gain"][1] = -40;
    extreme["latent_std"][2] = 0;
    extreme["latent_std"][3] = -1;
    const TemporaryFolder folder;
    save_model(folder / "m", file.description, extreme, {});
    const ModelContents cut = load_model(folder / "m");
    CHECK(cut.unit[0] == 14 * 1024);
    CHECK(cut.unit[1] == -14 * 1024);
    CHECK(cut.step[0] == 14 * 1024);
    CHECK(cut.step[1] == -14 * 1024);
}

TEST_CASE("metadata are kept, the description is not among them") {
    const ModelFile file;
    const auto metadata = load_model(file.original()).metadata;
    CHECK(metadata == std::vector<std::pair<std::string, std::string>>{{"data", "photos"}, {"steps", "123"}});
}

TEST_CASE("the identity depends on every tensor and on the description, and on nothing else") {
    ModelFile file;
    const uint64_t identity = load_model(file.original()).identity;
    CHECK(file.load_changed().identity == identity);
    std::set<uint64_t> seen{identity};
    const TensorMap tensors = file.tensors;
    size_t changed = 0;
    for (const auto& [name, tensor] : tensors) {
        if (name.starts_with("entropy.")) continue;  // tables must add up; below
        // The lowest bit of the last element: still a number in its range, since the elements are little endian. Exponents go down,
        // so that they stay within their limit.
        const size_t at = tensor.data.size() - dtype_size(tensor.dtype);
        const bool exponent = name.ends_with(".exponent");
        file.set<uint8_t>(name, at,
                          uint8_t(exponent ? (uint8_t(tensor.data[at]) == 0 ? 1 : uint8_t(tensor.data[at]) - 1)
                                           : uint8_t(tensor.data[at]) ^ 1));
        CAPTURE(name);
        CHECK(seen.insert(file.load_changed().identity).second);
        file.tensors = tensors;
        changed++;
    }
    CHECK(changed > 60);
    for (const char* name : {"entropy.scales", "entropy.hyper"}) {
        // Two neighbouring frequencies of the first table give and take one.
        const auto words = tensors.at(name).values<uint16_t>();
        size_t at = 3;
        while (words[at] == 1) at++;
        file.set<uint16_t>(name, at, uint16_t(words[at] - 1));
        file.set<uint16_t>(name, at + 1, uint16_t(words[at + 1] + 1));
        CHECK(seen.insert(file.load_changed().identity).second);
        file.tensors = tensors;
    }
    Description other = file.description;
    other.lambda[1] = 0.02;
    file.texts["description"] = to_json(other);
    CHECK(seen.insert(file.load_changed().identity).second);
    other = file.description;
    other.name = "other";
    file.texts["description"] = to_json(other);
    CHECK(seen.insert(file.load_changed().identity).second);
    file.texts["description"] = to_json(file.description);
    file.texts["steps"] = "456";
    CHECK(file.load_changed().identity == identity);
}

TEST_CASE("a missing tensor is named") {
    ModelFile file;
    const TensorMap tensors = file.tensors;
    for (const auto& entry : tensors) {
        file.tensors.erase(entry.first);
        const Refusal refusal = refusal_of([&] { file.load_changed(); });
        CAPTURE(refusal.message);
        CHECK(refusal.code == ErrorCode::model_mismatch);
        CHECK(mentions(refusal, "changed.safetensors: tensor " + entry.first + ": missing"));
        file.tensors = tensors;
    }
}

TEST_CASE("a tensor of another shape or type is named with both") {
    ModelFile file;
    const TensorMap tensors = file.tensors;
    for (const auto& [name, tensor] : tensors) {
        if (name.starts_with("entropy.")) continue;  // of any length
        std::vector<int64_t> flat{1, int64_t(tensor.data.size() / dtype_size(tensor.dtype))};
        if (flat == tensor.shape) std::swap(flat[0], flat[1]);
        file.tensors.at(name).shape = flat;
        const Refusal refusal = refusal_of([&] { file.load_changed(); });
        CAPTURE(refusal.message);
        CHECK(refusal.code == ErrorCode::model_mismatch);
        CHECK(mentions(refusal, "tensor " + name));
        std::string extents[2];
        for (const int64_t extent : flat) extents[0] += (extents[0].empty() ? "[" : ", ") + std::to_string(extent);
        for (const int64_t extent : tensor.shape) extents[1] += (extents[1].empty() ? "[" : ", ") + std::to_string(extent);
        CHECK(mentions(refusal, extents[0] + "]"));
        CHECK(mentions(refusal, extents[1] + "]"));
        file.tensors = tensors;
    }
    for (const auto& [name, tensor] : tensors) {
        const Dtype other = tensor.dtype == Dtype::F32 ? Dtype::I32 : tensor.dtype == Dtype::I8 ? Dtype::U8 : Dtype::F16;
        file.tensors.at(name).dtype = other;
        const Refusal refusal = refusal_of([&] { file.load_changed(); });
        CAPTURE(refusal.message);
        CHECK(refusal.code == ErrorCode::model_mismatch);
        CHECK(mentions(refusal, "tensor " + name));
        CHECK(mentions(refusal, dtype_name(other)));
        CHECK(mentions(refusal, dtype_name(tensor.dtype)));
        file.tensors = tensors;
    }
}

TEST_CASE("numbers that are not finite are refused on the way out and on the way in") {
    ModelFile file;
    const TensorMap tensors = file.tensors;
    const TemporaryFolder folder;
    for (const Parameter& p : file.parameters.list()) {
        for (const float bad : {kNan, kInfinity, -kInfinity}) {
            Parameters parameters = file.parameters;
            parameters[p.name][p.size - 1] = bad;
            const Refusal refusal = refusal_of([&] { save_model(folder / "m", file.description, parameters, {}); });
            CAPTURE(refusal.message);
            CHECK(refusal.code == ErrorCode::invalid_argument);
            CHECK(mentions(refusal, p.name));
        }
    }
    CHECK(!std::filesystem::exists(folder / "m"));
    for (const auto& [name, tensor] : tensors) {
        if (tensor.dtype != Dtype::F32 && tensor.dtype != Dtype::BF16) continue;
        for (const float bad : {kNan, kInfinity, -kInfinity}) {
            uint32_t bits;
            std::memcpy(&bits, &bad, 4);
            if (tensor.dtype == Dtype::F32) {
                file.set<uint32_t>(name, 0, bits);
            } else {
                file.set<uint16_t>(name, 0, uint16_t(bits >> 16));
            }
            const Refusal refusal = refusal_of([&] { file.load_changed(); });
            CAPTURE(refusal.message);
            CHECK(refusal.code == ErrorCode::corrupt);
            CHECK(mentions(refusal, name));
            file.tensors = tensors;
        }
    }
}

TEST_CASE("integers out of their range are refused") {
    ModelFile file;
    const TensorMap tensors = file.tensors;
    const auto check_refused = [&](const std::string& name) {
        const Refusal refusal = refusal_of([&] { file.load_changed(); });
        CAPTURE(refusal.message);
        CHECK(refusal.code == ErrorCode::corrupt);
        CHECK(mentions(refusal, name));
        file.tensors = tensors;
    };
    for (const int exponent : {-1, -128, 21, 127}) {
        file.set<int8_t>("context1.conv2.exponent", 5, int8_t(exponent));
        check_refused("context1.conv2.exponent");
    }
    for (const int weight : {64, 127, -64, -128}) {
        file.set<int8_t>("hyper_synthesis.conv2.weight", 77, int8_t(weight));
        check_refused("hyper_synthesis.conv2.weight");
    }
    for (const int exponent : {-1, -128, 19, 127}) {
        file.set<int8_t>("synthesis.klt2.exponent", 5, int8_t(exponent));
        check_refused("synthesis.klt2.exponent");
    }
    for (const int weight : {4064, 32767, -4064, -32768}) {
        file.set<int16_t>("synthesis.klt2.weight", 77, int16_t(weight));
        check_refused("synthesis.klt2.weight");
    }
    for (const int value : {14 * 1024 + 1, -14 * 1024 - 1, 32767, -32768}) {
        for (const char* name : {"unit", "step"}) {
            file.set<int16_t>(name, 7, int16_t(value));
            check_refused(name);
        }
    }
    file.set<int16_t>("unit", 7, int16_t(14 * 1024));
    CHECK(file.load_changed().unit[7] == 14 * 1024);
}

TEST_CASE("weights whose sums could exceed what every CPU calculates exactly are refused") {
    Description wide = tiny_description();
    for (Network& network : wide.networks) {
        if (network.name == "context0") network.layers[0].channels = 128;
    }
    const TemporaryFolder folder;
    for (const bool over : {false, true}) {
        Parameters parameters = tiny_parameters(wide);
        const auto row = parameters["context0.conv2.weight"].subspan(3 * 128 * 9, 128 * 9);
        // 255 · 65793 is 2^24 - 1.
        std::fill(row.begin(), row.end(), 0.0f);
        std::fill_n(row.begin(), 65793 / 63, -63.0f);
        row.back() = float(65793 % 63 + (over ? 1 : 0));
        save_model(folder / "m", wide, parameters, {});
        if (!over) {
            CHECK_NOTHROW(load_model(folder / "m"));
            continue;
        }
        const Refusal refusal = refusal_of([&] { load_model(folder / "m"); });
        CAPTURE(refusal.message);
        CHECK(refusal.code == ErrorCode::corrupt);
        CHECK(mentions(refusal, "context0.conv2.weight: the weights of output 3 sum to 65794"));
    }
}

TEST_CASE("tables that do not hold together are refused") {
    ModelFile file;
    const TensorMap tensors = file.tensors;
    for (const char* name : {"entropy.scales", "entropy.hyper"}) {
        const auto words = tensors.at(name).values<uint16_t>();
        for (const size_t at : {size_t(0), size_t(2), size_t(3), words.size() - 1}) {
            file.set<uint16_t>(name, at, uint16_t(words[at] + 1));
            CHECK(refusal_of([&] { file.load_changed(); }).code == ErrorCode::corrupt);
            file.tensors = tensors;
        }
        file.tensors.at(name).shape = {0};
        file.tensors.at(name).data = {};
        CHECK(refusal_of([&] { file.load_changed(); }).code == ErrorCode::corrupt);
        file.tensors = tensors;
    }
    // Tables for another number of channels.
    file.tensors.at("entropy.hyper") = tensors.at("entropy.scales");
    const Refusal refusal = refusal_of([&] { file.load_changed(); });
    CHECK(refusal.code == ErrorCode::model_mismatch);
    CHECK(mentions(refusal, "entropy.hyper has 65 tables"));
}

TEST_CASE("a description that does not fit is refused") {
    ModelFile file;
    const std::string description = file.texts.at("description");
    const auto check_refused = [&](const std::string& what) {
        const Refusal refusal = refusal_of([&] { file.load_changed(); });
        CAPTURE(refusal.message);
        CHECK(refusal.code == ErrorCode::model_mismatch);
        CHECK(mentions(refusal, what));
    };
    file.texts.erase("description");
    check_refused("description");
    for (const std::string& text :
         {std::string(), std::string("{"), description.substr(0, description.size() / 2), std::string("[]")}) {
        file.texts["description"] = text;
        check_refused("description");
    }
    Description other = file.description;
    other.lambda.push_back(1);
    file.texts["description"] = to_json(other);
    check_refused("quality");
    // More parameters than the file has bytes: refused before memory is asked for.
    other = file.description;
    for (Network& network : other.networks) {
        for (Layer& layer : network.layers) {
            if (network.name == "hyper_analysis") layer.channels = 1 << 14;
        }
    }
    file.texts["description"] = to_json(other);
    check_refused("parameters");
}

TEST_CASE("a truncated or overlong model file is refused") {
    const ModelFile file;
    const TemporaryFolder folder;
    const auto bytes = read_file(file.original());
    std::set<size_t> sizes;
    for (size_t n = 0; n < 40; n++) sizes.insert({n, bytes.size() - 1 - n, bytes.size() * n / 40});
    for (const size_t size : sizes) {
        std::ofstream(folder / "cut", std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(size));
        CAPTURE(size);
        CHECK(refusal_of([&] { load_model(folder / "cut"); }).code == ErrorCode::corrupt);
    }
    std::ofstream(folder / "long", std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()))
        << 'x';
    CHECK(refusal_of([&] { load_model(folder / "long"); }).code == ErrorCode::corrupt);
    CHECK(refusal_of([&] { load_model(folder / "none"); }).code == ErrorCode::not_found);
    CHECK(refusal_of([&] { Model::load(folder / "none"); }).code == ErrorCode::not_found);
}

TEST_CASE("saving replaces a model at once and leaves nothing behind") {
    const ModelFile file;
    const TemporaryFolder folder;
    const std::string path = folder / "m.safetensors";
    save_model(path, file.description, file.parameters, {});
    save_model(path, file.description, tiny_parameters(file.description, 2), {});
    CHECK(load_model(path).identity == tiny_contents(2).identity);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
    CHECK(refusal_of([&] { save_model(folder / "no/such/folder", file.description, file.parameters, {}); }).code ==
          ErrorCode::not_found);
}
