#include <filesystem>
#include <iterator>
#include <limits>
#include <optional>
#include <system_error>

#include "codec/image/metrics.h"
#include "codec/measure/butteraugli.h"
#include "tools/decant/console.h"
#include "tools/decant/inputs.h"
#include "tools/decant/json.h"
#include "tools/decant/measurements.h"
#include "tools/decant/page.h"
#include "tools/decant/pairs.h"
#include "tools/decant/pictures.h"
#include "tools/decant/report.h"
#include "tools/decant/text.h"
#include "tools/decant/verbs.h"
#include "tools/decant/views.h"

namespace decant::cli {
namespace {

namespace fs = std::filesystem;

std::vector<Input> inputs_of(const std::string& path, const Settings& settings) {
    Settings only = settings;
    only.inputs = {path};
    return collect_inputs(only, is_picture_name);
}

// Of two folders the pictures with the same name, extensions aside; of two files these.
std::vector<Pair> pairs(const Settings& settings) {
    const std::string &reference = settings.inputs[0], &distorted = settings.inputs[1];
    std::error_code unknown;
    const bool is_folder = fs::is_directory(reference, unknown);
    if (is_folder != fs::is_directory(distorted, unknown))
        throw Error(ErrorCode::invalid_argument,
                    "compare: " + reference + " and " + distorted + " are a folder and a file; give two of a kind");
    if (!is_folder) return {{{reference, "", {}}, distorted}};
    return pair_by_name(inputs_of(reference, settings), inputs_of(distorted, settings), distorted).pairs;
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// "psnr" and "ms-ssim": as this verb always called them.
constexpr Measure kTable[] = {{"PSNR dB", 3, "psnr"},
                              {"luma dB", 3, "psnr-y"},
                              {"SSIM", 5, "ssim"},
                              {"MS-SSIM", 5, "ms-ssim"},
                              {"max err", 0, "max-error"},
                              {"Butteraugli", 3, "butteraugli"}};  // with --butteraugli only

std::vector<Measure> measures(const Settings& settings) {
    return {std::begin(kTable), settings.butteraugli ? std::end(kTable) : std::prev(std::end(kTable))};
}

std::vector<std::string> row(const std::string& reference, const std::string& distorted, const Values& values) {
    std::vector<std::string> cells{reference, distorted};
    for (size_t i = 0; i < values.size(); ++i) cells.push_back(fixed(values[i], kTable[i].digits));
    return cells;
}

std::string page(const Settings& settings, const Measurements& measurements, const PictureViews& views) {
    Json shown = Json::array();
    for (const Measure& measure : measures(settings))
        shown.push_back({{"heading", measure.heading}, {"digits", measure.digits}, {"key", measure.key}});
    const Json codec{{"name", settings.inputs[1]},
                     {"description", ""},
                     {"parameter", ""},
                     {"points", Json::array({nullptr})},
                     {"results", Json::object()},
                     {"pictures", measurements.picture_reports()}};
    return html_page(kReportPage, {{"name", "decant compare"},
                      {"description", settings.inputs[1] + " compared with " + settings.inputs[0] + "; " +
                                          count_of(measurements.pictures(), "picture")},
                      {"codecs", Json::array({codec})},
                      {"measures", std::move(shown)},
                      {"views", views.json()},
                      {"views_note", views.note()}});
}

}  // namespace

ExitCode compare(const Settings& settings) {
    const std::vector<Pair> all = pairs(settings);
    if (all.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    std::vector<std::string> head{"reference", "distorted"};
    for (const Measure& measure : measures(settings)) head.emplace_back(measure.heading);
    Table table(head);
    table.align_left(1);
    Measurements measurements("", {kNone}, measures(settings));
    std::optional<Butteraugli> butteraugli;
    if (settings.butteraugli) butteraugli.emplace();
    const auto html = open_report(settings.html, settings);
    std::optional<PictureViews> views;
    if (!settings.html.empty()) views.emplace(all.size(), 1);
    ExitStatus status;
    for (const Pair& pair : all) {
        const std::string& path = pair.reference.path;
        attempt(path, status, [&] {
            if (pair.reference.problem) throw *pair.reference.problem;
            const Image reference = read_opaque_picture(path, settings.max_pixels).image;
            const Image distorted = read_opaque_picture(pair.partner, settings.max_pixels).image;
            const Distortion d = in_file(pair.partner, [&] { return measure_distortion(reference, distorted); });
            Values values{d.psnr, d.psnr_luma, d.ssim, d.ms_ssim, static_cast<double>(d.max_error)};
            if (butteraugli) values.push_back(in_file(pair.partner, [&] { return butteraugli->distance(reference, distorted); }));
            if (views) views->add(path, reference, {{pair.partner + ", " + fixed(d.psnr, 2) + " dB", &distorted, "", {}}});
            if (settings.json) {
                Json line{{"reference", path}, {"distorted", pair.partner}};
                for (size_t i = 0; i < values.size(); ++i) line[kTable[i].key] = json_number(values[i]);
                print(to_line(line));
            }
            table.add(row(path, pair.partner, values));
            measurements.add(path, {values});
        });
    }
    if (measurements.pictures() == 0) return status.code();
    if (measurements.pictures() > 1) table.add(row("mean", "", measurements.means()[0]));
    if (!settings.json) print(table.text());
    if (views)
        attempt(settings.html, status, [&] { finish_report(*html, page(settings, measurements, *views)); });
    return status.code();
}

}  // namespace decant::cli
