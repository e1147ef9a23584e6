// The border between decant and its Butteraugli module: plain C, so that a single symbol is looked up by name.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// Two pictures of width x height x 3 samples (R G B) of depth 8 or 16 bits, in the machine's byte order, row by row without gaps. Returns 0 and the distance; or 1, with a text, ended by 0, in `error` (`error_size` bytes). threads: at least 1.
typedef int (*decant_butteraugli_function)(uint32_t width, uint32_t height, int32_t depth, const void* reference,
                                           const void* distorted, int32_t threads, double* distance, char* error,
                                           size_t error_size);

// What the module defines.
__attribute__((visibility("default"))) int decant_butteraugli(uint32_t width, uint32_t height, int32_t depth,
                                                              const void* reference, const void* distorted, int32_t threads,
                                                              double* distance, char* error, size_t error_size);

}  // extern "C"
