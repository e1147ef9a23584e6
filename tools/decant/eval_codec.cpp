#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>

#include "codec/decant.h"
#include "codec/image/metrics.h"
#include "codec/io/file.h"
#include "tools/decant/bd_rate.h"
#include "tools/decant/console.h"
#include "tools/decant/eval.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/measurements.h"
#include "tools/decant/model_finder.h"
#include "tools/decant/pictures.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

enum { kBpp, kRawRatio, kFileRatio, kPsnr, kMsSsim, kEncodeSpeed, kDecodeSpeed, kEncodeTime, kDecodeTime, kMeasures };
constexpr Measure kTable[] = {{"bpp", 3, "bpp"},
                              {"raw:dcn", 1, ""},
                              {"file:dcn", 2, ""},
                              {"PSNR dB", 2, "psnr-rgb"},
                              {"MS-SSIM", 4, "ms-ssim-rgb"},
                              {"enc MP/s", 2, ""},
                              {"dec MP/s", 2, ""},
                              {"enc s", 3, "encoding_time"},
                              {"dec s", 3, "decoding_time"}};
static_assert(std::size(kTable) == kMeasures);

class CodecEvaluation {
public:
    CodecEvaluation(std::shared_ptr<const Model> model, const Settings& settings)
        : settings_(settings),
          codec_(std::move(model), settings.threads),
          measurements_("q", settings.qualities, {std::begin(kTable), std::end(kTable)}) {}

    void measure(const Input& input) {
        const PictureFile picture = read_picture(input.path, settings_.max_pixels);
        if (!is_warm_)
            in_file(input.path, [&] {
                codec_.decode(codec_.encode(picture.image, encode_options(settings_.qualities[0])).bytes, decode_options());
            });
        is_warm_ = true;
        std::vector<Values> all;
        for (const double quality : settings_.qualities) {
            stop_if_interrupted();
            all.push_back(measure(input, picture, quality));
        }
        measurements_.add(input.path, std::move(all));
    }

    const Measurements& measurements() const { return measurements_; }
    const Model& model() const { return codec_.model(); }

private:
    Values measure(const Input& input, const PictureFile& picture, double quality) {
        const Image& image = picture.image;
        std::vector<uint8_t> bytes;
        Image decoded;
        Values m(kMeasures);
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
        keep_picture(input, settings_.qualities.size() > 1 ? "_q" + plain(quality) : "", decoded, settings_);
        return m;
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
    Measurements measurements_;  // a point a quality
};

struct Comparison {
    std::string name;
    BdRate result;
};

Comparison compare_curves(const NamedCurve& anchor, const std::vector<Values>& means) {
    std::vector<CurvePoint> points;
    for (const Values& mean : means) points.push_back({mean[kBpp], mean[kPsnr]});
    return {anchor.name, bd_rate(anchor.points, points)};
}

void print_report(const CodecEvaluation& evaluation, int effort, const std::optional<Comparison>& comparison) {
    const Model& model = evaluation.model();
    const Measurements& measurements = evaluation.measurements();
    Json report{{"name", "decant " + model.name()},
                {"description", "decant " DECANT_VERSION ", model " + model.name() + " " + hexadecimal(model.identity()) +
                                    ", effort " + std::to_string(effort) + "; means over " +
                                    count_of(measurements.pictures(), "picture") + ", times in seconds"},
                {"results", measurements.report()}};
    if (comparison)
        report["bd-rate"] = {{"against", comparison->name},
                             {"percent", comparison->result.percent},
                             {"psnr_range", {comparison->result.psnr_low, comparison->result.psnr_high}}};
    print(to_line(report));
}

void print_tables(const CodecEvaluation& evaluation, const std::optional<Comparison>& comparison) {
    print(evaluation.measurements().text());
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

ExitCode eval_codec(const std::vector<Input>& inputs, const Settings& settings) {
    std::optional<NamedCurve> anchor;
    if (!settings.against.empty()) anchor = read_curve(settings.against);
    CodecEvaluation evaluation(Model::load(find_model(settings.model)), settings);
    ExitStatus status;
    status.add(measure_each(inputs, [&](size_t i) { evaluation.measure(inputs[i]); }));
    if (evaluation.measurements().pictures() == 0) return status.code();
    std::optional<Comparison> comparison;
    if (anchor)
        attempt(settings.against, status, [&] { comparison = compare_curves(*anchor, evaluation.measurements().means()); });
    if (settings.json)
        print_report(evaluation, settings.effort, comparison);
    else
        print_tables(evaluation, comparison);
    return status.code();
}

}  // namespace decant::cli
