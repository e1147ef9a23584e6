// What the files that use oneDNN share. Nobody else includes it: dnnl:: stays in this folder.
#pragma once

#include <dnnl.hpp>
#include <mutex>
#include <optional>
#include <string>

#include "codec/engine/convolution.h"
#include "codec/error.h"
#include "codec/tensor/tensor.h"

namespace decant::onednn {

dnnl::memory::data_type data_type(DataType type);
const dnnl::engine& engine();
dnnl::memory::desc activations(const Shape& shape, DataType type, Layout layout = Layout::plain);

// An activation as oneDNN's eltwise: scale·algorithm(x; alpha, beta). Nothing where it has none.
struct Eltwise {
    dnnl::algorithm algorithm;
    float alpha = 0.0f, beta = 0.0f, scale = 1.0f;
};
std::optional<Eltwise> eltwise(const PointwiseActivation& activation);

// Describes a primitive while no other thread does. oneDNN 2.6 keeps the size of the last block of a convolution's inputs in a static variable
// while it chooses blocks (thread-local from 2.7 on): of threads that did so at once, some few got kernels that compute something else.
std::mutex& description_mutex();
template <class F>
auto alone(F&& describe) {
    const std::lock_guard lock(description_mutex());
    return describe();
}

// oneDNN's exceptions become ours, with what was being done.
template <class F>
auto guarded(const char* what, F&& f) {
    try {
        return f();
    } catch (const dnnl::error& e) {
        throw Error(ErrorCode::internal, std::string("oneDNN: ") + what + ": " + e.what() + " (status " + std::to_string(int(e.status)) + ")");
    }
}

}  // namespace decant::onednn
