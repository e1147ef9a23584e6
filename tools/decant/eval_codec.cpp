#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "codec/decant.h"
#include "codec/image/metrics.h"
#include "codec/io/file.h"
#include "codec/measure/bd_rate.h"
#include "codec/measure/butteraugli.h"
#include "codec/measure/image_codec.h"
#include "codec/models/model_finder.h"
#include "tools/decant/curve.h"
#include "tools/decant/eval.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/measurements.h"
#include "tools/decant/pictures.h"
#include "tools/decant/page.h"
#include "tools/decant/report.h"
#include "tools/decant/text.h"
#include "tools/decant/views.h"

namespace decant::cli {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

enum {
    kBpp,
    kRawRatio,
    kFileRatio,
    kPsnr,
    kPsnrLuma,
    kSsim,
    kMsSsim,
    kMaxError,
    kEncodeSpeed,
    kDecodeSpeed,
    kEncodeTime,
    kDecodeTime,
    kButteraugli,  // with --butteraugli only
    kMeasures
};
constexpr Measure kTable[] = {{"bpp", 3, "bpp"},
                              {"raw:out", 1, "raw_ratio"},
                              {"file:out", 2, "file_ratio"},
                              {"PSNR dB", 2, "psnr-rgb"},
                              {"luma dB", 2, "psnr-y"},
                              {"SSIM", 4, "ssim-rgb"},
                              {"MS-SSIM", 4, "ms-ssim-rgb"},
                              {"max err", 0, "max-error"},
                              {"enc MP/s", 2, "encoding_speed"},
                              {"dec MP/s", 2, "decoding_speed"},
                              {"enc s", 3, "encoding_time"},
                              {"dec s", 3, "decoding_time"},
                              {"Butteraugli", 3, "butteraugli"}};
static_assert(std::size(kTable) == kMeasures);

std::vector<Measure> measures(const Settings& settings) {
    return {kTable, kTable + (settings.butteraugli ? kMeasures : kButteraugli)};
}

// Decant as one codec among others.
class DecantCodec : public ImageCodec {
public:
    explicit DecantCodec(const Settings& settings)
        : codec_(Model::load(find_model(settings.model)), settings.threads),
          effort_(settings.effort.value_or(EncodeOptions{}.effort)),
          max_pixels_(settings.max_pixels) {}

    std::string name() const override { return "decant " + codec_.model().name(); }
    std::string parameter() const override { return "q"; }
    std::string description() const override {
        return "decant " DECANT_VERSION ", model " + codec_.model().name() + " " + hexadecimal(codec_.model().identity()) +
               ", effort " + std::to_string(effort_);
    }
    std::vector<uint8_t> encode(const Image& image, double quality) override {
        EncodeOptions options;
        options.quality = quality;
        options.effort = effort_;
        return codec_.encode(image, options).bytes;
    }
    Image decode(std::span<const uint8_t> bytes, int) override { return codec_.decode(bytes, {max_pixels_}); }

private:
    Codec codec_;
    int effort_;
    uint64_t max_pixels_;
};

struct Contender {
    std::unique_ptr<ImageCodec> codec;
    std::vector<double> points;  // values of its parameter
    Measurements measurements;
    const char* media_type;  // of its files in a browser, ""
    std::string warm_shape;  // of the last picture
};

// What a report shows of a picture.
struct Exhibit {
    std::string name;
    double bpp = 0, psnr = 0;
    Image image;
    std::vector<uint8_t> file;
};

// The parameter for a rate, straight in log(bpp) between points that go from few bits to many; outside of them the nearest one.
double parameter_at(const std::vector<double>& parameters, const std::vector<double>& rates, double rate) {
    for (size_t i = 0; i + 1 < rates.size(); ++i) {
        if (rate >= rates[i + 1]) continue;
        const double share = std::clamp(std::log(rate / rates[i]) / std::log(rates[i + 1] / rates[i]), 0.0, 1.0);
        return parameters[i] + share * (parameters[i + 1] - parameters[i]);
    }
    return parameters.back();
}

// One of the 24 pictures that most curves are published for, by name ("kodim01" or "01") and size.
bool is_of_kodak(const Input& input, const Image& image) {
    std::string number = std::filesystem::path(input.path).stem().string();
    if (number.starts_with("kodim")) number.erase(0, 5);
    return number.size() == 2 && number >= "01" && number <= "24" && std::isdigit(static_cast<unsigned char>(number[1])) &&
           std::minmax(image.width, image.height) == std::minmax(512u, 768u);
}

class CodecEvaluation {
public:
    CodecEvaluation(const Settings& settings, const std::vector<const PeerInfo*>& peers, size_t pictures) : settings_(settings) {
        if (settings.butteraugli) butteraugli_.emplace(settings.threads);
        add(std::make_unique<DecantCodec>(settings), settings.qualities, "");
        for (const PeerInfo* peer : peers) add(make_peer(*peer, settings.threads), peer->points, peer->media_type);
        if (!settings.html.empty()) views_.emplace(pictures, peers.size() + 1);
    }

    void measure(const Input& input) {
        const PictureFile picture = read_opaque_picture(input.path, settings_.max_pixels);
        std::vector<std::vector<Values>> of_contenders;
        std::vector<Exhibit> exhibits;
        for (Contender& contender : contenders_) {
            const bool is_decant = &contender == &contenders_.front();
            // Of several qualities a low one, at which differences are seen.
            const size_t shown_point = contender.points.size() / 3;
            std::vector<Values> all;
            for (size_t point = 0; point < contender.points.size(); ++point) {
                stop_if_interrupted();
                Image decoded;
                all.push_back(in_file(input.path, [&] { return measure(contender, picture, point, decoded); }));
                if (!is_decant) continue;
                keep_picture(input, contender.points.size() > 1 ? "_q" + plain(contender.points[point]) : "", decoded, settings_);
                if (views_ && point == shown_point)
                    exhibits.push_back({contender.codec->name(), all.back()[kBpp], all.back()[kPsnr], std::move(decoded), {}});
            }
            if (views_ && !is_decant)
                exhibits.push_back(in_file(input.path, [&] { return exhibit_at(contender, all, exhibits.front().bpp, picture.image); }));
            of_contenders.push_back(std::move(all));
        }
        if (views_) {
            std::vector<ShownPicture> others;
            for (size_t i = 0; i < exhibits.size(); ++i) {
                const Exhibit& e = exhibits[i];
                others.push_back({e.name + ", " + fixed(e.bpp, 3) + " bpp, " + fixed(e.psnr, 2) + " dB", &e.image,
                                  contenders_[i].media_type, e.file});
            }
            views_->add(input.relative, picture.image, others);
        }
        is_kodak_ = is_kodak_ && is_of_kodak(input, picture.image);
        // Only now, so that all means are over the same pictures.
        for (size_t i = 0; i < contenders_.size(); ++i)
            contenders_[i].measurements.add(input.path, std::move(of_contenders[i]));
    }

    const std::vector<Contender>& contenders() const { return contenders_; }
    const std::optional<PictureViews>& views() const { return views_; }
    size_t pictures() const { return contenders_.front().measurements.pictures(); }
    bool is_kodak() const { return is_kodak_ && pictures() == 24; }

private:
    // What a codec makes of the picture about as large as decant's file is.
    static Exhibit exhibit_at(Contender& contender, const std::vector<Values>& at_points, double bpp, const Image& image) {
        std::vector<double> rates;
        for (const Values& values : at_points) rates.push_back(values[kBpp]);
        ImageCodec& codec = *contender.codec;
        std::vector<uint8_t> bytes = codec.encode(image, parameter_at(contender.points, rates, bpp));
        Image decoded = codec.decode(bytes, image.channels);
        const double quality = psnr(image, decoded);
        return {codec.name(), bits_per_pixel(bytes.size(), image), quality, std::move(decoded), std::move(bytes)};
    }

    void add(std::unique_ptr<ImageCodec> codec, const std::vector<double>& points, const char* media_type) {
        const std::string parameter = codec->parameter();
        contenders_.push_back({std::move(codec), points, Measurements(parameter, points, measures(settings_)), media_type, ""});
    }

    static constexpr double kLongRun = 5;  // seconds, beside which building anything is nothing

    // The median of runs; after a second there are no more.
    template <class F>
    double median_seconds(F&& run) const {
        std::vector<double> times;
        double sum = 0;
        for (int i = 0; i < settings_.repeats && sum < 1; ++i) {
            times.push_back(seconds_of(run));
            sum += times.back();
        }
        std::sort(times.begin(), times.end());
        const size_t half = times.size() / 2;
        return times.size() % 2 == 1 ? times[half] : (times[half - 1] + times[half]) / 2;
    }

    Values measure(Contender& contender, const PictureFile& picture, size_t point, Image& decoded) {
        const Image& image = picture.image;
        ImageCodec& codec = *contender.codec;
        const double parameter = contender.points[point];
        std::vector<uint8_t> bytes;
        const auto encode = [&] { bytes = codec.encode(image, parameter); };
        double first = 0;
        if (contender.warm_shape != describe_shape(image)) {  // what is built for a shape is no part of the speed
            first = seconds_of(encode);
            codec.decode(bytes, image.channels);
            contender.warm_shape = describe_shape(image);
        }
        Values m(settings_.butteraugli ? kMeasures : kButteraugli);
        m[kEncodeTime] = first > kLongRun ? first : median_seconds(encode);
        m[kDecodeTime] = median_seconds([&] { decoded = codec.decode(bytes, image.channels); });
        const double size = static_cast<double>(bytes.size()), megapixels = static_cast<double>(image.pixel_count()) / 1e6;
        m[kBpp] = bits_per_pixel(bytes.size(), image);
        m[kRawRatio] = static_cast<double>(image.bytes().size()) / size;
        m[kFileRatio] = static_cast<double>(picture.bytes) / size;
        const Distortion distortion = measure_distortion(image, decoded);
        m[kPsnr] = distortion.psnr;
        m[kPsnrLuma] = distortion.psnr_luma;
        m[kSsim] = distortion.ssim;
        m[kMsSsim] = distortion.ms_ssim;
        m[kMaxError] = distortion.max_error;
        m[kEncodeSpeed] = megapixels / m[kEncodeTime];
        m[kDecodeSpeed] = megapixels / m[kDecodeTime];
        if (butteraugli_) m[kButteraugli] = butteraugli_->distance(image, decoded);
        return m;
    }

    const Settings& settings_;
    std::vector<Contender> contenders_;  // decant first
    std::optional<Butteraugli> butteraugli_;
    bool is_kodak_ = true;  // all pictures so far
    std::optional<PictureViews> views_;
};

// Decant against another curve.
struct Comparison {
    std::string name;
    BjontegaardDelta rate, cubic_rate, psnr;
    double ms_ssim_percent = kNone;  // of published curves there is none
    // BD-rate and BD-PSNR of each picture, NaN where there is none; of published curves empty.
    std::vector<double> picture_percents, picture_psnrs;
};

// bd_rate or bd_quality; NaN for curves that do not meet, as of tiny pictures.
template <class Delta>
double or_none(const Delta& delta, const std::vector<CurvePoint>& anchor, const std::vector<CurvePoint>& curve) {
    try {
        return delta(anchor, curve, CurveFit::piecewise_cubic).value;
    } catch (const Error&) {
        return kNone;
    }
}

Comparison compare_curves(const NamedCurve& anchor, const std::vector<CurvePoint>& curve) {
    Comparison comparison;
    comparison.name = anchor.name;
    comparison.rate = bd_rate(anchor.points, curve);
    comparison.cubic_rate = bd_rate(anchor.points, curve, CurveFit::cubic);
    comparison.psnr = bd_quality(anchor.points, curve);
    return comparison;
}

// Points without a loss belong to no curve.
template <class Quality>
std::vector<CurvePoint> curve_of(const std::vector<Values>& at_points, const Quality& quality) {
    std::vector<CurvePoint> points;
    for (const Values& values : at_points)
        if (const double q = quality(values); std::isfinite(q)) points.push_back({values[kBpp], q});
    return points;
}

std::vector<CurvePoint> psnr_curve(const std::vector<Values>& at_points) {
    return curve_of(at_points, [](const Values& values) { return values[kPsnr]; });
}

// In dB: so near to 1 the values themselves would bend the curve.
std::vector<CurvePoint> ms_ssim_curve(const std::vector<Values>& at_points) {
    return curve_of(at_points, [](const Values& values) { return -10 * std::log10(1 - values[kMsSsim]); });
}

Json report_of(const Contender& contender) {
    const Measurements& measurements = contender.measurements;
    Json results{{contender.codec->parameter(), contender.points}};
    results.update(measurements.report());
    return {{"name", contender.codec->name()},
            {"description", contender.codec->description()},
            {"results", std::move(results)},
            {"pictures", measurements.picture_reports()}};
}

Json bd_report(const std::vector<Comparison>& comparisons) {
    Json list = Json::array();
    for (const Comparison& c : comparisons)
        list.push_back({{"against", c.name},
                        {"percent", c.rate.value},
                        {"cubic_percent", c.cubic_rate.value},
                        {"psnr_range", {c.rate.low, c.rate.high}},
                        {"bd_psnr", c.psnr.value},
                        {"ms_ssim_percent", json_number(c.ms_ssim_percent)},
                        {"picture_percents", json_numbers(c.picture_percents)},
                        {"picture_bd_psnrs", json_numbers(c.picture_psnrs)}});
    return list;
}

Json json_report(const CodecEvaluation& evaluation, const std::vector<Comparison>& comparisons) {
    const auto& contenders = evaluation.contenders();
    Json report = report_of(contenders.front());
    report["description"] = contenders.front().codec->description() + "; means over " + count_of(evaluation.pictures(), "picture") +
                            ", times in seconds";
    Json others = Json::array();
    for (size_t i = 1; i < contenders.size(); ++i) others.push_back(report_of(contenders[i]));
    if (!others.empty()) report["against"] = std::move(others);
    if (!comparisons.empty()) report["bd-rate"] = bd_report(comparisons);
    return report;
}

std::string text_report(const CodecEvaluation& evaluation, const std::vector<Comparison>& comparisons) {
    const auto& contenders = evaluation.contenders();
    std::string text = contenders.front().measurements.text();
    for (size_t i = 1; i < contenders.size(); ++i)
        text += "\n" + contenders[i].codec->name() + " (" + contenders[i].codec->description() + ")\n" +
                contenders[i].measurements.summary();
    if (!comparisons.empty()) text += "\n";
    for (const Comparison& c : comparisons) {
        const auto signed_percent = [](double value) { return (value > 0 ? "+" : "") + fixed(value, 1) + " %"; };
        text += "BD-rate against " + c.name + ": " + signed_percent(c.rate.value) + " (PSNR " + fixed(c.rate.low, 1) + " to " +
                fixed(c.rate.high, 1) + " dB)";
        if (!std::isnan(c.ms_ssim_percent)) text += ", by MS-SSIM " + signed_percent(c.ms_ssim_percent);
        std::vector<double> of_pictures = c.picture_percents;
        std::erase_if(of_pictures, [](double percent) { return std::isnan(percent); });
        if (of_pictures.size() > 1)
            text += "; of single pictures " + signed_percent(std::ranges::min(of_pictures)) + " to " +
                    signed_percent(std::ranges::max(of_pictures)) + ", mean " +
                    signed_percent(std::accumulate(of_pictures.begin(), of_pictures.end(), 0.0) /
                                   static_cast<double>(of_pictures.size()));
        text += "\n";
    }
    return text;
}

NamedCurve read_curve(const std::string& path) {
    const std::vector<uint8_t> bytes = read_file(path);
    NamedCurve curve = in_file(path, [&] { return parse_curve({bytes.begin(), bytes.end()}); });
    if (curve.name.empty()) curve.name = std::filesystem::path(path).stem().string();
    return curve;
}

NamedCurve read_against(const std::string& name) {
    std::error_code unknown;
    if (std::filesystem::exists(name, unknown)) return read_curve(name);
    std::string codecs;
    for (const PeerInfo& peer : peers()) codecs += (codecs.empty() ? "" : ", ") + std::string(peer.id);
    throw Error(ErrorCode::not_found, "--against " + name + ": is no file, and no codec; the codecs are " + codecs);
}

std::vector<NamedCurve> published_kodak_curves() {
    std::vector<NamedCurve> curves;
    for (const char* name : {"vtm", "av1", "bpg444", "webp", "jpeg"}) {
        const std::string file = std::string("anchors/kodak-") + name + ".json";
        try {
            curves.push_back(read_curve(find_in_model_folders(file)));
        } catch (const Error& error) {
            note("the report goes without a published curve: " + std::string(error.what()));
        }
    }
    return curves;
}

std::string page(const CodecEvaluation& evaluation, const std::vector<Comparison>& comparisons,
                 const std::vector<NamedCurve>& published, const std::vector<Measure>& shown) {
    Json codecs = Json::array(), curves = Json::array(), measures = Json::array();
    for (const Contender& contender : evaluation.contenders()) {
        Json codec = report_of(contender);
        codec["parameter"] = contender.codec->parameter();
        codec["points"] = contender.points;
        codecs.push_back(std::move(codec));
    }
    for (const NamedCurve& curve : published) {
        Json points = Json::array();
        for (const CurvePoint& point : curve.points) points.push_back({point.bpp, point.quality});
        curves.push_back({{"name", curve.name}, {"points", std::move(points)}});
    }
    for (const Measure& measure : shown)
        measures.push_back({{"heading", measure.heading}, {"digits", measure.digits}, {"key", measure.key}});
    return html_page(kReportPage, {{"name", "decant eval: rate, quality and speed"},
                      {"description", evaluation.contenders().front().codec->description() + "; " +
                                          count_of(evaluation.pictures(), "picture")},
                      {"codecs", std::move(codecs)},
                      {"published", std::move(curves)},
                      {"bd-rate", bd_report(comparisons)},
                      {"measures", std::move(measures)},
                      {"views", evaluation.views()->json()},
                      {"views_note", evaluation.views()->note()}});
}

}  // namespace

ExitCode eval_codec(const std::vector<Input>& inputs, const Settings& settings) {
    std::vector<const PeerInfo*> peers;
    std::vector<NamedCurve> files;
    for (const std::string& name : settings.against.empty() ? std::vector<std::string>{} : split(settings.against, ',')) {
        if (const PeerInfo* peer = find_peer(name))
            peers.push_back(peer);
        else
            files.push_back(read_against(name));
    }
    const auto csv = open_report(settings.csv, settings), html = open_report(settings.html, settings);
    CodecEvaluation evaluation(settings, peers, inputs.size());
    ExitStatus status;
    status.add(measure_each(inputs, [&](size_t i) { evaluation.measure(inputs[i]); }));
    if (evaluation.pictures() == 0) return status.code();

    const auto& contenders = evaluation.contenders();
    const std::vector<Values> means = contenders[0].measurements.means();
    std::vector<Comparison> comparisons;
    for (size_t i = 1; i < contenders.size(); ++i)
        attempt(contenders[i].codec->name(), status, [&] {
            const Measurements& others = contenders[i].measurements;
            const std::vector<Values> anchor = others.means();
            Comparison comparison = compare_curves({contenders[i].codec->name(), psnr_curve(anchor)}, psnr_curve(means));
            comparison.ms_ssim_percent = or_none(bd_rate, ms_ssim_curve(anchor), ms_ssim_curve(means));
            for (size_t picture = 0; picture < others.pictures(); ++picture) {
                const auto of_other = psnr_curve(others.at_points(picture));
                const auto of_decant = psnr_curve(contenders[0].measurements.at_points(picture));
                comparison.picture_percents.push_back(or_none(bd_rate, of_other, of_decant));
                comparison.picture_psnrs.push_back(or_none(bd_quality, of_other, of_decant));
            }
            comparisons.push_back(std::move(comparison));
        });
    for (const NamedCurve& file : files)
        attempt(file.name, status, [&] { comparisons.push_back(compare_curves(file, psnr_curve(means))); });

    print(settings.json ? to_line(json_report(evaluation, comparisons)) : text_report(evaluation, comparisons));
    if (csv)
        attempt(settings.csv, status, [&] {
            std::string table = contenders[0].measurements.csv_head("codec");
            for (const Contender& contender : contenders) table += contender.measurements.csv(contender.codec->name());
            finish_report(*csv, table);
        });
    if (html)
        attempt(settings.html, status, [&] {
            std::vector<NamedCurve> published = std::move(files);
            if (evaluation.is_kodak() && published.empty()) published = published_kodak_curves();
            finish_report(*html, page(evaluation, comparisons, published, measures(settings)));
        });
    return status.code();
}

}  // namespace decant::cli
