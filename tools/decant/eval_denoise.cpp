#include <bit>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <system_error>

#include "codec/denoise/nonlocal_means.h"
#include "codec/image/metrics.h"
#include "codec/noise/noise.h"
#include "tools/decant/console.h"
#include "tools/decant/denoisers.h"
#include "tools/decant/eval.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/measurements.h"
#include "tools/decant/pairs.h"
#include "tools/decant/pictures.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Those of other denoisers come last and only with --against.
enum {
    kEstimate,
    kNoisyPsnr,
    kPsnr,
    kGain,
    kNoisyMsSsim,
    kMsSsim,
    kSpeed,
    kTime,
    kNlmPsnr,
    kNlmMsSsim,
    kNlmSpeed,
    kNlmTime,
    kMeasures
};
constexpr Measure kTable[] = {{"estimate", 2, "estimated-sigma"},
                              {"noisy dB", 2, "psnr-rgb-noisy"},
                              {"PSNR dB", 2, "psnr-rgb"},
                              {"gain dB", 2, "psnr-rgb-gain"},
                              {"noisy MS-SSIM", 4, "ms-ssim-rgb-noisy"},
                              {"MS-SSIM", 4, "ms-ssim-rgb"},
                              {"MP/s", 2, "megapixels_per_second"},
                              {"s", 3, "denoising_time"},
                              {"nlm dB", 2, "nlm-psnr-rgb"},
                              {"nlm MS-SSIM", 4, "nlm-ms-ssim-rgb"},
                              {"nlm MP/s", 3, "nlm-megapixels_per_second"},
                              {"nlm s", 3, "nlm-denoising_time"}};
static_assert(std::size(kTable) == kMeasures);

std::vector<Measure> measures(bool with_nlm) { return {kTable, kTable + (with_nlm ? kMeasures : kNlmPsnr)}; }

// Of 8 bits a sample, with which the figures of others are made. The same for the same seed, picture and level, whatever else is
// measured in the run.
Image with_noise(const Image& clean, double sigma, uint64_t seed, size_t picture) {
    Crop crop(clean);
    RandomStream random{random_key(seed, picture, std::bit_cast<uint64_t>(sigma))};
    add_gaussian(crop, static_cast<float>(sigma), random);
    return to_image(crop);
}

class DenoiseEvaluation {
public:
    // sigmas: of the noise that is added to each picture; one that is NaN: the noisy pictures are files.
    DenoiseEvaluation(std::vector<double> sigmas, const Settings& settings)
        : settings_(settings),
          sigmas_(std::move(sigmas)),
          denoisers_(settings.model, std::make_shared<WorkerPool>(settings.threads)),
          measurements_("sigma", sigmas_, measures(!settings.against.empty())) {
        if (settings.against.empty()) return;
        nlm_.emplace(settings.threads);
        nlm_->denoise(Image(32, 32, 3), 1);  // loads what it needs and starts its threads
    }

    // A clean picture with noise of each level.
    void measure_with_noise(const Input& input, size_t index) {
        const Image clean = read_opaque_picture(input.path, settings_.max_pixels).image;
        std::vector<Values> all;
        for (const double sigma : sigmas_) {
            stop_if_interrupted();
            const Image noisy = in_file(input.path, [&] { return with_noise(clean, sigma, settings_.seed, index); });
            const std::string suffix = sigmas_.size() > 1 ? "_s" + plain(sigma) : "";
            keep_picture(input, suffix + "_noisy", noisy, settings_);
            all.push_back(in_file(input.path, [&] { return measure(input, suffix, clean, noisy, sigma); }));
        }
        measurements_.add(input.path, std::move(all));
    }

    void measure_pair(const Pair& pair) {
        const Image clean = read_opaque_picture(pair.reference.path, settings_.max_pixels).image;
        const Image noisy = read_opaque_picture(pair.partner, settings_.max_pixels).image;
        measurements_.add(pair.reference.path,
                          {in_file(pair.partner, [&] { return measure(pair.reference, "", clean, noisy, kNone); })});
    }

    const Measurements& measurements() const { return measurements_; }
    // Names of the models that were used, each with its identity.
    const std::map<std::string, uint64_t>& models() const { return models_; }
    Json sigmas() const { return sigmas_; }
    const std::optional<NonlocalMeans>& nlm() const { return nlm_; }

private:
    // sigma: NaN where it is not known.
    Values measure(const Input& input, const std::string& suffix, const Image& clean, const Image& noisy, double sigma) {
        Values m(nlm_ ? kMeasures : kNlmPsnr, kNone);
        // First, since it says whether the pictures are of one shape.
        m[kNoisyPsnr] = psnr(clean, noisy);
        m[kNoisyMsSsim] = ms_ssim_or_nan(clean, noisy);
        DenoiseOptions options;
        options.effort = settings_.effort.value_or(0);
        if (settings_.known_sigma) options.sigma = sigma;
        warm_up(noisy, options);  // what is built for a shape is no part of the speed
        const double megapixels = static_cast<double>(clean.pixel_count()) / 1e6;
        DenoiseResult result;
        m[kTime] = seconds_of([&] { result = denoisers_.for_picture(SampleView(noisy)).denoise(noisy, options); });
        m[kSpeed] = megapixels / m[kTime];
        m[kPsnr] = psnr(clean, result.image);
        m[kGain] = m[kPsnr] - m[kNoisyPsnr];
        m[kMsSsim] = ms_ssim_or_nan(clean, result.image);
        if (!options.sigma) m[kEstimate] = result.sigma;
        keep_picture(input, suffix, result.image, settings_);
        if (nlm_) {
            const double level = std::isnan(sigma) ? result.sigma : sigma;
            Image other;
            m[kNlmTime] = seconds_of([&] { other = nlm_->denoise(noisy, level); });
            m[kNlmSpeed] = megapixels / m[kNlmTime];
            m[kNlmPsnr] = psnr(clean, other);
            m[kNlmMsSsim] = ms_ssim_or_nan(clean, other);
            keep_picture(input, suffix + "_nlm", other, settings_);
        }
        return m;
    }

    void warm_up(const Image& image, const DenoiseOptions& options) {
        Denoiser& denoiser = denoisers_.for_picture(SampleView(image));
        const std::string name = denoiser.model().name(), state = name + " " + describe_shape(image);
        if (state == warm_) return;
        denoiser.denoise(image, options);
        models_[name] = denoiser.model().identity();
        warm_ = state;
    }

    const Settings& settings_;
    const std::vector<double> sigmas_;
    Denoisers denoisers_;
    std::map<std::string, uint64_t> models_;
    std::optional<NonlocalMeans> nlm_;
    std::string warm_;           // the model and the shape of the last picture
    Measurements measurements_;  // a point a level
};

std::vector<Input> noisy_pictures(const Settings& settings) {
    std::error_code unknown;
    if (!std::filesystem::is_directory(settings.noisy, unknown))
        throw Error(ErrorCode::not_found,
                    "--noisy " + settings.noisy + ": is no folder; give the one that holds the noisy pictures");
    Settings only = settings;
    only.inputs = {settings.noisy};
    only.files_from.clear();
    return collect_inputs(only, is_picture_name);
}

void print_report(const DenoiseEvaluation& evaluation, const Settings& settings) {
    std::string names, models;
    for (const auto& [name, identity] : evaluation.models()) {
        names += " " + name;
        models += ", model " + name + " " + hexadecimal(identity);
    }
    const Measurements& measurements = evaluation.measurements();
    Json results{{"sigma", evaluation.sigmas()}};
    results.update(measurements.report());
    Json report{
        {"name", "decant" + names},
        {"description", "decant " DECANT_VERSION + models + ", " + (settings.known_sigma ? "told sigma" : "blind") + ", effort " + (settings.effort ? std::to_string(*settings.effort) : "auto") + "; " +
                            (settings.noisy.empty() ? "white Gaussian noise, seed " + std::to_string(settings.seed)
                                                    : "noisy pictures of " + settings.noisy) +
                            "; means over " + count_of(measurements.pictures(), "picture") + ", times in seconds"},
        {"results", std::move(results)},
        {"pictures", measurements.picture_reports()}};
    if (evaluation.nlm()) report["against"] = evaluation.nlm()->description();
    print(to_line(report));
}

}  // namespace

ExitCode eval_denoise(const std::vector<Input>& inputs, const Settings& settings) {
    const bool has_pairs = !settings.noisy.empty();
    Pairing pairing;
    if (has_pairs) pairing = pair_by_name(inputs, noisy_pictures(settings), settings.noisy);
    DenoiseEvaluation evaluation(has_pairs ? std::vector<double>{kNone} : settings.sigmas, settings);
    ExitStatus status;
    if (has_pairs) {
        std::vector<Input> references;
        for (const Pair& pair : pairing.pairs) references.push_back(pair.reference);
        status.add(measure_each(references, [&](size_t i) { evaluation.measure_pair(pairing.pairs[i]); }));
        for (const Input& other : pairing.others) attempt(other.path, status, [&] { throw *other.problem; });
    } else {
        status.add(measure_each(inputs, [&](size_t i) { evaluation.measure_with_noise(inputs[i], i); }));
    }
    if (evaluation.measurements().pictures() == 0) return status.code();
    if (settings.json) {
        print_report(evaluation, settings);
    } else {
        print(evaluation.measurements().text() + "\n");
        for (const auto& [name, identity] : evaluation.models()) print("model: " + name + " " + hexadecimal(identity) + "\n");
        if (evaluation.nlm()) print("nlm: " + evaluation.nlm()->description() + "\n");
    }
    return status.code();
}

}  // namespace decant::cli
