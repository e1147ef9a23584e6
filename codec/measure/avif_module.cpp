// AVIF through libavif and libaom, behind the functions of peer_abi.h. Built as a shared module of its own.
#include <avif/avif.h>

#include <algorithm>
#include <string>

#include "codec/measure/peer_module.h"

using namespace decant;

namespace {

constexpr int kSpeed = 6;  // avifenc's default

void check(avifResult result) { decant::check(result == AVIF_RESULT_OK, avifResultToString(result)); }

}  // namespace

extern "C" {

const char* decant_peer_description(void) {
    static const std::string text = std::string("libavif ") + avifVersion() + ", libaom, speed " + std::to_string(kSpeed) +
                                    ", 4:4:4, constant quality (end-usage=q, cq-level)";
    return text.c_str();
}

int decant_peer_encode(const decant_peer_picture* picture, double parameter, int32_t threads, decant_peer_bytes_sink sink,
                       void* context, char* error, size_t error_size) {
    return run_in_module(error, error_size, [&] {
        const Handle<avifImage, avifImageDestroy> image(avifImageCreate(
            picture->width, picture->height, 8, picture->channels == 1 ? AVIF_PIXEL_FORMAT_YUV400 : AVIF_PIXEL_FORMAT_YUV444));
        const Handle<avifEncoder, avifEncoderDestroy> encoder(avifEncoderCreate());
        decant::check(image && encoder, "no memory");
        image->matrixCoefficients = AVIF_MATRIX_COEFFICIENTS_BT601;
        image->yuvRange = AVIF_RANGE_FULL;
        std::vector<uint8_t> samples = as_rgb(*picture);
        avifRGBImage rgb;
        avifRGBImageSetDefaults(&rgb, image.get());
        rgb.format = AVIF_RGB_FORMAT_RGB;
        rgb.depth = 8;
        rgb.pixels = samples.data();
        rgb.rowBytes = 3 * picture->width;
        check(avifImageRGBToYUV(image.get(), &rgb));
        encoder->codecChoice = AVIF_CODEC_CHOICE_AOM;
        encoder->speed = kSpeed;
        encoder->maxThreads = threads;
        encoder->minQuantizer = AVIF_QUANTIZER_BEST_QUALITY;
        encoder->maxQuantizer = AVIF_QUANTIZER_WORST_QUALITY;
        avifEncoderSetCodecSpecificOption(encoder.get(), "end-usage", "q");
        const int level = std::clamp(static_cast<int>(parameter + 0.5), 0, 63);
        avifEncoderSetCodecSpecificOption(encoder.get(), "cq-level", std::to_string(level).c_str());
        struct Output : avifRWData {
            Output() : avifRWData(AVIF_DATA_EMPTY) {}
            ~Output() { avifRWDataFree(this); }
        } output;
        check(avifEncoderWrite(encoder.get(), image.get(), &output));
        sink(context, output.data, output.size);
    });
}

int decant_peer_decode(const uint8_t* bytes, size_t size, int32_t threads, decant_peer_picture_sink sink, void* context, char* error,
                       size_t error_size) {
    return run_in_module(error, error_size, [&] {
        const Handle<avifDecoder, avifDecoderDestroy> decoder(avifDecoderCreate());
        const Handle<avifImage, avifImageDestroy> image(avifImageCreateEmpty());
        decant::check(decoder && image, "no memory");
        decoder->maxThreads = threads;
        check(avifDecoderReadMemory(decoder.get(), image.get(), bytes, size));
        std::vector<uint8_t> samples(std::size_t{3} * image->width * image->height);
        avifRGBImage rgb;
        avifRGBImageSetDefaults(&rgb, image.get());
        rgb.format = AVIF_RGB_FORMAT_RGB;
        rgb.depth = 8;
        rgb.pixels = samples.data();
        rgb.rowBytes = 3 * image->width;
        check(avifImageYUVToRGB(image.get(), &rgb));
        const decant_peer_picture picture = {image->width, image->height, 3, samples.data()};
        sink(context, &picture);
    });
}

}  // extern "C"
