#include "codec/image/opencv_loader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "codec/error.h"
#include "codec/image/received.h"

namespace decant {
namespace {

constexpr ModuleText module_text = {"decant_opencv.so", "JPEG, WebP, TIFF and BMP need", "OpenCV's imgcodecs library",
                                    ", or use PNG or PPM"};

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

}  // namespace

OpencvModule::OpencvModule(std::span<const std::string> folders)
    : module_(module_text, folders),
      decode_(module_.function<decant_opencv_decode_function>("decant_opencv_decode")),
      encode_(module_.function<decant_opencv_encode_function>("decant_opencv_encode")),
      version_(module_.function<decant_opencv_version_function>("decant_opencv_version")) {}

OpencvModule::Picture OpencvModule::decode(std::span<const std::uint8_t> bytes, const std::string& name) const {
    Received<Picture> received;
    std::array<char, 256> error{};
    if (decode_(bytes.data(), bytes.size(), receive_picture, &received, error.data(), error.size()) != 0)
        throw Error(ErrorCode::corrupt, name + ": damaged, or of a kind that OpenCV cannot read (" + error.data() + ")");
    if (received.failure) std::rethrow_exception(received.failure);
    return std::move(received.result);
}

std::vector<std::uint8_t> OpencvModule::encode(const Image& image, const std::string& extension, int quality,
                                               const Image* alpha) const {
    Samples arranged;  // blue first, with alpha
    const void* samples = image.bytes().data();
    int channels = image.channels;
    if (alpha != nullptr) {
        channels = 4;
        samples = image.visit([&]<Sample T>(const std::vector<T>& src) -> const void* {
            auto& dst = arranged.emplace<std::vector<T>>(4 * image.pixel_count());
            const std::vector<T>& opacity = alpha->samples<T>();
            const std::size_t step = static_cast<std::size_t>(image.channels), last = step - 1;
            for (std::size_t i = 0; i < opacity.size(); ++i) {
                dst[4 * i] = src[i * step + last];
                dst[4 * i + 1] = src[i * step + last / 2];
                dst[4 * i + 2] = src[i * step];
                dst[4 * i + 3] = opacity[i];
            }
            return dst.data();
        });
    } else if (image.channels == 3) {
        samples = image.visit([&]<Sample T>(const std::vector<T>& src) -> const void* {
            auto& dst = arranged.emplace<std::vector<T>>(src.size());
            swap_red_blue(src.data(), dst.data(), image.pixel_count(), image.channels);
            return dst.data();
        });
    }
    const decant_opencv_picture picture = {image.width, image.height, channels, image.depth(), samples,
                                           std::size_t{image.width} * static_cast<std::size_t>(channels * image.depth() / 8)};
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
