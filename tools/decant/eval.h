// What eval measures codecs and denoisers with, and the two kinds of it.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "codec/image/image.h"
#include "tools/decant/inputs.h"
#include "tools/decant/verbs.h"

namespace decant::cli {

ExitCode eval_codec(const std::vector<Input>& inputs, const Settings& settings);
ExitCode eval_denoise(const std::vector<Input>& inputs, const Settings& settings);

// Calls `measure` with the index of one input after the other, with progress; a failure is complained of and the next one done.
ExitCode measure_each(const std::vector<Input>& inputs, const std::function<void(size_t)>& measure);

// Writes a picture that was measured to --output-dir, if there is one: as PNG, by the input's name with a suffix.
void keep_picture(const Input& input, const std::string& suffix, const Image& image, const Settings& settings);

// Wall clock time of f().
template <class F>
double seconds_of(F&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace decant::cli
