#include "codec/engine/integer_graph.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "codec/engine/kernels.h"
#include "codec/engine/memory_plan.h"
#include "codec/engine/parallel.h"
#include "codec/error.h"
#include "codec/network/crop.h"
#include "codec/network/rounding.h"

namespace decant {
namespace {

constexpr size_t kStripBytes = 1 << 19;  // of sums, a thread: they stay in a core's second-level cache
constexpr int kMaxWideInputs = 1024;     // so that sums of any digits stay below 2^24
constexpr float kBiasLimit = 0x1p28f;    // of biases on their grid

enum class ValueKind {
    bytes,  // u8, not negative
    trunk,  // s16
    fixed   // s32
};

// A copy of a value in 8 bits for layers to read.
struct View {
    int shift = 0;   // of a trunk value: bits less than it has
    int border = 0;  // rows and columns of zeros around it
    size_t block = 0;
    uint8_t* data = nullptr;
};

struct Value {
    Shape shape;
    ValueKind kind = ValueKind::bytes;
    int exponent = 0;
    int last_read = 0;       // step, or one after the last for the result
    bool has_dense = false;  // s16 or s32 are kept; u8 are a view without border
    size_t block = 0;
    std::byte* dense = nullptr;
    std::vector<View> views;

    size_t view_row(const View& v) const { return size_t(shape.w + 2 * v.border) * size_t(shape.c); }
    size_t view_bytes(const View& v) const { return size_t(shape.n) * size_t(shape.h + 2 * v.border) * view_row(v); }
    // Row r of all samples' rows.
    uint8_t* view_at(const View& v, size_t r) const {
        const size_t sample = r / size_t(shape.h), y = r % size_t(shape.h);
        return v.data + (sample * size_t(shape.h + 2 * v.border) + y + size_t(v.border)) * view_row(v) + size_t(v.border) * size_t(shape.c);
    }
    size_t element() const { return kind == ValueKind::fixed ? 4 : 2; }
    template <class T>
    T* dense_at(size_t r) const {
        return reinterpret_cast<T*>(dense) + r * size_t(shape.w) * size_t(shape.c);
    }
    uint8_t zero() const { return kind == ValueKind::trunk ? uint8_t(kInputZero) : uint8_t(0); }

    size_t view(int shift, int border) {
        for (size_t i = 0; i < views.size(); i++) {
            if (views[i].shift == shift && views[i].border == border) return i;
        }
        views.push_back({shift, border, 0, nullptr});
        return views.size() - 1;
    }
};

// Rows of one sample, at most `rows` at once, with a primitive for as many and one for what is left over.
struct Strips {
    int rows = 0;
    std::optional<Convolution> whole, rest;
};

// A layer at work.
struct Step {
    const Layer* layer = nullptr;
    std::string name;  // for messages
    int index = 0;     // of the layer
    int src = 0, dst = 0, add = -1;  // values
    int crop = -1;                   // number among the crop layers
    bool skipped = false;            // a shuffle that a convolution beside it does in passing
    int gather = 1;                  // factor of the unshuffle that a wide layer does in reading
    int scatter = 1;                 // factor of the shuffle that a convolution does in writing
    Shape seen, result;              // of the convolution: after the one and before the other
    size_t view = 0;                 // of src
    int bytes = 1, digits = 1;       // of values and weights
    Strips strips;

    int grid_shift = 0;                       // exponent of the sums' grid, less the weights'
    std::vector<int32_t> bias, quality;       // on that grid
    std::vector<int32_t> high, low, right, left;  // kernels::Requantisation, with the bias of quality_q8; for `repeats` positions
    int repeats = 1;
    int quality_q8 = -1;

    kernels::Requantisation requantisation(size_t from) const { return {high.data() + from, low.data() + from, right.data() + from, left.data() + from}; }
    bool wide() const { return layer->arithmetic == Arithmetic::wide; }
};

void copy_runs(const std::byte* src, size_t src_stride, std::byte* dst, size_t dst_stride, size_t count, size_t run) {
    if (run == 12) {  // pixels, four in a row: not worth a call each
        for (size_t i = 0; i < count; i++) std::memcpy(dst + i * dst_stride, src + i * src_stride, 12);
        return;
    }
    for (size_t i = 0; i < count; i++) std::memcpy(dst + i * dst_stride, src + i * src_stride, run);
}

// Positions that the kernels take together where they lie one behind the other: channels that fill vectors of bytes, and long loops.
int repeats_for(int channels) {
    constexpr int kVector = 64, kLong = 256;
    int repeats = 1;
    while (repeats < kVector && (channels * repeats < kLong || channels * repeats % kVector != 0)) repeats++;
    return repeats;
}

// The rows of a strip: as many as fit, but strips of one size if there is such a number nearby, since each size is a primitive.
int strip_rows(int height, size_t row_bytes, size_t limit) {
    const int least = std::max(1, int((size_t(height) * row_bytes + limit - 1) / limit));
    for (int count = least; count <= 2 * least && count <= height; count++) {
        if (height % count == 0) return height / count;
    }
    return std::max(1, (height + least - 1) / least);
}

}  // namespace

IntegerWeights::IntegerWeights(const Network& network, const Parameters& parameters) : network_(&network) {
    for (const PlannedLayer& p : plan(network, {1, 64, 64, network.channels_in})) {
        if (p.layer->op != Operation::convolution) {
            layers_.push_back(nullptr);
            continue;
        }
        const bool wide = p.layer->arithmetic == Arithmetic::wide;
        const int outputs = p.layer->channels;
        const std::string prefix = network.name + "." + p.layer->name;
        const auto weight = parameters[prefix + ".weight"], bias = parameters[prefix + ".bias"];
        layers_.push_back(std::make_unique<Layer>(Layer{PackedWeights(wide ? 2 * outputs : outputs, p.src_shape.c, p.layer->kernel), {}, {}, {}, {}}));
        Layer& l = *layers_.back();
        RoundedWeights rounded;
        if (wide) {
            WideWeights w = round_wide_weights(weight, outputs);
            rounded.integers = wide_digits(w.integers);
            l.exponents = std::move(w.exponents);
        } else {
            rounded = round_weights(weight, outputs);
            l.exponents = rounded.exponents;
        }
        l.sums.resize(wide ? 2 * size_t(outputs) : size_t(outputs));
        const size_t row = rounded.integers.size() / l.sums.size();
        for (size_t o = 0; o < l.sums.size(); o++) {
            int32_t sum = 0;
            for (size_t i = 0; i < row; i++) sum += rounded.integers[o * row + i];
            l.sums[o] = sum;
        }
        l.packed.set(std::move(rounded));
        l.bias.assign(bias.begin(), bias.end());
        if (p.layer->quality_bias) {
            const auto quality = parameters[prefix + ".quality"];
            l.quality.assign(quality.begin(), quality.end());
        }
    }
}

struct IntegerGraph::State {
    IntegerWeights& weights;
    IntegerGraphOptions options;
    std::vector<Value> values;  // 0 is the input, then one a layer
    std::vector<Step> steps;
    size_t memory = 0, sums_at = 0, bytes_at = 0;
    AlignedBuffer own, scratch;
    std::vector<size_t> offsets;
    int32_t* sums = nullptr;       // of a strip
    uint8_t* strip_bytes = nullptr;  // what a wide layer reads of it

    State(IntegerWeights& w, Shape input, const IntegerGraphOptions& o) : weights(w), options(o) {
        const auto layers = plan(w.network(), input, o.crops);
        describe_values(layers, input);
        for (Step& s : steps) {
            if (s.layer->op == Operation::convolution) prepare(s);
        }
        allocate();
    }

    [[noreturn]] static void refuse(const Step& s, const std::string& what) { throw Error(ErrorCode::model_mismatch, s.name + ": " + what); }

    void describe_values(const std::vector<PlannedLayer>& layers, Shape input) {
        const int count = int(layers.size());
        values.resize(size_t(count) + 1);
        values[0].shape = input;
        values[0].kind = options.input_type == DataType::s16 ? ValueKind::trunk : ValueKind::bytes;
        values[0].exponent = options.input_exponent;
        values[0].last_read = count + 1;  // callers fill it once and may run again
        std::vector<int> readers(values.size(), 0);
        for (const PlannedLayer& p : layers) {
            readers[size_t(p.src + 1)]++;
            if (p.add != -2) readers[size_t(p.add + 1)]++;
        }
        // The convolution whose result, shuffled perhaps, is the network's.
        int last = count;
        while (last > 0 && layers[size_t(last - 1)].layer->op != Operation::convolution) last = layers[size_t(last - 1)].src + 1;

        int crops = 0;
        for (int i = 0; i < count; i++) {
            const PlannedLayer& p = layers[size_t(i)];
            Step s;
            if (p.layer->op == Operation::crop) s.crop = crops++;
            s.layer = p.layer;
            s.name = weights.network().name + "." + p.layer->name;
            s.index = i;
            s.src = p.src + 1;
            s.dst = i + 1;
            s.add = p.add == -2 ? -1 : p.add + 1;
            s.seen = p.src_shape;
            s.result = p.dst_shape;
            Value& v = values[size_t(i) + 1];
            v.shape = p.dst_shape;
            if (p.layer->op != Operation::convolution) {
                v.kind = values[size_t(s.src)].kind;
                v.exponent = values[size_t(s.src)].exponent;
            } else if (p.layer->activation != Activation::none) {
                v.kind = ValueKind::bytes;
                v.exponent = kActivationExponent;
            } else {
                v.kind = s.dst == last ? ValueKind::fixed : ValueKind::trunk;
                v.exponent = s.dst == last ? options.output_exponent : options.trunk_exponent;
            }
            steps.push_back(std::move(s));
        }
        // Shuffles that convolutions do in passing: in writing, if nobody else wants the value as it was; in reading, if only wide layers read.
        for (Step& s : steps) {
            if (s.layer->op == Operation::shuffle && s.src > 0 && readers[size_t(s.src)] == 1 && steps[size_t(s.src) - 1].layer->op == Operation::convolution) {
                Step& writer = steps[size_t(s.src) - 1];
                if (writer.add >= 0) continue;  // it adds in the order that it writes
                writer.scatter = s.layer->factor;
                writer.dst = s.dst;
                s.skipped = true;
            }
            if (s.layer->op == Operation::unshuffle && s.dst != count && (s.src == 0 || values[size_t(s.src)].kind == ValueKind::trunk)) {
                const bool only_wide = std::all_of(steps.begin(), steps.end(), [&](const Step& reader) {
                    return reader.add != s.dst && (reader.src != s.dst || (reader.layer->op == Operation::convolution && reader.wide()));
                });
                if (!only_wide) continue;
                for (Step& reader : steps) {
                    if (reader.layer->op != Operation::convolution || reader.src != s.dst) continue;
                    reader.src = s.src;
                    reader.gather = s.layer->factor;
                }
                s.skipped = true;
            }
        }
        // Values of 8 bits that are written or read whole have a view without border, in the first place.
        for (size_t i = 0; i < values.size(); i++) {
            const bool shuffled = i > 0 && steps[i - 1].layer->op != Operation::convolution && !steps[i - 1].skipped;
            if (values[i].kind == ValueKind::bytes && (i == 0 || i + 1 == values.size() || shuffled)) values[i].view(0, 0);
        }
        // Who reads what.
        for (Step& s : steps) {
            if (s.skipped) continue;
            Value& src = values[size_t(s.src)];
            src.last_read = std::max(src.last_read, s.index + 1);
            if (src.kind == ValueKind::fixed && s.layer->op == Operation::convolution) refuse(s, "reads the network's result");
            if (s.layer->op != Operation::convolution || s.wide()) {
                if (src.kind == ValueKind::bytes) {
                    s.view = src.view(0, 0);
                } else {
                    src.has_dense = true;
                }
            } else {
                if (src.kind == ValueKind::trunk && s.src == 0) refuse(s, "an integer layer must read u8, not the s16 input");
                if (s.src > 0 && src.kind == ValueKind::bytes && s.layer->input_exponent != src.exponent) refuse(s, "input_exponent does not fit");
                const int shift = src.kind == ValueKind::trunk ? src.exponent - s.layer->input_exponent : 0;
                s.view = src.view(shift, (s.layer->kernel - 1) / 2);
            }
            if (s.add >= 0) {
                Value& addend = values[size_t(s.add)];
                if (addend.kind != ValueKind::trunk || s.add == 0) refuse(s, "adds what is not a sum or the result of a layer without activation");
                if (values[size_t(s.dst)].kind != ValueKind::trunk) refuse(s, "the network's result cannot be a sum");
                addend.last_read = std::max(addend.last_read, s.index + 1);
                addend.has_dense = true;
            }
        }
        Value& result = values.back();
        result.last_read = count + 1;
        if (result.kind == ValueKind::trunk) throw Error(ErrorCode::model_mismatch, weights.network().name + ": the result must come from a convolution");
        for (Value& v : values) v.has_dense |= v.kind != ValueKind::bytes;
    }

    // Shapes, primitives, and what does not depend on the rate point.
    void prepare(Step& s) {
        const Layer& layer = *s.layer;
        const Value &src = values[size_t(s.src)], &dst = values[size_t(s.dst)];
        if (layer.activation == Activation::leaky_relu || layer.arithmetic == Arithmetic::compute) refuse(s, "does not run in integers");
        if (s.wide() && (layer.kernel != 1 || layer.stride != 1 || layer.activation != Activation::none)) refuse(s, "a wide layer in integers is 1×1 without activation");
        if (s.wide() && s.seen.c > kMaxWideInputs) refuse(s, "a wide layer in integers reads at most " + std::to_string(kMaxWideInputs) + " channels");
        if (s.src == 0 && layer.kernel != 1 && options.signed_from < src.shape.c) refuse(s, "only a 1×1 layer reads signed inputs");
        s.digits = s.wide() ? 2 : 1;
        s.bytes = s.wide() && src.kind == ValueKind::trunk ? 2 : 1;
        s.grid_shift = s.wide() ? src.exponent - (s.bytes == 2 ? kWideDigit : 0) : layer.input_exponent;

        IntegerWeights::Layer& w = weights.layer(s.index);
        const size_t outputs = size_t(layer.channels);
        const auto on_grid = [&](float v, size_t o) {
            return int32_t(std::clamp(std::nearbyint(std::ldexp(v, w.exponents[o] + s.grid_shift)), -kBiasLimit, kBiasLimit));
        };
        for (size_t o = 0; o < outputs; o++) s.bias.push_back(on_grid(w.bias[o], o));
        for (size_t i = 0; i < w.quality.size(); i++) s.quality.push_back(on_grid(w.quality[i], i % outputs));
        if (s.digits == 1 && s.scatter == 1) s.repeats = repeats_for(layer.channels);

        // The border stands in for padding, so that strips of rows need none.
        const int border = s.wide() ? 0 : (layer.kernel - 1) / 2;
        ConvolutionShape shape;
        shape.src = {s.bytes, 0, s.seen.w + 2 * border, s.seen.c};
        shape.dst = {s.bytes, 0, s.result.w, s.digits * s.result.c};
        shape.kernel = layer.kernel;
        shape.stride = layer.stride;
        shape.padded = false;
        shape.src_type = DataType::u8;
        shape.weights_type = DataType::s8;
        shape.dst_type = DataType::s32;
        shape.bias = false;
        const size_t row = size_t(shape.dst.n) * size_t(shape.dst.w) * size_t(shape.dst.c) * 4;
        s.strips.rows = strip_rows(s.result.h, row, kStripBytes * size_t(omp_get_max_threads()));
        const auto make = [&](std::optional<Convolution>& convolution, int rows) {
            shape.dst.h = rows;
            shape.src.h = (rows - 1) * layer.stride + layer.kernel;
            convolution.emplace(shape, w.packed, Convolution::Use::inference);
            sums_at = std::max(sums_at, shape.dst.elements() * 4);
            if (s.wide()) bytes_at = std::max(bytes_at, shape.src.elements());
        };
        make(s.strips.whole, s.strips.rows);
        if (const int rest = s.result.h % s.strips.rows; rest != 0) make(s.strips.rest, rest);
        if (dst.kind == ValueKind::trunk && dst.exponent != options.trunk_exponent) refuse(s, "unknown exponent");
    }

    void allocate() {
        const int count = int(steps.size());
        MemoryPlan plan;
        const size_t sums_block = plan.take(sums_at, 0, count + 2), bytes_block = plan.take(bytes_at, 0, count + 2);
        const auto place = [&](Value& v, int step) {
            if (v.has_dense) v.block = plan.take(v.shape.elements() * v.element(), step, v.last_read + 1);
            for (View& view : v.views) view.block = plan.take(v.view_bytes(view), step, v.last_read + 1);
        };
        place(values[0], 0);
        for (const Step& s : steps) {
            if (s.skipped) continue;
            Value& v = values[size_t(s.dst)];
            // A sum takes the place of its addend if nobody reads that any more.
            if (s.add >= 0 && values[size_t(s.add)].last_read == s.index + 1) {
                v.block = values[size_t(s.add)].block;
                v.has_dense = false;
                plan.extend(v.block, v.last_read + 1);
                place(v, s.index + 1);
                v.has_dense = true;
            } else {
                place(v, s.index + 1);
            }
        }
        offsets = plan.offsets();
        memory = offsets.back();
        sums_at = offsets[sums_block];
        bytes_at = offsets[bytes_block];
        if (options.borrows_memory) return;
        own = AlignedBuffer(memory);
        bind(own.data());
    }

    void bind(std::byte* base) {
        for (Value& v : values) {
            if (v.has_dense) v.dense = base + offsets[v.block];
            for (View& view : v.views) view.data = reinterpret_cast<uint8_t*>(base + offsets[view.block]);
        }
        sums = reinterpret_cast<int32_t*>(base + sums_at);
        strip_bytes = reinterpret_cast<uint8_t*>(base + bytes_at);
    }

    // Biases and shifts at a rate point.
    void set_quality(Step& s, int quality_q8) const {
        if (s.quality_q8 == quality_q8) return;
        s.quality_q8 = quality_q8;
        const IntegerWeights::Layer& w = weights.layer(s.index);
        const Value &src = values[size_t(s.src)], &dst = values[size_t(s.dst)];
        const size_t outputs = s.bias.size();
        for (auto* v : {&s.high, &s.low, &s.right, &s.left}) v->resize(outputs);
        for (size_t o = 0; o < outputs; o++) {
            int64_t bias = s.bias[o];
            if (!s.quality.empty()) {
                const int levels = int(s.quality.size() / outputs), level = std::min(quality_q8 >> 8, levels - 2);
                const int64_t upper = quality_q8 - level * 256;
                bias += (s.quality[size_t(level) * outputs + o] * (256 - upper) + s.quality[size_t(level + 1) * outputs + o] * upper + 128) >> 8;
            }
            const int shift = w.exponents[o] + s.grid_shift - dst.exponent;
            s.right[o] = std::max(shift, 0);
            s.left[o] = std::max(-shift, 0);
            if (shift > 0) bias += int64_t(1) << (shift - 1);
            s.high[o] = 0;
            if (s.bytes == 2) {
                s.high[o] = int32_t(bias >> 8) - kInputZero * w.sums[o];
                s.low[o] = int32_t(bias & 255) - 4 * kInputZero * w.sums[outputs + o];
                continue;
            }
            int64_t zero = 0;  // what kInputZero adds
            if (s.src > 0 && src.kind == ValueKind::trunk) zero = w.sums[o];
            if (s.src == 0) zero = signed_inputs(s, w, o);
            s.low[o] = int32_t(bias - kInputZero * zero);
        }
        for (auto* v : {&s.high, &s.low, &s.right, &s.left}) {
            v->resize(outputs * size_t(s.repeats));
            for (size_t i = outputs; i < v->size(); i++) (*v)[i] = (*v)[i - outputs];
        }
    }

    // The sum of an output's weights on signed channels of the input.
    int64_t signed_inputs(const Step& s, const IntegerWeights::Layer& w, size_t o) const {
        if (options.signed_from >= values[0].shape.c) return 0;
        if (s.gather != 1 && options.signed_from > 0) refuse(s, "reads an input of which only a part is signed");
        const auto& integers = w.packed.rounded().integers;
        const size_t row = integers.size() / w.sums.size();
        int64_t sum = 0;
        for (size_t i = size_t(options.signed_from); i < row; i++) {
            sum += s.digits == 2 ? (int64_t(integers[o * row + i]) << kWideDigit) + integers[(s.bias.size() + o) * row + i] : integers[o * row + i];
        }
        return sum;
    }

    // What a wide layer reads of the strip of rows from `begin` on, of all samples' rows: bytes in planes, unshuffled.
    void gather(const Step& s, size_t begin, size_t rows) {
        const Value& src = values[size_t(s.src)];
        const size_t r = size_t(s.gather), w = size_t(s.seen.w), c = size_t(s.seen.c), run = r * size_t(src.shape.c), plane = rows * w * c;
        parallel_for(rows, 1, [&](size_t b, size_t e) {
            for (size_t y = b; y < e; y++) {
                for (size_t dy = 0; dy < r; dy++) {
                    uint8_t* d = strip_bytes + y * w * c + dy * run;
                    const size_t from = (begin + y) * r + dy;
                    if (s.bytes == 2) {
                        kernels::split_bytes(src.dense_at<int16_t>(from), run, d, d + plane, c, w, run);
                    } else {
                        copy_runs(reinterpret_cast<const std::byte*>(src.view_at(src.views[s.view], from)), run, reinterpret_cast<std::byte*>(d), c, w, run);
                    }
                }
            }
        });
    }

    // Everything from the sums of rows b … e of the strip that begins at row `begin` to the values that others read.
    void finish(const Step& s, size_t begin, size_t rows, size_t b, size_t e) {
        const Value& dst = values[size_t(s.dst)];
        const size_t r = size_t(s.scatter), w = size_t(s.result.w), c = size_t(s.result.c), run = c / r;
        const size_t stride = c * size_t(s.digits), plane = rows * w * stride;
        const size_t together = size_t(s.repeats), left_over = w % together;
        for (size_t y = b; y < e; y++) {
            int32_t* row = sums + y * w * stride;
            if (dst.kind == ValueKind::fixed && r > 1) kernels::to_fixed(sum_view(s, row, stride, plane), s.requantisation(0), row, stride, w, c);
            for (size_t dy = 0; dy < r; dy++) {
                const size_t to = (begin + y) * r + dy;
                if (dst.kind == ValueKind::fixed && r > 1) {
                    copy_runs(reinterpret_cast<const std::byte*>(row + dy * run), stride * 4, reinterpret_cast<std::byte*>(dst.dense_at<int32_t>(to)), run * 4, w, run * 4);
                    continue;
                }
                const kernels::Requantisation q = s.requantisation(dy * run);
                finish_run(s, sum_view(s, row + dy * run, stride * together, plane), q, to, 0, w / together, run * together);
                if (left_over != 0) finish_run(s, sum_view(s, row + (w - left_over) * c, 0, plane), q, to, (w - left_over) * c, 1, left_over * c);
                complete_views(dst, to, 1);
            }
        }
    }

    static kernels::SumView sum_view(const Step& s, const int32_t* at, size_t stride, size_t plane) {
        return {at, stride, s.digits == 2 ? size_t(s.result.c) : 0, s.bytes == 2 ? plane : 0};
    }

    // `positions` times `channels` of row `to` of the result, from its element `at` on.
    void finish_run(const Step& s, const kernels::SumView& view, const kernels::Requantisation& q, size_t to, size_t at, size_t positions, size_t channels) {
        const Value& dst = values[size_t(s.dst)];
        switch (dst.kind) {
            case ValueKind::bytes: kernels::to_unsigned(view, q, dst.view_at(dst.views[0], to) + at, positions, channels); break;
            case ValueKind::trunk: {
                const int16_t* addend = s.add < 0 ? nullptr : values[size_t(s.add)].dense_at<int16_t>(to) + at;
                uint8_t* copy = dst.views.empty() ? nullptr : dst.view_at(dst.views[0], to) + at;
                kernels::to_trunk(view, q, addend, dst.dense_at<int16_t>(to) + at, copy, dst.views.empty() ? 0 : dst.views[0].shift, positions, channels);
                break;
            }
            case ValueKind::fixed: kernels::to_fixed(view, q, dst.dense_at<int32_t>(to) + at, channels, positions, channels); break;
        }
    }

    // Views of row r from number `from` on, and the borders beside all of them.
    void complete_views(const Value& v, size_t r, size_t from) const {
        const size_t count = size_t(v.shape.w) * size_t(v.shape.c);
        for (size_t i = 0; i < v.views.size(); i++) {
            const View& view = v.views[i];
            uint8_t* row = v.view_at(view, r);
            if (i >= from) {
                if (v.kind == ValueKind::trunk) {
                    kernels::to_view(v.dense_at<int16_t>(r), row, view.shift, count);
                } else {
                    std::memcpy(row, v.view_at(v.views[0], r), count);
                }
            }
            const size_t side = size_t(view.border) * size_t(v.shape.c);
            std::memset(row - side, v.zero(), side);
            std::memset(row + count, v.zero(), side);
        }
    }

    // Rows of zeros above and below.
    void fill_borders(const Value& v) const {
        for (const View& view : v.views) {
            const size_t row = v.view_row(view), sample = v.view_bytes(view) / size_t(v.shape.n), edge = size_t(view.border) * row;
            for (size_t n = 0; n < size_t(v.shape.n) && edge != 0; n++) {
                std::memset(view.data + n * sample, v.zero(), edge);
                std::memset(view.data + (n + 1) * sample - edge, v.zero(), edge);
            }
        }
    }

    void run_convolution(Step& s, int quality_q8) {
        set_quality(s, quality_q8);
        const Value &src = values[size_t(s.src)], &dst = values[size_t(s.dst)];
        fill_borders(dst);
        for (int n = 0; n < s.result.n; n++) {
            for (int y = 0; y < s.result.h; y += s.strips.rows) {
                const int rows = std::min(s.strips.rows, s.result.h - y);
                const size_t begin = size_t(n) * size_t(s.result.h) + size_t(y);
                const uint8_t* from = strip_bytes;
                if (s.wide()) {
                    gather(s, begin, size_t(rows));
                } else {
                    const View& view = src.views[s.view];
                    from = view.data + (size_t(n) * size_t(src.shape.h + 2 * view.border) + size_t(y) * size_t(s.layer->stride)) * src.view_row(view);
                }
                (rows == s.strips.rows ? s.strips.whole : s.strips.rest)->forward(from, nullptr, sums, scratch);
                parallel_for(size_t(rows), 1, [&](size_t b, size_t e) { finish(s, begin, size_t(rows), b, e); });
            }
        }
    }

    // Row y of a value that steps without arithmetic read or write; view: of bytes, the one that has no border.
    static std::byte* row_of(const Value& v, size_t view, size_t y) {
        if (v.kind == ValueKind::bytes) return reinterpret_cast<std::byte*>(v.view_at(v.views[view], y));
        return v.dense + y * size_t(v.shape.w) * size_t(v.shape.c) * v.element();
    }

    void complete(const Value& v) const {
        fill_borders(v);
        for (size_t y = 0; y < size_t(v.shape.n) * size_t(v.shape.h); y++) complete_views(v, y, v.kind == ValueKind::bytes ? 1 : 0);
    }

    void run_crop(const Step& s) const {
        const Value &src = values[size_t(s.src)], &dst = values[size_t(s.dst)];
        const Area area = options.crops.empty() ? Area{0, 0, dst.shape.h, dst.shape.w} : options.crops[size_t(s.crop)];
        const size_t position = size_t(src.shape.c) * (src.kind == ValueKind::bytes ? 1 : src.element());
        for (size_t n = 0; n < size_t(dst.shape.n); n++) {
            parallel_for(size_t(area.h), 1, [&](size_t b, size_t e) {
                for (size_t y = b; y < e; y++) {
                    const std::byte* from = row_of(src, s.view, n * size_t(src.shape.h) + size_t(area.y) + y) + size_t(area.x) * position;
                    std::memcpy(row_of(dst, 0, n * size_t(area.h) + y), from, size_t(area.w) * position);
                }
            });
        }
        complete(dst);
    }

    // A shuffle by itself.
    void run_shuffle(const Step& s) const {
        const Value &src = values[size_t(s.src)], &dst = values[size_t(s.dst)];
        const bool down = s.layer->op == Operation::unshuffle;
        const Shape low = down ? dst.shape : src.shape, high = down ? src.shape : dst.shape;
        const size_t r = size_t(s.layer->factor), size = src.kind == ValueKind::bytes ? 1 : src.element();
        const size_t run = r * size_t(high.c) * size, position = size_t(low.c) * size;
        parallel_for(size_t(low.n) * size_t(low.h), 1, [&](size_t b, size_t e) {
            for (size_t y = b; y < e; y++) {
                for (size_t dy = 0; dy < r; dy++) {
                    if (down) {
                        copy_runs(row_of(src, s.view, y * r + dy), run, row_of(dst, 0, y) + dy * run, position, size_t(low.w), run);
                    } else {
                        copy_runs(row_of(src, s.view, y) + dy * run, position, row_of(dst, 0, y * r + dy), run, size_t(low.w), run);
                    }
                }
            }
        });
        complete(dst);
    }

    void forward(int quality_q8) {
        // Layers with a kernel see the input through a view with a border.
        fill_borders(values[0]);
        for (size_t y = 0; y < size_t(values[0].shape.n) * size_t(values[0].shape.h); y++) complete_views(values[0], y, 1);
        for (Step& s : steps) {
            if (s.skipped) continue;
            if (s.layer->op == Operation::convolution) {
                run_convolution(s, quality_q8);
            } else if (s.layer->op == Operation::crop) {
                run_crop(s);
            } else {
                run_shuffle(s);
            }
        }
    }
};

IntegerGraph::IntegerGraph(IntegerWeights& weights, Shape input, const IntegerGraphOptions& options)
    : state_(std::make_unique<State>(weights, input, options)) {}
IntegerGraph::~IntegerGraph() = default;
IntegerGraph::IntegerGraph(IntegerGraph&&) noexcept = default;

namespace {

TensorRef whole(const Value& v) {
    switch (v.kind) {
        case ValueKind::bytes: return {v.shape, DataType::u8, v.views[0].data};
        case ValueKind::trunk: return {v.shape, DataType::s16, v.dense};
        case ValueKind::fixed: return {v.shape, DataType::s32, v.dense};
    }
    throw Error(ErrorCode::internal, "unknown kind of value");
}

}  // namespace

TensorRef IntegerGraph::input() { return whole(state_->values.front()); }
TensorRef IntegerGraph::output() { return whole(state_->values.back()); }
void IntegerGraph::forward(int quality_q8) { state_->forward(quality_q8); }
void IntegerGraph::move_crops(std::vector<Area> crops) {
    check_moved(state_->options.crops, crops);
    state_->options.crops = std::move(crops);
}
size_t IntegerGraph::memory() const { return state_->memory; }
void IntegerGraph::bind(std::byte* memory) { state_->bind(memory); }

}  // namespace decant
