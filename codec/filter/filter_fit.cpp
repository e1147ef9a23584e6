#include "codec/filter/filter_fit.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "codec/error.h"
#include "codec/filter/post_filter.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

// Where the influence of a difference ends, in root mean squared errors of the plane.
constexpr std::array<double, kFilterClips - 1> kClips{0.8, 4.0};
constexpr double kRidge = 1e-4;  // of the mean square of the features: what is not seen in a class stays as it is

// Of a pair of neighbours a, b of p: [kFilterClips, step].
DECANT_VECTORISED void pair_features(const int16_t* __restrict p, const int16_t* __restrict a, const int16_t* __restrict b, int16_t first, int16_t second, size_t count, size_t step,
                                     float* __restrict features) {
    for (size_t x = 0; x < count; x++) {
        const int u = a[x] - p[x], v = b[x] - p[x];
        features[x] = float(std::clamp<int>(u, -first, first) + std::clamp<int>(v, -first, first));
        features[step + x] = float(std::clamp<int>(u, -second, second) + std::clamp<int>(v, -second, second));
        features[2 * step + x] = float(u + v);
    }
}

}  // namespace

void filter_features_of(const int16_t* at, ptrdiff_t stride, int pairs, const std::array<int16_t, kFilterClips - 1>& clips, size_t count, size_t step, float* result) {
    for (int pair = 0; pair < pairs; pair++, result += kFilterClips * step) {
        const ptrdiff_t offset = kFilterOffsets[size_t(pair)].y * stride + kFilterOffsets[size_t(pair)].x;
        pair_features(at, at + offset, at - offset, clips[0], clips[1], count, step, result);
    }
}

std::vector<int32_t> sums_of(const Image& image) {
    std::vector<int32_t> sums(image.row_size() * image.height);
    image.visit([&]<class T>(const std::vector<T>& samples) {
        for (size_t i = 0; i < sums.size(); i++) sums[i] = (sizeof(T) == 1 ? int32_t(samples[i]) * kStepSum : int32_t(samples[i]) * kStepSum / 257) - kPixelZero * kStepSum;
    });
    return sums;
}

struct FilterFit::Pictures {
    FilterPlanes original, decoded;
};

FilterFit::FilterFit(int stage, int channels) : number_(stage), channels_(channels) {
    for (int p = 0; p < filter_planes(channels); p++) {
        products_.resize(products_.size() + kFilterClasses * filter_features(number_, p) * filter_features(number_, p));
        with_error_.resize(with_error_.size() + kFilterClasses * filter_features(number_, p));
    }
}

FilterFit::Pictures FilterFit::prepared(const Image& original, const Image& decoded) const {
    const auto is_good = [&](const Image& i) { return i.channels == channels_ && i.width % kFilterBlock == 0 && i.height % kFilterBlock == 0; };
    if (!is_good(original) || !is_good(decoded) || original.width != decoded.width || original.height != decoded.height || original.depth() != 8 || decoded.depth() != 16)
        throw Error(ErrorCode::invalid_argument, "a filter cannot be fitted on " + describe_shape(original) + " and " + describe_shape(decoded));
    Pictures result;
    const FilterArea all{0, 0, int(original.height), int(original.width)};
    result.original.set(sums_of(original).data(), all.h, all.w, channels_, all);
    result.decoded.set(sums_of(decoded).data(), all.h, all.w, channels_, all);
    return result;
}

void FilterFit::survey(const Image& original, const Image& decoded) {
    const Pictures p = prepared(original, decoded);
    std::array<double, 3> errors{};
    for (int plane = 0; plane < p.decoded.planes(); plane++) {
        for (int y = 0; y < p.decoded.area().h; y++) {
            for (int x = 0; x < p.decoded.area().w; x++) {
                const double e = *p.original.at(plane, y, x) - *p.decoded.at(plane, y, x);
                errors[size_t(plane)] += e * e;
            }
        }
    }
    std::vector<int32_t> activities;
    for (int by = 0; by < p.decoded.area().h / kFilterBlock; by++)
        for (int bx = 0; bx < p.decoded.area().w / kFilterBlock; bx++) activities.push_back(activity_of(p.decoded.laplacians(by, bx)));
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < errors.size(); i++) squared_errors_[i] += errors[i];
    pixels_ += double(original.pixel_count());
    activities_.insert(activities_.end(), activities.begin(), activities.end());
}

void FilterFit::decide() {
    const std::lock_guard lock(mutex_);
    if (is_decided_) return;
    if (activities_.empty()) throw Error(ErrorCode::internal, "a filter that has surveyed no picture");
    is_decided_ = true;
    std::sort(activities_.begin(), activities_.end());
    for (size_t i = 0; i < stage_.activity.size(); i++) stage_.activity[i] = activities_[(i + 1) * activities_.size() / kFilterActivities];
    for (size_t plane = 0; plane < size_t(filter_planes(channels_)); plane++) {
        const double error = std::sqrt(squared_errors_[plane] / pixels_);
        for (size_t k = 0; k < kClips.size(); k++) stage_.clips[plane][k] = int16_t(std::clamp(std::lround(kClips[k] * error), 1L, 8191L));
    }
    activities_.clear();
}

void FilterFit::learn(const Image& original, const Image& decoded) {
    decide();
    const Pictures p = prepared(original, decoded);
    const int blocks_y = p.decoded.area().h / kFilterBlock, blocks_x = p.decoded.area().w / kFilterBlock;
    std::array<std::vector<FilterOffset>, kFilterClasses> blocks;  // by class
    for (int by = 0; by < blocks_y; by++)
        for (int bx = 0; bx < blocks_x; bx++) blocks[size_t(filter_class(p.decoded.laplacians(by, bx), stage_.activity))].push_back({by, bx});
    std::vector<double> products(products_.size()), with_error(with_error_.size());
    size_t products_at = 0, with_error_at = 0;
    for (int plane = 0; plane < p.decoded.planes(); plane++) {
        const size_t count = filter_features(number_, plane);
        const ptrdiff_t stride = p.decoded.stride();
        const auto& clips = stage_.clips[size_t(plane)];
        Eigen::Matrix<float, Eigen::Dynamic, kFilterBlock, Eigen::RowMajor> of_row(ptrdiff_t(count), ptrdiff_t{kFilterBlock});
        for (const auto& members : blocks) {
            Eigen::MatrixXf features(ptrdiff_t(count), ptrdiff_t(members.size()) * kFilterBlock * kFilterBlock);
            Eigen::VectorXf errors(features.cols());
            ptrdiff_t column = 0;
            for (const FilterOffset& block : members) {
                for (int row = 0; row < kFilterBlock; row++, column += kFilterBlock) {
                    const int y = block.y * kFilterBlock + row, x = block.x * kFilterBlock;
                    const int16_t *at = p.decoded.at(plane, y, x), *wanted = p.original.at(plane, y, x);
                    for (int i = 0; i < kFilterBlock; i++) errors[column + i] = float(wanted[i] - at[i]);
                    filter_features_of(at, stride, filter_pairs(number_, plane), clips, kFilterBlock, kFilterBlock, of_row.data());
                    features.middleCols<kFilterBlock>(column) = of_row;
                }
            }
            if (column > 0) {
                Eigen::Map<Eigen::MatrixXd>(&products[products_at], ptrdiff_t(count), ptrdiff_t(count)) += (features * features.transpose()).cast<double>();
                Eigen::Map<Eigen::VectorXd>(&with_error[with_error_at], ptrdiff_t(count)) += (features * errors).cast<double>();
            }
            products_at += count * count;
            with_error_at += count;
        }
    }
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < products.size(); i++) products_[i] += products[i];
    for (size_t i = 0; i < with_error.size(); i++) with_error_[i] += with_error[i];
}

FilterStage FilterFit::solve() const {
    FilterStage result = stage_;
    const int planes = filter_planes(channels_);
    const size_t taps = filter_taps(number_, planes);
    result.taps.resize(kFilterClasses * taps);
    size_t products_at = 0, with_error_at = 0, first = 0;
    for (int plane = 0; plane < planes; plane++) {
        const size_t count = filter_features(number_, plane);
        for (size_t c = 0; c < kFilterClasses; c++) {
            const auto n = ptrdiff_t(count);
            const Eigen::Map<const Eigen::MatrixXd> products(&products_[products_at], n, n);
            const Eigen::Map<const Eigen::VectorXd> with_error(&with_error_[with_error_at], n);
            const double ridge = std::max(kRidge * products.trace() / double(n), 1.0);
            const Eigen::VectorXd taps_of_class = (products + ridge * Eigen::MatrixXd::Identity(n, n)).ldlt().solve(with_error);
            for (size_t i = 0; i < count; i++) {
                const double v = std::clamp(std::ldexp(taps_of_class[ptrdiff_t(i)], kTapExponent), -32767.0, 32767.0);
                result.taps[c * taps + first + i] = int16_t(std::lround(v));
            }
            products_at += count * count;
            with_error_at += count;
        }
        first += count;
    }
    return result;
}

Image filtered(const Image& decoded, const FilterStage& stage) {
    FilterStage none;
    none.taps.resize(kFilterClasses * filter_taps(1, filter_planes(decoded.channels)));
    const FilterTables tables{{{0, {stage, none}}}, 0};
    const std::vector<int32_t> sums = sums_of(decoded);
    std::vector<int32_t> result_sums(sums.size());
    PostFilter::Workspace workspace;
    const int h = int(decoded.height), w = int(decoded.width);
    PostFilter(tables, 0, decoded.channels).apply(sums.data(), h, w, {0, 0, h, w}, workspace, result_sums.data());
    Image result(decoded.width, decoded.height, decoded.channels, 16);
    for (size_t i = 0; i < sums.size(); i++) result.samples<uint16_t>()[i] = uint16_t(std::clamp((result_sums[i] + kPixelZero * kStepSum) * 257 / kStepSum, 0, 65535));
    return result;
}

}  // namespace decant
