#include <algorithm>
#include <cmath>
#include <filesystem>

#include "codec/autoencoder/autoencoder.h"
#include "codec/image/writer.h"
#include "codec/io/file.h"
#include "codec/models/model_finder.h"
#include "tools/decant/pictures.h"
#include "tools/decant/verbs.h"

namespace decant::cli {

ExitCode sample(const Settings& settings) {
    const ImageFormat format = output_format(settings);
    const Autoencoder autoencoder(Model::load(find_model(settings.model)), settings.threads);
    const auto side = static_cast<uint32_t>(settings.side);
    const auto columns = static_cast<uint32_t>(std::ceil(std::sqrt(static_cast<double>(settings.count))));
    const uint32_t rows = (static_cast<uint32_t>(settings.count) + columns - 1) / columns;
    Image sheet(columns * side, rows * side, autoencoder.channels());
    for (uint32_t i = 0; i < static_cast<uint32_t>(settings.count); i++) {
        const Image picture = autoencoder.sample(side, side, settings.seed + i);
        for (uint32_t y = 0; y < side; y++)
            std::copy_n(picture.row(y), picture.row_size(), sheet.row(i / columns * side + y) + i % columns * picture.row_size());
    }
    write_file_atomically(settings.output, encode_image(sheet, format), {.overwrite = settings.force});
    return ExitCode::done;
}

}  // namespace decant::cli
