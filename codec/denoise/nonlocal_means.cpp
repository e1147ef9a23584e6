#include "codec/denoise/nonlocal_means.h"

#include <array>
#include <string>
#include <thread>

#include "codec/denoise/nonlocal_means_abi.h"
#include "codec/error.h"

namespace decant {
namespace {

constexpr ModuleText module_text = {"decant_opencv_photo.so", "OpenCV's non-local means needs", "OpenCV's photo library", ""};

// h of OpenCV's functions is this times sigma: the best for PSNR among multiples of 0.1 on photographs outside of any test set
// (crops of 256×256 pixels, σ 15, 25 and 50). Brightness of RGB has less noise than gray with the same sigma.
constexpr double kGray = 0.9, kBrightness = 0.7, kColour = 0.8;

std::string sigma_text(double factor) { return "0." + std::to_string(int(factor * 10 + 0.5)) + " sigma"; }

}  // namespace

NonlocalMeans::NonlocalMeans(int threads) : NonlocalMeans(threads, module_folders()) {}

NonlocalMeans::NonlocalMeans(int threads, std::span<const std::string> folders)
    : threads_(threads > 0 ? threads : int(std::thread::hardware_concurrency())), module_(module_text, folders) {}

Image NonlocalMeans::denoise(const Image& image, double sigma) const {
    check_image(image);
    if (!(sigma >= 0 && sigma <= 255))
        throw Error(ErrorCode::invalid_argument, "sigma " + std::to_string(sigma) + " is not in 0 … 255");
    Image result(image.width, image.height, image.channels);
    std::array<char, 256> error{};
    const auto run = module_.function<decant_nonlocal_means_function>("decant_nonlocal_means");
    if (run(image.samples().data(), result.samples().data(), int32_t(image.width), int32_t(image.height), image.channels,
            float(sigma * (image.channels == 1 ? kGray : kBrightness)), float(sigma * kColour), threads_, error.data(),
            error.size()) != 0)
        throw Error(ErrorCode::internal, "non-local means of " + describe_shape(image) + ": " + error.data());
    return result;
}

std::string NonlocalMeans::description() const {
    return std::string("OpenCV ") + module_.function<decant_nonlocal_means_version_function>("decant_nonlocal_means_version")() +
           " fastNlMeansDenoisingColored, h = " + sigma_text(kBrightness) + ", hColor = " + sigma_text(kColour) +
           "; gray by fastNlMeansDenoising, h = " + sigma_text(kGray);
}

}  // namespace decant
