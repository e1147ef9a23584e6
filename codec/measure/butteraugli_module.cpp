// Butteraugli of libjxl, behind the function of butteraugli_abi.h. Built as a shared module of its own.
#include "codec/measure/butteraugli_abi.h"

#include <jxl/butteraugli_cxx.h>
#include <jxl/thread_parallel_runner_cxx.h>

#include "codec/measure/peer_module.h"

using namespace decant;

extern "C" int decant_butteraugli(uint32_t width, uint32_t height, int32_t depth, const void* reference,
                                  const void* distorted, int32_t threads, double* distance, char* error, size_t error_size) {
    return run_in_module(error, error_size, [&] {
        const auto runner = JxlThreadParallelRunnerMake(nullptr, static_cast<size_t>(threads));
        const JxlButteraugliApiPtr api(JxlButteraugliApiCreate(nullptr));
        check(runner && api, "no memory");
        JxlButteraugliApiSetParallelRunner(api.get(), JxlThreadParallelRunner, runner.get());
        const JxlPixelFormat format = {3, depth == 8 ? JXL_TYPE_UINT8 : JXL_TYPE_UINT16, JXL_NATIVE_ENDIAN, 0};
        const size_t size = size_t{width} * height * 3 * static_cast<size_t>(depth / 8);
        const JxlButteraugliResultPtr result(
            JxlButteraugliCompute(api.get(), width, height, &format, reference, size, &format, distorted, size));
        check(result != nullptr, "the pictures are refused");
        *distance = static_cast<double>(JxlButteraugliResultGetDistance(result.get(), 3));
    });
}
