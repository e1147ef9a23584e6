#include "codec/train/initialise.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "codec/error.h"
#include "codec/latents/layout.h"
#include "codec/train/crop_channels.h"

namespace decant {
namespace {

// Rows are positions, columns channels.
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Features {
    int crops, side;
    Matrix values;
};

Features unshuffle(const Features& f, int factor) {
    const int channels = int(f.values.cols()), side = f.side / factor;
    Features out{f.crops, side, Matrix(Eigen::Index(f.crops) * side * side, channels * factor * factor)};
    for (int n = 0; n < f.crops; n++) {
        for (int y = 0; y < side; y++) {
            for (int x = 0; x < side; x++) {
                for (int dy = 0; dy < factor; dy++) {
                    for (int dx = 0; dx < factor; dx++) {
                        const Eigen::Index to = (Eigen::Index(n) * side + y) * side + x;
                        const Eigen::Index from = (Eigen::Index(n) * f.side + y * factor + dy) * f.side + x * factor + dx;
                        out.values.row(to).segment((dy * factor + dx) * channels, channels) = f.values.row(from);
                    }
                }
            }
        }
    }
    return out;
}

void put(Parameters& parameters, const std::string& layer, const Matrix& m) {
    const auto weight = parameters[layer + ".weight"];
    if (weight.size() != size_t(m.size())) {
        throw Error(ErrorCode::model_mismatch, layer + ": " + std::to_string(weight.size()) + " weights where the transform has " +
                                                   std::to_string(m.rows()) + " × " + std::to_string(m.cols()));
    }
    std::copy_n(m.data(), m.size(), weight.begin());
}

void start_as_klt(const Description& d, const Dataset& dataset, uint64_t seed, Parameters& parameters) {
    constexpr int kCrops = 400, kSide = 128;
    RandomStream random{random_key(seed, 1)};
    const int colours = picture_channels(d);
    Features f{kCrops, kSide, Matrix(Eigen::Index(kCrops) * kSide * kSide, colours)};
    std::vector<uint8_t> crop(kSide * kSide * 3);
    for (int n = 0; n < kCrops; n++) {
        dataset.crop(random, kSide, crop);
        const std::vector<uint8_t> pixels = in_channels(crop, colours);
        for (size_t i = 0; i < pixels.size(); i++) f.values.data()[size_t(n) * pixels.size() + i] = pixel_value(pixels[i]);
    }
    Eigen::VectorXf scale = Eigen::VectorXf::Ones(colours);  // of the features' columns
    for (const Layer& layer : d.network(kAnalysisNetwork).layers) {
        if (layer.op == Operation::unshuffle) {
            f = unshuffle(f, layer.factor);
            scale = scale.replicate(layer.factor * layer.factor, 1).eval();
            continue;
        }
        if (layer.init != Init::klt) continue;
        const int inputs = int(f.values.cols());
        if (&layer == &d.network(kAnalysisNetwork).layers.back()) {
            // Channels of all variances go into each group of the context.
            Matrix out = Matrix::Zero(d.latent_channels, inputs), back = Matrix::Zero(inputs, d.latent_channels);
            const auto std = parameters["latent_std"];
            std::fill(std.begin(), std.end(), 1e-3f);
            const int group = d.latent_channels / kContextSteps;
            for (int rank = 0; rank < std::min(inputs, d.latent_channels); rank++) {
                const int c = rank % kContextSteps * group + rank / kContextSteps;
                out(c, rank) = scale[rank];
                back(rank, c) = 1.0f / scale[rank];
                std[size_t(c)] = scale[rank];
            }
            put(parameters, "analysis." + layer.name, out);
            put(parameters, "synthesis." + layer.name, back);
            return;
        }
        const Matrix scaled = f.values * scale.asDiagonal();
        const Eigen::MatrixXd covariance = (scaled.transpose() * scaled).cast<double>() / double(scaled.rows());
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
        const int keep = std::min(layer.channels, inputs);
        Matrix down = Matrix::Zero(layer.channels, inputs), up = Matrix::Zero(inputs, layer.channels);
        Eigen::VectorXf std = Eigen::VectorXf::Constant(layer.channels, 1e-3f);
        for (int k = 0; k < keep; k++) {
            const Eigen::VectorXf basis = solver.eigenvectors().col(inputs - 1 - k).cast<float>();
            std[k] = float(std::sqrt(std::max(solver.eigenvalues()[inputs - 1 - k], 1e-8)));
            down.row(k) = (basis.array() * scale.array()).matrix().transpose() / std[k];
            up.col(k) = (basis.array() / scale.array()).matrix() * std[k];
        }
        put(parameters, "analysis." + layer.name, down);
        put(parameters, "synthesis." + layer.name, up);
        f.values = (f.values * down.transpose()).eval();
        scale = std;
    }
    throw Error(ErrorCode::model_mismatch, "analysis: the last layer must have init klt, like the first of each stage");
}

}  // namespace

namespace {

// What normalisation and activation learn begins as if it were not learned.
void start_activation(const std::string& name, const Layer& layer, Parameters& parameters) {
    const auto fill = [&](const char* suffix, float v) { std::ranges::fill(parameters[name + suffix], v); };
    if (layer.normalisation == Normalisation::batch) {
        fill(".scale", 1.0f);
        fill(".variance", 1.0f);
    }
    if (layer.activation == Activation::prelu) fill(".slope", layer.slope);
    if (layer.activation == Activation::jump_relu) fill(".threshold", layer.threshold);
    if (layer.activation == Activation::gdn || layer.activation == Activation::inverse_gdn) {
        fill(".beta", 1.0f);
        const auto gamma = parameters[name + ".gamma"];
        for (size_t c = 0; c < size_t(layer.channels); c++) gamma[c * size_t(layer.channels) + c] = 0.1f;  // as Ballé 2018 begins
    }
}

void start_bottleneck(RandomStream& random, Parameters& parameters) {
    // About as large as the code of an untrained encoder; whatever is not in use is drawn anew (codec/train/autoencoder_task.h).
    if (parameters.contains("codebook")) {
        for (float& v : parameters["codebook"]) v = 0.1f * random.normal();
    }
    // Nobody is dead before they were seen.
    if (parameters.contains("activity")) {
        const auto activity = parameters["activity"];
        std::ranges::fill(activity, parameters.contains("codebook") ? 1.0f / float(activity.size()) : 0.1f);
    }
}

}  // namespace

Parameters initial_parameters(const Description& d, const Dataset& dataset, uint64_t seed) {
    Parameters parameters(d);
    RandomStream random{random_key(seed, 2)};
    for (const Network& network : d.networks) {
        for (const Layer& layer : network.layers) {
            if (layer.op != Operation::convolution) continue;
            start_activation(network.name + "." + layer.name, layer, parameters);
            if (layer.init == Init::klt || layer.init == Init::zero) continue;
            const Parameter& p = parameters.find(network.name + "." + layer.name + ".weight");
            const double fan_in = double(p.size) / p.shape[0];
            const float std = layer.init == Init::small ? 0.01f : layer.init_scale * float(std::sqrt((layer.init == Init::lecun ? 1.0 : 2.0) / fan_in));
            for (float& v : parameters[p.name]) v = std * random.normal();
        }
    }
    if (d.task == Task::autoencoder) start_bottleneck(random, parameters);
    if (d.task != Task::codec) return parameters;
    start_as_klt(d, dataset, seed, parameters);
    for (size_t level = 0; level < d.lambda.size(); level++) {
        const double step = std::sqrt(18.0 / (std::log(2.0) * d.lambda[level] * 255.0 * 255.0 / kPixelPeak2));
        for (size_t c = 0; c < size_t(d.latent_channels); c++) {
            parameters["gain"][level * size_t(d.latent_channels) + c] = float(-std::log2(step));
            parameters["inverse_gain"][level * size_t(d.latent_channels) + c] = float(std::log2(step));
        }
    }
    for (float& v : parameters["hyper_log2_scale"]) v = 1.0f;
    return parameters;
}

Parameters initial_parameters(const Description& d, const Dataset& dataset, uint64_t seed, const Parameters& start) {
    Parameters parameters(d);
    const auto fits = [&](const Parameter& p) { return start.contains(p.name) && start.find(p.name).shape == p.shape; };
    if (!std::ranges::all_of(parameters.list(), fits)) parameters = initial_parameters(d, dataset, seed);
    if (std::ranges::none_of(parameters.list(), fits)) throw Error(ErrorCode::model_mismatch, d.name + ": no weights of the model that the training starts from fit these networks");
    for (const Parameter& p : parameters.list())
        if (fits(p)) std::ranges::copy(start[p.name], parameters[p.name].begin());
    return parameters;
}

std::vector<float> learning_rates(const Description& d, const Parameters& parameters) {
    constexpr float kUsualWeight = 0.1f;  // what the learning rate is made for
    constexpr float kBranchRate = 0.3f, kLinearRate = 1.0f, kNetworkRate = 2.0f;  // learning rate of a weight of unit size
    std::vector<float> rates(parameters.values().size(), 1.0f);
    for (const Parameter& p : parameters.list()) {
        if (p.change != Parameter::Change::gradient) std::fill_n(rates.begin() + std::ptrdiff_t(p.offset), p.size, 0.0f);
    }
    // They multiply latents of hundreds of steps.
    if (parameters.contains("prediction")) {
        const Parameter& prediction = parameters.find("prediction");
        std::fill_n(rates.begin() + std::ptrdiff_t(prediction.offset), prediction.size, 0.1f);
    }
    for (const Network& network : d.networks) {
        const auto layers = plan(network, {1, 64, 64, network.channels_in});
        for (size_t i = 0; i < layers.size(); i++) {
            const Layer& layer = *layers[i].layer;
            if (layer.op != Operation::convolution) continue;
            const Parameter& p = parameters.find(network.name + "." + layer.name + ".weight");
            if (layer.arithmetic != Arithmetic::wide) {
                // Adam moves each weight by as much as the rate, and all weights of a sum of activations, which are positive, the same
                // way: at one rate for all, the results of large sums are thrown about until ReLUs are dead. So rates go with the
                // weights' size at the start; and those of residual branches are low, since beside a linear path that is a good
                // codec from the first step, a branch whose noise exceeds its use is switched off for good. Linear branches cannot die.
                const bool transform = network.name == kAnalysisNetwork || network.name == kSynthesisNetwork;
                const bool linear = reads_signed(layers, int(i)) && layer.activation == Activation::none;
                const float he = std::sqrt(2.0f * float(p.shape[0]) / float(p.size));
                const float rate = std::min(1.0f, he * (!transform ? kNetworkRate : linear ? kLinearRate : kBranchRate));
                std::fill_n(rates.begin() + std::ptrdiff_t(p.offset), p.size, rate);
                const Parameter& bias = parameters.find(network.name + "." + layer.name + ".bias");
                std::fill_n(rates.begin() + std::ptrdiff_t(bias.offset), bias.size, std::min(1.0f, 4.0f * rate));
                continue;
            }
            const Eigen::Index rows = p.shape[0], columns = Eigen::Index(p.size) / rows;
            const Eigen::Map<const Matrix> weights(parameters.values().data() + p.offset, rows, columns);
            const Matrix squares = weights.array().square().matrix();
            const Eigen::VectorXf row = squares.rowwise().mean(), column = squares.colwise().mean();
            Eigen::Map<Matrix> rate(rates.data() + p.offset, rows, columns);
            const Matrix scale = (row * column.transpose() / std::max(squares.mean(), 1e-12f)).cwiseSqrt();
            rate = (scale / kUsualWeight).cwiseMax(0.003f).cwiseMin(1.0f);
        }
    }
    return rates;
}

}  // namespace decant
