#include "tools/decant/eval.h"

#include "codec/image/writer.h"
#include "tools/decant/batch.h"
#include "tools/decant/console.h"
#include "tools/decant/interrupt.h"

namespace decant::cli {

ExitCode measure_each(const std::vector<Input>& inputs, const std::function<void(size_t)>& measure) {
    ExitStatus status;
    for (size_t i = 0; i < inputs.size(); ++i) {
        stop_if_interrupted();
        show_progress("picture " + std::to_string(i + 1) + " of " + std::to_string(inputs.size()) + ": " + inputs[i].path);
        attempt(inputs[i].path, status, [&] {
            if (inputs[i].problem) throw *inputs[i].problem;
            measure(i);
        });
    }
    clear_progress();
    return status.code();
}

void keep_picture(const Input& input, const std::string& suffix, const Image& image, const Settings& settings) {
    if (settings.output_dir.empty()) return;
    const Job job{input.path, output_path(input, settings, "") + suffix + ".png", {}};
    write_output(job, encode_image(image, ImageFormat::png), settings);
}

ExitCode eval(const Settings& settings) {
    const std::vector<Input> inputs = collect_inputs(settings, is_picture_name);
    if (inputs.empty()) {
        complain_of_no_input(settings);
        return ExitCode::no_input;
    }
    return settings.denoise ? eval_denoise(inputs, settings) : eval_codec(inputs, settings);
}

}  // namespace decant::cli
