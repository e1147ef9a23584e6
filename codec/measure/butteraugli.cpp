#include "codec/measure/butteraugli.h"

#include <algorithm>
#include <array>
#include <string>
#include <thread>

#include "codec/error.h"
#include "codec/image/metrics.h"

namespace decant {
namespace {

constexpr ModuleText text = {"decant_butteraugli.so", "Butteraugli needs", "libjxl", " (it is built where libjxl-dev is installed)"};

// libjxl takes gray for RGB and ends the program where it is not.
Image as_rgb(const Image& image) {
    if (image.channels == 3) return image;
    Image result(image.width, image.height, 3, image.depth());
    image.visit([&]<Sample T>(const std::vector<T>& gray) {
        for (std::size_t i = 0; i < result.samples<T>().size(); ++i) result.samples<T>()[i] = gray[i / 3];
    });
    return result;
}

}  // namespace

Butteraugli::Butteraugli(int threads)
    : threads_(threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))),
      module_(text, module_folders()),
      function_(module_.function<decant_butteraugli_function>("decant_butteraugli")) {}

double Butteraugli::distance(const Image& reference, const Image& distorted) const {
    check_same_shape(reference, distorted);
    const Image first = as_rgb(reference), second = as_rgb(distorted);
    double distance = 0;
    std::array<char, 256> error{};
    if (function_(first.width, first.height, first.depth(), first.bytes().data(), second.bytes().data(), threads_, &distance, error.data(), error.size()) != 0)
        throw Error(ErrorCode::internal, "Butteraugli of " + describe_shape(reference) + ": " + error.data());
    return distance;
}

}  // namespace decant
