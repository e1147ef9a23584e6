// Eight small pictures and a place for checkpoints: a fixture for tests of training.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "codec/error.h"
#include "codec/image/pnm.h"
#include "codec/train/dataset.h"

namespace decant::test {

// Pictures of waves and edges, and a place for checkpoints; removed again.
class Pictures {
public:
    Pictures() : path_((std::filesystem::temp_directory_path() / "decant-trainer-XXXXXX").string()) {
        REQUIRE(mkdtemp(path_.data()) != nullptr);
        std::filesystem::create_directory(data());
        // By the hash of its name, one of these is held out.
        for (int i = 0; i < 8; i++) add("texture" + std::to_string(i), uint32_t(i));
        for (int i = 0; nothing_held_out(); i++) add("more" + std::to_string(i), uint32_t(100 + i));
    }
    ~Pictures() { std::filesystem::remove_all(path_); }

    std::string data() const { return path_ + "/data"; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    void add(const std::string& name, uint32_t seed) const {
        std::mt19937 random(seed);
        std::uniform_real_distribution<float> number(-1, 1);
        Image image(256, 272, 3);
        const float a = number(random), b = number(random), edge = number(random), slope = number(random);
        const float colour[3] = {number(random), number(random), number(random)};
        for (uint32_t y = 0; y < image.height; y++) {
            for (uint32_t x = 0; x < image.width; x++) {
                const float wave = std::sin(0.7f * (a * float(x) + b * float(y))) +
                                   (float(x) + slope * float(y) > 128 + 60 * edge ? 1.0f : -1.0f);
                for (uint32_t c = 0; c < 3; c++) {
                    const float v = 128 + 40 * wave * (1 + 0.4f * colour[c]) + 20 * colour[c] + 4 * number(random);
                    image.row(y)[3 * x + c] = uint8_t(std::clamp(v, 0.0f, 255.0f));
                }
            }
        }
        const auto bytes = write_pnm(image);
        std::ofstream(data() + "/" + name + ".ppm", std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
    }

    bool nothing_held_out() const {
        try {
            const Dataset d(data(), {});
            return false;
        } catch (const Error&) {
            return true;
        }
    }

    std::string path_;
};

inline const Pictures& pictures() {
    static const Pictures instance;
    return instance;
}

}  // namespace decant::test
