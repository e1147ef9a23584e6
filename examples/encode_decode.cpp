// A picture in memory becomes a .dcn file in memory, and pixels again.
//     c++ -std=c++17 encode_decode.cpp $(pkg-config --cflags --libs decant) -o encode_decode
#include <decant/decant.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

int main() {
    const std::uint32_t width = 320, height = 200;
    std::vector<std::uint8_t> pixels(std::size_t{width} * height * 3);
    for (std::size_t i = 0; i < pixels.size(); ++i)  // a smooth pattern, of another phase in each channel
        pixels[i] = std::uint8_t(127.5 + 100 * std::sin(double(i / 3 % width) / 20 + double(i % 3)) * std::cos(double(i / 3 / width) / 30));
    try {
        decant::Encoder encoder;  // with the model "photo", on all cores
        decant::EncodeSettings settings;
        settings.quality = 70;
        const std::vector<std::uint8_t> file = encoder.encode({pixels.data(), width, height, 3}, settings);

        decant::Decoder decoder;
        const decant::PixelBuffer picture = decoder.decode(file.data(), file.size());
        int largest = 0;
        for (std::size_t i = 0; i < pixels.size(); ++i) largest = std::max(largest, std::abs(picture.samples[i] - pixels[i]));
        std::printf("%u x %u pixels in %zu bytes; no sample differs by more than %d\n", picture.width, picture.height, file.size(), largest);
    } catch (const decant::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
