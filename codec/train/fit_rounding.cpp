#include "codec/train/fit_rounding.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "codec/error.h"
#include "codec/network/rounding.h"
#include "codec/train/network_value.h"
#include "codec/train/noisy_crop.h"

namespace decant {
namespace {

constexpr int kSide = 160;
// Of the mean of the diagonal of E[x·xᵀ]: what is not sure enough to be made good, and what keeps the passing on of errors within bounds.
constexpr double kFitRidge = 3e-2, kRoundingRidge = 1e-3;

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// A row for each position: what a convolution multiplies there, in the order of its weights, and 1, which the bias is multiplied with. Beyond the edges lie zeros.
void columns_of(std::span<const float> value, const Shape& shape, int kernel, FloatMatrix& columns) {
    const int area = kernel * kernel, border = (kernel - 1) / 2;
    columns.setZero(Eigen::Index(shape.h) * shape.w, Eigen::Index(shape.c) * area + 1);
    for (int y = 0; y < shape.h; y++) {
        for (int x = 0; x < shape.w; x++) {
            auto row = columns.row(Eigen::Index(y) * shape.w + x);
            row[row.size() - 1] = 1.0f;
            for (int k = 0; k < area; k++) {
                const int from_y = y + k / kernel - border, from_x = x + k % kernel - border;
                if (from_y < 0 || from_x < 0 || from_y >= shape.h || from_x >= shape.w) continue;
                const float* src = value.data() + (size_t(from_y) * size_t(shape.w) + size_t(from_x)) * size_t(shape.c);
                for (int c = 0; c < shape.c; c++) row[Eigen::Index(c) * area + k] = src[c];
            }
        }
    }
}

// What a layer is to be fitted by: of x with a 1 behind it.
struct Moments {
    Matrix inputs;  // E[x·xᵀ]
    Matrix errors;  // E[(y - W·x)·xᵀ], [outputs, inputs]
};

// weights: [outputs, inputs], the last column without limits. Each becomes integer · 2^-exponent.
void round_in_order(Matrix& weights, const Matrix& inputs, std::span<const int8_t> exponents) {
    const Eigen::Index count = weights.cols();
    const Matrix sure = inputs + kRoundingRidge * inputs.diagonal().head(count - 1).mean() * Matrix::Identity(count, count);
    const Matrix inverse = sure.llt().solve(Matrix::Identity(count, count));
    const Matrix upper = Matrix(inverse.llt().matrixU());
    for (Eigen::Index i = 0; i + 1 < count; i++) {
        Eigen::VectorXd error(weights.rows());
        for (Eigen::Index o = 0; o < weights.rows(); o++) {
            const double was = weights(o, i), limit = kWeightLimit, scale = std::ldexp(1.0, exponents[size_t(o)]);
            weights(o, i) = std::clamp(std::nearbyint(was * scale), -limit, limit) / scale;
            error[o] = (was - weights(o, i)) / upper(i, i);
        }
        weights.rightCols(count - 1 - i).noalias() -= error * upper.row(i).tail(count - 1 - i);
    }
}

// Those with the largest inputs first, whose errors weigh most; the bias last.
void round_columns(Matrix& weights, const Matrix& inputs, std::span<const int8_t> exponents) {
    Eigen::PermutationMatrix<Eigen::Dynamic> order(weights.cols());
    std::iota(order.indices().data(), order.indices().data() + order.size(), 0);
    std::stable_sort(order.indices().data(), order.indices().data() + order.size() - 1, [&](int a, int b) { return inputs(a, a) > inputs(b, b); });
    Matrix ordered = weights * order;
    round_in_order(ordered, order.transpose() * inputs * order, exponents);
    weights = ordered * order.transpose();
}

class Fit {
public:
    Fit(const Description& d, const Parameters& floats, std::vector<std::vector<float>> inputs)
        : description_(d), network_(d.network(kDenoiseNetwork)), float_network_(in_floats(network_)), floats_(floats), inputs_(std::move(inputs)) {
        layers_ = plan(network_, {1, kSide, kSide, network_.channels_in});
    }

    // Of layer `index`; those before are in `parameters` as they are to be.
    void run(int index, Parameters& parameters) const {
        const PlannedLayer& planned = layers_[size_t(index)];
        const std::string name = network_.name + "." + planned.layer->name;
        const auto weight = parameters[name + ".weight"], bias = parameters[name + ".bias"];
        const Eigen::Index outputs = planned.layer->channels, count = Eigen::Index(weight.size()) / outputs;
        Matrix weights(outputs, count + 1);
        weights.leftCols(count) = Eigen::Map<const FloatMatrix>(weight.data(), outputs, count).cast<double>();
        weights.col(count) = Eigen::Map<const Eigen::VectorXf>(bias.data(), outputs).cast<double>();

        const Moments m = moments(index, parameters, weights.cast<float>());
        const Matrix sure = m.inputs + kFitRidge * m.inputs.diagonal().head(count).mean() * Matrix::Identity(count + 1, count + 1);
        weights += sure.llt().solve(Matrix(m.errors.transpose())).transpose();
        if (planned.layer->arithmetic == Arithmetic::integer) {
            const FloatMatrix rows = weights.leftCols(count).cast<float>();
            round_columns(weights, m.inputs, round_weights({rows.data(), size_t(rows.size())}, int(outputs)).exponents);
        }
        Eigen::Map<FloatMatrix>(weight.data(), outputs, count) = weights.leftCols(count).cast<float>();
        Eigen::Map<Eigen::VectorXf>(bias.data(), outputs) = weights.col(count).cast<float>();
    }

private:
    Moments moments(int index, const Parameters& parameters, const FloatMatrix& weights) const {
        const PlannedLayer& planned = layers_[size_t(index)];
        const Layer& layer = *planned.layer;
        Network exact = float_network_;
        exact.layers[size_t(index)].activation = Activation::none;
        NetworkValue wanted(description_, exact, floats_, index, kSide), read(description_, network_, parameters, planned.src, kSide);
        std::optional<NetworkValue> added;
        if (planned.add >= -1) added.emplace(description_, network_, parameters, planned.add, kSide);
        const float scale = std::ldexp(1.0f, layer.input_exponent);
        const bool rounds = layer.arithmetic == Arithmetic::integer && reads_signed(layers_, index);

        Moments m{Matrix::Zero(weights.cols(), weights.cols()), Matrix::Zero(weights.rows(), weights.cols())};
        FloatMatrix columns, errors;
        std::vector<float> values;
        for (const std::vector<float>& input : inputs_) {
            const auto source = read.of(input);
            values.assign(source.begin(), source.end());
            if (rounds)
                for (float& v : values) v = std::clamp(std::floor(v * scale + 0.5f), -128.0f, 127.0f) / scale;
            columns_of(values, planned.src_shape, layer.kernel, columns);
            errors.noalias() = -columns * weights.transpose();
            errors += Eigen::Map<const FloatMatrix>(wanted.of(input).data(), errors.rows(), errors.cols());
            if (added) errors -= Eigen::Map<const FloatMatrix>(added->of(input).data(), errors.rows(), errors.cols());
            m.inputs += FloatMatrix(columns.transpose() * columns).cast<double>();
            m.errors += FloatMatrix(errors.transpose() * columns).cast<double>();
        }
        const double positions = double(planned.dst_shape.h) * planned.dst_shape.w * double(inputs_.size());
        m.inputs /= positions;
        m.errors /= positions;
        return m;
    }

    const Description description_;
    const Network network_;
    const Network float_network_;
    const Parameters& floats_;
    const std::vector<std::vector<float>> inputs_;
    std::vector<PlannedLayer> layers_;
};

}  // namespace

void fit_rounding(const Description& d, const Dataset& dataset, uint64_t seed, int crops, Parameters& parameters) {
    if (d.task != Task::denoise) throw Error(ErrorCode::invalid_argument, "training.fit_rounding: is for denoisers");
    const Parameters floats = parameters;
    const Fit fit(d, floats, noisy_inputs(d, dataset, seed, crops, kSide));
    const auto& layers = d.network(kDenoiseNetwork).layers;
    for (size_t i = 0; i < layers.size(); i++) {
        if (layers[i].op == Operation::convolution && layers[i].arithmetic != Arithmetic::compute && layers[i].stride == 1) fit.run(int(i), parameters);
    }
}

}  // namespace decant
