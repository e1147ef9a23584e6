#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <thread>
#include <utility>

#include "codec/error.h"
#include "codec/image/received.h"
#include "codec/image/opencv_loader.h"
#include "codec/image/shared_module.h"
#include "codec/measure/image_codec.h"
#include "codec/measure/peer_abi.h"

namespace decant {
namespace {

// Gray is what all three channels of a codec without gray hold; rounding on the way through YCbCr apart, they are equal.
Image with_channels(Image image, int channels) {
    if (image.channels == channels) return image;
    Image result(image.width, image.height, channels);
    for (std::uint64_t i = 0; i < image.pixel_count(); ++i) {
        if (channels == 1)
            result.samples()[i] = image.samples()[3 * i + 1];
        else
            std::fill_n(result.samples().begin() + static_cast<std::ptrdiff_t>(3 * i), 3, image.samples()[i]);
    }
    return result;
}

void check_encodable(const Image& image, const char* name) {
    check_image(image);
    if (image.depth() != 8)
        throw Error(ErrorCode::unsupported,
                    std::string(name) + " is compared with pictures of 8 bits a sample, not " + describe_shape(image));
}

// JPEG, JPEG 2000 and WebP.
class OpencvPeer : public ImageCodec {
public:
    OpencvPeer(const PeerInfo& info, std::string extension, const char* settings)
        : info_(info), extension_(std::move(extension)), settings_(settings), module_(opencv_module()) {}

    std::string name() const override { return info_.name; }
    std::string parameter() const override { return info_.parameter; }
    std::string description() const override { return "OpenCV " + module_.version() + ", " + settings_; }

    std::vector<std::uint8_t> encode(const Image& image, double parameter) override {
        check_encodable(image, info_.name);
        return module_.encode(image, extension_, static_cast<int>(std::lround(parameter)));
    }

    Image decode(std::span<const std::uint8_t> bytes, int channels) override {
        OpencvModule::Picture picture = module_.decode(bytes, info_.name);
        return with_channels(Image(picture.width, picture.height, picture.channels, std::move(picture.samples)), channels);
    }

private:
    const PeerInfo& info_;
    std::string extension_;
    const char* settings_;
    const OpencvModule& module_;
};

void receive_picture(void* context, const decant_peer_picture* picture) {
    auto& received = *static_cast<Received<Image>*>(context);
    try {
        received.result = Image(picture->width, picture->height, picture->channels);
        std::copy_n(picture->samples, received.result.samples().size(), received.result.samples().begin());
    } catch (...) {
        received.failure = std::current_exception();
    }
}

// A codec in a module of its own.
class ModulePeer : public ImageCodec {
public:
    ModulePeer(const PeerInfo& info, const ModuleText& text, int threads)
        : info_(info),
          threads_(threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))),
          module_(text, module_folders()),
          encode_(module_.function<decant_peer_encode_function>("decant_peer_encode")),
          decode_(module_.function<decant_peer_decode_function>("decant_peer_decode")),
          description_(module_.function<decant_peer_description_function>("decant_peer_description")) {}

    std::string name() const override { return info_.name; }
    std::string parameter() const override { return info_.parameter; }
    std::string description() const override { return description_(); }

    std::vector<std::uint8_t> encode(const Image& image, double parameter) override {
        check_encodable(image, info_.name);
        const decant_peer_picture picture = {image.width, image.height, image.channels, image.samples().data()};
        Received<std::vector<std::uint8_t>> received;
        std::array<char, 256> error{};
        if (encode_(&picture, parameter, threads_, receive_bytes, &received, error.data(), error.size()) != 0)
            throw Error(ErrorCode::internal, std::string(info_.name) + " of " + describe_shape(image) + ": " + error.data());
        if (received.failure) std::rethrow_exception(received.failure);
        return std::move(received.result);
    }

    Image decode(std::span<const std::uint8_t> bytes, int channels) override {
        Received<Image> received;
        std::array<char, 256> error{};
        if (decode_(bytes.data(), bytes.size(), threads_, receive_picture, &received, error.data(), error.size()) != 0)
            throw Error(ErrorCode::corrupt, std::string(info_.name) + ": " + error.data());
        if (received.failure) std::rethrow_exception(received.failure);
        return with_channels(std::move(received.result), channels);
    }

private:
    const PeerInfo& info_;
    int threads_;
    SharedModule module_;
    decant_peer_encode_function encode_;
    decant_peer_decode_function decode_;
    decant_peer_description_function description_;
};

constexpr ModuleText avif_text = {"decant_avif.so", "AVIF needs", "libavif", " (it is built where libavif-dev is installed)"};
constexpr ModuleText jxl_text = {"decant_jxl.so", "JPEG XL needs", "libjxl", " (it is built where libjxl-dev is installed)"};
constexpr ModuleText heic_text = {"decant_heic.so", "HEIC needs", "libheif with x265",
                                  " (it is built where libheif-dev is installed)"};

}  // namespace

const std::vector<PeerInfo>& peers() {
    static const std::vector<PeerInfo> all = {
        {"jpeg", "JPEG", "quality", "image/jpeg", {5, 15, 35, 60, 80, 93}},
        {"jp2", "JPEG 2000", "size, thousandths", "", {5, 12, 25, 50, 90, 150}},
        {"webp", "WebP", "quality", "image/webp", {1, 20, 50, 75, 88, 96}},
        {"avif", "AVIF", "cq-level", "image/avif", {60, 50, 40, 30, 20, 12}},
        {"heic", "HEIC", "quality", "", {10, 20, 30, 40, 50, 60}},
        {"jxl", "JPEG XL", "distance", "", {15, 8, 4, 2, 1, 0.5}},
    };
    return all;
}

const PeerInfo* find_peer(std::string_view id) {
    const auto found = std::find_if(peers().begin(), peers().end(), [&](const PeerInfo& peer) { return id == peer.id; });
    return found == peers().end() ? nullptr : &*found;
}

std::unique_ptr<ImageCodec> make_peer(const PeerInfo& peer, int threads) {
    const std::string_view id = peer.id;
    if (id == "jpeg") return std::make_unique<OpencvPeer>(peer, ".jpg", "libjpeg-turbo, 4:2:0, one thread");
    if (id == "jp2") return std::make_unique<OpencvPeer>(peer, ".jp2", "OpenJPEG");
    if (id == "webp") return std::make_unique<OpencvPeer>(peer, ".webp", "libwebp, method 4, 4:2:0, one thread");
    if (id == "avif") return std::make_unique<ModulePeer>(peer, avif_text, threads);
    if (id == "heic") return std::make_unique<ModulePeer>(peer, heic_text, threads);
    if (id == "jxl") return std::make_unique<ModulePeer>(peer, jxl_text, threads);
    throw Error(ErrorCode::invalid_argument, "no codec is called " + std::string(id));
}

}  // namespace decant
