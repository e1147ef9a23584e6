// Files mean the same on every CPU: written with any instruction set, they decode to the same symbols and pixels with any other.
//
// oneDNN reads ONEDNN_MAX_CPU_ISA once a process, so that this program starts itself again for each instruction set. A CPU that
// lacks one takes the next lower one, which makes a comparison pointless but not wrong.
#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "codec/decant.h"
#include "codec/engine/convolution.h"
#include "codec/engine/integer_graph.h"
#include "codec/io/file.h"
#include "tests/image_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

const std::vector<std::string> kInstructionSets{"SSE41", "AVX2", "AVX512_CORE", "AVX512_CORE_VNNI", "DEFAULT"};

// What a worker has to do comes in these variables.
constexpr const char* kTask = "DECANT_TEST_TASK";      // "write" or "read"
constexpr const char* kFolder = "DECANT_TEST_FOLDER";  // where files are exchanged
constexpr const char* kName = "DECANT_TEST_NAME";      // of the instruction set

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// Runs the test case "worker" below in a process of its own; returns its exit status.
int run_worker(const std::string& task, const std::string& folder, const std::string& instruction_set) {
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; entry++) {
        if (!std::string(*entry).starts_with("ONEDNN_MAX_CPU_ISA=")) environment.emplace_back(*entry);
    }
    if (instruction_set != "DEFAULT") environment.push_back("ONEDNN_MAX_CPU_ISA=" + instruction_set);
    environment.push_back("OMP_WAIT_POLICY=PASSIVE");  // two threads on one free core would mostly wait for each other
    environment.push_back(std::string(kTask) + "=" + task);
    environment.push_back(std::string(kFolder) + "=" + folder);
    environment.push_back(std::string(kName) + "=" + instruction_set);
    std::vector<std::string> arguments{"decant_tests", "--no-skip", "--source-file=*instruction_sets.cpp", "--test-case=worker",
                                       "--quiet"};
    std::vector<char*> environment_pointers, argument_pointers;
    for (std::string& entry : environment) environment_pointers.push_back(entry.data());
    for (std::string& entry : arguments) argument_pointers.push_back(entry.data());
    environment_pointers.push_back(nullptr);
    argument_pointers.push_back(nullptr);
    pid_t child = 0;
    if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argument_pointers.data(), environment_pointers.data()) != 0)
        return -1;
    int status = 0;
    if (waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Sums as large as a model may have them, just below 2^24: products of 255 and ±63 through layers of either kind.
uint64_t extreme_sums() {
    uint64_t hash = 1469598103934665603u;
    for (const int kernel : {1, 3}) {
        for (const int inputs : {4, 96, 116}) {
            Description d = parse_description(
                R"({"name": "m", "latent_channels": 4, "hyper_channels": 1, "lambda": [0.1, 1], "networks": {"net": {"channels_in": )" +
                std::to_string(inputs) + R"(, "layers": [{"name": "a", "channels": 32, "arithmetic": "integer", "kernel": )" +
                std::to_string(kernel) + "}]}}}");
            Parameters parameters(d);
            const auto weights = parameters["net.a.weight"];
            const size_t row = weights.size() / 32;
            for (size_t i = 0; i < weights.size(); i++) {
                // All of one sign, one less, and halves or quarters of either sign.
                const size_t o = i / row, part = row >> (o / 4 % 3);
                weights[i] = (i % row / part % 2 == 0) != (o % 2 == 0) ? -63.0f : 63.0f;
                if (o % 8 >= 6 && i % row == 5) weights[i] = 62.0f;
            }
            IntegerWeights prepared(d.network("net"), parameters);
            IntegerGraph graph(prepared, {1, 5, 6, inputs}, {});
            std::fill_n(graph.input().as<uint8_t>(), graph.input().shape.elements(), uint8_t(255));
            for (size_t i = 0; i < size_t(inputs); i++) graph.input().as<uint8_t>()[i] = uint8_t(i);
            graph.forward();
            const auto* sums = graph.output().as<int32_t>();
            for (size_t i = 0; i < graph.output().shape.elements(); i++) hash = (hash ^ uint32_t(sums[i])) * 1099511628211u;
        }
    }
    return hash;
}

void write_files(const std::string& folder, const std::string& name) {
    const auto save = [&](const std::string& file, Codec& codec, const Image& image, double quality) {
        write_file_atomically(folder + "/" + name + "-" + file + ".dcn", codec.encode(image, {quality}).bytes);
    };
    for (const uint32_t seed : {1u, 2u}) {
        Codec codec(tiny_model(seed), 1);
        const std::string prefix = "tiny" + std::to_string(seed) + "-";
        save(prefix + "mixed", codec, mixed_image(300, 200, 3), 60);
        save(prefix + "noise", codec, noise_image(90, 120, 1), 100);
        save(prefix + "dot", codec, noise_image(1, 1, 3), 0);
    }
    if (const auto model = shipped_model()) {
        Codec codec(model, 1);
        save("shipped", codec, cropped(sample_image("landscape.png"), {200, 150, 200, 144}), 55);
    }
}

uint64_t hash_of(const Image& image) {
    uint64_t hash = 1469598103934665603u;
    for (const uint8_t v : image.samples()) hash = (hash ^ v) * 1099511628211u;
    return hash;
}

// A line for each file: its name, the hash of its symbols and pixels with one thread, and with two.
void read_files(const std::string& folder, const std::string& name) {
    std::map<std::string, std::shared_ptr<const Model>> models{
        {"tiny1", tiny_model(1)}, {"tiny2", tiny_model(2)}, {"shipped", shipped_model()}};
    std::string report;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".dcn") continue;
        const std::string file = entry.path().filename().string();
        const auto model =
            std::find_if(models.begin(), models.end(), [&](const auto& m) { return file.find(m.first) != std::string::npos; });
        REQUIRE(model != models.end());
        const auto bytes = read_file(entry.path().string());
        Codec one(model->second, 1), two(model->second, 2);
        report += file;
        for (Codec* codec : {&one, &two}) report += " " + std::to_string(codec->symbol_hash(bytes)) + "/" + std::to_string(hash_of(codec->decode(bytes)));
        report += "\n";
    }
    report += "sums " + std::to_string(extreme_sums()) + "\n";
    write_file_atomically(folder + "/" + name + ".hashes", std::vector<uint8_t>(report.begin(), report.end()));
}

std::multiset<std::string> lines_of(const std::string& path) {
    const auto bytes = read_file(path);
    std::multiset<std::string> lines;
    for (auto begin = bytes.begin(); begin != bytes.end();) {
        const auto end = std::find(begin, bytes.end(), uint8_t('\n'));
        lines.emplace(begin, end);
        begin = end + 1;
    }
    return lines;
}

}  // namespace

TEST_CASE("worker" * doctest::skip()) {
    if (variable(kTask) == "write") write_files(variable(kFolder), variable(kName));
    if (variable(kTask) == "read") read_files(variable(kFolder), variable(kName));
}

TEST_CASE("every instruction set reads the files of every other") {
    const TemporaryFolder folder;
    for (const std::string& name : kInstructionSets) REQUIRE(run_worker("write", folder.path().string(), name) == 0);
    for (const std::string& name : kInstructionSets) REQUIRE(run_worker("read", folder.path().string(), name) == 0);

    const auto expected = lines_of(folder / "DEFAULT.hashes");
    const size_t files = kInstructionSets.size() * (shipped_model() == nullptr ? 6 : 7);
    REQUIRE(expected.size() == files + 1);
    for (const std::string& line : expected) {
        if (line.starts_with("sums ")) continue;
        const size_t first = line.find(' '), second = line.rfind(' ');
        CAPTURE(line);
        CHECK(line.substr(first, second - first) == line.substr(second));  // one and two threads
    }
    for (const std::string& name : kInstructionSets) {
        CAPTURE(name);
        CHECK(lines_of(folder / (name + ".hashes")) == expected);
    }
}
