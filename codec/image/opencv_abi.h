// The border between decant and its OpenCV module: plain C, so that only three symbols are looked up by name.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// Pixels at the border. Samples are row by row, channels interleaved in OpenCV's order: gray; B, G, R; B, G, R, A.
struct decant_opencv_picture {
    uint32_t width;
    uint32_t height;
    int32_t channels;
    int32_t depth;        // bits a sample; 0 for anything but unsigned integers
    const void* samples;  // first row; of 16 bits in the machine's byte order
    size_t row_stride;    // bytes from a row to the next
};

// Receives a result while the module still owns it. Must not throw; `context` is the caller's.
typedef void (*decant_opencv_picture_sink)(void* context, const decant_opencv_picture* picture);
typedef void (*decant_opencv_bytes_sink)(void* context, const uint8_t* bytes, size_t size);

// Both return 0 on success. Otherwise they return 1 and put a text, ended by 0, into `error` (`error_size` bytes).
typedef int (*decant_opencv_decode_function)(const uint8_t* bytes, size_t size, decant_opencv_picture_sink sink, void* context,
                                             char* error, size_t error_size);
// `extension` names the format, such as ".jpg". `quality` is JPEG's 0..100; WebP's 1..100, above that lossless; of JPEG 2000 the size
// of the file in thousandths of that of the samples, 1..1000. It does not matter for other formats.
typedef int (*decant_opencv_encode_function)(const char* extension, const decant_opencv_picture* picture, int quality,
                                             decant_opencv_bytes_sink sink, void* context, char* error, size_t error_size);
// OpenCV's version, such as "4.6.0".
typedef const char* (*decant_opencv_version_function)(void);

}  // extern "C"
