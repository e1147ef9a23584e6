// What became of a file: as an object of JSON for programs, as a line for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace decant::cli {

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

}  // namespace decant::cli
