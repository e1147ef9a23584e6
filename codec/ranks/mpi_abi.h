// The functions of the module decant_mpi.so. They return 0, or MPI's error.
#pragma once

#include <cstdint>

extern "C" {
int decant_mpi_start(int* rank, int* size);
int decant_mpi_sum_floats(float* values, int64_t count);
int decant_mpi_sum_doubles(double* values, int64_t count);
int decant_mpi_next(int64_t* value);
// abort: ends the other ranks as well, at once.
int decant_mpi_finish(int abort);

using decant_mpi_start_function = decltype(&decant_mpi_start);
using decant_mpi_sum_floats_function = decltype(&decant_mpi_sum_floats);
using decant_mpi_sum_doubles_function = decltype(&decant_mpi_sum_doubles);
using decant_mpi_next_function = decltype(&decant_mpi_next);
using decant_mpi_finish_function = decltype(&decant_mpi_finish);
}
