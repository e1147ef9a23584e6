// The border between decant and its module of OpenCV's photo library: plain C, so that only two symbols are looked up by name.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// src, dst: height × width × channels (1 gray, 3 R G B) samples of 8 bits, row by row; not the same memory. h of brightness (or
// gray), and of colour. Returns 0 on success, otherwise 1 with a text, ended by 0, in `error` (`error_size` bytes).
typedef int (*decant_nonlocal_means_function)(const uint8_t* src, uint8_t* dst, int32_t width, int32_t height, int32_t channels,
                                              float h, float h_colour, int32_t threads, char* error, size_t error_size);
// OpenCV's version, such as "4.6.0".
typedef const char* (*decant_nonlocal_means_version_function)(void);

}  // extern "C"
