#include <memory>

#include "codec/decant.h"
#include "codec/image/format.h"
#include "codec/io/file.h"
#include "codec/models/model_finder.h"
#include "tools/decant/batch.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/pictures.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

class Decoder {
public:
    Decoder(CodecLibrary& codecs, ImageFormat format, const Settings& settings) : codecs_(codecs), format_(format), settings_(settings) {}

    void run(const Job& job, Place& place, FileReport& report) {
        const std::vector<uint8_t> bytes = read_file(job.input);
        report.input_bytes = bytes.size();
        const std::vector<uint8_t> encoded =
            in_file(job.input, [&] { return encode_picture(decode(bytes, place, report), format_, report); });
        write_output(job, encoded, settings_);
        report.output_bytes = encoded.size();
    }

private:
    Picture decode(std::span<const uint8_t> bytes, Place& place, FileReport& report) {
        const Header header = parse_container(bytes, {settings_.max_pixels}).header;
        const int depth = output_depth(settings_, format_, header.depth);
        report.set_shape(header.width, header.height, depth);
        report.bpp = static_cast<double>(bytes.size()) * 8 / static_cast<double>(report.pixels());
        place.make_room(report.pixels(), depth);
        Codec& codec = codecs_.get(header.model);
        report.model = codec.model().name();
        const DecodeOptions options{settings_.max_pixels, {is_interrupted}};
        Picture picture;
        picture.image = with_depth(codec.decode(bytes, options), depth);
        if (auto alpha = decode_alpha(bytes, options)) picture.alpha = with_depth(std::move(*alpha), depth);
        picture.metadata = carried(decode_metadata(bytes, options), settings_, report);
        return picture;
    }

    CodecLibrary& codecs_;
    const ImageFormat format_;
    const Settings& settings_;
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
    const auto pool = std::make_shared<WorkerPool>(settings.threads);
    CodecLibrary codecs(settings.model, pool);
    Decoder decoder(codecs, format, settings);
    return run_batch(jobs, settings, *pool, [&](const Job& job, Place& place, FileReport& report) { decoder.run(job, place, report); });
}

}  // namespace decant::cli
