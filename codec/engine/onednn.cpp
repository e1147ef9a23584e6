#include "codec/engine/onednn.h"

namespace decant::onednn {

dnnl::memory::data_type data_type(DataType type) {
    switch (type) {
        case DataType::f32: return dnnl::memory::data_type::f32;
        case DataType::bf16: return dnnl::memory::data_type::bf16;
        case DataType::u8: return dnnl::memory::data_type::u8;
        case DataType::s8: return dnnl::memory::data_type::s8;
        case DataType::s32: return dnnl::memory::data_type::s32;
        case DataType::s16: break;  // oneDNN has none
    }
    throw Error(ErrorCode::internal, "a data type that oneDNN does not have");
}

const dnnl::engine& engine() {
    static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);  // stateless: oneDNN shares one CPU engine anyway
    return instance;
}

std::mutex& description_mutex() {
    static std::mutex mutex;
    return mutex;
}

dnnl::memory::desc activations(const Shape& s, DataType type, Layout layout) {
    static_assert(kLayoutBlock == 8);
    return {{s.n, s.c, s.h, s.w}, data_type(type), layout == Layout::blocked ? dnnl::memory::format_tag::nChw8c : dnnl::memory::format_tag::nhwc};
}

std::optional<Eltwise> eltwise(const PointwiseActivation& activation) {
    using dnnl::algorithm;
    switch (activation.kind) {
        case Activation::relu: return Eltwise{algorithm::eltwise_relu};
        case Activation::leaky_relu: return Eltwise{algorithm::eltwise_relu, activation.slope};
        case Activation::elu: return Eltwise{algorithm::eltwise_elu, activation.alpha};
        case Activation::selu: return Eltwise{algorithm::eltwise_elu, 1.67326324f, 0.0f, 1.05070098f};  // Klambauer 2017
        case Activation::swish: return Eltwise{algorithm::eltwise_swish, activation.beta};
        case Activation::gelu: return Eltwise{algorithm::eltwise_gelu_erf};
        case Activation::mish: return Eltwise{algorithm::eltwise_mish};
        case Activation::hard_swish: return Eltwise{algorithm::eltwise_hardswish, 1.0f / 6, 0.5f};  // from oneDNN 3 on it reads these
        case Activation::sigmoid: return Eltwise{algorithm::eltwise_logistic};
        case Activation::tanh: return Eltwise{algorithm::eltwise_tanh};
        case Activation::softplus: return Eltwise{algorithm::eltwise_soft_relu, 1.0f};
        default: return std::nullopt;
    }
}

}  // namespace decant::onednn
