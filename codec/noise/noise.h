// Single kinds of noise, as cameras, converters and formats make it. All are functions of the stream of random numbers: the same
// stream gives the same noise on every machine of one kind. Values are on the 8-bit scale, 0 … 255, and may leave it until
// `finish`, so that kinds can be added to each other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/image/image.h"
#include "codec/tensor/random.h"

namespace decant {

// A picture, or a crop of one, in floats.
struct Crop {
    int width = 0, height = 0;
    int channels = 0;           // 1 gray, 3 RGB
    std::vector<float> values;  // height × width × channels

    Crop() = default;
    Crop(int columns, int rows, int channel_count);
    // From 8 bits. Throws Error invalid_argument unless samples fit the shape.
    Crop(int columns, int rows, int channel_count, std::span<const uint8_t> samples);
    // Throws Error invalid_argument unless the picture has 8 bits a sample.
    explicit Crop(const Image& image);

    size_t pixels() const { return size_t(width) * size_t(height); }
    float& at(int y, int x, int c) { return values[(size_t(y) * size_t(width) + size_t(x)) * size_t(channels) + size_t(c)]; }
    float at(int y, int x, int c) const { return values[(size_t(y) * size_t(width) + size_t(x)) * size_t(channels) + size_t(c)]; }
};

// To what an 8-bit file holds: rounded and clipped.
void finish(Crop& crop);
std::vector<uint8_t> to_bytes(const Crop& crop);
Image to_image(const Crop& crop);
// The square root of the mean squared difference.
double rms_difference(const Crop& a, const Crop& b);

// White Gaussian noise, each sample by itself.
void add_gaussian(Crop& crop, float sigma, RandomStream& random);

// Sensor noise: the variance of a sample v is gain·v + read², v being proportional to light. With a gamma other than 1 the noise
// is made on light, 255·(v/255)^gamma, and goes through the curve with it, so that shadows get more than highlights; with 1 on the
// stored values.
struct SensorNoise {
    float gain = 0.5f;  // 8-bit units of light an electron, about
    float read = 2.0f;  // standard deviation of what does not depend on light
    float gamma = 1.0f;
};
void add_sensor_noise(Crop& crop, const SensorNoise& noise, RandomStream& random);
// The standard deviation that SensorNoise gives a value, by linear error propagation.
float sensor_sigma(const SensorNoise& noise, float value);

// White noise blurred by a Gaussian of `radius` pixels (its standard deviation) and scaled back to a standard deviation of sigma.
void add_blurred(Crop& crop, float sigma, float radius, RandomStream& random);

// White noise of a picture `scale` times as large, each way, brought to this size by bilinear interpolation and scaled back to a
// standard deviation of sigma: below 1 it is grain of several pixels, above 1 finer than the mean.
void add_resized(Crop& crop, float sigma, float scale, RandomStream& random);

// Noise of a colour filter array (RGGB), one number a pixel, as bilinear demosaicing spreads it over R, G and B. `sigma` is that
// of the sensor; what arrives is less. White noise for gray.
void add_demosaiced(Crop& crop, float sigma, RandomStream& random);

// The noise of a camera's picture. Light is taken back to what the sensor saw through the camera's colours and white balance, gets
// shot and read noise there, one number a pixel (RGGB), and goes forward again: demosaicing, white balance, colours, gamma, and what
// cameras do about noise and sharpness themselves (after Brooks 2019 and Guo 2019). The picture itself is not demosaiced.
struct CameraNoise {
    float gain = 0.5f;                   // as of SensorNoise
    float read = 2.0f;
    float gamma = 2.2f;
    float red = 2.0f, blue = 1.6f;       // white balance: gains over green, at least 1
    float crosstalk = 0.15f;             // share of each other colour that a sensor's colour sees, 0 … 0.3; undoing it adds noise
    float luma_radius = 0, chroma_radius = 0;  // Gaussian smoothing of the noise, pixels
    float sharpening = 0;                // of luma, by so much of what a blur of one pixel takes
};
void add_camera_noise(Crop& crop, const CameraNoise& noise, RandomStream& random);

// Noise that is more of colour than of brightness, the colours blurred by `radius`: what camera processing leaves. Standard
// deviations of luma and of both colour differences (Cb, Cr of BT.601). Gray gets that of luma.
void add_chroma(Crop& crop, float luma, float chroma, float radius, RandomStream& random);

// A share of the pixels becomes 0 or 255, each by half.
void add_salt_and_pepper(Crop& crop, float share, RandomStream& random);

// What a JPEG file of this quality, 1 … 100, makes of it (finished first). Throws Error unsupported where the OpenCV module is missing.
void compress_jpeg(Crop& crop, int quality);

// Convolved with a Gaussian; the picture is continued by reflection.
void blur(Crop& crop, float radius);
// Bilinear, pixel centres on centres; with the mean over the source pixels that belong to a target where it is smaller.
Crop resized(const Crop& crop, int width, int height);

}  // namespace decant
