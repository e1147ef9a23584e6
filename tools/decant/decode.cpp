#include <algorithm>
#include <exception>
#include <memory>

#include "codec/decant.h"
#include "codec/image/format.h"
#include "codec/image/reduction.h"
#include "codec/image/rows.h"
#include "codec/io/file.h"
#include "codec/models/model_finder.h"
#include "tools/decant/batch.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/pictures.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

constexpr uint32_t kRowsInMemory = 2200;  // of a picture that passes row by row: two lines of windows

class Decoder {
public:
    Decoder(CodecLibrary& codecs, ImageFormat format, const Settings& settings) : codecs_(codecs), format_(format), settings_(settings) {}

    void run(const Job& job, Place& place, FileReport& report) {
        LazyFile file(job.input);
        if (!settings_.region && settings_.preview == 0) file.fetch(0, file.bytes().size());
        report.input_bytes = file.bytes().size();
        Output output(job, settings_);
        std::exception_ptr broken;  // the output is; its errors have a name
        const auto write = [&](std::span<const uint8_t> part) {
            try {
                output.write(part);
            } catch (...) {
                broken = std::current_exception();
                throw;
            }
        };
        try {
            in_file(job.input, [&] { decode(file, place, write, report); });
        } catch (...) {
            if (broken) std::rethrow_exception(broken);
            throw;
        }
        output.commit();
        report.output_bytes = output.bytes();
    }

private:
    void decode(LazyFile& file, Place& place, const ByteSink& write, FileReport& report) {
        DecodeOptions options;
        options.max_pixels = settings_.max_pixels;
        options.supervision.is_cancelled = is_interrupted;
        options.region = settings_.region;
        if (settings_.region || settings_.preview > 0) options.fetch = [&](size_t offset, size_t length) { file.fetch(offset, length); };
        const std::span<const uint8_t> bytes = file.bytes();
        const FileFacts facts = inspect(bytes, options);
        const Header& header = facts.header;
        const int depth = output_depth(settings_, format_, settings_.preview > 0 ? 8 : header.depth);
        Codec& codec = codecs_.get(header.model);
        report.model = codec.model().name();
        report.bpp = static_cast<double>(bytes.size()) * 8 / (static_cast<double>(header.width) * header.height);
        const uint32_t width = settings_.region ? settings_.region->width : header.width;
        const uint32_t height = settings_.region ? settings_.region->height : header.height;
        report.set_shape(width, height, depth);
        const Metadata metadata = carried(decode_metadata(bytes, options), settings_, report);
        if (settings_.preview == 0 && !facts.has_alpha) {
            if (const auto writer = make_row_writer(format_, metadata, report.notes, write)) {
                place.make_room(uint64_t{width} * header.channels * static_cast<uint64_t>(header.depth / 8) * std::min(height, kRowsInMemory));
                DepthWriter rows(*writer, depth);
                return codec.decode(bytes, rows, options);
            }
        }
        place.make_room(settings_.preview > 0 ? uint64_t{width} * kRowsInMemory : bytes_of_picture(uint64_t{width} * height, depth));
        Picture picture;
        if (settings_.preview > 0) {
            picture.image = codec.decode_preview(bytes, settings_.preview, options);
            report.set_shape(picture.image.width, picture.image.height, depth);
        } else {
            picture.image = codec.decode(bytes, options);
        }
        picture.image = with_depth(std::move(picture.image), depth);
        if (auto alpha = decode_alpha(bytes, options)) {
            if (settings_.preview > 0) alpha = reduced(*alpha, settings_.preview);
            picture.alpha = with_depth(std::move(*alpha), depth);
        }
        picture.metadata = metadata;
        write(encode_picture(picture, format_, report));
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
    const auto pool = make_pool(settings);
    CodecLibrary codecs(settings.model, pool);
    Decoder decoder(codecs, format, settings);
    return run_batch(jobs, settings, *pool, [&](const Job& job, Place& place, FileReport& report) { decoder.run(job, place, report); });
}

}  // namespace decant::cli
