#include "codec/image/opencv_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "codec/error.h"

namespace decant {
namespace {

constexpr const char* module_file = "decant_opencv.so";

template <typename Function>
Function find_function(void* library, const char* name) {
    const auto function = reinterpret_cast<Function>(dlsym(library, name));
    if (function == nullptr)
        throw Error(ErrorCode::unsupported,
                    std::string(module_file) + " has no function " + name + "; install it again, of the same version as decant");
    return function;
}

// OpenCV keeps blue first, decant red. Swapping twice changes nothing, so this serves both ways.
template <Sample T>
void swap_red_blue(const T* src, T* dst, std::size_t pixels, int channels) {
    const auto step = static_cast<std::size_t>(channels);
    for (std::size_t i = 0; i < pixels * step; i += step) {
        dst[i] = src[i + 2];
        dst[i + 1] = src[i + 1];
        dst[i + 2] = src[i];
        if (step == 4) dst[i + 3] = src[i + 3];
    }
}

// A sink may not throw through the module: what it would throw is kept here and thrown behind the call.
template <typename Result>
struct Received {
    Result result;
    std::exception_ptr failure;
};

template <Sample T>
std::vector<T> copy_samples(const decant_opencv_picture& picture) {
    const std::size_t row_size = std::size_t{picture.width} * static_cast<std::size_t>(picture.channels);
    std::vector<T> result(row_size * picture.height);
    for (std::size_t y = 0; y < picture.height; ++y) {
        const auto* src = reinterpret_cast<const T*>(static_cast<const std::uint8_t*>(picture.samples) + y * picture.row_stride);
        T* dst = result.data() + y * row_size;
        if (picture.channels >= 3)
            swap_red_blue(src, dst, picture.width, picture.channels);
        else
            std::copy_n(src, row_size, dst);
    }
    return result;
}

void receive_picture(void* context, const decant_opencv_picture* picture) {
    auto& received = *static_cast<Received<OpencvModule::Picture>*>(context);
    try {
        auto& result = received.result;
        result.width = picture->width;
        result.height = picture->height;
        result.channels = picture->channels;
        result.depth = picture->depth;
        if (picture->depth == 8) result.samples = copy_samples<std::uint8_t>(*picture);
        if (picture->depth == 16) result.samples = copy_samples<std::uint16_t>(*picture);
    } catch (...) {
        received.failure = std::current_exception();
    }
}

void receive_bytes(void* context, const std::uint8_t* bytes, std::size_t size) {
    auto& received = *static_cast<Received<std::vector<std::uint8_t>>*>(context);
    try {
        received.result.assign(bytes, bytes + size);
    } catch (...) {
        received.failure = std::current_exception();
    }
}

std::array<std::string, 2> module_folders() {
    std::error_code failure;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failure);
    if (failure)
        throw Error(ErrorCode::unsupported, "the folder of the program is not known (/proc/self/exe: " + failure.message() +
                                                "), so " + module_file + " cannot be found");
    const std::filesystem::path folder = program.parent_path();
    return {folder.string(), (folder.parent_path() / "lib" / "decant").string()};
}

}  // namespace

void OpencvModule::Closer::operator()(void* library) const { dlclose(library); }

OpencvModule::OpencvModule(std::span<const std::string> folders) {
    std::string searched;
    for (const std::string& folder : folders) {
        const std::string path = folder + "/" + module_file;
        searched += (searched.empty() ? "" : " or ") + folder;
        if (access(path.c_str(), F_OK) != 0) continue;
        // Local, so that OpenCV's many libraries do not mix with the program's; never unloaded, because OpenCV leaves
        // thread-local state and exit handlers behind.
        library_.reset(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE));
        if (!library_)
            throw Error(ErrorCode::unsupported, "JPEG, WebP, TIFF and BMP need OpenCV, which does not load: " +
                                                    std::string(dlerror()) + "; install OpenCV's imgcodecs library");
        decode_ = find_function<decant_opencv_decode_function>(library_.get(), "decant_opencv_decode");
        encode_ = find_function<decant_opencv_encode_function>(library_.get(), "decant_opencv_encode");
        return;
    }
    throw Error(ErrorCode::unsupported, "JPEG, WebP, TIFF and BMP need " + std::string(module_file) + ", which is not in " +
                                            searched + "; install it there, or use PNG or PPM");
}

OpencvModule::Picture OpencvModule::decode(std::span<const std::uint8_t> bytes, const std::string& name) const {
    Received<Picture> received;
    std::array<char, 256> error{};
    if (decode_(bytes.data(), bytes.size(), receive_picture, &received, error.data(), error.size()) != 0)
        throw Error(ErrorCode::corrupt, name + ": damaged, or of a kind that OpenCV cannot read (" + error.data() + ")");
    if (received.failure) std::rethrow_exception(received.failure);
    return std::move(received.result);
}

std::vector<std::uint8_t> OpencvModule::encode(const Image& image, const std::string& extension, int quality) const {
    Samples swapped;
    const void* samples = image.bytes().data();
    if (image.channels == 3)
        samples = image.visit([&]<Sample T>(const std::vector<T>& src) -> const void* {
            auto& dst = swapped.emplace<std::vector<T>>(src.size());
            swap_red_blue(src.data(), dst.data(), image.pixel_count(), image.channels);
            return dst.data();
        });
    const decant_opencv_picture picture = {image.width,    image.height,
                                           image.channels, image.depth(),
                                           samples,        image.row_size() * static_cast<std::size_t>(image.depth() / 8)};
    Received<std::vector<std::uint8_t>> received;
    std::array<char, 256> error{};
    if (encode_(extension.c_str(), &picture, quality, receive_bytes, &received, error.data(), error.size()) != 0)
        throw Error(ErrorCode::internal, "writing " + extension + " of " + describe_shape(image) + " failed: " + error.data());
    if (received.failure) std::rethrow_exception(received.failure);
    return std::move(received.result);
}

const OpencvModule& opencv_module() {
    static const OpencvModule module(module_folders());
    return module;
}

}  // namespace decant
