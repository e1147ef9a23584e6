// Splits a range over the threads that OpenMP allows the calling thread.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstddef>

namespace decant {

// f(begin, end) for disjoint parts of 0 … count, each part a multiple of `grain` long except the last. f must not throw.
template <class F>
void parallel_for(size_t count, size_t grain, F&& f) {
    const size_t grains = (count + grain - 1) / grain;
    const size_t threads = std::min<size_t>(size_t(omp_get_max_threads()), grains);
    if (threads <= 1) {
        if (count != 0) f(size_t(0), count);
        return;
    }
#pragma omp parallel num_threads(int(threads))
    {
        const size_t t = size_t(omp_get_thread_num()), n = size_t(omp_get_num_threads());
        const size_t begin = std::min(count, grains * t / n * grain), end = std::min(count, grains * (t + 1) / n * grain);
        if (begin < end) f(begin, end);
    }
}

}  // namespace decant
