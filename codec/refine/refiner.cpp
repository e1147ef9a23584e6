#include "codec/refine/refiner.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/engine/parallel.h"
#include "codec/latents/fixed_point.h"
#include "codec/tensor/random.h"
#include "codec/train/codec_step.h"

namespace decant {
namespace {

// Measured on held-out training pictures.
constexpr double kErrorWeight = 1.3;    // factor on λ: single decisions do not see what they spoil for their neighbours
constexpr float kCaution = 1.2f;        // steps are shorter than the curvature says by this, as latents are not independent
constexpr float kInertia = 1.6f;        // what an error is worth to the quantiser, in curvatures
// The share of a step that is taken falls from a first round's to a last one's; few rounds have to hurry.
constexpr float kFirstShare = 0.2f, kLastShare = 0.03f, kHurry = 0.85f;
// In quantisation steps, end to end; none in the last tenth of the rounds. Many rounds have time to cool down from more.
constexpr float kFirstNoise = 0.3f, kNoisyRounds = 16.0f, kNoiseEnd = 0.9f;
constexpr float kLeastCurvature = 0.3f;  // of the median: channels that hardly matter are not to take giant steps
constexpr float kReach = 2.0f;           // how far, in quantisation steps, a wish may be from what is coded
constexpr int kProbes = 2;
// A trellis of 64 states does for three quarters of the rounds, whatever the quantiser is, but for no more than this: the last rounds are too quiet to make the most of another.
constexpr int kQuickRounds = 12;
// A filter that is fitted earlier is one of unrefined latents, and one that is fitted to more noise takes it away, which the latents make good with bits.
constexpr int kFirstFit = 2;
constexpr float kFitNoise = 0.3f;

float noise_of(int round, int rounds) {
    const float first = kFirstNoise * std::sqrt(std::max(1.0f, float(rounds) / kNoisyRounds));
    return round == 0 ? 0.0f : first * std::max(0.0f, 1.0f - float(round) / float(rounds) / kNoiseEnd);
}

}  // namespace

int Refiner::first_fit(int rounds) {
    int round = std::min(kFirstFit, rounds);
    while (noise_of(round, rounds) > kFitNoise) round++;
    return round;
}

double bits_per_square(const Description& description, int quality_q8, int channels) { return lambda_at(description, quality_q8 / 256.0) / channels; }

void Refiner::begin(LatentCoder& coder, int quality_q8, double bits_per_square, std::span<const float> y, Refinement& state) {
    const size_t M = size_t(model_.description.latent_channels);
    coder.quantise(y, quality_q8, {});
    state.hyper.assign(coder.hyper().begin(), coder.hyper().end());
    error_.run(coder.latents());
    const std::vector<float> curvature = error_.curvature(kProbes);
    std::vector<float> sorted = curvature;
    std::nth_element(sorted.begin(), sorted.begin() + std::ptrdiff_t(M / 2), sorted.end());
    const float least = std::max(kLeastCurvature * sorted[M / 2], std::numeric_limits<float>::min());
    for (size_t c = 0; c < M; c++) {
        const float bounded = std::max(curvature[c], least);
        state.error_bits.push_back(kInertia * float(bits_per_square) * bounded);
        state.step.push_back(1.0f / (2.0f * kCaution * bounded));
    }
}

void Refiner::refine(LatentCoder& coder, const Surroundings& surroundings, int quality_q8, Quantiser quantiser, int rounds, int until, std::span<float> y, Refinement& state,
                     const std::function<void()>& check) {
    const Area& area = surroundings.area;
    const size_t M = size_t(model_.description.latent_channels), positions = size_t(area.h) * size_t(area.w);
    constexpr double kStep = 1 << kPixelExponent;  // of 8 bits, as many in one of the network's values
    const double bits_per_square = kErrorWeight * kStep * kStep * decant::bits_per_square(model_.description, quality_q8, surroundings.picture.channels());
    error_.start(surroundings, quality_q8);
    if (state.hyper.empty()) begin(coder, quality_q8, bits_per_square, y, state);

    const float first_share = std::max(kFirstShare, kHurry / std::sqrt(float(rounds))), last_share = std::max(kLastShare, first_share * 2.0f / float(rounds));
    const int quick_rounds = std::min(rounds * 3 / 4, kQuickRounds);
    gradient_.resize(y.size());
    noisy_.resize(y.size());
    const int last = until < rounds ? until - 1 : rounds;  // what the last of all makes is looked at as well
    for (; state.round <= last; state.round++) {
        check();
        const int round = state.round;
        const float done = float(round) / float(rounds);
        const float noise = noise_of(round, rounds);
        if (round == quick_rounds) state.best_loss = std::numeric_limits<double>::infinity();  // what another quantiser found is not what this one will
        const uint32_t key = random_key(uint64_t(area.y), uint64_t(area.x), uint64_t(round));  // whatever the quality: a search over it needs smooth results
        parallel_for(y.size(), size_t(1) << 14, [&](size_t begin, size_t end) {
            for (size_t i = begin; i < end; i++) noisy_[i] = y[i] + noise * (uniform(key, uint32_t(i)) - 0.5f);
        });
        const double bits = coder.quantise(noisy_, quality_q8, state.settings(round < quick_rounds ? Quantiser::trellis : quantiser));
        const double loss = bits + bits_per_square * error_.run(coder.latents());
        if (loss < state.best_loss) {
            state.best_loss = loss;
            state.best = noisy_;
        }
        if (round == rounds) break;
        error_.gradient(gradient_);
        const std::span<const int32_t> latents = coder.latents();
        const float share = first_share * std::pow(last_share / first_share, done);
        parallel_for(positions, 16, [&](size_t begin, size_t end) {
            for (size_t p = begin; p < end; p++) {
                for (size_t c = 0, i = p * M; c < M; c++, i++) {
                    const float now = float(latents[i]) * (1.0f / float(1 << kSymbolExponent)), wanted = now - state.step[c] * gradient_[i];
                    y[i] = std::clamp(y[i] + share * (wanted - y[i]), now - kReach, now + kReach);
                }
            }
        });
    }
}

}  // namespace decant
