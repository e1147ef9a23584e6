// OpenCV's non-local means behind the functions of nonlocal_means_abi.h. Built as a shared module of its own: who reads a JPEG
// need not wait for the photo library.
#include "codec/denoise/nonlocal_means_abi.h"

#include <cstdio>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/core/utility.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/photo.hpp>

namespace {

// The sizes that OpenCV recommends, which are its defaults.
constexpr int kPatch = 7, kWindow = 21;

struct ErrorHandler {
    cv::ErrorCallback function = nullptr;
    void* context = nullptr;
};

// `next` is what was there before, such as that of the module of image formats.
int take_error(int status, const char* function, const char* text, const char* file, int line, void* next) {
    const auto* handler = static_cast<const ErrorHandler*>(next);
    return handler->function != nullptr ? handler->function(status, function, text, file, line, handler->context) : 0;
}

// OpenCV prints its errors unless somebody takes them.
void silence_opencv() {
    static ErrorHandler previous;
    static const bool done = [] {
        previous.function = cv::redirectError(take_error, &previous, &previous.context);
        return true;
    }();
    static_cast<void>(done);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int decant_nonlocal_means(const uint8_t* src, uint8_t* dst, int32_t width, int32_t height,
                                                                 int32_t channels, float h, float h_colour, int32_t threads,
                                                                 char* error, size_t error_size) {
    try {
        silence_opencv();
        cv::setNumThreads(threads);
        const cv::Mat input(height, width, CV_8UC(channels), const_cast<uint8_t*>(src));
        cv::Mat output(height, width, CV_8UC(channels), dst);
        if (channels == 1) {
            cv::fastNlMeansDenoising(input, output, h, kPatch, kWindow);
        } else {
            cv::Mat bgr, clean;
            cv::cvtColor(input, bgr, cv::COLOR_RGB2BGR);
            cv::fastNlMeansDenoisingColored(bgr, clean, h, h_colour, kPatch, kWindow);
            cv::cvtColor(clean, output, cv::COLOR_BGR2RGB);
        }
        return 0;
    } catch (const std::exception& e) {
        std::snprintf(error, error_size, "%s", e.what());
        return 1;
    }
}

__attribute__((visibility("default"))) const char* decant_nonlocal_means_version(void) { return CV_VERSION; }

}  // extern "C"
