#include <unistd.h>

#include <memory>
#include <optional>

#include "codec/alpha/hidden_colours.h"
#include "codec/decant.h"
#include "codec/image/metrics.h"
#include "codec/image/row_comparison.h"
#include "codec/models/model_finder.h"
#include "tools/decant/batch.h"
#include "tools/decant/denoisers.h"
#include "tools/decant/interrupt.h"
#include "tools/decant/pictures.h"
#include "tools/decant/text.h"
#include "tools/decant/verbs.h"

namespace decant::cli {
namespace {

constexpr uint32_t kRowsInMemory = 2600;  // of a picture that passes row by row, at any effort: two lines of tiles, and their surroundings

class Encoder {
public:
    Encoder(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> pool, const Settings& settings)
        : settings_(settings), model_(std::move(model)), pool_(std::move(pool)), codec_(model_, pool_) {
        if (settings.denoise) denoisers_.emplace(settings.denoise_model, pool_);
    }

    void run(const Job& job, Place& place, FileReport& report) {
        if (!run_by_rows(job, place, report)) run_in_memory(job, place, report);
    }

private:
    // Whether it was possible.
    bool run_by_rows(const Job& job, Place& place, FileReport& report) {
        EncodeOptions encode_options = options();
        if (denoisers_ || encode_options.target.kind != EncodeTarget::Kind::none) return false;
        auto file = open_picture_rows(job.input, settings_.max_pixels);
        if (!file) return false;
        const PictureShape shape = file->rows->shape();
        // What a lossy picture lacks takes about as much as the file.
        place.make_room(shape.row_bytes() * std::min(shape.height, kRowsInMemory) + (encode_options.max_error ? file->bytes : 0));
        report.notes = std::move(file->remarks);
        encode_options.metadata = carried(std::move(file->metadata), settings_, report);
        report.model = model_->name();
        report.input_bytes = file->bytes;
        report.set_shape(shape.width, shape.height, shape.depth);
        const EncodeResult result = in_picture([&] { return codec_.encode(*file->rows, encode_options, [&] { return reopened(job); }); });
        if (settings_.verify) report.psnr = in_file(job.input, [&] { return verify(job, shape, encode_options, result.bytes); });
        finish(job, result, report);
        return true;
    }

    std::unique_ptr<RowReader> reopened(const Job& job) const {
        auto file = open_picture_rows(job.input, settings_.max_pixels);
        if (!file) throw Error(ErrorCode::corrupt, "the file changed while it was read");
        return std::move(file->rows);
    }

    void run_in_memory(const Job& job, Place& place, FileReport& report) {
        PictureFile picture =
            read_picture(job.input, settings_.max_pixels, [&](uint64_t pixels, int depth) { place.make_room(pixels, depth); });
        report.notes = std::move(picture.remarks);
        EncodeOptions encode_options = options();
        encode_options.metadata = carried(std::move(picture.metadata), settings_, report);
        // What nobody sees is not worth bits, but where every sample is to come back.
        if (picture.alpha && !encode_options.max_error) fill_hidden_colours(picture.image, *picture.alpha);
        encode_options.alpha = std::move(picture.alpha);
        report.model = model_->name();
        report.input_bytes = picture.bytes;
        report.set_shape(picture.image.width, picture.image.height, picture.image.depth());
        if (denoisers_) in_file(job.input, [&] { denoise(picture.image, report); });
        const Image& image = picture.image;
        const EncodeResult result = in_file(job.input, [&] { return codec_.encode(image, encode_options); });
        if (settings_.target_psnr > 0) report.psnr = result.psnr;
        if (settings_.verify) report.psnr = in_file(job.input, [&] { return verify(image, encode_options, result.bytes); });
        finish(job, result, report);
    }

    void finish(const Job& job, const EncodeResult& result, FileReport& report) {
        const std::vector<uint8_t>& bytes = result.bytes;
        report.quality = result.quality;
        if (settings_.skip_if_larger && bytes.size() >= *report.input_bytes) {
            report.status = Status::skipped;
            report.reason =
                "it would have " + std::to_string(bytes.size()) + " bytes, the input has " + std::to_string(*report.input_bytes);
            return;
        }
        write_output(job, bytes, settings_);
        report.output_bytes = bytes.size();
        report.bpp = static_cast<double>(bytes.size()) * 8 / static_cast<double>(report.pixels());
        if (!result.target_met) report.notes.push_back(missed_target(result, *report.bpp));
    }

    // In the place of the picture, so that there are no two of them while it is encoded.
    void denoise(Image& image, FileReport& report) {
        Denoiser& denoiser = denoisers_->for_picture(SampleView(image));
        DenoiseOptions options{settings_.sigma, settings_.strength, {is_interrupted}};
        options.effort = settings_.effort.value_or(0);
        DenoiseResult result = denoiser.denoise(image, options);
        image = std::move(result.image);
        report.denoiser = denoiser.model().name();
        report.sigma = result.sigma;
    }

    EncodeOptions options() const {
        using Kind = EncodeTarget::Kind;
        EncodeOptions options;
        options.quality = settings_.quality;
        options.effort = settings_.effort.value_or(options.effort);
        options.supervision.is_cancelled = is_interrupted;
        options.max_error = settings_.max_error;
        if (settings_.target_bpp > 0) options.target = {Kind::bits_per_pixel, settings_.target_bpp};
        if (settings_.target_size.value > 0) options.target = {Kind::bytes, static_cast<double>(settings_.target_size.value)};
        if (settings_.target_psnr > 0) options.target = {Kind::psnr, settings_.target_psnr};
        return options;
    }

    std::string missed_target(const EncodeResult& result, double bpp) const {
        const std::string wanted = settings_.target_bpp > 0    ? "--target-bpp " + plain(settings_.target_bpp)
                                   : settings_.target_psnr > 0 ? "--target-psnr " + plain(settings_.target_psnr)
                                                               : "--target-size " + std::to_string(settings_.target_size.value);
        return wanted + " is not to be had of this picture; the nearest is quality " + fixed(result.quality, 2) + " with " +
               std::to_string(result.bytes.size()) + " bytes, " + fixed(bpp, 3) + " bpp" +
               (settings_.target_psnr > 0 ? ", " + fixed(result.psnr, 2) + " dB" : "");
    }

    // What two decoders make of a file. The second one shares nothing with the encoder but the model and the threads.
    struct Verified {
        bool is_same = false;  // for both
        uint32_t max_error = 0;
        double psnr = 0;
    };

    double verify(const Image& image, const EncodeOptions& encoded, std::span<const uint8_t> bytes) {
        return check(shape_of(image), encoded, bytes, [&](const DecodeOptions& options, Codec& second) {
            const Image decoded = codec_.decode(bytes, options);
            return Verified{second.decode(bytes, options) == decoded, max_error(image, decoded), psnr(image, decoded)};
        });
    }

    // By rows: the picture is read once more.
    double verify(const Job& job, const PictureShape& shape, const EncodeOptions& encoded, std::span<const uint8_t> bytes) {
        return check(shape, encoded, bytes, [&](const DecodeOptions& options, Codec& second) {
            const auto original = reopened(job);
            RowComparison comparison(*original);
            HashingWriter once(&comparison), again;
            codec_.decode(bytes, once, options);
            second.decode(bytes, again, options);
            return Verified{once.hash() == again.hash(), comparison.max_error(), comparison.psnr()};
        });
    }

    // The PSNR.
    template <class Decode>
    double check(const PictureShape& shape, const EncodeOptions& encoded, std::span<const uint8_t> bytes, const Decode& decode) {
        const auto fail = [](const std::string& what) { throw Error(ErrorCode::corrupt, "--verify: " + what + "; nothing was written, please report this"); };
        DecodeOptions options;
        options.max_pixels = settings_.max_pixels;
        options.supervision.is_cancelled = is_interrupted;
        const Header header = inspect(bytes, options).header;
        if (PictureShape{header.width, header.height, header.channels, header.depth} != shape) fail("the file says that it holds a picture of another shape");
        Codec second(model_, pool_);
        const Verified verified = decode(options, second);
        if (!verified.is_same) fail("two decoders give different pictures");
        if (decode_alpha(bytes, options) != encoded.alpha || decode_metadata(bytes, options) != encoded.metadata) fail("alpha or metadata come out changed");
        if (encoded.max_error && verified.max_error > *encoded.max_error) fail("samples are off by more than " + std::to_string(*encoded.max_error));
        return verified.psnr;
    }

    const Settings& settings_;
    std::shared_ptr<const Model> model_;
    std::shared_ptr<WorkerPool> pool_;
    Codec codec_;
    std::optional<Denoisers> denoisers_;  // none: pictures are stored as they are
};

}  // namespace

ExitCode encode(const Settings& settings) {
    const std::vector<Input> inputs = collect_inputs(settings, is_picture_name);
    if (inputs.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    const std::vector<Job> jobs = plan_jobs(inputs, settings, ".dcn");
    if (jobs.front().output == "-" && isatty(STDOUT_FILENO) == 1)
        throw Error(ErrorCode::invalid_argument, "standard output is a terminal; name a file with --output");
    const auto model = Model::load(find_model(settings.model));
    const auto pool = make_pool(settings);
    Encoder encoder(model, pool, settings);
    return run_batch(jobs, settings, *pool,
                     [&](const Job& job, Place& place, FileReport& report) { encoder.run(job, place, report); });
}

}  // namespace decant::cli
