#include "codec/anomaly/normality.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "codec/error.h"
#include "codec/image/luma.h"

namespace decant {
namespace {

constexpr int kFitEvery = 5;         // one picture in so many says where the threshold is
constexpr double kRidge = 1e-3;      // of the mean variance, so that what never varies does not decide
constexpr float kLeastError = 1e-2f; // of samples 0 … 255, squared; below it is rounding

struct Grid {
    int height = 0, width = 0, dimensions = 0;
    std::vector<float> values;
};

// The mean squared error of the pixels of each position.
std::vector<float> position_errors(const Image& image, const Image& reconstruction, int stride, int height, int width) {
    std::vector<float> sums(size_t(height) * size_t(width), 0.0f), counts(sums.size(), 0.0f);
    for (uint32_t y = 0; y < image.height; y++) {
        const uint8_t* r = reconstruction.row(y);
        for (uint32_t x = 0; x < image.width; x++) {
            const size_t at = size_t(y / uint32_t(stride)) * size_t(width) + x / uint32_t(stride);
            float error = 0;
            const auto* p = image.row(y) + size_t(x) * size_t(image.channels);
            if (reconstruction.channels == 1) {
                const float v = image.channels == 1 ? float(p[0]) : luma(p[0], p[1], p[2]);
                error = (v - float(r[x])) * (v - float(r[x]));
            } else {
                for (uint32_t c = 0; c < 3; c++) {
                    const float d = float(p[image.channels == 1 ? 0 : c]) - float(r[3 * x + c]);
                    error += d * d / 3.0f;
                }
            }
            sums[at] += error;
            counts[at] += 1.0f;
        }
    }
    for (size_t i = 0; i < sums.size(); i++) sums[i] /= counts[i];
    return sums;
}

Grid features_of(const Autoencoder& autoencoder, const Image& image) {
    if (image.depth() != 8) throw Error(ErrorCode::unsupported, "pictures of 8 bits a sample are compared, not of " + std::to_string(image.depth()));
    const Code code = autoencoder.encode(image);
    const Image reconstruction = autoencoder.decode(code, image.width, image.height);
    const std::vector<float> errors = position_errors(image, reconstruction, autoencoder.stride(), code.height, code.width);
    Grid grid{code.height, code.width, code.channels + 1, {}};
    for (size_t p = 0; p < errors.size(); p++) {
        const float* v = code.values.data() + p * size_t(code.channels);
        grid.values.insert(grid.values.end(), v, v + code.channels);
        grid.values.push_back(std::log(errors[p] + kLeastError));
    }
    return grid;
}

// Means of 3×3 positions, fewer at the edges: single positions are noise.
std::vector<float> smoothed(const std::vector<float>& values, int height, int width) {
    std::vector<float> result(values.size());
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            float sum = 0, count = 0;
            for (int dy = std::max(0, y - 1); dy <= std::min(height - 1, y + 1); dy++) {
                for (int dx = std::max(0, x - 1); dx <= std::min(width - 1, x + 1); dx++, count++) sum += values[size_t(dy) * size_t(width) + size_t(dx)];
            }
            result[size_t(y) * size_t(width) + size_t(x)] = sum / count;
        }
    }
    return result;
}

AnomalyMap map_of(const Grid& grid, const std::vector<double>& mean, const std::vector<double>& whitening, double threshold) {
    const size_t d = mean.size();
    if (size_t(grid.dimensions) != d) throw Error(ErrorCode::model_mismatch, "what is normal was learned with another model");
    std::vector<float> distances;
    std::vector<double> v(d);
    for (size_t p = 0; p < size_t(grid.height) * size_t(grid.width); p++) {
        for (size_t i = 0; i < d; i++) v[i] = double(grid.values[p * d + i]) - mean[i];
        double square = 0;
        for (size_t i = 0; i < d; i++) {
            double sum = 0;
            for (size_t j = 0; j <= i; j++) sum += whitening[i * d + j] * v[j];  // lower triangular
            square += sum * sum;
        }
        distances.push_back(float(square / threshold));
    }
    AnomalyMap map{grid.height, grid.width, smoothed(distances, grid.height, grid.width), 0, 0, 0};
    const auto peak = std::ranges::max_element(map.values) - map.values.begin();
    map.score = double(map.values[size_t(peak)]);
    map.peak_y = int(peak) / map.width;
    map.peak_x = int(peak) % map.width;
    return map;
}

}  // namespace

void Normality::Learner::add(const Image& image) {
    Grid grid = features_of(autoencoder_, image);
    shapes_.emplace_back(grid.height, grid.width);
    features_.push_back(std::move(grid.values));
}

Normality Normality::Learner::fit() const {
    if (features_.size() < size_t(kFitEvery)) {
        throw Error(ErrorCode::invalid_argument, "at least " + std::to_string(kFitEvery) + " normal pictures are needed, there are " + std::to_string(features_.size()));
    }
    const size_t d = features_[0].size() / (size_t(shapes_[0].first) * size_t(shapes_[0].second));
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(Eigen::Index(d));
    Eigen::MatrixXd products = Eigen::MatrixXd::Zero(Eigen::Index(d), Eigen::Index(d));
    double count = 0;
    for (size_t i = 0; i < features_.size(); i++) {
        if (i % kFitEvery == 0) continue;
        const Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> rows(features_[i].data(), Eigen::Index(features_[i].size() / d), Eigen::Index(d));
        const Eigen::MatrixXd values = rows.cast<double>();
        sum += values.colwise().sum().transpose();
        products += values.transpose() * values;
        count += double(rows.rows());
    }
    const Eigen::VectorXd mean = sum / count;
    Eigen::MatrixXd covariance = products / count - mean * mean.transpose();
    covariance.diagonal().array() += kRidge * covariance.trace() / double(d) + 1e-9;
    const Eigen::LLT<Eigen::MatrixXd> factor(covariance);
    const Eigen::MatrixXd whitening = factor.matrixL().solve(Eigen::MatrixXd::Identity(Eigen::Index(d), Eigen::Index(d)));
    Normality result;
    for (size_t i = 0; i < d; i++) result.mean_.push_back(mean[Eigen::Index(i)]);
    for (size_t i = 0; i < d * d; i++) result.whitening_.push_back(whitening(Eigen::Index(i / d), Eigen::Index(i % d)));
    double scores = 0, squares = 0, largest = 0, held_out = 0;
    for (size_t i = 0; i < features_.size(); i += kFitEvery, held_out++) {
        const double score = map_of({shapes_[i].first, shapes_[i].second, int(d), features_[i]}, result.mean_, result.whitening_, 1.0).score;
        scores += score;
        squares += score * score;
        largest = std::max(largest, score);
    }
    const double middle = scores / held_out, deviation = std::sqrt(std::max(0.0, squares / held_out - middle * middle));
    result.threshold_ = std::max(largest, middle + 3 * deviation);
    return result;
}

AnomalyMap Normality::measure(const Autoencoder& autoencoder, const Image& image) const {
    return map_of(features_of(autoencoder, image), mean_, whitening_, threshold_);
}

std::string Normality::to_json() const { return nlohmann::json{{"mean", mean_}, {"whitening", whitening_}, {"threshold", threshold_}}.dump(); }

Normality Normality::parse(const std::string& text) {
    Normality result;
    try {
        const auto root = nlohmann::json::parse(text);
        root.at("mean").get_to(result.mean_);
        root.at("whitening").get_to(result.whitening_);
        root.at("threshold").get_to(result.threshold_);
    } catch (const nlohmann::json::exception& e) {
        throw Error(ErrorCode::corrupt, std::string("what the model says of normal pictures cannot be read: ") + e.what());
    }
    const auto finite = [](const std::vector<double>& v) { return std::ranges::all_of(v, [](double x) { return std::isfinite(x); }); };
    if (result.mean_.empty() || result.whitening_.size() != result.mean_.size() * result.mean_.size() || !(result.threshold_ > 0) || !finite(result.mean_) || !finite(result.whitening_)) {
        throw Error(ErrorCode::corrupt, "what the model says of normal pictures is damaged");
    }
    return result;
}

}  // namespace decant
