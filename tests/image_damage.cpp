// Damaged files: always an error that says so, never a crash, never a word on standard error.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "codec/image/format.h"
#include "codec/image/reader.h"
#include "codec/image/writer.h"
#include "tests/image_samples.h"
#include "tests/metadata_samples.h"

using namespace decant;
using namespace decant::test;

namespace {

constexpr ImageFormat all_formats[] = {ImageFormat::png,  ImageFormat::pnm,  ImageFormat::jpeg,
                                       ImageFormat::webp, ImageFormat::tiff, ImageFormat::bmp};

// Every format with every depth that it holds.
std::vector<std::pair<ImageFormat, int>> all_kinds() {
    std::vector<std::pair<ImageFormat, int>> kinds;
    for (const ImageFormat format : all_formats)
        for (int depth = 8; depth <= format_depth(format); depth += 8) kinds.emplace_back(format, depth);
    return kinds;
}

// Sends standard error into a file while it lives.
class CapturedStderr {
public:
    CapturedStderr() : file_(std::tmpfile(), &std::fclose), saved_(dup(STDERR_FILENO)) {
        std::fflush(stderr);
        dup2(fileno(file_.get()), STDERR_FILENO);
    }
    ~CapturedStderr() {
        dup2(saved_, STDERR_FILENO);
        close(saved_);
    }
    std::string text() const {
        std::fflush(stderr);
        std::string result(static_cast<std::size_t>(lseek(fileno(file_.get()), 0, SEEK_END)), '\0');
        const ssize_t size = pread(fileno(file_.get()), result.data(), result.size(), 0);
        return result.substr(0, size < 0 ? 0 : static_cast<std::size_t>(size));
    }

private:
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
    int saved_;
};

// Gray ones are bare; those in colours carry metadata as far as the format holds them.
std::vector<std::uint8_t> file_of(const Image& image, ImageFormat format) {
    return encode_picture({image, {}, image.channels == 1 ? Metadata{} : all_metadata(), {}}, format).bytes;
}

Failure read_failure(const std::vector<std::uint8_t>& bytes) {
    return failure_of([&] { read_image(bytes, "test"); });
}

}  // namespace

TEST_CASE("an empty file and unknown content are told apart") {
    const Failure empty = read_failure({});
    CHECK(empty.code == ErrorCode::corrupt);
    CHECK(contains(empty.message, "test: is empty"));
    const Failure text = read_failure(bytes_of("hello, world"));
    CHECK(text.code == ErrorCode::unsupported);
    CHECK(contains(text.message, "is no picture of a known kind"));
}

TEST_CASE("a file cut off anywhere is corrupt, and nothing is printed") {
    for (const auto& [format, depth] : all_kinds())
        for (const int channels : {1, 3}) {
            const auto whole = file_of(with_depth(smooth_image(61, 47, channels), depth), format);
            std::vector<std::size_t> sizes = {whole.size() - 1};
            for (std::size_t size = 50; size + 1 < whole.size(); size += 50) sizes.push_back(size);
            const CapturedStderr captured;
            for (const std::size_t size : sizes) {
                const Failure failure = read_failure({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
                CAPTURE(format_name(format));
                CAPTURE(depth);
                CAPTURE(size);
                CAPTURE(whole.size());
                CHECK(failure.failed);
                CHECK(failure.code == ErrorCode::corrupt);
                CHECK(failure.message.starts_with("test: "));
            }
            CHECK(captured.text() == "");
        }
}

TEST_CASE("files with a few wrong bytes end in a picture or in an Error, and nothing is printed") {
    std::mt19937 random(7);
    for (const auto& [format, depth] : all_kinds()) {
        const Image image = noise_image(33, 21, 3, 1, depth);
        const auto whole = file_of(image, format);
        int refused = 0;
        const CapturedStderr captured;
        for (int round = 0; round < 400; ++round) {
            auto damaged = whole;
            // Half of the rounds aim at the header, where a byte has the largest effect.
            const std::size_t reach = round % 2 == 0 ? std::min<std::size_t>(damaged.size(), 64) : damaged.size();
            for (int i = 0; i <= round % 4; ++i) damaged[random() % reach] = static_cast<std::uint8_t>(random());
            const Failure failure = failure_of([&] { read_picture(damaged, "test", {.max_pixels = 1U << 20}); });
            refused += failure.failed ? 1 : 0;
            CHECK(failure.message.find('\n') == std::string::npos);
        }
        CAPTURE(format_name(format));
        CAPTURE(depth);
        CHECK(refused > 20);
        CHECK(captured.text() == "");
    }
}

TEST_CASE("random bytes behind a known signature are refused") {
    std::mt19937 random(11);
    const CapturedStderr captured;
    for (const std::string& start :
         {std::string("\x89PNG\r\n\x1a\n"), std::string("\xff\xd8\xff"), std::string("BM"), std::string("II*\0", 4),
          std::string("MM\0*", 4), std::string("RIFF\x40\0\0\0WEBP", 12), std::string("P6 "), std::string("P6 9 9 999 ")})
        for (int round = 0; round < 50; ++round) {
            auto bytes = bytes_of(start);
            while (bytes.size() < 600) bytes.push_back(static_cast<std::uint8_t>(random()));
            CHECK(failure_of([&] { read_image(bytes, "test", {.max_pixels = 1U << 20}); }).failed);
        }
    CHECK(captured.text() == "");
}

TEST_CASE("damage inside JPEG data is noticed although the decoder would go on") {
    const auto whole = encode_image(noise_image(64, 64, 3), ImageFormat::jpeg);
    auto damaged = whole;
    // A block of zeros in the middle: the coded data then ends before the picture does.
    damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2), damaged.end() - 2);
    const CapturedStderr captured;
    const Failure failure = read_failure(damaged);
    CHECK(failure.code == ErrorCode::corrupt);
    CHECK(contains(failure.message, "damaged JPEG data"));
    CHECK(captured.text() == "");
}

TEST_CASE("a short PNG that claims a huge picture is refused without memory for it") {
    auto bytes = encode_image(noise_image(1, 1, 3), ImageFormat::png);
    // 16000 x 16000 with a right checksum: the pixels would take 768 MB.
    const std::vector<std::uint8_t> size = {0, 0, 0x3E, 0x80, 0, 0, 0x3E, 0x80};
    std::copy(size.begin(), size.end(), bytes.begin() + 16);
    std::uint32_t crc = 0xFFFFFFFF;
    for (std::size_t i = 12; i < 29; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) bytes[29 + i] = static_cast<std::uint8_t>(~crc >> (24 - 8 * i));
    const Failure failure = read_failure(bytes);
    CHECK(failure.code == ErrorCode::corrupt);
    CHECK(contains(failure.message, "cannot hold 16000x16000"));
}

TEST_CASE("the program's own words on std::cerr still arrive after OpenCV was silenced") {
    static_cast<void>(encode_image(noise_image(4, 4, 3), ImageFormat::bmp));
    const CapturedStderr captured;
    std::cerr << "still here" << std::flush;
    CHECK(captured.text() == "still here");
}

TEST_CASE("pictures are read from several threads at once") {
    const Image image = noise_image(40, 30, 3);
    const auto good = encode_image(image, ImageFormat::tiff);
    auto bad = encode_image(image, ImageFormat::jpeg);
    bad.erase(bad.begin() + static_cast<std::ptrdiff_t>(bad.size() / 2), bad.end() - 2);
    std::vector<int> right(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < right.size(); ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i)
                right[t] += t % 2 == 0 ? (read_image(good, "good") == image ? 1 : 0) : (read_failure(bad).failed ? 1 : 0);
        });
    for (std::thread& thread : threads) thread.join();
    for (const int count : right) CHECK(count == 50);
}
