// What this CPU can compute in: bf16 takes AVX-512.
#pragma once

#include <vector>

#include "codec/engine/convolution.h"
#include "codec/train/trainer.h"

namespace decant::test {

inline std::vector<DataType> float_types() {
    return has_bf16() ? std::vector{DataType::f32, DataType::bf16} : std::vector{DataType::f32};
}

inline std::vector<Precision> precisions() {
    return has_bf16() ? std::vector{Precision::f32, Precision::bf16} : std::vector{Precision::f32};
}

}  // namespace decant::test
