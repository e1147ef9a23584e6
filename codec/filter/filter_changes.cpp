#include "codec/filter/filter_changes.h"

#include <Eigen/Dense>
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "codec/error.h"
#include "codec/filter/filter_fit.h"
#include "codec/tensor/vectorised.h"

namespace decant {
namespace {

constexpr int kStage = kFilterStages - 1;
constexpr int kLargestOrder = 5, kFirstShift = 5, kLastShift = 10;  // that are tried
constexpr double kSectionBits = 8 * 2 + 11;                       // its frame in the container, and what stands before the values
constexpr double kBitsOfTap = 8.0;                                // about, where it is to be decided which are worth any

size_t own_features(int plane) { return filter_features(kStage, plane); }
size_t cross_features(int plane) { return plane == 0 ? 0 : size_t(kCrossPairs) * kFilterClips; }
size_t features_of(int plane) { return own_features(plane) + cross_features(plane); }

class BitWriter {
public:
    void put(uint32_t value, int count) {
        for (int i = count; i-- > 0;) {
            if (used_ == 0) bytes_.push_back(0);
            bytes_.back() = uint8_t(bytes_.back() | (((value >> i) & 1) << (7 - used_)));
            used_ = (used_ + 1) % 8;
        }
    }
    std::vector<uint8_t> finish() { return std::move(bytes_); }

private:
    std::vector<uint8_t> bytes_;
    int used_ = 0;  // of the last byte
};

class BitReader {
public:
    explicit BitReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
    uint32_t get(int count) {
        uint32_t value = 0;
        for (int i = 0; i < count; i++, at_++) {
            if (at_ / 8 >= bytes_.size()) throw Error(ErrorCode::corrupt, "changes of the filter: truncated");
            value = value << 1 | ((bytes_[at_ / 8] >> (7 - at_ % 8)) & 1);
        }
        return value;
    }
    bool is_at_end() const {
        if ((at_ + 7) / 8 != bytes_.size()) return false;
        return at_ % 8 == 0 || (bytes_[at_ / 8] & (0xff >> (at_ % 8))) == 0;
    }

private:
    std::span<const uint8_t> bytes_;
    size_t at_ = 0;  // in bits
};

constexpr size_t kLanes = 16, kChunk = 256;  // pixels that are looked at together
constexpr size_t kMostFactors = std::max(filter_features(kStage, 0), filter_features(kStage, 1) + size_t(kCrossPairs) * kFilterClips) + 1;
using Lanes = float __attribute__((vector_size(sizeof(float) * kLanes), may_alias));
constexpr float kErrorScale = float(kFilterUnit) / float(kStepSum);

DECANT_INLINE float error_of(int32_t got, int32_t wanted) { return kErrorScale * float(wanted - std::clamp(got, kLowestSum, kHighestSum)); }

DECANT_VECTORISED void gray_errors(const int32_t* __restrict got, const int32_t* __restrict wanted, size_t count, float* __restrict errors) {
    for (size_t x = 0; x < count; x++) errors[x] = error_of(got[x], wanted[x]);
}

// errors: [3, kChunk], of luma, which is the mean of the colours of a gray picture, Co and Cg.
DECANT_VECTORISED void colour_errors(const int32_t* __restrict got, const int32_t* __restrict wanted, bool is_mean, size_t count, float* __restrict errors) {
    const float side = is_mean ? 1.0f / 3.0f : 0.25f, middle = is_mean ? 1.0f / 3.0f : 0.5f;
    for (size_t x = 0; x < count; x++) {
        const float r = error_of(got[3 * x], wanted[3 * x]), g = error_of(got[3 * x + 1], wanted[3 * x + 1]), b = error_of(got[3 * x + 2], wanted[3 * x + 2]);
        errors[x] = side * (r + b) + middle * g;
        errors[kChunk + x] = r - b;
        errors[2 * kChunk + x] = g - 0.5f * (r + b);
    }
}

// To sums [count, count], of its lower half: the products of factors [count, kChunk], of `pixels` pixels, a multiple of kLanes.
DECANT_VECTORISED void add_products(const float* factors, size_t count, size_t pixels, double* sums) {
    for (size_t i = 0; i < count; i++) {
        const float* a = factors + i * kChunk;
        for (size_t j = 0; j <= i; j += 2) {
            const float *b = factors + j * kChunk, *c = j < i ? b + kChunk : b;
            Lanes with_b{}, with_c{};
            for (size_t x = 0; x < pixels; x += kLanes) {
                const Lanes own = *reinterpret_cast<const Lanes*>(a + x);
                with_b += own * *reinterpret_cast<const Lanes*>(b + x);
                with_c += own * *reinterpret_cast<const Lanes*>(c + x);
            }
            double sum_b = 0, sum_c = 0;
            for (size_t l = 0; l < kLanes; l++) {
                sum_b += double(with_b[l]);
                sum_c += double(with_c[l]);
            }
            sums[i * count + j] += sum_b;
            if (j < i) sums[i * count + j + 1] += sum_c;
        }
    }
}

// Bits of value + 2^order beyond those of 2^order.
int extra_bits(uint32_t value, int order) { return std::bit_width(value + (uint32_t{1} << order)) - 1 - order; }

int bits_of(int32_t value, int order) {
    if (value == 0) return 1;
    return 3 + order + 2 * extra_bits(uint32_t(std::abs(value)) - 1, order);
}

void put_value(BitWriter& out, int32_t value, int order) {
    out.put(value != 0, 1);
    if (value == 0) return;
    out.put(value < 0, 1);
    const uint32_t magnitude = uint32_t(std::abs(value)) - 1;
    const int extra = extra_bits(magnitude, order);
    for (int i = 0; i < extra; i++) out.put(1, 1);
    out.put(0, 1);
    out.put(magnitude + (uint32_t{1} << order) - (uint32_t{1} << (order + extra)), order + extra);
}

int32_t get_value(BitReader& in, int order) {
    if (in.get(1) == 0) return 0;
    const bool is_negative = in.get(1) != 0;
    int extra = 0;
    while (in.get(1) != 0)
        if (++extra + order > 15) throw Error(ErrorCode::corrupt, "changes of the filter: a value beyond 16 bits");
    const auto magnitude = int32_t(in.get(order + extra) + (uint32_t{1} << (order + extra)) - (uint32_t{1} << order) + 1);
    return is_negative ? -magnitude : magnitude;
}

bool has_any(std::span<const int16_t> values) {
    return std::ranges::any_of(values, [](int16_t v) { return v != 0; });
}

// Of one plane.
struct Values {
    std::vector<int16_t> values;
    double cost = 0;  // bits, and squared errors as bits, less than without
};

// products, with_error: for one unit of the values, in bits.
Values quantised(const Eigen::MatrixXd& products, const Eigen::VectorXd& with_error, const Eigen::VectorXd& start, int order, double limit) {
    const auto n = start.size();
    Eigen::VectorXd v = start.array().max(-limit).min(limit).round();
    Eigen::VectorXd slope = products * v - with_error;  // half of it
    for (int pass = 0, changed = 1; pass < 20 && changed > 0; pass++) {
        changed = 0;
        for (Eigen::Index i = 0; i < n; i++) {
            if (products(i, i) <= 0) continue;
            const double best = v[i] - slope[i] / products(i, i);
            double least = std::numeric_limits<double>::infinity(), chosen = v[i];
            for (const double c : {0.0, v[i], std::floor(best), std::floor(best) + 1}) {
                if (std::abs(c) > limit) continue;
                const double d = c - v[i], cost = d * (2 * slope[i] + d * products(i, i)) + bits_of(int32_t(c), order);
                if (cost < least - 1e-9) {
                    least = cost;
                    chosen = c;
                }
            }
            if (chosen == v[i]) continue;
            slope += products.col(i) * (chosen - v[i]);
            v[i] = chosen;
            changed++;
        }
    }
    Values result;
    result.cost = v.dot(products * v) - 2 * v.dot(with_error);
    for (Eigen::Index i = 0; i < n; i++) {
        result.values.push_back(int16_t(v[i]));
        result.cost += bits_of(int32_t(v[i]), order);
    }
    return result;
}

// The best real numbers of those that are worth their bits: from all on, the one that is missed least goes first.
Eigen::VectorXd worthwhile(const Eigen::MatrixXd& products, const Eigen::VectorXd& with_error) {
    const auto n = with_error.size();
    std::vector<Eigen::Index> kept;
    for (Eigen::Index i = 0; i < n; i++)
        if (products(i, i) > 0) kept.push_back(i);
    Eigen::VectorXd result = Eigen::VectorXd::Zero(n);
    const double ridge = 1e-7 * products.trace() / double(n);
    while (!kept.empty()) {
        const auto m = Eigen::Index(kept.size());
        const Eigen::MatrixXd part = products(kept, kept) + ridge * Eigen::MatrixXd::Identity(m, m);
        const Eigen::MatrixXd inverse = part.llt().solve(Eigen::MatrixXd::Identity(m, m));
        const Eigen::VectorXd best = inverse * with_error(kept);
        Eigen::Index weakest = 0;
        const double loss = (best.array().square() / inverse.diagonal().array()).minCoeff(&weakest);
        if (loss >= kBitsOfTap || !std::isfinite(loss)) {
            if (std::isfinite(loss)) result(kept) = best;
            break;
        }
        kept.erase(kept.begin() + weakest);
    }
    return result;
}

}  // namespace

std::vector<size_t> counts_of_changes(int planes) {
    std::vector<size_t> counts;
    for (int plane = 0; plane < planes; plane++) counts.push_back(own_features(plane));
    return counts;
}

std::vector<size_t> counts_of_cross(int planes) {
    std::vector<size_t> counts;
    for (int plane = 1; plane < planes; plane++) counts.push_back(cross_features(plane));
    return counts;
}

std::vector<uint8_t> pack_changes(std::span<const int16_t> values, std::span<const size_t> counts) {
    if (values.size() != std::accumulate(counts.begin(), counts.end(), size_t{0}))
        throw Error(ErrorCode::internal, "changes of a filter: " + std::to_string(values.size()) + " of them");
    int shift = 15;
    for (const int16_t c : values)
        if (c != 0) shift = std::min(shift, std::countr_zero(uint16_t(c)));
    std::vector<uint8_t> best;
    for (int order = 0; order <= 15; order++) {
        BitWriter out;
        out.put(uint32_t(shift), 4);
        out.put(uint32_t(order), 4);
        for (std::span<const int16_t> left = values; const size_t count : counts) {
            const std::span<const int16_t> group = left.first(count);
            left = left.subspan(count);
            out.put(has_any(group), 1);
            if (!has_any(group)) continue;
            for (const int16_t c : group) put_value(out, c >> shift, order);
        }
        std::vector<uint8_t> bytes = out.finish();
        if (best.empty() || bytes.size() < best.size()) best = std::move(bytes);
    }
    return best;
}

std::vector<int16_t> unpack_changes(std::span<const uint8_t> bytes, std::span<const size_t> counts) {
    BitReader in(bytes);
    const auto shift = int(in.get(4)), order = int(in.get(4));
    std::vector<int16_t> values;
    for (const size_t count : counts) {
        const bool is_given = in.get(1) != 0;
        for (size_t i = 0; i < count; i++) {
            const int64_t value = is_given ? int64_t{get_value(in, order)} * (int64_t{1} << shift) : 0;
            if (value < std::numeric_limits<int16_t>::min() || value > std::numeric_limits<int16_t>::max())
                throw Error(ErrorCode::corrupt, "changes of the filter: a value beyond 16 bits");
            values.push_back(int16_t(value));
        }
    }
    if (!in.is_at_end()) throw Error(ErrorCode::corrupt, "changes of the filter: there is something behind the last one");
    return values;
}

ChangesFit::ChangesFit(int channels, bool is_mean) : channels_(channels), is_mean_(is_mean) {
    for (int p = 0; p < filter_planes(channels); p++) {
        products_.resize(products_.size() + features_of(p) * features_of(p));
        with_error_.resize(with_error_.size() + features_of(p));
    }
}

void ChangesFit::add(const PostFilter& filter, const int32_t* decoded, const int32_t* original, int h, int w, const FilterArea& area, int rows, int columns, int step,
                     PostFilter::Workspace& workspace) {
    std::vector<int32_t> filtered(size_t(area.h) * size_t(area.w) * size_t(channels_));
    filter.apply(decoded, h, w, area, workspace, filtered.data());
    const FilterPlanes& planes = workspace.between;
    const int last_row = std::min(rows, area.h), last_column = std::min(columns, area.w), stop = planes.planes() == 1 || is_mean_ ? 1 : planes.planes();
    pixels_ += uint64_t((last_row + step - 1) / step) * uint64_t(last_column);
    alignas(64) std::array<float, kMostFactors * kChunk> factors;  // of the pixels of a chunk: features of a plane, and behind them its errors
    std::array<float, 3 * kChunk> errors;
    std::array<std::vector<double>, 3> sums;
    for (int plane = 0; plane < stop; plane++) sums[size_t(plane)].resize((features_of(plane) + 1) * (features_of(plane) + 1));
    for (int y = 0; y < last_row; y += step) {
        for (int x = 0; x < last_column; x += int(kChunk)) {
            const size_t count = std::min(kChunk, size_t(last_column - x)), padded = (count + kLanes - 1) / kLanes * kLanes;
            const int32_t* got = filtered.data() + (size_t(y) * size_t(area.w) + size_t(x)) * size_t(channels_);
            const int32_t* wanted = original + (size_t(area.y + y) * size_t(w) + size_t(area.x + x)) * size_t(channels_);
            if (channels_ == 1) {
                gray_errors(got, wanted, count, errors.data());
            } else {
                colour_errors(got, wanted, is_mean_, count, errors.data());
            }
            for (int plane = 0; plane < stop; plane++) {
                const auto add_features = [&](int of, int pairs, size_t first) {
                    filter_features_of(planes.at(of, y, x), planes.stride(), pairs, filter.clips(of), count, kChunk, &factors[first * kChunk]);
                };
                add_features(plane, filter_pairs(kStage, plane), 0);
                if (plane > 0) add_features(0, kCrossPairs, own_features(plane));
                const size_t n = features_of(plane) + 1;
                std::copy_n(&errors[size_t(plane) * kChunk], count, &factors[(n - 1) * kChunk]);
                for (size_t f = 0; f < n; f++) std::fill_n(&factors[f * kChunk + count], padded - count, 0.0f);
                add_products(factors.data(), n, padded, sums[size_t(plane)].data());
            }
        }
    }
    for (size_t products_at = 0, with_error_at = 0, plane = 0; plane < size_t(stop); plane++) {
        const size_t n = features_of(int(plane));
        const double* from = sums[plane].data();
        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < n; b++) products_[products_at + a * n + b] += from[std::max(a, b) * (n + 1) + std::min(a, b)];
            with_error_[with_error_at + a] += from[n * (n + 1) + a];
        }
        products_at += n * n;
        with_error_at += n;
    }
}

void ChangesFit::add(const ChangesFit& other) {
    pixels_ += other.pixels_;
    for (size_t i = 0; i < products_.size(); i++) products_[i] += other.products_[i];
    for (size_t i = 0; i < with_error_.size(); i++) with_error_[i] += other.with_error_[i];
}

FilterChanges ChangesFit::solve(double bits_per_square, uint64_t pixels) const {
    if (pixels_ == 0) return {};
    const double share = double(pixels_) / double(pixels);
    const int planes = filter_planes(channels_);
    // What a squared error of a plane is worth in those of red, green and blue (post_filter.h), but for what luma and green have in common.
    const std::array<double, 3> weights = channels_ == 1 || is_mean_ ? std::array{1.0, 0.0, 0.0} : std::array{3.0, 0.5, 0.75};
    double least = 0;
    FilterChanges best;
    for (const bool is_crossing : {false, true}) {
        if (is_crossing && planes == 1) break;
        struct Equations {
            Eigen::MatrixXd products;
            Eigen::VectorXd with_error, wish;
        };
        std::vector<Equations> equations;
        for (size_t products_at = 0, first = 0, plane = 0; plane < size_t(planes); plane++) {
            const auto all = ptrdiff_t(features_of(int(plane))), n = is_crossing ? all : ptrdiff_t(own_features(int(plane)));
            const double worth = bits_per_square / share * weights[plane] / (kFilterUnit * kFilterUnit);
            const Eigen::MatrixXd products = worth * Eigen::Map<const Eigen::MatrixXd>(&products_[products_at], all, all).topLeftCorner(n, n);
            const Eigen::VectorXd with_error = worth * Eigen::Map<const Eigen::VectorXd>(&with_error_[first], n);
            equations.push_back({products, with_error, worthwhile(products, with_error)});
            products_at += size_t(all) * size_t(all);
            first += size_t(all);
        }
        for (int shift = kFirstShift; shift <= kLastShift; shift++) {
            const double unit = std::ldexp(1.0, shift - kTapExponent), limit = std::ldexp(1.0, 15 - shift) - 1;
            for (int order = 0; order <= kLargestOrder; order++) {
                double cost = 0;
                FilterChanges changes;
                for (size_t plane = 0; plane < equations.size(); plane++) {
                    const Equations& e = equations[plane];
                    Values values = quantised(unit * unit * e.products, unit * e.with_error, e.wish / unit, order, limit);
                    if (values.cost >= 0) std::ranges::fill(values.values, int16_t(0));
                    cost += std::min(values.cost, 0.0);
                    const auto own = values.values.begin() + ptrdiff_t(own_features(int(plane)));
                    for (int16_t& v : values.values) v = int16_t(v * (1 << shift));
                    changes.taps.insert(changes.taps.end(), values.values.begin(), own);
                    changes.cross.insert(changes.cross.end(), own, values.values.end());
                }
                for (std::vector<int16_t>* section : {&changes.taps, &changes.cross}) {
                    if (has_any(*section)) {
                        cost += kSectionBits;
                    } else {
                        section->clear();
                    }
                }
                if (cost < least) {
                    least = cost;
                    best = changes;
                }
            }
        }
    }
    return best;
}

}  // namespace decant
