#include "codec/engine/convolution.h"

#include <cmath>
#include <mutex>

#include "codec/engine/memory_plan.h"
#include "codec/engine/onednn.h"

namespace decant {
using onednn::data_type;
using onednn::engine;
using onednn::guarded;

struct PackedWeights::State {
    struct Layout {
        dnnl::memory memory;
        dnnl::reorder reorder;
    };

    int outputs, inputs, kernel;
    std::span<const float> floats;  // the layer's weights, oihw; or
    RoundedWeights rounded;         // the same as integers, and
    std::vector<float> values;      // what those stand for, if a layout wants it
    bool is_set = false;
    std::vector<std::unique_ptr<Layout>> layouts;
    std::mutex mutex;

    dnnl::memory::desc plain(dnnl::memory::data_type type) const {
        return {{outputs, inputs, kernel, kernel}, type, dnnl::memory::format_tag::oihw};
    }

    void fill(Layout& layout) {
        dnnl::stream stream(engine());
        const auto reorder = [&](dnnl::memory::data_type type, const void* data) {
            dnnl::memory source(plain(type), engine(), const_cast<void*>(data));
            layout.reorder.execute(stream, source, layout.memory);
            stream.wait();
        };
        if (layout.memory.get_desc().data_type() == dnnl::memory::data_type::s8) {
            reorder(dnnl::memory::data_type::s8, rounded.integers.data());
        } else if (rounded.integers.empty()) {
            reorder(dnnl::memory::data_type::f32, floats.data());
        } else {
            if (values.empty()) rounded_values(rounded, values);
            reorder(dnnl::memory::data_type::f32, values.data());
        }
    }

    void fill_all() {
        is_set = true;
        // Of layouts that hold other than integers there are those of training, which keep their memory from step to step.
        if (!values.empty()) rounded_values(rounded, values);
        for (const auto& l : layouts) fill(*l);
    }

    const dnnl::memory& layout(const dnnl::memory::desc& wanted) {
        std::lock_guard lock(mutex);
        for (const auto& l : layouts) {
            if (l->memory.get_desc() == wanted) return l->memory;
        }
        auto made = std::make_unique<Layout>();
        made->memory = dnnl::memory(wanted, engine());
        const auto source_type = wanted.data_type() == dnnl::memory::data_type::s8 ? dnnl::memory::data_type::s8 : dnnl::memory::data_type::f32;
        made->reorder = dnnl::reorder(dnnl::reorder::primitive_desc(engine(), plain(source_type), engine(), wanted));
        if (is_set) fill(*made);
        layouts.push_back(std::move(made));
        return layouts.back()->memory;
    }
};

PackedWeights::PackedWeights(int outputs, int inputs, int kernel) : state_(std::make_unique<State>()) {
    state_->outputs = outputs;
    state_->inputs = inputs;
    state_->kernel = kernel;
}
PackedWeights::~PackedWeights() = default;
PackedWeights::PackedWeights(PackedWeights&&) noexcept = default;

void PackedWeights::set(std::span<const float> oihw) {
    guarded("packing weights", [&] {
        std::lock_guard lock(state_->mutex);
        state_->floats = oihw;
        state_->rounded = {};
        state_->values.clear();
        state_->fill_all();
    });
}

void PackedWeights::set_rounded(std::span<const float> oihw) {
    guarded("packing weights", [&] {
        std::lock_guard lock(state_->mutex);
        state_->floats = {};
        round_weights(oihw, state_->outputs, state_->rounded);
        state_->fill_all();
    });
}

void PackedWeights::set(RoundedWeights weights) {
    guarded("packing weights", [&] {
        std::lock_guard lock(state_->mutex);
        state_->floats = {};
        state_->values.clear();
        state_->rounded = std::move(weights);
        state_->fill_all();
    });
}

const RoundedWeights& PackedWeights::rounded() const { return state_->rounded; }

namespace {

// What a primitive reads or writes; where it wants that in another layout than the caller has it, a copy.
class Operand {
public:
    Operand() = default;
    Operand(const Shape& shape, DataType type, Layout outside, Layout inside)
        : outside_(onednn::activations(shape, type, outside), engine(), nullptr), inside_(onednn::activations(shape, type, inside), engine(), nullptr) {
        if (outside == inside) return;
        copy_bytes_ = aligned_size(inside_.get_desc().get_size());
        enter_ = dnnl::reorder(outside_, inside_);
        leave_ = dnnl::reorder(inside_, outside_);
    }

    dnnl::memory::desc desc() const { return inside_.get_desc(); }
    size_t copy_bytes() const { return copy_bytes_; }
    // copy: of copy_bytes().
    void bind(const void* data, std::byte* copy) {
        outside_.set_data_handle(const_cast<void*>(data));
        inside_.set_data_handle(copy_bytes_ == 0 ? const_cast<void*>(data) : copy);
    }
    const dnnl::memory& memory() const { return inside_; }
    void enter(dnnl::stream& stream) {
        if (copy_bytes_ != 0) enter_.execute(stream, outside_, inside_);
    }
    void leave(dnnl::stream& stream) {
        if (copy_bytes_ != 0) leave_.execute(stream, inside_, outside_);
    }

private:
    dnnl::memory outside_, inside_;
    size_t copy_bytes_ = 0;  // 0: there is none
    dnnl::reorder enter_, leave_;
};

}  // namespace

struct Convolution::State {
    ConvolutionShape shape;
    dnnl::stream stream{engine()};
    dnnl::convolution_forward forward;
    dnnl::convolution_backward_data backward_data;
    dnnl::convolution_backward_weights backward_weights;
    dnnl::reorder weights_to_plain;
    // Without memory of their own: handles are set at every call.
    Operand src, dst, diff_src, diff_dst;  // diff_src: also src itself, in the gradients' type, for those of the weights
    dnnl::memory bias, diff_weights, diff_weights_plain, diff_bias;
    dnnl::memory::desc scratch_forward, scratch_data, scratch_weights;
    const dnnl::memory* weights_forward = nullptr;
    const dnnl::memory* weights_data = nullptr;

    static dnnl::memory unbound(const dnnl::memory::desc& desc) { return {desc, engine(), nullptr}; }

    void prepare(PackedWeights::State& weights, Use use) {
        using dnnl::memory;
        const ConvolutionShape& s = shape;
        const int pad = s.padded ? (s.kernel - 1) / 2 : 0;
        const int pad_h = std::max(0, (s.dst.h - 1) * s.stride + s.kernel - s.src.h - pad);
        const int pad_w = std::max(0, (s.dst.w - 1) * s.stride + s.kernel - s.src.w - pad);
        const memory::dims strides{s.stride, s.stride}, begin{pad, pad}, end{pad_h, pad_w};
        const memory::dims weight_dims{s.dst.c, s.src.c, s.kernel, s.kernel};
        const bool can_block = s.src.c % kLayoutBlock == 0 && s.dst.c % kLayoutBlock == 0;
        const Layout layout = can_block && (s.src_layout == Layout::blocked || s.dst_layout == Layout::blocked) ? Layout::blocked : Layout::plain;
        src = Operand(s.src, s.src_type, s.src_layout, layout);
        dst = Operand(s.dst, s.dst_type, s.dst_layout, layout);
        const auto src_md = src.desc(), dst_md = dst.desc();
        const memory::desc weights_md(weight_dims, data_type(s.weights_type), memory::format_tag::any);
        const memory::desc bias_md = s.bias ? memory::desc({s.dst.c}, memory::data_type::f32, memory::format_tag::x) : memory::desc();

        dnnl::primitive_attr plain, attributes;  // copies would share one object
        plain.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
        dnnl::post_ops post;
        if (s.add) post.append_sum(1.0f);
        if (s.activation.kind != Activation::none) {
            const auto eltwise = onednn::eltwise(s.activation);
            if (!eltwise) throw Error(ErrorCode::internal, "an activation that is not part of a convolution");
            post.append_eltwise(eltwise->scale, eltwise->algorithm, eltwise->alpha, eltwise->beta);
        }
        attributes.set_post_ops(post);
        const auto kind = use == Use::training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
        const auto algorithm = dnnl::algorithm::convolution_direct;
        const auto forward_desc = s.bias ? dnnl::convolution_forward::desc(kind, algorithm, src_md, weights_md, bias_md, dst_md, strides, begin, end)
                                         : dnnl::convolution_forward::desc(kind, algorithm, src_md, weights_md, dst_md, strides, begin, end);
        const auto forward_pd = onednn::alone([&] { return dnnl::convolution_forward::primitive_desc(forward_desc, attributes, engine()); });
        forward = dnnl::convolution_forward(forward_pd);
        weights_forward = &weights.layout(forward_pd.weights_desc());
        scratch_forward = forward_pd.scratchpad_desc();
        if (s.bias) bias = unbound(bias_md);
        if (use == Use::inference) return;

        diff_src = Operand(s.src, s.gradient_type, s.src_layout, layout);
        diff_dst = Operand(s.dst, s.gradient_type, s.dst_layout, layout);
        const auto diff_dst_md = diff_dst.desc(), diff_src_md = diff_src.desc();
        const memory::desc gradient_weights_md(weight_dims, data_type(s.gradient_type), memory::format_tag::any);
        const auto hint = onednn::alone([&] {
            return dnnl::convolution_forward::primitive_desc(
                dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, algorithm, diff_src_md, gradient_weights_md, bias_md, diff_dst_md, strides, begin, end),
                plain, engine());
        });
        const auto data_pd = onednn::alone([&] {
            return dnnl::convolution_backward_data::primitive_desc({algorithm, diff_src_md, gradient_weights_md, diff_dst_md, strides, begin, end}, plain, engine(), hint);
        });
        backward_data = dnnl::convolution_backward_data(data_pd);
        weights_data = &weights.layout(data_pd.weights_desc());
        scratch_data = data_pd.scratchpad_desc();

        const memory::desc any_f32(weight_dims, memory::data_type::f32, memory::format_tag::any);
        const auto weights_pd = onednn::alone([&] {
            return dnnl::convolution_backward_weights::primitive_desc({algorithm, diff_src_md, any_f32, bias_md, diff_dst_md, strides, begin, end}, plain, engine(), hint);
        });
        backward_weights = dnnl::convolution_backward_weights(weights_pd);
        scratch_weights = weights_pd.scratchpad_desc();
        diff_bias = unbound(bias_md);
        diff_weights = dnnl::memory(weights_pd.diff_weights_desc(), engine());
        diff_weights_plain = unbound(weights.plain(memory::data_type::f32));
        weights_to_plain = dnnl::reorder(dnnl::reorder::primitive_desc(engine(), diff_weights.get_desc(), engine(), diff_weights_plain.get_desc()));
    }

    // Binds both operands, with their copies in scratch beside the scratchpad that is returned.
    static dnnl::memory bind(const dnnl::memory::desc& scratchpad, Operand& first, const void* first_data, Operand& second, const void* second_data, AlignedBuffer& scratch) {
        const size_t bytes = aligned_size(std::max<size_t>(scratchpad.get_size(), 1));
        std::byte* at = scratch.grow(bytes + first.copy_bytes() + second.copy_bytes());
        first.bind(first_data, at + bytes);
        second.bind(second_data, at + bytes + first.copy_bytes());
        return {scratchpad, engine(), at};
    }
};

Convolution::Convolution(const ConvolutionShape& shape, PackedWeights& weights, Use use) : state_(std::make_unique<State>()) {
    state_->shape = shape;
    const std::string what = "creating a " + std::to_string(shape.kernel) + "×" + std::to_string(shape.kernel) + " convolution from " + to_string(shape.src) +
                             " to " + to_string(shape.dst);
    guarded(what.c_str(), [&] { state_->prepare(*weights.state_, use); });
}
Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;

void Convolution::forward(const void* src, const float* bias, void* dst, AlignedBuffer& scratch) const {
    guarded("convolution", [&] {
        State& s = *state_;
        const dnnl::memory scratchpad = State::bind(s.scratch_forward, s.src, src, s.dst, dst, scratch);
        std::unordered_map<int, dnnl::memory> arguments{
            {DNNL_ARG_SRC, s.src.memory()}, {DNNL_ARG_WEIGHTS, *s.weights_forward}, {DNNL_ARG_DST, s.dst.memory()}, {DNNL_ARG_SCRATCHPAD, scratchpad}};
        if (s.shape.bias) {
            s.bias.set_data_handle(const_cast<float*>(bias));
            arguments.emplace(DNNL_ARG_BIAS, s.bias);
        }
        s.src.enter(s.stream);
        if (s.shape.add) s.dst.enter(s.stream);
        s.forward.execute(s.stream, arguments);
        s.dst.leave(s.stream);
        s.stream.wait();
    });
}

void Convolution::backward_data(const void* diff_dst, void* diff_src, AlignedBuffer& scratch) const {
    guarded("convolution, gradient of its input", [&] {
        State& s = *state_;
        const dnnl::memory scratchpad = State::bind(s.scratch_data, s.diff_src, diff_src, s.diff_dst, diff_dst, scratch);
        s.diff_dst.enter(s.stream);
        s.backward_data.execute(s.stream, {{DNNL_ARG_DIFF_DST, s.diff_dst.memory()},
                                           {DNNL_ARG_WEIGHTS, *s.weights_data},
                                           {DNNL_ARG_DIFF_SRC, s.diff_src.memory()},
                                           {DNNL_ARG_SCRATCHPAD, scratchpad}});
        s.diff_src.leave(s.stream);
        s.stream.wait();
    });
}

void Convolution::backward_weights(const void* src, const void* diff_dst, float* diff_oihw, float* diff_bias, AlignedBuffer& scratch) const {
    guarded("convolution, gradient of its weights", [&] {
        State& s = *state_;
        const dnnl::memory scratchpad = State::bind(s.scratch_weights, s.diff_src, src, s.diff_dst, diff_dst, scratch);
        s.diff_bias.set_data_handle(diff_bias);
        s.diff_weights_plain.set_data_handle(diff_oihw);
        s.diff_src.enter(s.stream);
        s.diff_dst.enter(s.stream);
        s.backward_weights.execute(s.stream, {{DNNL_ARG_SRC, s.diff_src.memory()},
                                              {DNNL_ARG_DIFF_DST, s.diff_dst.memory()},
                                              {DNNL_ARG_DIFF_WEIGHTS, s.diff_weights},
                                              {DNNL_ARG_DIFF_BIAS, s.diff_bias},
                                              {DNNL_ARG_SCRATCHPAD, scratchpad}});
        s.weights_to_plain.execute(s.stream, s.diff_weights, s.diff_weights_plain);
        s.stream.wait();
    });
}

std::string engine_version() {
    const dnnl_version_t* v = dnnl_version();
    const char* isa = "unknown instruction set";
    switch (dnnl::get_effective_cpu_isa()) {
        case dnnl::cpu_isa::sse41: isa = "SSE4.1"; break;
        case dnnl::cpu_isa::avx: isa = "AVX"; break;
        case dnnl::cpu_isa::avx2: isa = "AVX2"; break;
        case dnnl::cpu_isa::avx2_vnni: isa = "AVX2 with VNNI"; break;
        case dnnl::cpu_isa::avx512_core: isa = "AVX-512"; break;
        case dnnl::cpu_isa::avx512_core_vnni: isa = "AVX-512 with VNNI"; break;
        case dnnl::cpu_isa::avx512_core_bf16: isa = "AVX-512 with VNNI and BF16"; break;
        case dnnl::cpu_isa::avx512_core_amx: isa = "AVX-512 with AMX"; break;
        default: break;
    }
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch) + ", " + isa;
}

bool has_bf16() { return (unsigned(dnnl::get_effective_cpu_isa()) & unsigned(dnnl::cpu_isa::avx512_core)) == unsigned(dnnl::cpu_isa::avx512_core); }

DataType fastest_float() {
    const auto isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx ? DataType::bf16 : DataType::f32;
}

Layout fastest_layout() {
    const auto isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx2 || isa == dnnl::cpu_isa::avx2_vnni ? Layout::blocked : Layout::plain;
}

}  // namespace decant
