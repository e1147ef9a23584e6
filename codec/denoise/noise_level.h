// Blind estimation of the noise in a picture: overall, and from place to place.
//
// In a window of the picture, the covariance of small patches has a few large eigenvalues that structure makes and a tail that is
// the variance of the noise. The tail is what is left when largest eigenvalues are taken away until mean and median of the rest
// agree (Chen, Zhu & Heng 2015, after Pyatykh 2013 and Liu 2013). A window of nothing but texture has no such tail and gives too
// much, so windows are held against those of like brightness: noise is a function of brightness (Foi 2008), and the calm windows
// of each brightness show it.
//
// White Gaussian noise is found within 3 % in flat pictures. In photographs the finest texture reads as noise: up to 1 (8-bit scale)
// where there are calm parts, 5 to 6 where there is nothing but bricks or leaves; with noise of σ added, what is found lies between
// 0.97 σ and 1.1 √(σ² + texture²) for σ from 5 to 50 (samples/, tests/noise_level.cpp). Noise that white paper cuts off, half of it,
// reads as 0.9 to 1.1 of its deviation. Noise that is correlated over neighbours reads as less than its deviation.
#pragma once

#include <vector>

#include "codec/image/sample_view.h"
#include "codec/pipeline/worker_pool.h"

namespace decant {

struct NoiseLevel {
    double sigma = 0;  // root mean square over the picture, 8-bit scale

    // Levels at the middles of cells of `cell` × `cell` pixels.
    int cell = 1, columns = 1, rows = 1;
    std::vector<float> local;

    // Between the cells, bilinearly; y and x in pixels. dst: `count` neighbouring pixels of a row.
    void read(int y, int x, int count, float* dst) const;
};

// The same everywhere: a level that is known.
NoiseLevel uniform_level(double sigma);

// Takes the same time for all pictures above some 4 megapixels, since there it looks at a part of each cell.
NoiseLevel estimate_noise_level(const SampleView& picture, WorkerPool* pool = nullptr);

}  // namespace decant
