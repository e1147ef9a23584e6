// The pictures of a training: which are read, how they are split, and what crops are cut from them.
#include "codec/train/dataset.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/image/pnm.h"

using namespace decant;
namespace fs = std::filesystem;

namespace {

// A folder of pictures that is removed again.
class Folder {
public:
    Folder() : path_((fs::temp_directory_path() / "decant-dataset-XXXXXX").string()) {
        REQUIRE(mkdtemp(path_.data()) != nullptr);
    }
    ~Folder() { fs::remove_all(path_); }
    const std::string& path() const { return path_; }

    void add(const std::string& name, const Image& image) {
        const auto bytes = write_pnm(image);
        add(name, std::string(bytes.begin(), bytes.end()));
    }
    void add(const std::string& name, const std::string& contents) {
        fs::create_directories(fs::path(path_ + "/" + name).parent_path());
        std::ofstream(path_ + "/" + name, std::ios::binary) << contents;
    }

private:
    std::string path_;
};

using PixelOf = std::function<std::vector<int>(int x, int y)>;

Image make_image(int width, int height, const PixelOf& pixel) {
    Image image{uint32_t(width), uint32_t(height), 3};
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const auto p = pixel(x, y);
            for (int c = 0; c < 3; c++) image.row(uint32_t(y))[3 * x + c] = uint8_t(p[size_t(c)]);
        }
    }
    return image;
}
Image plain(int side, int value) {
    return make_image(side, side, [=](int, int) { return std::vector<int>{value, value, value}; });
}

// A picture of one colour for each of `count` photographs, "photo0", "photo1", …; the colour is the number.
void add_photographs(Folder& folder, int count, const std::string& suffix, int side = 8) {
    for (int i = 0; i < count; i++) folder.add("photo" + std::to_string(i) + suffix + ".ppm", plain(side, i));
}

std::vector<int> held_out_numbers(const Dataset& d, int side = 8) {
    std::vector<int> numbers;
    std::vector<uint8_t> crop(size_t(side) * size_t(side) * 3);
    for (size_t i = 0; i < d.held_out(); i++) {
        d.validation_crop(i, side, crop);
        numbers.push_back(crop[0]);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

}  // namespace

TEST_CASE("the split depends on names alone") {
    Folder folder;
    add_photographs(folder, 100, "");
    const Dataset a(folder.path(), {.held_out_every = 5}), b(folder.path(), {.held_out_every = 5});
    CHECK(a.size() + a.held_out() == 100);
    CHECK(a.left_out() == 0);
    CHECK(a.why_left_out() == "");
    CHECK(a.held_out() >= 8);
    CHECK(a.held_out() <= 35);
    CHECK(held_out_numbers(a) == held_out_numbers(b));

    // Of a part of the photographs, the same are held out.
    Folder part;
    std::vector<int> expected = held_out_numbers(a);
    add_photographs(part, 40, "");
    expected.erase(std::lower_bound(expected.begin(), expected.end(), 40), expected.end());
    CHECK(held_out_numbers(Dataset(part.path(), {.held_out_every = 5})) == expected);
}

TEST_CASE("crops of one photograph stay together") {
    Folder folder;
    for (const char* suffix : {"_0", "_1", "_12", "-7"}) add_photographs(folder, 60, suffix);
    const Dataset d(folder.path(), {.held_out_every = 5, .other_colours = false});
    CHECK(d.size() + d.held_out() == 240);
    std::map<int, int> parts;
    for (int number : held_out_numbers(d)) parts[number]++;
    CHECK(parts.size() > 3);
    for (auto [number, count] : parts) CHECK(count == 4);

    RandomStream random{1};
    std::vector<uint8_t> crop(4 * 4 * 3);
    std::set<int> trained;
    for (int i = 0; i < 2000; i++) {
        d.crop(random, 4, crop);
        trained.insert(crop[0]);
        REQUIRE_FALSE(parts.contains(crop[0]));
    }
    CHECK(trained.size() == 60 - parts.size());
}

TEST_CASE("crops are pieces of the picture in all eight orientations") {
    // Each pixel tells its place.
    constexpr int kWidth = 30, kHeight = 20, kSide = 9;
    Folder folder;
    const PixelOf pixel = [](int x, int y) { return std::vector<int>{x, y, (x * 31 + y * 17) % 256}; };
    for (int i = 0; i < 12; i++) folder.add("photo" + std::to_string(i) + ".ppm", make_image(kWidth, kHeight, pixel));
    const Dataset d(folder.path(), {.held_out_every = 3, .other_colours = false});

    RandomStream random{2};
    std::vector<uint8_t> crop(kSide * kSide * 3);
    std::map<std::vector<int>, int> orientations;
    std::set<int> left, top;
    for (int i = 0; i < 4000; i++) {
        d.crop(random, kSide, crop);
        const auto at = [&](int y, int x, int c) { return int(crop[size_t((y * kSide + x) * 3 + c)]); };
        // How the place in the picture moves with a step to the right and a step down in the crop.
        const int xx = at(0, 1, 0) - at(0, 0, 0), yx = at(0, 1, 1) - at(0, 0, 1), xy = at(1, 0, 0) - at(0, 0, 0),
                  yy = at(1, 0, 1) - at(0, 0, 1);
        REQUIRE(std::abs(xx) + std::abs(yx) == 1);
        REQUIRE(std::abs(xy) + std::abs(yy) == 1);
        REQUIRE(xx * xy + yx * yy == 0);
        for (int y = 0; y < kSide; y++) {
            for (int x = 0; x < kSide; x++) {
                const int px = at(0, 0, 0) + x * xx + y * xy, py = at(0, 0, 1) + x * yx + y * yy;
                const auto want = pixel(px, py);
                REQUIRE(px >= 0);
                REQUIRE(px < kWidth);
                REQUIRE(py >= 0);
                REQUIRE(py < kHeight);
                for (int c = 0; c < 3; c++) REQUIRE(at(y, x, c) == want[size_t(c)]);
            }
        }
        orientations[{xx, yx, xy, yy}]++;
        left.insert(std::min(at(0, 0, 0), at(kSide - 1, kSide - 1, 0)));
        top.insert(std::min(at(0, 0, 1), at(kSide - 1, kSide - 1, 1)));
    }
    CHECK(orientations.size() == 8);
    for (const auto& [orientation, count] : orientations) CHECK(count > 400);
    // Every place occurs, up to the borders.
    CHECK(left.size() == kWidth - kSide + 1);
    CHECK(top.size() == kHeight - kSide + 1);

    RandomStream again{2}, other{3};
    std::vector<uint8_t> same(crop.size());
    d.crop(again, kSide, same);
    RandomStream first{2};
    d.crop(first, kSide, crop);
    CHECK(same == crop);
    d.crop(other, kSide, same);
    CHECK(same != crop);
}

TEST_CASE("a validation crop is the middle of the picture") {
    Folder folder;
    const PixelOf pixel = [](int x, int y) { return std::vector<int>{x, y, 7}; };
    for (int i = 0; i < 12; i++) folder.add("photo" + std::to_string(i) + ".ppm", make_image(20, 11, pixel));
    const Dataset d(folder.path(), {.held_out_every = 3, .other_colours = false});
    std::vector<uint8_t> crop(8 * 8 * 3);
    d.validation_crop(0, 8, crop);
    CHECK(crop[0] == 6);
    CHECK(crop[1] == 1);
    CHECK(crop[crop.size() - 3] == 13);
    CHECK(crop[crop.size() - 2] == 8);
}

TEST_CASE("textured pictures are drawn more often, within bounds") {
    // Training pictures of three kinds, drawn in proportion to 2 (the least), 5, and 12 (the most).
    Folder names;
    add_photographs(names, 12, "");
    std::vector<int> held_out = held_out_numbers(Dataset(names.path(), {.held_out_every = 4}));
    Folder folder;
    std::map<int, double> weights;
    int next = 0;
    for (int i = 0; i < 12; i++) {
        const int kind = next % 3, step = kind == 0 ? 0 : kind == 1 ? 5 : 60;
        const bool training = !std::binary_search(held_out.begin(), held_out.end(), i);
        // Green goes up and down by `step` every two pixels; red tells the kind.
        folder.add("photo" + std::to_string(i) + ".ppm", make_image(64, 64, [=](int x, int) {
                       return std::vector<int>{kind, 100 + x / 2 % 2 * step, 0};
                   }));
        if (!training) continue;
        weights[kind] += kind == 0 ? 2 : kind == 1 ? 5 : 12;
        next++;
    }
    const Dataset d(folder.path(), {.held_out_every = 4, .other_colours = false});
    double total = 0;
    for (auto [kind, weight] : weights) total += weight;
    std::map<int, int> drawn;
    RandomStream random{4};
    std::vector<uint8_t> crop(16 * 16 * 3);
    constexpr int kDraws = 6000;
    for (int i = 0; i < kDraws; i++) {
        d.crop(random, 16, crop);
        drawn[crop[0]]++;
    }
    REQUIRE(weights.size() == 3);
    for (auto [kind, weight] : weights) {
        CAPTURE(kind);
        CHECK(std::abs(drawn[kind] / double(kDraws) - weight / total) < 0.03);
    }
}

TEST_CASE("what is no picture, too small or too much is left out and counted") {
    Folder folder;
    add_photographs(folder, 30, "", 16);
    folder.add("notes.txt", std::string("hello"));
    folder.add("empty.ppm", std::string());
    folder.add("cut.ppm", std::string("P6 16 16 255\nabc"));
    folder.add("deep/inside/broken.png", std::string("\x89PNG\r\n\x1a\n"));
    folder.add("small.ppm", plain(9, 1));
    folder.add("narrow.ppm", make_image(9, 40, [](int, int) { return std::vector<int>{1, 2, 3}; }));
    folder.add("deep/inside/fine.ppm", plain(16, 99));
    const Dataset d(folder.path(), {.min_side = 10, .held_out_every = 5});
    CHECK(d.left_out() == 6);
    CHECK(d.why_left_out().find("cut.ppm") != std::string::npos);
    CHECK(d.size() + d.held_out() == 31);

    const Dataset limited(folder.path(), {.min_side = 10, .max_bytes = 20 * 16 * 16 * 3, .held_out_every = 5});
    CHECK(limited.size() + limited.held_out() == 20);
    CHECK(limited.left_out() == 17);
    CHECK(Dataset(folder.path(), {.max_bytes = 20 * 16 * 16 * 3, .held_out_every = 5}).why_left_out() != "");
}

TEST_CASE("gray pictures become colour pictures, and 16 bits 8") {
    Folder folder;
    for (int i = 0; i < 12; i++) {
        Image gray(8, 8, 1);
        std::fill(gray.samples().begin(), gray.samples().end(), uint8_t(50 + i));
        folder.add("photo" + std::to_string(i) + ".pgm", with_depth(gray, i % 2 == 0 ? 8 : 16));
    }
    const Dataset d(folder.path(), {.held_out_every = 3, .other_colours = false});
    RandomStream random{5};
    std::vector<uint8_t> crop(8 * 8 * 3);
    d.crop(random, 8, crop);
    CHECK(std::all_of(crop.begin(), crop.end(), [&](uint8_t v) { return v == crop[0]; }));
    CHECK(crop[0] >= 50);
    CHECK(crop[0] < 62);
}

TEST_CASE("a folder without enough pictures is refused") {
    const auto code_of = [](const std::string& path, const DatasetOptions& options) {
        try {
            const Dataset d(path, options);
        } catch (const Error& error) {
            CHECK(std::string(error.what()).find(path) != std::string::npos);
            return error.code();
        }
        FAIL("accepted");
        return ErrorCode::internal;
    };
    Folder empty;
    CHECK(code_of(empty.path(), {}) == ErrorCode::not_found);
    CHECK(code_of(empty.path() + "/missing", {}) == ErrorCode::not_found);
    Folder one;
    one.add("photo.ppm", plain(8, 1));
    CHECK(code_of(one.path(), {.held_out_every = 1}) == ErrorCode::not_found);        // nothing to train on
    CHECK(code_of(one.path(), {.held_out_every = 1000000}) == ErrorCode::not_found);  // nothing to validate with
    CHECK(code_of(one.path(), {.min_side = 9}) == ErrorCode::not_found);
}

TEST_CASE("some crops have other colours, and few are spoilt") {
    Folder folder;
    // Gray ramps: what is not gray has other primaries or saturation only if it was not gray before, so one channel is darker.
    for (int i = 0; i < 40; i++) {
        folder.add("p" + std::to_string(i) + ".ppm", make_image(32, 32, [](int x, int y) { return std::vector<int>{60 + 2 * x, 60 + 2 * y, 40}; }));
    }
    const Dataset d(folder.path(), {.held_out_every = 4});
    RandomStream random{7};
    constexpr int kDraws = 3000;
    int blue_elsewhere = 0, changed = 0;
    std::vector<uint8_t> crop(16 * 16 * 3);
    for (int n = 0; n < kDraws; n++) {
        d.crop(random, 16, crop);
        bool constant_blue = true, as_before = true;
        for (size_t i = 0; i < crop.size(); i += 3) {
            constant_blue = constant_blue && crop[i + 2] == crop[2];
            as_before = as_before && crop[i + 2] == 40;
        }
        blue_elsewhere += crop[0] == crop[3 * 255] || crop[1] == crop[3 * 255 + 1];
        changed += !as_before;
        CHECK(*std::max_element(crop.begin(), crop.end()) > *std::min_element(crop.begin(), crop.end()));
        if (constant_blue && !as_before) CHECK(crop[2] != 40);
    }
    // One in three by contrast and the like, one in six by primaries, of whose five orders four move blue.
    CHECK(std::abs(changed / double(kDraws) - (1.0 / 3 + 2.0 / 3 * 4 / 30)) < 0.05);
    CHECK(blue_elsewhere > kDraws / 20);
}

TEST_CASE("crops are of pictures of other sizes where that is asked for") {
    Folder folder;
    // A ramp of 4 a pixel: its slope in a crop tells the size.
    for (int i = 0; i < 4; i++) {
        folder.add("p" + std::to_string(i) + ".ppm", make_image(60, 60, [](int x, int) { return std::vector<int>{4 * x, 4 * x, 4 * x}; }));
    }
    const Dataset d(folder.path(), {.held_out_every = 3, .other_colours = false, .smallest_size = 0.5, .largest_size = 1.25});
    RandomStream random{3};
    std::vector<uint8_t> crop(16 * 16 * 3);
    double smallest = 100, largest = 0;
    for (int n = 0; n < 500; n++) {
        d.crop(random, 16, crop);
        const int across = std::abs(int(crop[13 * 3]) - int(crop[3 * 3])), down = std::abs(int(crop[13 * 48]) - int(crop[3 * 48]));
        const double size = 40.0 / std::max(across, down);
        smallest = std::min(smallest, size);
        largest = std::max(largest, size);
    }
    CHECK(smallest == doctest::Approx(0.5).epsilon(0.05));
    CHECK(largest == doctest::Approx(1.25).epsilon(0.08));
}

TEST_CASE("ink is crisper where that is asked for, and no thinner") {
    Folder folder;
    // White, a stroke that covers 0.6 of its pixels, and black.
    for (int i = 0; i < 4; i++) {
        folder.add("p" + std::to_string(i) + ".ppm", make_image(24, 24, [](int x, int) { return std::vector<int>(3, x < 8 ? 255 : x < 16 ? 102 : 0); }));
    }
    const Dataset d(folder.path(), {.held_out_every = 3, .other_colours = false, .crispest = 2});
    RandomStream random{3};
    std::vector<uint8_t> crop(24 * 24 * 3);
    int lightest = 0, darkest = 255;
    for (int n = 0; n < 400; n++) {
        d.crop(random, 24, crop);
        const int stroke = crop[(12 * 24 + 12) * 3];
        CHECK(std::ranges::count(crop, 255) == 24 * 8 * 3);
        CHECK(std::ranges::count(crop, 0) >= 24 * 8 * 3);
        lightest = std::max(lightest, stroke);
        darkest = std::min(darkest, stroke);
    }
    // As it was, and black: twice 0.6 is more than all.
    CHECK(lightest <= 102);
    CHECK(lightest > 95);
    CHECK(darkest == 0);
}

TEST_CASE("patterns are drawn on the share of the crops that is asked for") {
    Folder folder;
    for (int i = 0; i < 4; i++) folder.add("p" + std::to_string(i) + ".ppm", make_image(40, 40, [](int, int) { return std::vector<int>{90, 120, 150}; }));
    const Dataset d(folder.path(), {.held_out_every = 3, .other_colours = false, .patterns = 0.5f});
    RandomStream random{4};
    std::vector<uint8_t> crop(32 * 32 * 3);
    constexpr int kDraws = 2000;
    int drawn = 0, covered = 0, gray = 0;
    for (int n = 0; n < kDraws; n++) {
        d.crop(random, 32, crop);
        int changed = 0;
        bool is_gray = true;
        for (size_t i = 0; i < crop.size(); i += 3) {
            if (crop[i] == 90 && crop[i + 1] == 120 && crop[i + 2] == 150) continue;
            changed++;
            is_gray = is_gray && crop[i] == crop[i + 1] && crop[i] == crop[i + 2];
        }
        drawn += changed > 0;
        covered += changed == 32 * 32;
        gray += changed > 0 && is_gray;
    }
    CHECK(std::abs(drawn / double(kDraws) - 0.5) < 0.04);
    CHECK(std::abs(covered / double(drawn) - 0.4) < 0.1);  // rectangles that happen to cover all among them
    CHECK(std::abs(gray / double(drawn) - 0.5) < 0.05);
}
