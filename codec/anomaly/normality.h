// What is normal in pictures of one kind, and how far a picture is from it, place by place.
//
// At each position of an autoencoder's code there is a vector: the code and the logarithm of the error with which the decoder gives the
// pixels back. Of normal pictures these are taken to be normally distributed; the squared Mahalanobis distance of a position says how
// unusual it is (as in PaDiM, Defard 2021, with one distribution for all places). What the autoencoder has not learned to give back, and
// what it gives back from a code that normal pictures do not have, both stand out.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "codec/autoencoder/autoencoder.h"

namespace decant {

// Distances, relative to the threshold: what is above 1 is no longer normal.
struct AnomalyMap {
    int height = 0, width = 0;  // positions of the code
    std::vector<float> values;
    double score = 0;          // the largest value
    int peak_y = 0, peak_x = 0;
};

class Normality {
public:
    // The vectors of normal pictures, added one picture at a time, then fit().
    class Learner {
    public:
        explicit Learner(const Autoencoder& autoencoder) : autoencoder_(autoencoder) {}
        void add(const Image& image);
        // From four in five of the pictures; the threshold is the mean and three standard deviations of what the others score, and no
        // less than the largest. Throws Error invalid_argument for fewer than five pictures.
        Normality fit() const;

    private:
        const Autoencoder& autoencoder_;
        std::vector<std::pair<int, int>> shapes_;   // height and width of each picture's code
        std::vector<std::vector<float>> features_;  // its vectors, one a position
    };

    // Throws Error model_mismatch for another autoencoder than it was learned with, unsupported unless the picture has 8 bits a sample.
    AnomalyMap measure(const Autoencoder& autoencoder, const Image& image) const;

    // For a model's metadata. parse throws Error corrupt.
    std::string to_json() const;
    static Normality parse(const std::string& json);

private:
    std::vector<double> mean_, whitening_;  // [d], and [d, d]: distance² = |whitening·(v - mean)|²
    double threshold_ = 1;
};

}  // namespace decant
