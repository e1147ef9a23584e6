#include <filesystem>
#include <system_error>

#include "codec/image/metrics.h"
#include "tools/decant/console.h"
#include "tools/decant/inputs.h"
#include "tools/decant/json.h"
#include "tools/decant/pairs.h"
#include "tools/decant/pictures.h"
#include "tools/decant/text.h"
#include "tools/decant/verbs.h"

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

}  // namespace

ExitCode compare(const Settings& settings) {
    const std::vector<Pair> all = pairs(settings);
    if (all.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    Table table({"reference", "distorted", "PSNR dB", "MS-SSIM"});
    table.align_left(1);
    double psnr_sum = 0, ms_ssim_sum = 0;
    size_t count = 0;
    ExitStatus status;
    for (const Pair& pair : all) {
        const std::string& path = pair.reference.path;
        attempt(path, status, [&] {
            if (pair.reference.problem) throw *pair.reference.problem;
            const Image reference = read_picture(path, settings.max_pixels).image;
            const Image distorted = read_picture(pair.partner, settings.max_pixels).image;
            const double db = in_file(pair.partner, [&] { return psnr(reference, distorted); });
            const double similarity = in_file(pair.partner, [&] { return ms_ssim_or_nan(reference, distorted); });
            psnr_sum += db;
            ms_ssim_sum += similarity;
            ++count;
            // Of equal pictures the PSNR is infinite, which JSON cannot say: null.
            if (settings.json)
                print(to_line({{"reference", path}, {"distorted", pair.partner}, {"psnr", db}, {"ms-ssim", similarity}}));
            else
                table.add({path, pair.partner, fixed(db, 3), fixed(similarity, 5)});
        });
    }
    if (settings.json || count == 0) return status.code();
    if (count > 1) {
        const double share = 1 / static_cast<double>(count);
        table.add({"mean", "", fixed(psnr_sum * share, 3), fixed(ms_ssim_sum * share, 5)});
    }
    print(table.text());
    return status.code();
}

}  // namespace decant::cli
