#include "codec/autoencoder/autoencoder.h"
#include "codec/embed/embedder.h"

#include <unistd.h>

#include <array>
#include <memory>
#include <optional>

#include "codec/image/writer.h"
#include "codec/models/model_finder.h"
#include "tools/decant/batch.h"
#include "tools/decant/pictures.h"
#include "tools/decant/verbs.h"

namespace decant::cli {

ExitCode embed(const Settings& settings) {
    const std::vector<Input> inputs = collect_inputs(settings, is_picture_name);
    if (inputs.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    const std::vector<Job> jobs = plan_jobs(inputs, settings, settings.decoded ? ".decoded.png" : ".npy");
    if (jobs.front().output == "-" && isatty(STDOUT_FILENO) == 1)
        throw Error(ErrorCode::invalid_argument, "standard output is a terminal; name a file with --output");
    const auto model = Model::load(find_model(settings.model));
    const Embedder embedder(model);
    std::optional<Autoencoder> autoencoder;
    if (settings.decoded) autoencoder.emplace(model, settings.threads);
    const auto pool = make_pool(settings);
    return run_batch(jobs, settings, *pool, [&](const Job& job, Place& place, FileReport& report) {
        const PictureFile picture =
            read_opaque_picture(job.input, settings.max_pixels, [&](uint64_t pixels, int depth) { place.make_room(pixels, depth); });
        report.input_bytes = picture.bytes;
        report.set_shape(picture.image.width, picture.image.height, picture.image.depth());
        report.model = embedder.model().name();
        const std::vector<uint8_t> bytes = in_file(job.input, [&] {
            if (autoencoder) return encode_image(autoencoder->reconstruct(picture.image), ImageFormat::png);
            const Code code = embedder.embed(picture.image);
            if (settings.pooled == 0) return write_npy(code.values, std::array<int64_t, 3>{code.height, code.width, code.channels});
            const std::vector<float> vector = pooled(code, settings.pooled);
            return write_npy(vector, std::array<int64_t, 1>{int64_t(vector.size())});
        });
        write_output(job, bytes, settings);
        report.output_bytes = bytes.size();
    });
}

}  // namespace decant::cli
