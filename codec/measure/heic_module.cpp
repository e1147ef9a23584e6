// HEIC through libheif, x265 and libde265, behind the functions of peer_abi.h. Built as a shared module of its own.
#include <libheif/heif.h>

#include <algorithm>
#include <string>

#include "codec/measure/peer_module.h"

using namespace decant;

namespace {

void check(const heif_error& error) { decant::check(error.code == heif_error_Ok, error.message); }

struct Output {
    decant_peer_bytes_sink sink;
    void* context;
};

heif_error write(heif_context*, const void* data, size_t size, void* output) {
    const auto& to = *static_cast<const Output*>(output);
    to.sink(to.context, static_cast<const uint8_t*>(data), size);
    return {heif_error_Ok, heif_suberror_Unspecified, ""};
}

void copy_rows(const uint8_t* src, size_t src_stride, uint8_t* dst, size_t dst_stride, size_t row_size, uint32_t rows) {
    for (uint32_t y = 0; y < rows; ++y) std::copy_n(src + y * src_stride, row_size, dst + y * dst_stride);
}

}  // namespace

extern "C" {

const char* decant_peer_description(void) {
    static const std::string text = std::string("libheif ") + heif_get_version() + ", x265, preset slow, 4:2:0";
    return text.c_str();
}

int decant_peer_encode(const decant_peer_picture* picture, double parameter, int32_t threads, decant_peer_bytes_sink sink,
                       void* context, char* error, size_t error_size) {
    return run_in_module(error, error_size, [&] {
        const Handle<heif_context, heif_context_free> file(heif_context_alloc());
        heif_encoder* found = nullptr;
        check(heif_context_get_encoder_for_format(file.get(), heif_compression_HEVC, &found));
        const Handle<heif_encoder, heif_encoder_release> encoder(found);
        check(heif_encoder_set_lossy_quality(encoder.get(), std::clamp(static_cast<int>(parameter + 0.5), 0, 100)));
        // As heif-enc has them by default; the threads are the only thing that is ours.
        check(heif_encoder_set_parameter_string(encoder.get(), "preset", "slow"));
        check(heif_encoder_set_parameter_string(encoder.get(), "chroma", "420"));
        check(heif_encoder_set_parameter_string(encoder.get(), "x265:pools", std::to_string(threads).c_str()));

        const bool is_gray = picture->channels == 1;
        const heif_channel channel = is_gray ? heif_channel_Y : heif_channel_interleaved;
        heif_image* made = nullptr;
        check(heif_image_create(static_cast<int>(picture->width), static_cast<int>(picture->height),
                                is_gray ? heif_colorspace_monochrome : heif_colorspace_RGB,
                                is_gray ? heif_chroma_monochrome : heif_chroma_interleaved_RGB, &made));
        const Handle<heif_image, heif_image_release> image(made);
        check(heif_image_add_plane(image.get(), channel, static_cast<int>(picture->width), static_cast<int>(picture->height), 8));
        int stride = 0;
        uint8_t* const samples = heif_image_get_plane(image.get(), channel, &stride);
        const size_t row_size = std::size_t{picture->width} * static_cast<size_t>(picture->channels);
        copy_rows(picture->samples, row_size, samples, static_cast<size_t>(stride), row_size, picture->height);
        heif_image_handle* stored = nullptr;
        check(heif_context_encode_image(file.get(), image.get(), encoder.get(), nullptr, &stored));
        heif_image_handle_release(stored);
        heif_writer writer{};
        writer.writer_api_version = 1;
        writer.write = write;
        Output output{sink, context};
        check(heif_context_write(file.get(), &writer, &output));
    });
}

int decant_peer_decode(const uint8_t* bytes, size_t size, int32_t threads, decant_peer_picture_sink sink, void* context, char* error,
                       size_t error_size) {
    return run_in_module(error, error_size, [&] {
        const Handle<heif_context, heif_context_free> file(heif_context_alloc());
        heif_context_set_max_decoding_threads(file.get(), threads);
        check(heif_context_read_from_memory_without_copy(file.get(), bytes, size, nullptr));
        heif_image_handle* found = nullptr;
        check(heif_context_get_primary_image_handle(file.get(), &found));
        const Handle<heif_image_handle, heif_image_handle_release> handle(found);
        heif_image* decoded = nullptr;
        check(heif_decode_image(handle.get(), &decoded, heif_colorspace_RGB, heif_chroma_interleaved_RGB, nullptr));
        const Handle<heif_image, heif_image_release> image(decoded);
        const auto width = static_cast<uint32_t>(heif_image_get_width(image.get(), heif_channel_interleaved));
        const auto height = static_cast<uint32_t>(heif_image_get_height(image.get(), heif_channel_interleaved));
        int stride = 0;
        const uint8_t* const rows = heif_image_get_plane_readonly(image.get(), heif_channel_interleaved, &stride);
        const size_t row_size = std::size_t{3} * width;
        std::vector<uint8_t> samples(row_size * height);
        copy_rows(rows, static_cast<size_t>(stride), samples.data(), row_size, row_size, height);
        const decant_peer_picture picture = {width, height, 3, samples.data()};
        sink(context, &picture);
    });
}

}  // extern "C"
