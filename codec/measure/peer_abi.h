// The border between decant and a module with the codec of somebody else: plain C, so that three symbols are looked up by name.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// height x width x channels (1 gray, 3 R G B) samples of 8 bits, row by row without gaps.
struct decant_peer_picture {
    uint32_t width;
    uint32_t height;
    int32_t channels;
    const uint8_t* samples;
};

// Receives a result while the module still owns it. Must not throw; `context` is the caller's.
typedef void (*decant_peer_picture_sink)(void* context, const decant_peer_picture* picture);
typedef void (*decant_peer_bytes_sink)(void* context, const uint8_t* bytes, size_t size);

// Both return 0 on success. Otherwise they return 1 and put a text, ended by 0, into `error` (`error_size` bytes). threads: at least 1.
typedef int (*decant_peer_encode_function)(const decant_peer_picture* picture, double parameter, int32_t threads,
                                           decant_peer_bytes_sink sink, void* context, char* error, size_t error_size);
typedef int (*decant_peer_decode_function)(const uint8_t* bytes, size_t size, int32_t threads, decant_peer_picture_sink sink,
                                           void* context, char* error, size_t error_size);
// The library's name and version, and the encoder's settings.
typedef const char* (*decant_peer_description_function)(void);

// What a module defines.
__attribute__((visibility("default"))) int decant_peer_encode(const decant_peer_picture* picture, double parameter, int32_t threads,
                                                              decant_peer_bytes_sink sink, void* context, char* error,
                                                              size_t error_size);
__attribute__((visibility("default"))) int decant_peer_decode(const uint8_t* bytes, size_t size, int32_t threads,
                                                              decant_peer_picture_sink sink, void* context, char* error,
                                                              size_t error_size);
__attribute__((visibility("default"))) const char* decant_peer_description(void);

}  // extern "C"
