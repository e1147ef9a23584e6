// JPEG XL through libjxl, behind the functions of peer_abi.h. Built as a shared module of its own.
#include <jxl/decode_cxx.h>
#include <jxl/encode_cxx.h>
#include <jxl/thread_parallel_runner_cxx.h>

#include <string>

#include "codec/measure/peer_module.h"

using namespace decant;

namespace {

constexpr int kEffort = 7;  // cjxl's default

void check_encoder(JxlEncoderStatus status, const char* what) { check(status == JXL_ENC_SUCCESS, what); }
void check_decoder(JxlDecoderStatus status, const char* what) { check(status == JXL_DEC_SUCCESS, what); }

JxlPixelFormat pixel_format(uint32_t channels) { return {channels, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0}; }

}  // namespace

extern "C" {

const char* decant_peer_description(void) {
    static const std::string text = [] {
        const uint32_t version = JxlEncoderVersion();
        return "libjxl " + std::to_string(version / 1000000) + "." + std::to_string(version / 1000 % 1000) + "." +
               std::to_string(version % 1000) + ", effort " + std::to_string(kEffort) + ", XYB";
    }();
    return text.c_str();
}

int decant_peer_encode(const decant_peer_picture* picture, double parameter, int32_t threads, decant_peer_bytes_sink sink,
                       void* context, char* error, size_t error_size) {
    return run_in_module(error, error_size, [&] {
        const auto runner = JxlThreadParallelRunnerMake(nullptr, static_cast<size_t>(threads));
        const auto encoder = JxlEncoderMake(nullptr);
        check(runner && encoder, "no memory");
        check_encoder(JxlEncoderSetParallelRunner(encoder.get(), JxlThreadParallelRunner, runner.get()), "threads");
        const auto channels = static_cast<uint32_t>(picture->channels);
        JxlBasicInfo info;
        JxlEncoderInitBasicInfo(&info);
        info.xsize = picture->width;
        info.ysize = picture->height;
        info.bits_per_sample = 8;
        info.num_color_channels = channels;
        info.uses_original_profile = JXL_FALSE;
        check_encoder(JxlEncoderSetBasicInfo(encoder.get(), &info), "basic info");
        JxlColorEncoding colour;
        JxlColorEncodingSetToSRGB(&colour, channels == 1);
        check_encoder(JxlEncoderSetColorEncoding(encoder.get(), &colour), "colour encoding");
        JxlEncoderFrameSettings* const settings = JxlEncoderFrameSettingsCreate(encoder.get(), nullptr);
        check_encoder(JxlEncoderFrameSettingsSetOption(settings, JXL_ENC_FRAME_SETTING_EFFORT, kEffort), "effort");
        check_encoder(JxlEncoderSetFrameDistance(settings, static_cast<float>(parameter)), "distance out of range");
        const JxlPixelFormat format = pixel_format(channels);
        check_encoder(JxlEncoderAddImageFrame(settings, &format, picture->samples,
                                              std::size_t{picture->width} * picture->height * channels),
                      "the picture is refused");
        JxlEncoderCloseInput(encoder.get());
        std::vector<uint8_t> bytes(1 << 16);
        for (std::size_t used = 0;;) {
            uint8_t* next = bytes.data() + used;
            std::size_t room = bytes.size() - used;
            const JxlEncoderStatus status = JxlEncoderProcessOutput(encoder.get(), &next, &room);
            used = static_cast<std::size_t>(next - bytes.data());
            if (status == JXL_ENC_NEED_MORE_OUTPUT) {
                bytes.resize(bytes.size() * 2);
                continue;
            }
            check_encoder(status, "encoding failed");
            sink(context, bytes.data(), used);
            return;
        }
    });
}

int decant_peer_decode(const uint8_t* bytes, size_t size, int32_t threads, decant_peer_picture_sink sink, void* context, char* error,
                       size_t error_size) {
    return run_in_module(error, error_size, [&] {
        const auto runner = JxlThreadParallelRunnerMake(nullptr, static_cast<size_t>(threads));
        const auto decoder = JxlDecoderMake(nullptr);
        check(runner && decoder, "no memory");
        check_decoder(JxlDecoderSetParallelRunner(decoder.get(), JxlThreadParallelRunner, runner.get()), "threads");
        check_decoder(JxlDecoderSubscribeEvents(decoder.get(), JXL_DEC_BASIC_INFO | JXL_DEC_FULL_IMAGE), "events");
        check_decoder(JxlDecoderSetInput(decoder.get(), bytes, size), "input");
        JxlDecoderCloseInput(decoder.get());
        JxlBasicInfo info{};
        std::vector<uint8_t> samples;
        for (;;) switch (JxlDecoderProcessInput(decoder.get())) {
                case JXL_DEC_BASIC_INFO:
                    check_decoder(JxlDecoderGetBasicInfo(decoder.get(), &info), "basic info");
                    break;
                case JXL_DEC_NEED_IMAGE_OUT_BUFFER: {
                    const JxlPixelFormat format = pixel_format(info.num_color_channels);
                    samples.resize(std::size_t{info.xsize} * info.ysize * info.num_color_channels);
                    check_decoder(JxlDecoderSetImageOutBuffer(decoder.get(), &format, samples.data(), samples.size()),
                                  "output buffer");
                    break;
                }
                case JXL_DEC_FULL_IMAGE: {
                    const decant_peer_picture picture = {info.xsize, info.ysize, static_cast<int32_t>(info.num_color_channels),
                                                         samples.data()};
                    sink(context, &picture);
                    return;
                }
                default:
                    check(false, "damaged");
            }
    });
}

}  // extern "C"
