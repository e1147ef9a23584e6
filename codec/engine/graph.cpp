#include "codec/engine/graph.h"

#include <algorithm>
#include <cmath>

#include "codec/engine/activation_kernels.h"
#include "codec/engine/kernels.h"
#include "codec/engine/memory_plan.h"
#include "codec/engine/parallel.h"
#include "codec/error.h"
#include "codec/network/crop.h"
#include "codec/network/rounding.h"
#include "codec/tensor/random.h"

namespace decant {
namespace {

constexpr size_t kGrain = 1 << 14;  // elements that are worth a thread

template <class S, class D>
void convert_parallel(const TensorRef& src, const TensorRef& dst) {
    parallel_for(src.shape.elements(), kGrain, [&](size_t b, size_t e) { kernels::convert(src.as<S>() + b, dst.as<D>() + b, e - b); });
}

void convert(const TensorRef& src, const TensorRef& dst) {
    if (src.type == DataType::f32) {
        convert_parallel<float, bf16>(src, dst);
    } else {
        convert_parallel<bf16, float>(src, dst);
    }
}

// Blocks of channels of an array in f32, in either layout: from (n, y, block) on, position by position.
struct BlockRow {
    float* first;
    size_t step;
};
BlockRow block_row(const TensorRef& t, size_t n, size_t y, size_t block) {
    const size_t h = size_t(t.shape.h), w = size_t(t.shape.w), c = size_t(t.shape.c);
    if (t.layout == Layout::plain) return {t.as<float>() + (n * h + y) * w * c + block * kLayoutBlock, c};
    return {t.as<float>() + ((n * (c / kLayoutBlock) + block) * h + y) * w * kLayoutBlock, kLayoutBlock};
}

// Pixel (un)shuffle by r where a block of channels is one of both sides.
void shuffle_blocks(const TensorRef& src, const TensorRef& dst, int r, bool down) {
    const Shape low = down ? dst.shape : src.shape;
    const size_t blocks = size_t(low.c / (r * r) / kLayoutBlock), factor = size_t(r);
    parallel_for(size_t(low.n) * size_t(low.h), std::max<size_t>(1, kGrain / (size_t(low.w) * size_t(low.c))), [&](size_t begin, size_t end) {
        for (size_t row = begin; row < end; row++) {
            const size_t n = row / size_t(low.h), y = row % size_t(low.h);
            for (size_t i = 0; i < factor * factor * blocks; i++) {
                const size_t dy = i / blocks / factor, dx = i / blocks % factor;
                const BlockRow at_low = block_row(down ? dst : src, n, y, i);
                BlockRow at_high = block_row(down ? src : dst, n, y * factor + dy, i % blocks);
                at_high.first += dx * at_high.step;
                at_high.step *= factor;
                const BlockRow &from = down ? at_high : at_low, &to = down ? at_low : at_high;
                for (size_t x = 0; x < size_t(low.w); x++) std::copy_n(from.first + x * from.step, kLayoutBlock, to.first + x * to.step);
            }
        }
    });
}

// f(channels, of which first, values, positions): the runs of one sample's values in which all positions have the same channels beside each other.
template <class T, class F>
void each_run_of_channels(const TensorRef& t, size_t sample, F&& f) {
    const size_t channels = size_t(t.shape.c), positions = size_t(t.shape.h) * size_t(t.shape.w), run = t.layout == Layout::blocked ? kLayoutBlock : channels;
    for (size_t first = 0; first < channels; first += run) f(int(run), first, t.as<T>() + (sample * channels + first) * positions, positions);
}

float slope_of(const Layer& layer) { return layer.activation == Activation::leaky_relu ? layer.slope : 0.0f; }

ActivationPass::Learned learned(const NetworkWeights::LayerWeights& w) {
    return {!w.learned.empty() ? std::span<const float>(w.learned[0]) : std::span<const float>(),
            w.learned.size() > 1 ? std::span<const float>(w.learned[1]) : std::span<const float>()};
}

}  // namespace

LevelMix mix_levels(float quality, int levels) {
    const float q = std::clamp(quality, 0.0f, float(levels - 1));
    const int level = std::min(int(q), levels - 2);
    return {level, q - float(level)};
}

std::vector<float> gains_at(std::span<const float> log2_table, int levels, float quality) {
    const LevelMix m = mix_levels(quality, levels);
    std::vector<float> result(log2_table.size() / size_t(levels));
    for (size_t c = 0; c < result.size(); c++) {
        const size_t at = size_t(m.level) * result.size() + c;
        result[c] = std::exp2(log2_table[at] * (1 - m.upper) + log2_table[at + result.size()] * m.upper);
    }
    return result;
}

NetworkWeights::NetworkWeights(const Network& network, const Parameters& parameters, WeightOptions options)
    : network_(&network), options_(options), plan_(plan(network, {1, 64, 64, network.channels_in})) {
    for (const PlannedLayer& p : plan_) {
        if (p.layer->op != Operation::convolution) {
            layers_.push_back(nullptr);
            continue;
        }
        layers_.push_back(std::make_unique<LayerWeights>(
            LayerWeights{PackedWeights(p.layer->channels, p.src_shape.c, p.layer->kernel), {}, {}, network.name + "." + p.layer->name, {}, {}, {}, {}}));
    }
    update(parameters);
}

void NetworkWeights::update(const Parameters& parameters, int first, int of) {
    for (size_t i = size_t(first); i < layers_.size(); i += size_t(of)) {
        if (layers_[i] == nullptr) continue;
        LayerWeights& w = *layers_[i];
        const Layer& layer = *plan_[i].layer;
        const auto weight = parameters[w.prefix + ".weight"];
        const auto bias = parameters[w.prefix + ".bias"];
        w.bias.assign(bias.begin(), bias.end());
        if (layer.quality_bias) {
            const auto quality = parameters[w.prefix + ".quality"];
            w.quality.assign(quality.begin(), quality.end());
        }
        w.learned.clear();
        for (const std::string& suffix : activation_parameters(layer.activation)) {
            const auto values = parameters[w.prefix + "." + suffix];
            w.learned.emplace_back(values.begin(), values.end());
        }
        if (layer.normalisation == Normalisation::batch) {
            normalise(w, parameters);
        } else if (layer.arithmetic != Arithmetic::integer || !options_.round) {
            w.packed.set(weight);
        }
        if (layer.arithmetic != Arithmetic::integer || !options_.round) continue;
        w.packed.set_rounded(weight);
        for (size_t o = 0; o < size_t(layer.channels); o++) {
            const int grid = w.packed.rounded().exponents[o] + layer.input_exponent;
            const float scale = std::ldexp(1.0f, grid), step = std::ldexp(1.0f, -grid);
            const auto round_bias = [&](float v) { return std::clamp(std::nearbyint(v * scale), -0x1p28f, 0x1p28f) * step; };
            w.bias[o] = round_bias(w.bias[o]);
            for (size_t j = o; j < w.quality.size(); j += size_t(layer.channels)) w.quality[j] = round_bias(w.quality[j]);
        }
    }
}

void NetworkWeights::normalise(LayerWeights& w, const Parameters& parameters) const {
    const auto weight = parameters[w.prefix + ".weight"], scale = parameters[w.prefix + ".scale"], shift = parameters[w.prefix + ".shift"];
    if (!options_.fold) {
        w.scale.assign(scale.begin(), scale.end());
        w.shift.assign(shift.begin(), shift.end());
        w.packed.set(weight);
        return;
    }
    const auto mean = parameters[w.prefix + ".mean"], variance = parameters[w.prefix + ".variance"];
    w.folded.assign(weight.begin(), weight.end());
    const size_t row = weight.size() / scale.size();
    for (size_t o = 0; o < scale.size(); o++) {
        const float factor = scale[o] / std::sqrt(std::max(variance[o], 0.0f) + BatchNormalisation::kEpsilon);
        for (size_t i = o * row; i < (o + 1) * row; i++) w.folded[i] *= factor;
        w.bias[o] = (w.bias[o] - mean[o]) * factor + shift[o];
    }
    w.packed.set(w.folded);
}

DataType Graph::source_type(const Layer& layer) const {
    switch (layer.arithmetic) {
        case Arithmetic::wide: return DataType::f32;
        case Arithmetic::compute:
        case Arithmetic::integer: return options_.compute;
    }
    throw Error(ErrorCode::internal, "unknown arithmetic");
}

// Gradients need no more bits than `compute` has, whatever the values do.
DataType Graph::gradient_type(const Layer& layer) const { return layer.arithmetic == Arithmetic::wide ? options_.compute : source_type(layer); }

Graph::Graph(NetworkWeights& weights, Shape input, const GraphOptions& options) : weights_(&weights), options_(options) {
    const bool training = options.use == Convolution::Use::training;
    if (training && !options.crops.empty()) throw Error(ErrorCode::internal, weights.network().name + ": crops in training");
    const auto layers = plan(weights.network(), input, options.crops);
    int crops = 0;
    nodes_.resize(layers.size() + 1);
    nodes_[0].value = {input, options.input_type, nullptr};
    nodes_[0].wants_gradient = training && options.input_gradient;
    int last = int(layers.size()) - 1;  // the convolution that the result comes from
    while (last >= 0 && layers[size_t(last)].layer->op != Operation::convolution) last = layers[size_t(last)].src;
    for (size_t i = 0; i < layers.size(); i++) {
        const PlannedLayer& p = layers[i];
        Node& node = nodes_[i + 1];
        node.layer = p.layer;
        node.src = p.src + 1;
        node.add = p.add == -2 ? -1 : p.add + 1;
        node.last = int(i) == last;
        node.wants_gradient = training;
        const TensorRef& src = nodes_[size_t(node.src)].value;
        if (p.layer->op != Operation::convolution) {
            node.value = {p.dst_shape, src.type, nullptr};
            if (p.layer->op == Operation::crop) node.crop = crops++;
            continue;
        }
        DataType type = source_type(*p.layer);
        if (p.layer->arithmetic == Arithmetic::integer) {
            if (!options.round && type == DataType::bf16) {
                throw Error(ErrorCode::internal, weights.network().name + "." + p.layer->name + ": an unrounded integer layer needs f32");
            }
            if (p.layer->activation == Activation::none) type = DataType::f32;
        } else if (node.add >= 0 || node.last || p.layer->quality_bias || needs_f32(p.layer->activation)) {
            type = DataType::f32;
        }
        const bool normalises = p.layer->normalisation == Normalisation::batch && !weights.options().fold;
        if (normalises) {
            type = DataType::f32;
            node.normalisation = std::make_unique<BatchNormalisation>(p.dst_shape);
        }
        if (p.layer->arithmetic != Arithmetic::integer && !is_fused(p.layer->activation, options.use)) {
            node.activation = std::make_unique<ActivationPass>(*p.layer, p.dst_shape, type, options.use);
        }
        node.value = {p.dst_shape, type, nullptr};
        if (node.normalisation || node.activation) node.convolved = node.value;
        if (node.normalisation && node.activation) node.normal = node.value;
        node.weights = int(i);
        // A source of another type, or one that must be rounded, is copied once, whatever the number of its readers.
        const int exponent = options.round && reads_signed(layers, int(i)) ? p.layer->input_exponent : -1;
        node.reads_low = exponent >= 0 || source_type(*p.layer) != src.type;
        if (node.reads_low) {
            Node& source = nodes_[size_t(node.src)];
            const TensorRef low{src.shape, source_type(*p.layer), nullptr};
            if (source.low.shape.elements() != 0 && (source.low.type != low.type || source.low_exponent != exponent)) {
                throw Error(ErrorCode::model_mismatch, weights.network().name + "." + p.layer->name + ": reads what other layers read with another rounding");
            }
            source.low = low;
            source.low_exponent = exponent;
        }
    }
    choose_layouts();
    allocate();
    for (size_t i = 1; i < nodes_.size(); i++) {
        Node& node = nodes_[i];
        if (node.layer->op != Operation::convolution) continue;
        const TensorRef& src = nodes_[size_t(node.src)].value;
        ConvolutionShape shape;
        shape.src = src.shape;
        shape.dst = node.value.shape;
        shape.kernel = node.layer->kernel;
        shape.stride = node.layer->stride;
        shape.src_type = source_type(*node.layer);
        shape.weights_type = shape.src_type;
        const bool integer = node.layer->arithmetic == Arithmetic::integer;
        shape.dst_type = integer ? DataType::f32 : node.value.type;
        shape.gradient_type = gradient_type(*node.layer);
        shape.src_layout = src.layout;
        shape.dst_layout = node.value.layout;
        shape.add = node.add >= 0 && !node.normalisation;
        if (!integer && !node.activation && !node.normalisation) shape.activation = pointwise(*node.layer);
        node.convolution = std::make_unique<Convolution>(shape, weights.layer(node.weights).packed, options.use);
    }
}

// Blocked is what convolutions write and no one reads position by position; plain are input and output, as callers know them.
void Graph::choose_layouts() {
    if (options_.compute != DataType::f32 || options_.layout.value_or(fastest_layout()) == Layout::plain) return;
    const auto can_block = [&](size_t i) {
        const Node& node = nodes_[i];
        if (i == 0 || i + 1 == nodes_.size() || node.value.type != DataType::f32 || node.value.shape.c % kLayoutBlock != 0) return false;
        if (node.layer->op == Operation::convolution) return node.activation == nullptr && node.normalisation == nullptr && node.layer->dropout == 0.0f;
        return node.layer->op != Operation::crop;
    };
    for (size_t i = 0; i < nodes_.size(); i++) nodes_[i].value.layout = can_block(i) ? Layout::blocked : Layout::plain;
    for (bool changed = true; changed;) {
        changed = false;
        const auto make_plain = [&](Node& node) {
            changed |= node.value.layout != Layout::plain;
            node.value.layout = Layout::plain;
        };
        for (Node& node : std::span(nodes_).subspan(1)) {
            Node& src = nodes_[size_t(node.src)];
            if (node.layer->op == Operation::crop) make_plain(src);
            // A block of channels is to be one of both sides.
            const bool is_shuffle = node.layer->op == Operation::shuffle || node.layer->op == Operation::unshuffle;
            if (is_shuffle && (node.value.shape.c % kLayoutBlock != 0 || src.value.shape.c % kLayoutBlock != 0)) {
                make_plain(src);
                make_plain(node);
            }
            if (node.add >= 0 && nodes_[size_t(node.add)].value.layout != node.value.layout) {
                make_plain(nodes_[size_t(node.add)]);
                make_plain(node);
            }
        }
    }
    for (Node& node : nodes_) node.low.layout = node.value.layout;
}

void Graph::allocate() {
    const int count = int(nodes_.size());
    const bool training = options_.use == Convolution::Use::training;
    std::vector<int> last_use(nodes_.size(), 0);
    for (int i = 1; i < count; i++) {
        last_use[size_t(nodes_[size_t(i)].src)] = i;
        if (nodes_[size_t(i)].add >= 0) last_use[size_t(nodes_[size_t(i)].add)] = i;
    }
    last_use.back() = count;

    MemoryPlan plan(!training);
    std::vector<size_t> value_block(nodes_.size()), low_block(nodes_.size()), gradient_block(nodes_.size()), convolved_block(nodes_.size()), normal_block(nodes_.size());
    for (int i = 0; i < count; i++) {
        Node& node = nodes_[size_t(i)];
        const size_t bytes = node.value.bytes();
        node.add_in_place = !training && !node.normalisation && node.add > 0 && node.add != node.src && last_use[size_t(node.add)] == i &&
                            nodes_[size_t(node.add)].value.type == node.value.type;
        if (node.add_in_place) {
            value_block[size_t(i)] = value_block[size_t(node.add)];
            plan.extend(value_block[size_t(i)], last_use[size_t(i)] + 1);
        } else {
            // The input stays whole until the end: callers fill it once and may run again.
            value_block[size_t(i)] = plan.take(bytes, i, i == 0 ? count + 1 : last_use[size_t(i)] + 1);
        }
        if (node.low.shape.elements() != 0) low_block[size_t(i)] = plan.take(node.low.bytes(), i, last_use[size_t(i)] + 1);
        if (node.convolved.shape.elements() != 0) convolved_block[size_t(i)] = plan.take(bytes, i, i + 1);
        if (node.normal.shape.elements() != 0) normal_block[size_t(i)] = plan.take(bytes, i, i + 1);
        if (node.wants_gradient) gradient_block[size_t(i)] = plan.take(bytes, i, count + 1);
    }
    const std::vector<size_t> offset = plan.offsets();
    memory_ = offset.back();
    for (size_t i = 0; i < nodes_.size(); i++) {
        places_.push_back({offset[value_block[i]], offset[low_block[i]], offset[gradient_block[i]], offset[convolved_block[i]], offset[normal_block[i]]});
    }
    if (options_.borrows_memory) return;
    buffer_ = AlignedBuffer(memory_);
    bind(buffer_.data());
}

void Graph::bind(std::byte* memory) {
    for (size_t i = 0; i < nodes_.size(); i++) {
        Node& node = nodes_[i];
        node.value.data = memory + places_[i].value;
        if (node.low.shape.elements() != 0) node.low.data = memory + places_[i].low;
        if (node.convolved.shape.elements() != 0) node.convolved.data = memory + places_[i].convolved;
        if (node.normal.shape.elements() != 0) node.normal.data = memory + places_[i].normal;
        if (node.wants_gradient) node.gradient = {node.value.shape, node.value.type, memory + places_[i].gradient, node.value.layout};
    }
}

TensorRef Graph::source(const Node& node) const {
    const Node& src = nodes_[size_t(node.src)];
    return node.reads_low ? src.low : src.value;
}

void Graph::lower(Node& node) const {
    if (node.low_exponent < 0) return convert(node.value, node.low);
    parallel_for(node.value.shape.elements(), kGrain, [&](size_t b, size_t e) {
        if (node.low.type == DataType::bf16) {
            kernels::quantised_signed(node.value.as<float>() + b, node.low.as<bf16>() + b, e - b, node.low_exponent);
        } else {
            kernels::quantised_signed(node.value.as<float>() + b, node.low.as<float>() + b, e - b, node.low_exponent);
        }
    });
}

void Graph::run_shuffle(const Node& node, const TensorRef& src, const TensorRef& dst, bool down) const {
    // Channel order at the low resolution: (dy, dx, c), so that a row of a block is one run.
    const int r = node.layer->factor;
    const Shape low = down ? dst.shape : src.shape, high = down ? src.shape : dst.shape;
    const size_t run = size_t(r) * high.c * size_of(src.type), high_row = size_t(high.w) * high.c * size_of(src.type);
    const auto* from = src.as<const std::byte>();
    auto* to = dst.as<std::byte>();
    if (src.layout == Layout::blocked || dst.layout == Layout::blocked) return shuffle_blocks(src, dst, r, down);
    parallel_for(size_t(low.n) * low.h, std::max<size_t>(1, kGrain / (size_t(low.w) * low.c)), [&](size_t begin, size_t end) {
        for (size_t y = begin; y < end; y++) {
            for (size_t x = 0; x < size_t(low.w); x++) {
                for (size_t dy = 0; dy < size_t(r); dy++) {
                    const size_t low_at = ((y * low.w + x) * r + dy) * run, high_at = (y * r + dy) * high_row + x * run;
                    std::memcpy(to + (down ? low_at : high_at), from + (down ? high_at : low_at), run);
                }
            }
        }
    });
}

void Graph::move_crops(std::vector<Area> crops) {
    check_moved(options_.crops, crops);
    options_.crops = std::move(crops);
}

void Graph::run_crop(const Node& node) const {
    const TensorRef &src = nodes_[size_t(node.src)].value, &dst = node.value;
    const Area area = options_.crops.empty() ? Area{0, 0, dst.shape.h, dst.shape.w} : options_.crops[size_t(node.crop)];
    const size_t position = size_t(src.shape.c) * size_of(src.type), from_row = size_t(src.shape.w) * position, row = size_t(area.w) * position;
    for (size_t n = 0; n < size_t(dst.shape.n); n++) {
        const std::byte* from = src.as<const std::byte>() + (n * size_t(src.shape.h) + size_t(area.y)) * from_row + size_t(area.x) * position;
        std::byte* to = dst.as<std::byte>() + n * size_t(area.h) * row;
        parallel_for(size_t(area.h), std::max<size_t>(1, kGrain / row), [&](size_t begin, size_t end) {
            for (size_t y = begin; y < end; y++) std::memcpy(to + y * row, from + y * from_row, row);
        });
    }
}

void Graph::run(Node& node, std::span<const float> quality) {
    const Layer& layer = *node.layer;
    if (layer.op == Operation::crop) return run_crop(node);
    if (layer.op != Operation::convolution) {
        run_shuffle(node, nodes_[size_t(node.src)].value, node.value, layer.op == Operation::unshuffle);
        return;
    }
    const TensorRef src = source(node);
    NetworkWeights::LayerWeights& w = weights_->layer(node.weights);
    const size_t pixels = node.value.shape.pixels();
    const int channels = node.value.shape.c;

    const bool integer = layer.arithmetic == Arithmetic::integer;
    const bool separate_activation = integer && layer.activation != Activation::none;
    auto* dst = static_cast<std::byte*>(separate_activation    ? static_cast<void*>(scratch().sums.grow(pixels * size_t(channels) * 4))
                                        : node.convolved.data != nullptr ? node.convolved.data
                                                                         : node.value.data);
    if (node.add >= 0 && !node.add_in_place && !node.normalisation) {
        const TensorRef& addend = nodes_[size_t(node.add)].value;
        if (addend.type == node.value.type) {
            std::memcpy(dst, addend.data, node.value.bytes());
        } else {
            convert(addend, node.value);
        }
    }
    node.convolution->forward(src.data, w.bias.data(), dst, scratch().primitives);
    if (!integer) finish(node);
    if (layer.quality_bias) {
        const int samples = node.value.shape.n, levels = int(w.quality.size()) / channels;
        if (int(quality.size()) != samples) throw Error(ErrorCode::internal, weights_->network().name + ": a quality is needed for each sample");
        row_.resize(size_t(channels));
        for (int n = 0; n < samples; n++) {
            const LevelMix m = mix_levels(quality[size_t(n)], levels);
            const float* lower = w.quality.data() + size_t(m.level) * channels;
            for (int c = 0; c < channels; c++) row_[size_t(c)] = lower[c] * (1 - m.upper) + lower[c + channels] * m.upper;
            const TensorRef sums{node.value.shape, DataType::f32, dst, node.value.layout};
            each_run_of_channels<float>(sums, size_t(n), [&](int run, size_t first, float* d, size_t positions) {
                parallel_for(positions, std::max<size_t>(1, kGrain / size_t(run)),
                             [&](size_t b, size_t e) { kernels::add_row(row_.data() + first, d + b * size_t(run), e - b, run); });
            });
        }
    }
    if (separate_activation) {
        const auto* sums = reinterpret_cast<const float*>(dst);
        // Without rounding the top of the range is out of reach, so that the activation is a plain ReLU.
        if (!options_.round) {
            auto* v = node.value.as<float>();
            for (size_t i = 0; i < pixels * channels; i++) v[i] = std::max(sums[i], 0.0f);
        } else if (node.value.type == DataType::bf16) {
            kernels::quantised_relu(sums, node.value.as<bf16>(), pixels * channels, kActivationExponent);
        } else {
            kernels::quantised_relu(sums, node.value.as<float>(), pixels * channels, kActivationExponent);
        }
    }
}

uint32_t Graph::dropout_key(const Node& node) const { return random_key(*dropout_, uint64_t(&node - nodes_.data())); }

// Normalisation, activation and dropout, as far as they are passes of their own.
void Graph::finish(Node& node) {
    const Layer& layer = *node.layer;
    const NetworkWeights::LayerWeights& w = weights_->layer(node.weights);
    const size_t count = node.value.shape.elements();
    if (node.normalisation) {
        const TensorRef& into = node.activation ? node.normal : node.value;
        node.normalisation->forward(node.convolved.as<float>(), into.as<float>(), w.scale, w.shift);
        if (node.add >= 0) {
            const TensorRef& addend = nodes_[size_t(node.add)].value;
            if (addend.type == DataType::bf16) {
                kernels::accumulate(addend.as<bf16>(), into.as<float>(), count);
            } else {
                kernels::accumulate(addend.as<float>(), into.as<float>(), count);
            }
        }
        if (layer.activation == Activation::relu || layer.activation == Activation::leaky_relu) {
            kernels::leaky_relu(into.as<float>(), count, slope_of(layer));
        }
    }
    if (node.activation) {
        node.activation->forward(node.normalisation ? node.normal.data : node.convolved.data, node.value.data, learned(w), scratch().primitives);
    }
    if (dropout_ && layer.dropout > 0.0f) {
        if (node.value.type == DataType::bf16) {
            kernels::drop(node.value.as<bf16>(), count, dropout_key(node), layer.dropout);
        } else {
            kernels::drop(node.value.as<float>(), count, dropout_key(node), layer.dropout);
        }
    }
}

void Graph::forward(std::span<const float> quality, std::optional<uint32_t> dropout) {
    dropout_ = dropout;
    for (size_t i = 0; i < nodes_.size(); i++) {
        Node& node = nodes_[i];
        if (i > 0) run(node, quality);
        if (node.low.data != nullptr) lower(node);
    }
}

void Graph::accumulate_gradient(Node& node, const TensorRef& gradient) {
    const size_t count = gradient.shape.elements();
    if (!node.has_gradient) {
        node.has_gradient = true;
        if (gradient.data == node.gradient.data) return;
        if (gradient.type == node.gradient.type) {
            std::memcpy(node.gradient.data, gradient.data, gradient.bytes());
        } else {
            convert(gradient, node.gradient);
        }
    } else if (node.gradient.type == DataType::bf16 && gradient.type == DataType::f32) {
        kernels::accumulate(gradient.as<float>(), node.gradient.as<bf16>(), count);
    } else if (node.gradient.type == DataType::bf16) {
        kernels::accumulate(gradient.as<bf16>(), node.gradient.as<bf16>(), count);
    } else if (gradient.type == DataType::bf16) {
        kernels::accumulate(gradient.as<bf16>(), node.gradient.as<float>(), count);
    } else {
        kernels::accumulate(gradient.as<float>(), node.gradient.as<float>(), count);
    }
}

void Graph::backward_convolution(Node& node, const Parameters& layout, std::span<float> gradients, std::span<const float> quality) {
    const Layer& layer = *node.layer;
    const size_t count = node.value.shape.elements();
    const int channels = node.value.shape.c;
    TensorRef g = node.gradient;
    if (node.add >= 0 && nodes_[size_t(node.add)].wants_gradient) accumulate_gradient(nodes_[size_t(node.add)], g);

    if (dropout_ && layer.dropout > 0.0f) {
        if (g.type == DataType::bf16) {
            kernels::drop(g.as<bf16>(), count, dropout_key(node), layer.dropout);
        } else {
            kernels::drop(g.as<float>(), count, dropout_key(node), layer.dropout);
        }
    }
    if (node.activation) {
        const NetworkWeights::LayerWeights& w = weights_->layer(node.weights);
        ActivationPass::LearnedGradient into;
        if (!gradients.empty() && !w.learned.empty()) {
            const auto suffixes = activation_parameters(layer.activation);
            into.first = gradients.data() + layout.find(w.prefix + "." + suffixes[0]).offset;
            if (suffixes.size() > 1) into.second = gradients.data() + layout.find(w.prefix + "." + suffixes[1]).offset;
        }
        node.activation->backward(node.normalisation ? node.normal.data : node.convolved.data, node.value.data, g.data, learned(w), into, l0_,
                                  scratch().primitives);
    } else if (layer.activation != Activation::none) {
        const bool clipped = layer.arithmetic == Arithmetic::integer && options_.round;
        const float slope = slope_of(layer);
        if (g.type == DataType::bf16) {
            if (clipped) {
                kernels::quantised_relu_backward(node.value.as<bf16>(), g.as<bf16>(), count, kActivationExponent);
            } else {
                kernels::leaky_relu_backward(node.value.as<bf16>(), g.as<bf16>(), count, slope);
            }
        } else if (clipped) {
            kernels::quantised_relu_backward(node.value.as<float>(), g.as<float>(), count, kActivationExponent);
        } else {
            kernels::leaky_relu_backward(node.value.as<float>(), g.as<float>(), count, slope);
        }
    }
    const NetworkWeights::LayerWeights& w = weights_->layer(node.weights);
    if (node.normalisation) {
        const auto part = [&](const char* suffix) { return gradients.empty() ? nullptr : gradients.data() + layout.find(w.prefix + suffix).offset; };
        node.normalisation->backward(node.convolved.as<float>(), g.as<float>(), w.scale, part(".scale"), part(".shift"));
        if (!gradients.empty()) {
            std::ranges::copy(node.normalisation->mean(), part(".mean"));
            std::ranges::copy(node.normalisation->variance(), part(".variance"));
        }
    }
    if (layer.quality_bias && !gradients.empty()) {
        const Parameter& p = layout.find(w.prefix + ".quality");
        float* dq = gradients.data() + p.offset;
        std::fill_n(dq, p.size, 0.0f);
        const int samples = node.value.shape.n;
        for (int n = 0; n < samples; n++) {
            row_.assign(size_t(channels), 0.0f);
            const auto sum = [&](int run, size_t first, const auto* values, size_t positions) { kernels::sum_rows(values, row_.data() + first, positions, run); };
            if (g.type == DataType::bf16) {
                each_run_of_channels<bf16>(g, size_t(n), sum);
            } else {
                each_run_of_channels<float>(g, size_t(n), sum);
            }
            const LevelMix m = mix_levels(quality[size_t(n)], p.shape[0]);
            for (int c = 0; c < channels; c++) {
                dq[m.level * channels + c] += row_[size_t(c)] * (1 - m.upper);
                dq[(m.level + 1) * channels + c] += row_[size_t(c)] * m.upper;
            }
        }
    }
    const DataType compute = gradient_type(layer);
    if (g.type != compute) {
        const TensorRef low{g.shape, compute, low_gradient_.grow(count * size_of(compute))};
        convert(g, low);
        g = low;
    }
    if (!gradients.empty()) {
        TensorRef seen = source(node);
        if (seen.type != compute) {
            const TensorRef low{seen.shape, compute, low_source_.grow(seen.shape.elements() * size_of(compute))};
            convert(seen, low);
            seen = low;
        }
        node.convolution->backward_weights(seen.data, g.data, gradients.data() + layout.find(w.prefix + ".weight").offset,
                                           gradients.data() + layout.find(w.prefix + ".bias").offset, scratch().primitives);
    }
    Node& src = nodes_[size_t(node.src)];
    if (!src.wants_gradient) return;
    const bool direct = !src.has_gradient && src.gradient.type == compute;
    const TensorRef d{src.value.shape, compute, direct ? src.gradient.data : scratch().sums.grow(src.value.shape.elements() * size_of(compute)), src.value.layout};
    node.convolution->backward_data(g.data, d.data, scratch().primitives);
    if (node.reads_low && src.low_exponent >= 0) {
        if (compute == DataType::bf16) {
            kernels::quantised_signed_backward(src.value.as<float>(), d.as<bf16>(), src.value.shape.elements(), src.low_exponent);
        } else {
            kernels::quantised_signed_backward(src.value.as<float>(), d.as<float>(), src.value.shape.elements(), src.low_exponent);
        }
    }
    accumulate_gradient(src, d);
}

void Graph::backward(const Parameters& layout, std::span<float> gradients, std::span<const float> quality, float l0) {
    l0_ = l0;
    for (Node& node : nodes_) node.has_gradient = false;
    nodes_.back().has_gradient = true;
    for (size_t i = nodes_.size() - 1; i > 0; i--) {
        Node& node = nodes_[i];
        if (!node.has_gradient) continue;
        if (node.layer->op == Operation::convolution) {
            backward_convolution(node, layout, gradients, quality);
            continue;
        }
        Node& src = nodes_[size_t(node.src)];
        if (!src.wants_gradient) continue;
        const bool down = node.layer->op == Operation::unshuffle;
        const TensorRef d{src.value.shape, src.value.type, src.has_gradient ? scratch().sums.grow(src.value.bytes()) : src.gradient.data, src.value.layout};
        run_shuffle(node, node.gradient, d, !down);
        accumulate_gradient(src, d);
    }
}

}  // namespace decant
