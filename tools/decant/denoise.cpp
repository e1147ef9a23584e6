#include <unistd.h>

#include <filesystem>
#include <memory>

#include "codec/alpha/hidden_colours.h"
#include "tools/decant/batch.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/denoisers.h"
#include "tools/decant/pictures.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

constexpr const char* kMark = ".denoised";  // before the extension of results that lie beside their inputs

// A second run over a folder must not take the results of the first.
bool is_noisy_picture_name(const std::string& path) {
    return is_picture_name(path) && std::filesystem::path(path).stem().extension() != kMark;
}

void run(Denoisers& denoisers, ImageFormat format, const Settings& settings, const Job& job, Place& place, FileReport& report) {
    PictureFile picture =
        read_picture(job.input, settings.max_pixels, [&](uint64_t pixels, int depth) { place.make_room(pixels, depth); });
    report.notes = std::move(picture.remarks);
    if (picture.alpha) fill_hidden_colours(picture.image, *picture.alpha);
    picture.metadata = carried(std::move(picture.metadata), settings, report);
    const int depth = in_file(job.input, [&] { return output_depth(settings, format, picture.image.depth()); });
    Denoiser& denoiser = in_file(job.input, [&]() -> Denoiser& { return denoisers.for_picture(SampleView(picture.image)); });
    report.model = denoiser.model().name();
    report.input_bytes = picture.bytes;
    report.set_shape(picture.image.width, picture.image.height, depth);
    DenoiseOptions options{settings.sigma, settings.strength, {is_interrupted}, depth};
    options.effort = settings.effort.value_or(0);
    DenoiseResult result = in_file(job.input, [&] { return denoiser.denoise(picture.image, options); });
    picture.image = std::move(result.image);
    if (picture.alpha) picture.alpha = with_depth(std::move(*picture.alpha), depth);
    report.sigma = result.sigma;
    const std::vector<uint8_t> bytes = in_file(job.input, [&] { return encode_picture(picture, format, report); });
    write_output(job, bytes, settings);
    report.output_bytes = bytes.size();
}

}  // namespace

ExitCode denoise(const Settings& settings) {
    const ImageFormat format = output_format(settings);
    const std::vector<Input> inputs = collect_inputs(settings, is_noisy_picture_name);
    if (inputs.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    const std::string extension = settings.format.empty() ? ".png" : "." + settings.format;
    const std::vector<Job> jobs = plan_jobs(inputs, settings, settings.output_dir.empty() ? kMark + extension : extension);
    if (jobs.front().output == "-" && isatty(STDOUT_FILENO) == 1)
        throw Error(ErrorCode::invalid_argument, "standard output is a terminal; name a file with --output");
    const auto pool = make_pool(settings);
    Denoisers denoisers(settings.model, pool);
    return run_batch(jobs, settings, *pool, [&](const Job& job, Place& place, FileReport& report) {
        run(denoisers, format, settings, job, place, report);
    });
}

}  // namespace decant::cli
