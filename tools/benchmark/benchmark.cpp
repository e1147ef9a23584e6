// How fast decant is on a folder of PNG files, and why: stage by stage, against the most that this machine's cores can multiply, and as
// whole commands beside other codecs' programs, all in one run.
//
// Timed commands run in turn, A B C A B C …, so that a machine whose speed drifts treats all alike; printed are medians.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "codec/decant.h"
#include "codec/engine/convolution.h"
#include "codec/error.h"
#include "codec/image/reader.h"
#include "codec/image/writer.h"
#include "codec/io/file.h"

namespace decant {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage =
    "usage: benchmark [--decant PROGRAM] [--model FILE] [-q QUALITY] [-t THREADS] [--runs N] FOLDER\n"
    "  --decant PROGRAM  the command to time (default: decant beside this program)\n"
    "  --model FILE      for the stages (default: models/photo.safetensors beside this program)\n"
    "  -q QUALITY        0 to 100 (default: 50)\n"
    "  -t THREADS        of decant and of the others; 0 = all cores (default)\n"
    "  --runs N          timed runs after one that does not count (default: 5)\n";

struct Options {
    std::string program, model, folder;
    double quality = 50;
    int threads = 0, runs = 5;
};

double seconds_of(const std::function<void()>& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    return n == 0 ? 0 : (values[(n - 1) / 2] + values[n / 2]) / 2;
}

// Multiplications of one thread a call, and what makes the calls.
struct Load {
    std::unique_ptr<PackedWeights> weights;
    std::unique_ptr<Convolution> convolution;
    AlignedBuffer src, dst, scratch;
    double multiplications = 0;

    Load(int channels_in, int channels_out, int h, int w) {
        ConvolutionShape shape;
        shape.src = {1, h, w, channels_in};
        shape.dst = {1, h, w, channels_out};
        shape.kernel = 3;
        shape.src_type = DataType::u8;
        shape.weights_type = DataType::s8;
        shape.dst_type = DataType::s32;
        shape.bias = false;
        weights = std::make_unique<PackedWeights>(channels_out, channels_in, 3);
        const size_t count = size_t(channels_out) * size_t(channels_in) * 9;
        weights->set({std::vector<int8_t>(count, 1), std::vector<int8_t>(size_t(channels_out), 0)});
        convolution = std::make_unique<Convolution>(shape, *weights, Convolution::Use::inference);
        src = AlignedBuffer(shape.src.elements());
        std::fill_n(src.data(), src.size(), std::byte{1});
        dst = AlignedBuffer(shape.dst.elements() * 4);
        multiplications = double(shape.dst.elements()) * channels_in * 9;
    }
    void run() { convolution->forward(src.data(), nullptr, dst.data(), scratch); }
};

// GMAC/s of all threads together, each on its own; the best of some shapes that the networks resemble.
double peak_gmac(WorkerPool& pool) {
    double best = 0;
    constexpr int kShapes[][4] = {{128, 128, 48, 64}, {192, 192, 32, 48}, {64, 64, 96, 128}, {256, 256, 32, 32}};
    for (const auto& s : kShapes) {
        std::vector<std::unique_ptr<Load>> loads(size_t(pool.threads()));
        const auto each = [&](const std::function<void(size_t)>& f) {
            size_t next = 0;
            pool.run([&]() -> WorkerPool::Task {
                if (next == loads.size()) return {};
                return [&f, i = next++] { f(i); };
            });
        };
        each([&](size_t i) {
            loads[i] = std::make_unique<Load>(s[0], s[1], s[2], s[3]);
            loads[i]->run();
        });
        const int repeats = std::max(1, int(4e9 / loads[0]->multiplications));
        for (int trial = 0; trial < 5; trial++) {
            const double seconds = seconds_of([&] {
                each([&](size_t i) {
                    for (int r = 0; r < repeats; r++) loads[i]->run();
                });
            });
            best = std::max(best, loads[0]->multiplications * repeats * double(loads.size()) / seconds / 1e9);
        }
    }
    return best;
}

// Thousands of multiplications a pixel, as `decant info` counts them.
double kmac_per_pixel(const Description& description, bool decoder) {
    constexpr int kSide = 1024;  // of a picture, in pixels
    double sum = 0;
    for (const Network& network : description.networks) {
        const bool encodes_only = network.name == "analysis" || network.name == "hyper_analysis";
        if (decoder ? encodes_only : network.name == "synthesis") continue;
        const int stride = network.name == "analysis" ? 1 : network.name == "hyper_synthesis" ? kLatentStride * kHyperStride : kLatentStride;
        for (const PlannedLayer& layer : plan(network, {1, kSide / stride, kSide / stride, network.channels_in})) sum += double(layer.multiplications());
    }
    return sum / (double(kSide) * kSide) / 1000;
}

struct Stage {
    const char* name;
    std::vector<double> seconds;  // a run each
};

class Benchmark {
public:
    explicit Benchmark(const Options& options) : options_(options), pool_(std::make_shared<WorkerPool>(options.threads)) {
        for (const auto& entry : fs::directory_iterator(options.folder)) {
            if (entry.path().extension() == ".png") pictures_.push_back(entry.path().string());
        }
        std::sort(pictures_.begin(), pictures_.end());
        if (pictures_.empty()) throw Error(ErrorCode::not_found, options.folder + ": no PNG files");
        std::string pattern = (fs::temp_directory_path() / "decant-benchmark-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw Error(ErrorCode::io, pattern + ": cannot be made");
        temporary_ = pattern;
    }
    ~Benchmark() {
        std::error_code ignored;
        fs::remove_all(temporary_, ignored);
    }
    Benchmark(const Benchmark&) = delete;
    Benchmark& operator=(const Benchmark&) = delete;

    void run() {
        measure_stages();
        measure_commands();
    }

private:
    void measure_stages() {
        const auto model = Model::load(options_.model);
        Codec codec(model, pool_);
        enum { kRead, kAnalysis, kEntropyEncoding, kEncode, kWrite, kReadFile, kEntropyDecoding, kSynthesis, kDecode, kWritePng, kStages };
        Stage stages[kStages] = {{"read PNG", {}},        {"  analysis", {}},      {"  entropy coding", {}}, {"encode", {}}, {"write .dcn", {}}, {"read .dcn", {}},
                                 {"  entropy decoding", {}}, {"  synthesis", {}}, {"decode", {}},           {"write PNG", {}}};
        double pixels = 0;
        for (int run = -1; run < options_.runs; run++) {
            double sums[kStages] = {};
            pixels = 0;
            for (const std::string& path : pictures_) {
                Image image, decoded;
                std::vector<uint8_t> bytes;
                StageSeconds seconds;
                EncodeOptions encode_options;
                encode_options.quality = options_.quality;
                DecodeOptions decode_options;
                encode_options.supervision.seconds = decode_options.supervision.seconds = &seconds;
                const std::string dcn = temporary_ + "/a.dcn", png = temporary_ + "/a.png";
                sums[kRead] += seconds_of([&] { image = read_image(read_file(path), path); });
                sums[kEncode] += seconds_of([&] { bytes = codec.encode(image, encode_options).bytes; });
                sums[kWrite] += seconds_of([&] { write_file_atomically(dcn, bytes, overwriting()); });
                sums[kReadFile] += seconds_of([&] { bytes = read_file(dcn); });
                sums[kDecode] += seconds_of([&] { decoded = codec.decode(bytes, decode_options); });
                sums[kWritePng] += seconds_of([&] { write_file_atomically(png, encode_image(decoded, ImageFormat::png), overwriting()); });
                sums[kAnalysis] += seconds.analysis;
                sums[kEntropyEncoding] += seconds.entropy_encoding;
                sums[kEntropyDecoding] += seconds.entropy_decoding;
                sums[kSynthesis] += seconds.synthesis;
                pixels += double(image.pixel_count());
            }
            if (run < 0) continue;
            for (int i = 0; i < kStages; i++) stages[i].seconds.push_back(sums[i]);
        }
        const double peak = peak_gmac(*pool_);
        std::printf("%s, %d threads, quality %g, %zu pictures, %.1f megapixels\n\n", engine_version().c_str(), pool_->threads(), options_.quality,
                    pictures_.size(), pixels / 1e6);
        std::printf("%-20s %8s   (MP/s; indented: of one thread)\n", "stage", "MP/s");
        for (const Stage& stage : stages) std::printf("%-20s %8.1f\n", stage.name, pixels / 1e6 / median(stage.seconds));
        std::printf("\nint8 3x3 convolutions, best: %.0f GMAC/s with all threads\n", peak);
        for (const bool decoder : {false, true}) {
            const double kmac = kmac_per_pixel(model->description(), decoder), speed = pixels / 1e6 / median(stages[decoder ? kDecode : kEncode].seconds);
            std::printf("%s: %.2f kMAC/pixel nominal, %.0f GMAC/s, %.0f %% of that\n", decoder ? "decoder" : "encoder", kmac, kmac * speed, 100 * kmac * speed / peak);
        }
    }

    static FileWriteOptions overwriting() {
        FileWriteOptions options;
        options.overwrite = true;
        return options;
    }

    // A codec's programs. {in} and {out} stand for files, or for folders where a command does all pictures at once.
    struct Peer {
        std::string name, encoder, encode, extension, decoder, decode;
        bool at_once = false;
        std::vector<double> encode_seconds = {}, decode_seconds = {};
    };

    void measure_commands() {
        const std::string threads = std::to_string(pool_->threads()), quality = std::to_string(options_.quality);
        std::vector<Peer> peers{
            {"decant, a folder", options_.program, "encode -f --quiet -t " + threads + " -q " + quality + " --output-dir {out} {in}", "", options_.program,
             "decode -f --quiet -t " + threads + " --output-dir {out} {in}", true},
            {"decant", options_.program, "encode -f --quiet -t " + threads + " -q " + quality + " -o {out} {in}", ".dcn", options_.program,
             "decode -f --quiet -t " + threads + " -o {out} {in}"},
            {"AVIF, avifenc -s 6", "avifenc", "-s 6 -j " + threads + " {in} {out}", ".avif", "avifdec", "-j " + threads + " {in} {out}"},
            {"WebP, cwebp -mt", "cwebp", "-quiet -mt {in} -o {out}", ".webp", "dwebp", "-quiet -mt {in} -o {out}"},
            {"JPEG XL, cjxl", "cjxl", "--quiet --num_threads=" + threads + " {in} {out}", ".jxl", "djxl", "--quiet --num_threads=" + threads + " {in} {out}"}};
        std::printf("\nwhole commands, a picture each unless said otherwise, with start-up and PNG; ratios: to decant's for a folder and for a picture\n");
        std::erase_if(peers, [&](const Peer& peer) {
            if (peer.encoder == options_.program) return false;  // what the others are compared with
            for (const std::string& program : {peer.encoder, peer.decoder}) {
                if (std::system(("command -v '" + program + "' > /dev/null").c_str()) == 0) continue;
                std::printf("%s is missing: no %s\n", program.c_str(), peer.name.c_str());
                return true;
            }
            return false;
        });
        double pixels = 0;
        for (const std::string& path : pictures_) pixels += double(read_image(read_file(path), path).pixel_count());
        for (int run = -1; run < options_.runs; run++) {
            std::vector<double> encode(peers.size(), 0.0), decode(peers.size(), 0.0);
            const auto measure = [&](size_t i, const std::string& in, const std::string& out) {
                const std::string file = temporary_ + "/" + std::to_string(i) + peers[i].extension;
                encode[i] += seconds_of([&] { command(peers[i].encoder, peers[i].encode, in, file); });
                decode[i] += seconds_of([&] { command(peers[i].decoder, peers[i].decode, file, out); });
            };
            for (size_t i = 0; i < peers.size(); i++) {
                if (peers[i].at_once) measure(i, options_.folder, temporary_ + "/out");
            }
            for (const std::string& path : pictures_) {
                for (size_t i = 0; i < peers.size(); i++) {
                    if (!peers[i].at_once) measure(i, path, temporary_ + "/out.png");
                }
            }
            for (size_t i = 0; i < peers.size() && run >= 0; i++) {
                peers[i].encode_seconds.push_back(encode[i]);
                peers[i].decode_seconds.push_back(decode[i]);
            }
        }
        // Above 1: decant is the faster.
        const auto ratio = [&](const std::vector<double>& ours, const std::vector<double>& theirs) {
            std::vector<double> ratios;
            for (size_t r = 0; r < ours.size(); r++) ratios.push_back(theirs[r] / ours[r]);
            return median(ratios);
        };
        std::printf("%-20s %12s %12s %16s %16s\n", "", "encode MP/s", "decode MP/s", "encode ratios", "decode ratios");
        for (const Peer& peer : peers) {
            std::printf("%-20s %12.2f %12.2f %8.2f%8.2f %8.2f%8.2f\n", peer.name.c_str(), pixels / 1e6 / median(peer.encode_seconds),
                        pixels / 1e6 / median(peer.decode_seconds), ratio(peers[0].encode_seconds, peer.encode_seconds),
                        ratio(peers[1].encode_seconds, peer.encode_seconds), ratio(peers[0].decode_seconds, peer.decode_seconds),
                        ratio(peers[1].decode_seconds, peer.decode_seconds));
        }
    }

    static void command(const std::string& program, std::string arguments, const std::string& in, const std::string& out) {
        const auto put = [&](const std::string& mark, const std::string& value) { arguments.replace(arguments.find(mark), mark.size(), "'" + value + "'"); };
        put("{in}", in);
        put("{out}", out);
        const int status = std::system(("exec '" + program + "' " + arguments + " > /dev/null 2>&1").c_str());
        if (status != 0) throw Error(ErrorCode::io, program + " " + arguments + ": failed");
    }

    const Options options_;
    const std::shared_ptr<WorkerPool> pool_;
    std::vector<std::string> pictures_;
    std::string temporary_;
};

Options parse(const std::vector<std::string>& arguments) {
    const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
    Options options;
    options.program = (here / "decant").string();
    options.model = (here / "models" / "photo.safetensors").string();
    for (size_t i = 0; i < arguments.size(); i++) {
        const std::string& name = arguments[i];
        if (!name.starts_with("-")) {
            options.folder = name;
            continue;
        }
        if (i + 1 == arguments.size()) throw Error(ErrorCode::invalid_argument, name + " needs a value");
        const std::string& value = arguments[++i];
        if (name == "--decant") {
            options.program = value;
        } else if (name == "--model") {
            options.model = value;
        } else if (name == "-q") {
            options.quality = std::atof(value.c_str());
        } else if (name == "-t") {
            options.threads = std::atoi(value.c_str());
        } else if (name == "--runs") {
            options.runs = std::max(1, std::atoi(value.c_str()));
        } else {
            throw Error(ErrorCode::invalid_argument, name + ": unknown option");
        }
    }
    if (options.folder.empty()) throw Error(ErrorCode::invalid_argument, "a folder is needed");
    return options;
}

}  // namespace
}  // namespace decant

int main(int count, char** values) {
    const std::vector<std::string> arguments(values + 1, values + count);
    if (!arguments.empty() && (arguments[0] == "-h" || arguments[0] == "--help")) {
        std::fputs(decant::kUsage, stdout);
        return 0;
    }
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // the stages are worth reading while the commands run
    try {
        decant::Benchmark(decant::parse(arguments)).run();
        return 0;
    } catch (const decant::Error& error) {
        std::fprintf(stderr, "benchmark: %s\n", error.what());
        if (error.code() != decant::ErrorCode::invalid_argument) return 1;
        std::fputs(decant::kUsage, stderr);
        return 2;
    }
}
