#include <filesystem>
#include <memory>

#include "codec/decant.h"
#include "codec/image/format.h"
#include "codec/image/writer.h"
#include "codec/io/file.h"
#include "tools/decant/batch.h"
#include "tools/decant/model_finder.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

// The format asked for, or that of the output's name, or PNG.
ImageFormat output_format(const Settings& settings) {
    if (!settings.format.empty()) return parse_image_format(settings.format);
    if (!std::filesystem::path(settings.output).has_extension()) return ImageFormat::png;
    if (const auto format = format_from_extension(settings.output)) return *format;
    throw Error(ErrorCode::invalid_argument,
                "--output " + settings.output + ": the extension stands for no picture format; add --format");
}

class Decoder {
public:
    Decoder(ModelLibrary& models, ImageFormat format, int threads, const Settings& settings)
        : models_(models), format_(format), threads_(threads), settings_(settings) {}

    void run(const Job& job, FileReport& report) {
        const std::vector<uint8_t> bytes = read_file(job.input);
        report.input_bytes = bytes.size();
        const Image image = in_file(job.input, [&] { return decode(bytes, report); });
        const std::vector<uint8_t> encoded = in_file(job.input, [&] { return encode_image(image, format_); });
        write_output(job, encoded, settings_);
        report.output_bytes = encoded.size();
    }

private:
    Image decode(std::span<const uint8_t> bytes, FileReport& report) {
        const Header header = parse_container(bytes, {settings_.max_pixels}).header;
        report.set_shape(header.width, header.height, header.depth);
        report.bpp = static_cast<double>(bytes.size()) * 8 / static_cast<double>(report.pixels());
        if (!codec_ || codec_->model().identity() != header.model)
            codec_ = std::make_unique<Codec>(models_.get(header.model), threads_);
        report.model = codec_->model().name();
        return codec_->decode(bytes, {settings_.max_pixels});
    }

    ModelLibrary& models_;
    const ImageFormat format_;
    const int threads_;
    const Settings& settings_;
    std::unique_ptr<Codec> codec_;  // of the last file's model; a batch rarely has more than one
};

}  // namespace

ExitCode decode(const Settings& settings) {
    const ImageFormat format = output_format(settings);
    const std::vector<Input> inputs = collect_inputs(settings, is_dcn_name);
    if (inputs.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    const std::string extension = settings.format.empty() ? ".png" : "." + settings.format;
    const std::vector<Job> jobs = plan_jobs(inputs, settings, extension);
    ModelLibrary models(settings.model);
    return run_batch(jobs, settings, [&](int threads) -> Worker {
        return [decoder = std::make_shared<Decoder>(models, format, threads, settings)](const Job& job, FileReport& report) {
            decoder->run(job, report);
        };
    });
}

}  // namespace decant::cli
