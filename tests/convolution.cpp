// Single convolutions against a plain loop in double precision.
#include "codec/engine/convolution.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "codec/tensor/vectorised.h"
#include "codec/error.h"
#include "tests/float_types.h"

using namespace decant;

namespace {

// Pictures here are too small to be worth more threads.
struct OneThread {
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(before); }
    const int before = omp_get_max_threads();
};

struct Reference {
    std::vector<double> value, magnitude;  // magnitude: the sum of the absolute values of all terms
};

// NHWC values, oihw weights; `bias` and `addend` may be empty.
Reference convolve(const ConvolutionShape& s, const std::vector<float>& src, const std::vector<float>& oihw,
                   const std::vector<float>& bias, const std::vector<float>& addend) {
    Reference r{std::vector<double>(s.dst.elements()), std::vector<double>(s.dst.elements())};
    const int k = s.kernel, pad = (k - 1) / 2;
    size_t i = 0;
    for (int n = 0; n < s.dst.n; n++) {
        for (int y = 0; y < s.dst.h; y++) {
            for (int x = 0; x < s.dst.w; x++) {
                for (int o = 0; o < s.dst.c; o++, i++) {
                    const auto add = [&](double term) {
                        r.value[i] += term;
                        r.magnitude[i] += std::abs(term);
                    };
                    if (!bias.empty()) add(bias[size_t(o)]);
                    if (!addend.empty()) add(addend[i]);
                    for (int dy = 0; dy < k; dy++) {
                        for (int dx = 0; dx < k; dx++) {
                            const int sy = y * s.stride + dy - pad, sx = x * s.stride + dx - pad;
                            if (sy < 0 || sy >= s.src.h || sx < 0 || sx >= s.src.w) continue;
                            for (int c = 0; c < s.src.c; c++) {
                                const size_t at = ((size_t(n) * s.src.h + sy) * s.src.w + sx) * s.src.c + c;
                                add(double(src[at]) * oihw[((size_t(o) * s.src.c + c) * k + dy) * k + dx]);
                            }
                        }
                    }
                    if (s.activation.kind == Activation::leaky_relu && r.value[i] < 0) r.value[i] *= s.activation.slope;
                }
            }
        }
    }
    return r;
}

std::vector<float> random_values(std::mt19937& random, size_t count, bool bf16_exact) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& v : values) v = bf16_exact ? to_float(to_bf16(normal(random))) : normal(random);
    return values;
}

Tensor tensor_of(Shape shape, DataType type, const std::vector<float>& values) {
    Tensor t(shape, type);
    for (size_t i = 0; i < values.size(); i++) {
        switch (type) {
            case DataType::f32:
                t.as<float>()[i] = values[i];
                break;
            case DataType::bf16:
                t.as<bf16>()[i] = to_bf16(values[i]);
                break;
            case DataType::u8:
                t.as<uint8_t>()[i] = uint8_t(values[i]);
                break;
            default:
                FAIL("no such input");
        }
    }
    return t;
}

// From NHWC to the layout, or back.
std::vector<float> moved(const std::vector<float>& values, const Shape& s, Layout layout, bool back) {
    if (layout == Layout::plain || values.empty()) return values;
    std::vector<float> result(values.size());
    const size_t positions = size_t(s.h) * size_t(s.w), channels = size_t(s.c);
    for (size_t i = 0; i < values.size(); i++) {
        const size_t n = i / channels / positions, p = i / channels % positions, c = i % channels;
        const size_t at = ((n * (channels / kLayoutBlock) + c / kLayoutBlock) * positions + p) * kLayoutBlock + c % kLayoutBlock;
        result[back ? i : at] = values[back ? at : i];
    }
    return result;
}

double value_at(const Tensor& t, size_t i) { return t.type() == DataType::bf16 ? to_float(t.as<bf16>()[i]) : t.as<float>()[i]; }

// f(shape) for all combinations of kernels, strides, sizes and channel counts.
template <class F>
void each_shape(F&& f) {
    for (int kernel : {1, 3, 5}) {
        for (int stride : {1, 2}) {
            for (auto [h, w] : {std::pair(1, 1), std::pair(2, 3), std::pair(7, 5), std::pair(9, 16)}) {
                for (auto [in, out] : {std::pair(3, 5), std::pair(5, 17), std::pair(17, 3), std::pair(1, 1), std::pair(16, 32),
                                       std::pair(48, 20)}) {
                    ConvolutionShape s;
                    s.src = {2, h, w, in};
                    s.dst = {2, (h - 1) / stride + 1, (w - 1) / stride + 1, out};
                    s.kernel = kernel;
                    s.stride = stride;
                    f(s);
                }
            }
        }
    }
}

// The largest error of all shapes, relative to the magnitude of the terms (and to the result's own precision).
double worst_error(ConvolutionShape variant, Convolution::Use use, double result_precision) {
    const OneThread one_thread;
    std::mt19937 random(1);
    AlignedBuffer scratch;
    double worst = 0;
    each_shape([&](ConvolutionShape s) {
        s.src_type = variant.src_type;
        s.weights_type = variant.weights_type;
        s.dst_type = variant.dst_type;
        s.bias = variant.bias;
        s.add = variant.add;
        s.activation = variant.activation;
        const bool low = s.src_type == DataType::bf16;
        const auto src = random_values(random, s.src.elements(), low);
        const auto weights = random_values(random, size_t(s.dst.c) * s.src.c * s.kernel * s.kernel, low);
        const auto bias = s.bias ? random_values(random, size_t(s.dst.c), false) : std::vector<float>();
        const auto addend = s.add ? random_values(random, s.dst.elements(), s.dst_type == DataType::bf16) : std::vector<float>();
        const Reference want = convolve(s, src, weights, bias, addend);

        PackedWeights packed(s.dst.c, s.src.c, s.kernel);
        packed.set(weights);
        const Convolution convolution(s, packed, use);
        const Tensor input = tensor_of(s.src, s.src_type, src);
        Tensor output = s.add ? tensor_of(s.dst, s.dst_type, addend) : Tensor(s.dst, s.dst_type);
        convolution.forward(input.as<std::byte>(), s.bias ? bias.data() : nullptr, output.as<std::byte>(), scratch);
        for (size_t i = 0; i < want.value.size(); i++) {
            const double error = std::abs(value_at(output, i) - want.value[i]);
            worst = std::max(worst, error / (want.magnitude[i] + std::abs(want.value[i]) * result_precision * 1e5 + 1e-30));
        }
    });
    return worst;
}

}  // namespace

TEST_CASE("convolution in f32") {
    ConvolutionShape variant;
    for (auto use : {Convolution::Use::inference, Convolution::Use::training}) CHECK(worst_error(variant, use, 0) < 1e-5);
    variant.bias = false;
    CHECK(worst_error(variant, Convolution::Use::inference, 0) < 1e-5);
}

TEST_CASE("convolution with a fused activation") {
    ConvolutionShape variant;
    variant.activation.kind = Activation::leaky_relu;
    for (float slope : {0.01f, 0.2f, 0.0f}) {
        variant.activation.slope = slope;
        CHECK(worst_error(variant, Convolution::Use::inference, 0) < 1e-5);
        CHECK(worst_error(variant, Convolution::Use::training, 0) < 1e-5);
    }
}

TEST_CASE("convolution that adds to its destination") {
    ConvolutionShape variant;
    variant.add = true;
    CHECK(worst_error(variant, Convolution::Use::inference, 0) < 1e-5);
    CHECK(worst_error(variant, Convolution::Use::training, 0) < 1e-5);
}

TEST_CASE("convolution of blocked arrays") {
    const OneThread one_thread;
    std::mt19937 random(4);
    AlignedBuffer scratch;
    int checked = 0;
    each_shape([&](ConvolutionShape s) {
        const bool can_read = s.src.c % kLayoutBlock == 0, can_write = s.dst.c % kLayoutBlock == 0;
        s.activation = {.kind = Activation::leaky_relu, .slope = 0.2f};
        s.add = true;
        const size_t weight_count = size_t(s.dst.c) * size_t(s.src.c) * size_t(s.kernel) * size_t(s.kernel);
        const auto src = random_values(random, s.src.elements(), false), weights = random_values(random, weight_count, false), bias = random_values(random, size_t(s.dst.c), false);
        const auto addend = random_values(random, s.dst.elements(), false), gradient = random_values(random, s.dst.elements(), false);
        struct Result {
            std::vector<float> value, src_gradient, weight_gradient, bias_gradient;
        };
        const auto run = [&] {
            PackedWeights packed(s.dst.c, s.src.c, s.kernel);
            packed.set(weights);
            const Convolution convolution(s, packed, Convolution::Use::training);
            const auto in = moved(src, s.src, s.src_layout, false), out_gradient = moved(gradient, s.dst, s.dst_layout, false);
            Result r{moved(addend, s.dst, s.dst_layout, false), std::vector<float>(src.size()), std::vector<float>(weight_count), std::vector<float>(bias.size())};
            convolution.forward(in.data(), bias.data(), r.value.data(), scratch);
            convolution.backward_data(out_gradient.data(), r.src_gradient.data(), scratch);
            convolution.backward_weights(in.data(), out_gradient.data(), r.weight_gradient.data(), r.bias_gradient.data(), scratch);
            r.value = moved(r.value, s.dst, s.dst_layout, true);
            r.src_gradient = moved(r.src_gradient, s.src, s.src_layout, true);
            return r;
        };
        const Result want = run();
        const auto error = [](const std::vector<float>& a, const std::vector<float>& b) {
            float largest = 0, worst = 0;
            for (size_t i = 0; i < a.size(); i++) {
                largest = std::max(largest, std::abs(b[i]));
                worst = std::max(worst, std::abs(a[i] - b[i]));
            }
            return worst / largest;
        };
        for (const Layout reads : {Layout::plain, Layout::blocked}) {
            for (const Layout writes : {Layout::plain, Layout::blocked}) {
                if ((reads == Layout::blocked && !can_read) || (writes == Layout::blocked && !can_write)) continue;
                s.src_layout = reads;
                s.dst_layout = writes;
                const Result got = run();
                CHECK(error(got.value, want.value) < 1e-5f);
                CHECK(error(got.src_gradient, want.src_gradient) < 1e-5f);
                CHECK(error(got.weight_gradient, want.weight_gradient) < 1e-5f);
                CHECK(error(got.bias_gradient, want.bias_gradient) < 1e-5f);
                checked++;
            }
        }
    });
    CHECK(checked == 24 * (6 + 3 + 1));  // of each kernel, stride and size: plain ones of all, and with blocks where channels fit
}

TEST_CASE("convolution in bf16" * doctest::skip(!has_bf16())) {
    // Products and sums are those of f32; only a bf16 result is rounded to 8 bits.
    ConvolutionShape variant;
    variant.src_type = variant.weights_type = DataType::bf16;
    CHECK(worst_error(variant, Convolution::Use::inference, 0) < 1e-5);
    CHECK(worst_error(variant, Convolution::Use::training, 0) < 1e-5);
    variant.add = true;
    CHECK(worst_error(variant, Convolution::Use::inference, 0) < 1e-5);
    variant.add = false;
    variant.dst_type = DataType::bf16;
    CHECK(worst_error(variant, Convolution::Use::inference, 0x1p-8) < 1e-5);
    variant.activation.kind = Activation::leaky_relu;
    variant.activation.slope = 0.01f;
    CHECK(worst_error(variant, Convolution::Use::inference, 0x1p-8) < 1e-5);
    CHECK(worst_error(variant, Convolution::Use::training, 0x1p-8) < 1e-5);
}

TEST_CASE("convolution in integers is exact") {
    const OneThread one_thread;
    std::mt19937 random(2);
    AlignedBuffer scratch;
    size_t wrong = 0;
    // Random values, and the extremes that overflow 16-bit sums of pairs where weights are too large.
    for (bool extreme : {false, true}) {
        each_shape([&](ConvolutionShape s) {
            s.src_type = DataType::u8;
            s.weights_type = DataType::s8;
            s.dst_type = DataType::s32;
            s.bias = false;
            std::vector<float> src(s.src.elements()), integers(size_t(s.dst.c) * s.src.c * s.kernel * s.kernel);
            std::vector<int8_t> exponents(size_t(s.dst.c), 0);
            for (float& v : src) v = extreme ? 255.0f : float(random() % 256);
            const size_t per_output = integers.size() / exponents.size();
            for (float& v : integers) v = float(int(random() % 127) - 63);
            for (size_t i = 0; i < integers.size() && extreme; i++) integers[i] = (i / per_output) % 2 == 0 ? 63.0f : -63.0f;
            for (int8_t& e : exponents) e = int8_t(random() % 21);

            PackedWeights packed(s.dst.c, s.src.c, s.kernel);
            packed.set(RoundedWeights{{integers.begin(), integers.end()}, exponents});
            const Convolution convolution(s, packed, Convolution::Use::inference);
            const Tensor input = tensor_of(s.src, DataType::u8, src);
            Tensor output(s.dst, DataType::s32);
            convolution.forward(input.as<std::byte>(), nullptr, output.as<std::byte>(), scratch);
            const Reference want = convolve(s, src, integers, {}, {});
            for (size_t i = 0; i < want.value.size(); i++) wrong += double(output.as<int32_t>()[i]) != want.value[i];
        });
    }
    CHECK(wrong == 0);
}

TEST_CASE("new weights reach every layout that was asked for") {
    std::mt19937 random(3);
    AlignedBuffer scratch;
    ConvolutionShape small;
    small.src = {1, 5, 5, 17};
    small.dst = {1, 5, 5, 19};
    small.kernel = 3;
    ConvolutionShape large = small;
    large.src.h = large.src.w = large.dst.h = large.dst.w = 40;
    ConvolutionShape low = small;
    low.src_type = low.weights_type = test::float_types().back();
    const size_t count = 19 * 17 * 9;

    PackedWeights packed(19, 17, 3);
    const Convolution before(small, packed, Convolution::Use::training);  // made before there are weights
    for (int round = 0; round < 2; round++) {
        const auto weights = random_values(random, count, true);
        packed.set(weights);
        const std::vector<float> bias(19, 0.5f);
        const auto check = [&](const Convolution& convolution, const ConvolutionShape& s) {
            const auto src = random_values(random, s.src.elements(), true);
            const Tensor input = tensor_of(s.src, s.src_type, src);
            Tensor output(s.dst, DataType::f32);
            convolution.forward(input.as<std::byte>(), bias.data(), output.as<std::byte>(), scratch);
            const Reference want = convolve(s, src, weights, bias, {});
            double worst = 0;
            for (size_t i = 0; i < want.value.size(); i++)
                worst = std::max(worst, std::abs(output.as<float>()[i] - want.value[i]) / want.magnitude[i]);
            CHECK(worst < 1e-5);
        };
        check(before, small);
        check(Convolution(large, packed, Convolution::Use::inference), large);
        check(Convolution(low, packed, Convolution::Use::inference), low);
    }
}

TEST_CASE("a convolution whose shapes do not fit is refused with its shapes") {
    ConvolutionShape s;
    s.src = {1, 8, 8, 4};
    s.dst = {1, 2, 4, 4};
    s.kernel = 3;
    s.stride = 2;
    PackedWeights packed(4, 4, 3);
    CHECK_THROWS_WITH_AS(Convolution(s, packed, Convolution::Use::inference), doctest::Contains("[1, 2, 4, 4]"), Error);
}

TEST_CASE("the engine tells its version") {
    CHECK(engine_version().find("oneDNN ") == 0);
    CHECK(engine_version().find("unknown") == std::string::npos);
}

TEST_CASE("convolutions of all types that threads make at once compute what they should") {
    // Where the processor has AMX, one in some ten thousand did not before they were described one after the other (onednn.h).
    constexpr int kThreads = 4, kRounds = 500;
    std::atomic<int> wrong = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([t, &wrong] {
            omp_set_num_threads(1);
            std::mt19937 random{uint32_t(t)};
            AlignedBuffer scratch;
            const DataType narrow = fastest_float();
            for (int i = 0; i < kRounds; i++) {
                const bool integers = t % 2 == 0;
                const int inputs = std::array{24, 48, 64, 96, 128, 192}[random() % 6], outputs = 16 * int(1 + random() % 12);
                ConvolutionShape s;
                s.kernel = random() % 2 == 0 ? 1 : 3;
                s.padded = s.bias = false;
                s.dst = {1, 1 + int(random() % 4), 1 + int(random() % 30), outputs};
                s.src = {1, s.dst.h + s.kernel - 1, s.dst.w + s.kernel - 1, inputs};
                s.src_type = integers ? DataType::u8 : i % 2 == 0 ? narrow : DataType::f32;
                s.weights_type = integers ? DataType::s8 : s.src_type;
                s.dst_type = integers ? DataType::s32 : DataType::f32;
                const size_t count = size_t(outputs) * size_t(inputs) * size_t(s.kernel) * size_t(s.kernel);
                PackedWeights packed(outputs, inputs, s.kernel);
                const std::vector<float> ones(count, 1.0f);
                if (integers) {
                    packed.set(RoundedWeights{std::vector<int8_t>(count, 1), std::vector<int8_t>(size_t(outputs), 0)});
                } else {
                    packed.set(ones);
                }
                const Convolution convolution(s, packed, Convolution::Use::inference);
                const Tensor input = tensor_of(s.src, s.src_type, std::vector<float>(s.src.elements(), 1.0f));
                Tensor output(s.dst, s.dst_type);
                convolution.forward(input.as<std::byte>(), nullptr, output.as<std::byte>(), scratch);
                const int want = inputs * s.kernel * s.kernel;
                for (size_t j = 0; j < s.dst.elements(); j++) wrong += (integers ? output.as<int32_t>()[j] : int(output.as<float>()[j])) != want;
            }
        });
    }
    threads.clear();
    CHECK(wrong == 0);
}
