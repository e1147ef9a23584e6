// What became of a file: as an object of JSON for programs, as a line for people.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/io/file.h"

namespace decant::cli {

struct Settings;

enum class Status { ok, skipped, failed };

struct FileReport {
    std::string input, output;
    Status status = Status::ok;
    std::optional<uint64_t> input_bytes, output_bytes;
    std::optional<uint32_t> width, height;
    std::optional<int> depth;
    std::optional<double> quality, bpp, psnr, sigma, seconds;
    std::string model;
    std::string denoiser;  // the model that took noise out, where `model` is another one
    std::string error;   // of a failed file
    std::string reason;  // of a skipped one
    std::vector<std::string> notes;  // what the output lacks, or was converted

    void set_shape(uint32_t columns, uint32_t rows, int bits) {
        width = columns;
        height = rows;
        depth = bits;
    }
    uint64_t pixels() const { return uint64_t{width.value_or(0)} * height.value_or(0); }
};

// A line, with the keys of the contract; null is what is not known.
std::string to_json_line(const FileReport& report);

// "a.png -> a.dcn: 768x512, 24.1 kB, quality 50.00, 0.491 bpp, 0.12 s"
std::string to_words(const FileReport& report);

// A report as a file of its own, complete or not at all. Opened before anything is measured, so that a name that cannot be had is no
// loss; none for an empty path. Throws what AtomicFile throws.
std::unique_ptr<AtomicFile> open_report(const std::string& path, const Settings& settings);
void finish_report(AtomicFile& file, const std::string& text);

}  // namespace decant::cli
