#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>

#include "codec/decant.h"
#include "codec/image/metrics.h"
#include "codec/image/writer.h"
#include "codec/io/file.h"
#include "tools/decant/batch.h"
#include "tools/decant/bd_rate.h"
#include "tools/decant/console.h"
#include "tools/decant/inputs.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/json.h"
#include "tools/decant/model_finder.h"
#include "tools/decant/pictures.h"
#include "tools/decant/text.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

// Each kind of number once: how it is called, how many digits it is shown with.
struct Measure {
    const char* heading;
    int digits;
};
enum { kBpp, kRawRatio, kFileRatio, kPsnr, kMsSsim, kEncodeSpeed, kDecodeSpeed, kEncodeTime, kDecodeTime, kMeasures };
constexpr Measure kTable[] = {{"bpp", 3},      {"raw:dcn", 1},  {"file:dcn", 2}, {"PSNR dB", 2}, {"MS-SSIM", 4},
                              {"enc MP/s", 2}, {"dec MP/s", 2}, {"enc s", 3},    {"dec s", 3}};

using Measured = std::array<double, kMeasures>;

// Means over pictures; a value that a picture does not have (MS-SSIM of a tiny one, PSNR of a perfect one) is left out.
class Mean {
public:
    void add(const Measured& values) {
        for (size_t i = 0; i < kMeasures; ++i) {
            if (!std::isfinite(values[i])) continue;
            sums_[i] += values[i];
            ++counts_[i];
        }
    }
    Measured values() const {
        Measured means;
        for (size_t i = 0; i < kMeasures; ++i)
            means[i] = counts_[i] > 0 ? sums_[i] / static_cast<double>(counts_[i]) : std::numeric_limits<double>::quiet_NaN();
        return means;
    }

private:
    Measured sums_{};
    std::array<size_t, kMeasures> counts_{};
};

std::vector<std::string> row(const std::string& name, double quality, const Measured& values) {
    std::vector<std::string> cells{name, plain(quality)};
    for (size_t i = 0; i < kMeasures; ++i) cells.push_back(fixed(values[i], kTable[i].digits));
    return cells;
}

Table empty_table(const std::string& first) {
    std::vector<std::string> head{first, "q"};
    for (const Measure& measure : kTable) head.emplace_back(measure.heading);
    return Table(head);
}

template <class F>
double seconds_of(F&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Evaluation {
public:
    Evaluation(std::shared_ptr<const Model> model, const Settings& settings)
        : settings_(settings), codec_(std::move(model), settings.threads), means_(settings.qualities.size()) {}

    ExitCode run(const std::vector<Input>& inputs) {
        for (size_t i = 0; i < inputs.size(); ++i) {
            stop_if_interrupted();
            show_progress("picture " + std::to_string(i + 1) + " of " + std::to_string(inputs.size()) + ": " + inputs[i].path);
            attempt(inputs[i].path, status_, [&] { measure(inputs[i]); });
        }
        clear_progress();
        return status_.code();
    }

    size_t pictures() const { return pictures_; }
    const Table& table() const { return table_; }
    const Model& model() const { return codec_.model(); }

    std::vector<Measured> means() const {
        std::vector<Measured> result;
        for (const Mean& mean : means_) result.push_back(mean.values());
        return result;
    }

private:
    // All qualities or none, so that all means are over the same pictures.
    void measure(const Input& input) {
        if (input.problem) throw *input.problem;
        const PictureFile picture = read_picture(input.path, settings_.max_pixels);
        if (!is_warm_)
            in_file(input.path,
                    [&] { codec_.decode(codec_.encode(picture.image, encode_options(settings_.qualities[0])).bytes, decode_options()); });
        is_warm_ = true;
        std::vector<Measured> all;
        for (const double quality : settings_.qualities) {
            stop_if_interrupted();
            all.push_back(measure(input, picture, quality));
        }
        for (size_t i = 0; i < all.size(); ++i) {
            means_[i].add(all[i]);
            table_.add(row(input.path, settings_.qualities[i], all[i]));
        }
        ++pictures_;
    }

    Measured measure(const Input& input, const PictureFile& picture, double quality) {
        const Image& image = picture.image;
        std::vector<uint8_t> bytes;
        Image decoded;
        Measured m;
        in_file(input.path, [&] {
            m[kEncodeTime] = seconds_of([&] { bytes = codec_.encode(image, encode_options(quality)).bytes; });
            m[kDecodeTime] = seconds_of([&] { decoded = codec_.decode(bytes, decode_options()); });
        });
        const double size = static_cast<double>(bytes.size()), megapixels = static_cast<double>(image.pixel_count()) / 1e6;
        m[kBpp] = bits_per_pixel(bytes.size(), image);
        m[kRawRatio] = static_cast<double>(image.samples().size()) / size;
        m[kFileRatio] = static_cast<double>(picture.bytes) / size;
        m[kPsnr] = psnr(image, decoded);
        m[kMsSsim] = ms_ssim_or_nan(image, decoded);
        m[kEncodeSpeed] = megapixels / m[kEncodeTime];
        m[kDecodeSpeed] = megapixels / m[kDecodeTime];
        if (!settings_.output_dir.empty()) keep(input, decoded, quality);
        return m;
    }

    void keep(const Input& input, const Image& decoded, double quality) {
        const std::string suffix = settings_.qualities.size() > 1 ? "_q" + plain(quality) + ".png" : ".png";
        Job job{input.path, output_path(input, settings_, ""), {}};
        job.output += suffix;
        write_output(job, encode_image(decoded, ImageFormat::png), settings_);
    }

    EncodeOptions encode_options(double quality) const {
        EncodeOptions options;
        options.quality = quality;
        options.effort = settings_.effort;
        return options;
    }
    DecodeOptions decode_options() const { return {settings_.max_pixels}; }

    const Settings& settings_;
    Codec codec_;
    bool is_warm_ = false;
    size_t pictures_ = 0;
    std::vector<Mean> means_;  // a quality each
    Table table_ = empty_table("picture");
    ExitStatus status_;
};

struct Comparison {
    std::string name;
    BdRate result;
};

Comparison compare_curves(const NamedCurve& anchor, const std::vector<Measured>& means) {
    std::vector<CurvePoint> points;
    for (const Measured& mean : means) points.push_back({mean[kBpp], mean[kPsnr]});
    return {anchor.name, bd_rate(anchor.points, points)};
}

void print_report(const Evaluation& evaluation, int effort, const std::vector<Measured>& means, const std::optional<Comparison>& comparison) {
    const auto column = [&](size_t measure) {
        Json values = Json::array();
        for (const Measured& mean : means) values.push_back(mean[measure]);  // NaN becomes null
        return values;
    };
    const Model& model = evaluation.model();
    Json report{{"name", "decant " + model.name()},
                {"description", "decant " DECANT_VERSION ", model " + model.name() + " " + hexadecimal(model.identity()) +
                                    ", effort " + std::to_string(effort) + "; means over " + count_of(evaluation.pictures(), "picture") + ", times in seconds"},
                {"results",
                 {{"bpp", column(kBpp)},
                  {"psnr-rgb", column(kPsnr)},
                  {"ms-ssim-rgb", column(kMsSsim)},
                  {"encoding_time", column(kEncodeTime)},
                  {"decoding_time", column(kDecodeTime)}}}};
    if (comparison)
        report["bd-rate"] = {{"against", comparison->name},
                             {"percent", comparison->result.percent},
                             {"psnr_range", {comparison->result.psnr_low, comparison->result.psnr_high}}};
    print(to_line(report));
}

void print_tables(const Evaluation& evaluation, const std::vector<Measured>& means, const Settings& settings,
                  const std::optional<Comparison>& comparison) {
    print(evaluation.table().text());
    if (evaluation.pictures() > 1) {
        Table summary = empty_table("mean of " + count_of(evaluation.pictures(), "picture"));
        for (size_t i = 0; i < means.size(); ++i) summary.add(row("", settings.qualities[i], means[i]));
        print("\n" + summary.text());
    }
    if (comparison)
        print("\nBD-rate against " + comparison->name + ": " + (comparison->result.percent > 0 ? "+" : "") +
              fixed(comparison->result.percent, 1) + " % (PSNR " + fixed(comparison->result.psnr_low, 1) + " to " +
              fixed(comparison->result.psnr_high, 1) + " dB)\n");
}

NamedCurve read_curve(const std::string& path) {
    const std::vector<uint8_t> bytes = read_file(path);
    NamedCurve curve = in_file(path, [&] { return parse_curve({bytes.begin(), bytes.end()}); });
    if (curve.name.empty()) curve.name = std::filesystem::path(path).stem().string();
    return curve;
}

}  // namespace

ExitCode eval(const Settings& settings) {
    const std::vector<Input> inputs = collect_inputs(settings, is_picture_name);
    if (inputs.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    std::optional<NamedCurve> anchor;
    if (!settings.against.empty()) anchor = read_curve(settings.against);
    Evaluation evaluation(Model::load(find_model(settings.model)), settings);
    ExitStatus status;
    status.add(evaluation.run(inputs));
    if (evaluation.pictures() == 0) return status.code();
    const std::vector<Measured> means = evaluation.means();
    std::optional<Comparison> comparison;
    if (anchor) attempt(settings.against, status, [&] { comparison = compare_curves(*anchor, means); });
    if (settings.json)
        print_report(evaluation, settings.effort, means, comparison);
    else
        print_tables(evaluation, means, settings, comparison);
    return status.code();
}

}  // namespace decant::cli
