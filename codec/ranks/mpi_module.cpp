#include <dlfcn.h>
#include <mpi.h>

#include <algorithm>

#include "codec/ranks/mpi_abi.h"

namespace {

constexpr int64_t kChunk = int64_t{1} << 28;  // counts are ints in MPI

// A number that all ranks count up, in the memory of rank 0.
struct Counter {
    MPI_Win window = MPI_WIN_NULL;
    int64_t* value = nullptr;
};

Counter& counter() {
    static Counter instance;
    return instance;
}

// To rank 0 and from there to all: whatever the order of a sum is, all have the same.
int sum(void* values, int64_t count, MPI_Datatype type, size_t bytes) {
    int rank = 0;
    if (const int error = MPI_Comm_rank(MPI_COMM_WORLD, &rank); error != MPI_SUCCESS) return error;
    for (int64_t done = 0; done < count; done += kChunk) {
        const int part = int(std::min(kChunk, count - done));
        char* at = static_cast<char*>(values) + size_t(done) * bytes;
        if (const int error = MPI_Reduce(rank == 0 ? MPI_IN_PLACE : at, at, part, type, MPI_SUM, 0, MPI_COMM_WORLD); error != MPI_SUCCESS) return error;
        if (const int error = MPI_Bcast(at, part, type, 0, MPI_COMM_WORLD); error != MPI_SUCCESS) return error;
    }
    return 0;
}

}  // namespace

extern "C" {

int decant_mpi_start(int* rank, int* size) {
    // Open MPI's components look for its symbols among those of the program, which this module's libraries do not belong to.
    Dl_info library;
    if (dladdr(reinterpret_cast<void*>(&MPI_Init_thread), &library) != 0) dlopen(library.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
    int level = 0;
    if (const int error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level); error != MPI_SUCCESS) return error;
    if (level < MPI_THREAD_SERIALIZED) return -1;
    MPI_Comm_rank(MPI_COMM_WORLD, rank);
    MPI_Comm_size(MPI_COMM_WORLD, size);
    Counter& c = counter();
    const MPI_Aint bytes = *rank == 0 ? MPI_Aint(sizeof(int64_t)) : 0;
    if (const int error = MPI_Win_allocate(bytes, sizeof(int64_t), MPI_INFO_NULL, MPI_COMM_WORLD, &c.value, &c.window); error != MPI_SUCCESS) return error;
    if (*rank == 0) *c.value = 0;
    return MPI_Barrier(MPI_COMM_WORLD);
}

int decant_mpi_sum_floats(float* values, int64_t count) { return sum(values, count, MPI_FLOAT, sizeof(float)); }
int decant_mpi_sum_doubles(double* values, int64_t count) { return sum(values, count, MPI_DOUBLE, sizeof(double)); }

int decant_mpi_next(int64_t* value) {
    const int64_t one = 1;
    MPI_Win window = counter().window;
    if (const int error = MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, window); error != MPI_SUCCESS) return error;
    const int error = MPI_Fetch_and_op(&one, value, MPI_INT64_T, 0, 0, MPI_SUM, window);
    const int unlocked = MPI_Win_unlock(0, window);
    return error != MPI_SUCCESS ? error : unlocked;
}

int decant_mpi_finish(int abort) {
    if (abort != 0) return MPI_Abort(MPI_COMM_WORLD, 1);
    if (const int error = MPI_Win_free(&counter().window); error != MPI_SUCCESS) return error;
    return MPI_Finalize();
}
}
