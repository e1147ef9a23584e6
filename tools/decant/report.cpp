#include "tools/decant/report.h"

#include "tools/decant/json.h"
#include "tools/decant/options.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json();
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

const char* status_name(Status status) {
    switch (status) {
        case Status::ok:
            return "ok";
        case Status::skipped:
            return "skipped";
        case Status::failed:
            break;
    }
    return "failed";
}

}  // namespace

std::string to_json_line(const FileReport& r) {
    Json line{{"input", r.input},
              {"output", or_null(r.output)},
              {"status", status_name(r.status)},
              {"input_bytes", or_null(r.input_bytes)},
              {"output_bytes", or_null(r.output_bytes)},
              {"width", or_null(r.width)},
              {"height", or_null(r.height)},
              {"depth", or_null(r.depth)},
              {"quality", or_null(r.quality)},
              {"bpp", or_null(r.bpp)},
              {"psnr", r.psnr ? json_number(*r.psnr) : Json()},
              {"seconds", or_null(r.seconds)},
              {"model", or_null(r.model)},
              {"error", or_null(r.error)}};
    if (!r.denoiser.empty()) line["denoiser"] = r.denoiser;
    if (r.sigma) line["sigma"] = *r.sigma;  // where noise was taken out
    if (!r.notes.empty()) line["notes"] = r.notes;
    return to_line(line);
}

std::string to_words(const FileReport& r) {
    std::string line = r.input + " -> " + r.output + ": ";
    if (r.status == Status::skipped) return line + "skipped, " + r.reason;
    line += std::to_string(r.width.value_or(0)) + "x" + std::to_string(r.height.value_or(0));
    line += ", " + byte_size(r.output_bytes.value_or(0));
    if (r.quality) line += ", quality " + fixed(*r.quality, 2);
    if (r.bpp) line += ", " + fixed(*r.bpp, 3) + " bpp";
    if (r.sigma) line += ", " + (r.denoiser.empty() ? r.model : r.denoiser) + ", sigma " + fixed(*r.sigma, 1);
    if (r.psnr) line += ", " + fixed(*r.psnr, 2) + " dB";
    return line + ", " + duration(r.seconds.value_or(0));
}

std::unique_ptr<AtomicFile> open_report(const std::string& path, const Settings& settings) {
    if (path.empty()) return nullptr;
    FileWriteOptions options;
    options.overwrite = settings.force;
    return std::make_unique<AtomicFile>(path, options);
}

void finish_report(AtomicFile& file, const std::string& text) {
    file.write({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    file.commit();
}

}  // namespace decant::cli
