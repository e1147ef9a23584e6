// JPEG, JPEG 2000, WebP, TIFF and BMP through OpenCV, behind the functions of opencv_abi.h. Built as a shared module of its own.
#include "codec/image/opencv_abi.h"

#include <dlfcn.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <streambuf>
#include <string>
#include <vector>
// jpeglib.h expects FILE and size_t to be declared already.
#include <jpeglib.h>
// Names for libjpeg's message codes.
#include <jerror.h>

namespace {

// One call of this module on one thread: what OpenCV and libjpeg say meanwhile belongs to it.
struct Call {
    bool damaged_jpeg = false;
    std::string first_error;
};
thread_local Call* current_call = nullptr;

class CallScope {
public:
    CallScope() { current_call = &call_; }
    ~CallScope() { current_call = nullptr; }
    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;
    Call& call() { return call_; }

private:
    Call call_;
};

// OpenCV writes to std::cerr when a decoder throws, and offers no switch. This buffer swallows what a thread writes while
// it is inside this module, and passes everything else on to the buffer that was there before.
class QuietBuffer : public std::streambuf {
public:
    explicit QuietBuffer(std::streambuf* next) : next_(next) {}

protected:
    int_type overflow(int_type c) override {
        if (current_call != nullptr || traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
        return next_->sputc(traits_type::to_char_type(c));
    }
    std::streamsize xsputn(const char* text, std::streamsize size) override {
        return current_call != nullptr ? size : next_->sputn(text, size);
    }
    int sync() override { return current_call != nullptr ? 0 : next_->pubsync(); }

private:
    std::streambuf* next_;
};

int remember_error(int, const char*, const char* text, const char*, int, void*) {
    if (current_call != nullptr && current_call->first_error.empty()) current_call->first_error = text;
    return 0;
}

void silence_opencv() {
    static const bool done = [] {
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
        cv::redirectError(remember_error);
        // Never freed: std::cerr outlives everything that could free it. The module is never unloaded.
        std::cerr.rdbuf(new QuietBuffer(std::cerr.rdbuf()));
        return true;
    }();
    static_cast<void>(done);
}

// libjpeg prints its warnings, and goes on after damage with gray pixels. Neither is wanted.
void note_jpeg_message(j_common_ptr info, int level) {
    if (level >= 0) return;  // not a warning
    ++info->err->num_warnings;
    switch (info->err->msg_code) {
        case JWRN_ARITH_BAD_CODE:
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
        case JWRN_JPEG_EOF:
        case JWRN_MUST_RESYNC:
            if (current_call != nullptr) current_call->damaged_jpeg = true;
            break;
        default:
            break;  // oddities that do not touch the pixels, such as bytes between segments
    }
}

void print_nothing(j_common_ptr) {}

template <typename Work>
int run(char* error, size_t error_size, const Work& work) {
    CallScope scope;
    std::string text;
    try {
        silence_opencv();
        if (work(scope.call())) return 0;
        text = scope.call().damaged_jpeg ? "damaged JPEG data" : scope.call().first_error;
    } catch (const cv::Exception& e) {
        text = e.err;
    } catch (const std::exception& e) {
        text = e.what();
    }
    std::snprintf(error, error_size, "%s", text.empty() ? "no reason given" : text.c_str());
    return 1;
}

// 0 for signed and floating-point samples.
int bits_of_depth(int depth) { return depth == CV_8U ? 8 : depth == CV_16U ? 16 : 0; }

}  // namespace

extern "C" {

// Takes the place of libjpeg's function for OpenCV's calls: this module comes first where the loader resolves symbols.
__attribute__((visibility("default"))) jpeg_error_mgr* jpeg_std_error(jpeg_error_mgr* manager) {
    using Function = jpeg_error_mgr* (*)(jpeg_error_mgr*);
    static const auto original = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "jpeg_std_error"));
    original(manager);
    manager->emit_message = note_jpeg_message;
    manager->output_message = print_nothing;
    return manager;
}

__attribute__((visibility("default"))) int decant_opencv_decode(const uint8_t* bytes, size_t size,
                                                                decant_opencv_picture_sink sink, void* context, char* error,
                                                                size_t error_size) {
    return run(error, error_size, [&](Call& call) {
        const cv::Mat input(1, static_cast<int>(size), CV_8UC1, const_cast<uint8_t*>(bytes));
        const cv::Mat picture = cv::imdecode(input, cv::IMREAD_UNCHANGED);  // also means: no turning by EXIF
        if (picture.empty() || call.damaged_jpeg) return false;
        const decant_opencv_picture result = {static_cast<uint32_t>(picture.cols),
                                              static_cast<uint32_t>(picture.rows),
                                              picture.channels(),
                                              bits_of_depth(picture.depth()),
                                              picture.data,
                                              picture.step[0]};
        sink(context, &result);
        return true;
    });
}

__attribute__((visibility("default"))) int decant_opencv_encode(const char* extension, const decant_opencv_picture* picture,
                                                                int quality, decant_opencv_bytes_sink sink, void* context,
                                                                char* error, size_t error_size) {
    return run(error, error_size, [&](Call&) {
        const cv::Mat input(static_cast<int>(picture->height), static_cast<int>(picture->width),
                            CV_MAKETYPE(picture->depth == 16 ? CV_16U : CV_8U, picture->channels),
                            const_cast<void*>(picture->samples), picture->row_stride);
        std::vector<uint8_t> output;
        // WebP's first: its writer looks at no other, and is lossless without it.
        if (!cv::imencode(extension, input, output,
                          {cv::IMWRITE_WEBP_QUALITY, quality, cv::IMWRITE_JPEG_QUALITY, quality,
                           cv::IMWRITE_JPEG2000_COMPRESSION_X1000, quality}))
            return false;
        sink(context, output.data(), output.size());
        return true;
    });
}

__attribute__((visibility("default"))) const char* decant_opencv_version(void) { return CV_VERSION; }

}  // extern "C"
