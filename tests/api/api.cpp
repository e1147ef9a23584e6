// The public header, by a program that is linked with libdecant and knows nothing else.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <decant/decant.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace {

using decant::DecodeSettings;
using decant::Decoder;
using decant::EncodeSettings;
using decant::Encoder;
using decant::Error;
using decant::ErrorCode;
using decant::PixelBuffer;
using decant::PixelView;
using Bytes = std::vector<std::uint8_t>;

// Smooth, other in each channel; with alpha a ramp, 0 at the left.
PixelBuffer picture(std::uint32_t width, std::uint32_t height, int channels) {
    PixelBuffer p;
    p.width = width, p.height = height, p.channels = channels, p.depth = 8;
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c) {
                const bool is_alpha = channels % 2 == 0 && c == channels - 1;
                p.samples.push_back(is_alpha ? std::uint8_t(255 * x / width) : std::uint8_t(127.5 + 90 * std::sin(x / 15.0 + c) * std::cos(y / 11.0)));
            }
    return p;
}

PixelBuffer decoded(const Bytes& file) { return Decoder().decode(file.data(), file.size()); }

ErrorCode code_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const Error& error) {
        CHECK(std::string(error.what()).size() > 10);
        return error.code();
    }
    FAIL("nothing was thrown");
    return ErrorCode::internal;
}

}  // namespace

TEST_CASE("pixels of all kinds and of odd sizes come back, alpha exactly") {
    Encoder encoder;
    Decoder decoder;
    EncodeSettings settings;
    settings.quality = 90;
    for (const int channels : {1, 2, 3, 4})
        for (const auto& [width, height] : {std::pair(1u, 1u), std::pair(2u, 301u), std::pair(97u, 65u)}) {
            CAPTURE(channels);
            CAPTURE(width);
            const PixelBuffer p = picture(width, height, channels);
            const Bytes file = encoder.encode(p.view(), settings);
            CHECK(decant::is_dcn(file.data(), file.size()));
            const decant::PictureInfo info = decant::read_info(file.data(), file.size());
            CHECK(info.width == width);
            CHECK(info.height == height);
            CHECK(info.channels == channels);
            CHECK(info.depth == 8);
            const PixelBuffer q = decoder.decode(file.data(), file.size());
            REQUIRE(q.width == width);
            REQUIRE(q.height == height);
            REQUIRE(q.channels == channels);
            REQUIRE(q.depth == 8);
            REQUIRE(q.samples.size() == p.samples.size());
            double error = 0;
            for (std::size_t i = 0; i < p.samples.size(); ++i) {
                const std::size_t last = i - i % channels + channels - 1;
                const bool has_alpha = channels % 2 == 0;
                if (has_alpha && i == last)
                    CHECK(q.samples[i] == p.samples[i]);
                else if (!has_alpha || p.samples[last] > 0)
                    error += std::pow(p.samples[i] - q.samples[i], 2);
            }
            if (width > 2) CHECK(error / double(p.samples.size()) < 10);
        }
}

TEST_CASE("16 bits a sample") {
    Encoder encoder;
    EncodeSettings settings;
    settings.quality = 90;
    for (const int channels : {1, 3}) {
        std::vector<std::uint16_t> samples;
        for (const std::uint8_t s : picture(60, 40, channels).samples) samples.push_back(std::uint16_t(s * 257 + 100));
        const PixelBuffer q = decoded(encoder.encode({samples.data(), 60, 40, channels, 16}, settings));
        REQUIRE(q.depth == 16);
        REQUIRE(q.channels == channels);
        REQUIRE(q.samples.size() == 2 * samples.size());
        double error = 0;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            std::uint16_t sample;
            std::memcpy(&sample, q.samples.data() + 2 * i, 2);
            error += std::pow((samples[i] - sample) / 257.0, 2);
        }
        CHECK(error / double(samples.size()) < 10);
    }
}

TEST_CASE("reduced to a wanted size") {
    Encoder encoder;
    for (const int channels : {1, 4}) {
        const Bytes file = encoder.encode(picture(200, 100, channels).view());
        DecodeSettings settings;
        settings.largest_side = 50;
        const PixelBuffer small = Decoder().decode(file.data(), file.size(), settings);
        CHECK(small.width == 50);
        CHECK(small.height == 25);
        CHECK(small.channels == channels);
        settings.largest_side = 1000;
        CHECK(Decoder().decode(file.data(), file.size(), settings).samples == decoded(file).samples);
    }
}

TEST_CASE("without loss, 16 bits with alpha come back as they were, those that nobody sees as well") {
    std::vector<std::uint16_t> samples;
    for (unsigned i = 0; i < 30 * 20 * 4; ++i) samples.push_back(std::uint16_t(i % 4 == 3 ? (i % 7 == 0 ? 0 : 9001 * i) : 777 * i));
    EncodeSettings settings;
    settings.max_error = 0;
    const std::vector<std::uint8_t> file = Encoder().encode({samples.data(), 30, 20, 4, 16}, settings);
    const PixelBuffer back = Decoder().decode(file.data(), file.size());
    CHECK(back.channels == 4);
    CHECK(back.depth == 16);
    REQUIRE(back.samples.size() == 2 * samples.size());
    CHECK(std::memcmp(back.samples.data(), samples.data(), back.samples.size()) == 0);
}

TEST_CASE("alpha that is opaque everywhere is left out") {
    PixelBuffer p = picture(40, 30, 4);
    for (std::size_t i = 3; i < p.samples.size(); i += 4) p.samples[i] = 255;
    CHECK(decoded(Encoder().encode(p.view())).channels == 3);
}

TEST_CASE("rows may lie apart") {
    const PixelBuffer p = picture(37, 21, 3);
    const std::size_t row = 37 * 3, step = 128;
    Bytes apart(20 * step + row, 0xAA);  // nothing behind the last row
    for (std::size_t y = 0; y < 21; ++y) std::memcpy(apart.data() + y * step, p.samples.data() + y * row, row);
    Encoder encoder;
    CHECK(encoder.encode({apart.data(), 37, 21, 3, 8, step}) == encoder.encode(p.view()));
    CHECK(encoder.encode({p.samples.data(), 37, 21, 3, 8, row}) == encoder.encode(p.view()));
}

TEST_CASE("settings: quality, effort, a target, metadata") {
    const PixelBuffer p = picture(200, 160, 3);
    Encoder encoder;
    const auto encode = [&](const std::function<void(EncodeSettings&)>& change) {
        EncodeSettings settings;
        change(settings);
        return encoder.encode(p.view(), settings);
    };
    const Bytes plain = encode([](EncodeSettings&) {});
    CHECK(encode([](EncodeSettings& s) { s.quality = 5; }).size() < plain.size());
    CHECK(encode([](EncodeSettings& s) { s.effort = 1; }) != plain);
    const std::size_t wanted = plain.size() * 3 / 4;
    const Bytes smaller = encode([&](EncodeSettings& s) { s.target = {decant::EncodeTarget::Kind::bytes, double(wanted)}; });
    CHECK(smaller.size() <= wanted);
    CHECK(smaller.size() > wanted * 9 / 10);

    decant::Metadata metadata;
    metadata.xmp = {'<', 'x', '/', '>'};
    metadata.resolution = decant::Resolution{{300, 1}, {600, 1}, decant::Resolution::Unit::inch};
    const PixelBuffer back = decoded(encode([&](EncodeSettings& s) { s.metadata = metadata; }));
    CHECK(back.metadata == metadata);
    CHECK(back.orientation == 1);
    metadata.exif = {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
    CHECK(decoded(encode([&](EncodeSettings& s) { s.metadata = metadata; })).orientation == 6);
    CHECK(back.samples == decoded(plain).samples);
    CHECK(decoded(plain).metadata.empty());
}

TEST_CASE("pixels and settings that are none are refused") {
    Encoder encoder;
    const PixelBuffer p = picture(8, 8, 4);
    const auto refused = [&](const std::function<void(PixelView&, EncodeSettings&)>& change) {
        PixelView view = p.view();
        EncodeSettings settings;
        change(view, settings);
        return code_of([&] { encoder.encode(view, settings); }) == ErrorCode::invalid_argument;
    };
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.samples = nullptr; }));
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.width = 0; }));
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.height = 0; }));
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.width = v.height = 0xFFFFFFFF; }));
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.channels = 0; }));
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.channels = 5; }));
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.depth = 12; }));
    CHECK(refused([](PixelView& v, EncodeSettings&) { v.row_bytes = 31; }));
    CHECK(refused([](PixelView&, EncodeSettings& s) { s.quality = 101; }));
    CHECK(refused([](PixelView&, EncodeSettings& s) { s.quality = std::nan(""); }));
    CHECK(refused([](PixelView&, EncodeSettings& s) { s.effort = 10; }));
    CHECK(refused([](PixelView&, EncodeSettings& s) { s.target = {decant::EncodeTarget::Kind::psnr, -1}; }));
}

TEST_CASE("files that are none, damaged ones and large ones are refused") {
    Decoder decoder;
    const Bytes file = Encoder().encode(picture(64, 64, 3).view());
    const auto code = [&](const Bytes& bytes, std::uint64_t max_pixels = 4096) {
        DecodeSettings settings;
        settings.max_pixels = max_pixels;
        return code_of([&] { decoder.decode(bytes.data(), bytes.size(), settings); });
    };
    CHECK(code({}) == ErrorCode::unsupported);
    CHECK(code({'P', '6', '\n', '1'}) == ErrorCode::unsupported);
    CHECK(code(Bytes(file.begin(), file.end() - 1)) == ErrorCode::corrupt);
    CHECK(code(Bytes(file.begin(), file.begin() + 20)) == ErrorCode::corrupt);
    CHECK(code_of([&] { decant::read_info(file.data(), file.size() - 1); }) == ErrorCode::corrupt);
    CHECK(code_of([&] { decant::read_info(nullptr, 0); }) == ErrorCode::unsupported);
    for (std::size_t i = 8; i < file.size(); i += 7) {
        Bytes damaged = file;
        damaged[i] ^= 0x10;
        CHECK(code_of([&] { decoder.decode(damaged.data(), damaged.size()); }) != ErrorCode::internal);
    }
    CHECK(code(file, 4095) == ErrorCode::limit);
    CHECK_FALSE(decant::is_dcn(file.data(), 3));
    CHECK(decant::is_dcn(file.data(), 4));
    CHECK_FALSE(decant::is_dcn(nullptr, 0));
    CHECK(decoder.decode(file.data(), file.size()).width == 64);  // still of use
}

TEST_CASE("models that are none are refused, others are found by name and by file") {
    CHECK(code_of([] { Encoder("no such model"); }) == ErrorCode::not_found);
    CHECK(code_of([] { Encoder("./no_such_model.safetensors"); }) == ErrorCode::not_found);
    CHECK(code_of([] { Encoder("denoise-photo"); }) == ErrorCode::model_mismatch);
    CHECK(code_of([] { Decoder("no such model"); }) == ErrorCode::not_found);
    const PixelBuffer p = picture(20, 20, 1);
    const Bytes file = Encoder("photo").encode(p.view());
    CHECK(Decoder("photo", 1).decode(file.data(), file.size()).samples == decoded(file).samples);
    CHECK(code_of([&] { Decoder("denoise-photo").decode(file.data(), file.size()); }) == ErrorCode::model_mismatch);
}

TEST_CASE("several threads share an encoder and a decoder, which can be moved") {
    const PixelBuffer p = picture(150, 90, 3);
    Encoder first("photo", 2);
    Encoder encoder = std::move(first);
    Decoder decoder = Decoder("", 2);
    const Bytes file = encoder.encode(p.view());
    const Bytes samples = decoder.decode(file.data(), file.size()).samples;
    std::vector<std::thread> threads;
    std::vector<int> good(4, 0);
    for (std::size_t i = 0; i < good.size(); ++i)
        threads.emplace_back([&, i] { good[i] = encoder.encode(p.view()) == file && decoder.decode(file.data(), file.size()).samples == samples; });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == std::vector<int>(4, 1));
}

TEST_CASE("version") { CHECK(std::string(decant::version()) == DECANT_VERSION); }
