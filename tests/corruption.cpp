// Damaged files: every one is an error of a known kind, or at worst a picture. Files whose checksums are right but whose streams are
// not lead damage past the container into the decoder of the symbols.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <map>
#include <optional>
#include <random>
#include <vector>

#include "codec/decant.h"
#include "codec/error.h"
#include "tests/image_samples.h"
#include "tests/metadata_samples.h"
#include "tests/tiny_model.h"

using namespace decant;
using namespace decant::test;

namespace {

using Bytes = std::vector<uint8_t>;

// A codec, and a picture that must still decode after all the damage.
class Target {
public:
    Target() {
        EncodeOptions options;
        options.metadata = {make_icc(200), make_exif(exif_tree()), make_xmp(80), {}};
        good_ = codec_.encode(mixed_image(40, 24, 3), options).bytes;
        picture_ = codec_.decode(good_);
    }
    ~Target() { CHECK(codec_.decode(good_) == picture_); }

    const Bytes& good() const { return good_; }
    Codec& codec() { return codec_; }

    // Nothing if it decodes. Any exception that is no Error, and any error that is not about the file, fails the test.
    std::optional<ErrorCode> decode(const Bytes& bytes) {
        const Bytes exact(bytes.begin(), bytes.end());  // no spare room behind the end, so that a sanitizer sees a read past it
        try {
            const Image image = codec_.decode(exact, {uint64_t{1} << 16});
            check_image(image);
            decode_metadata(exact, {uint64_t{1} << 16});
            return std::nullopt;
        } catch (const Error& error) {
            const ErrorCode code = error.code();
            CAPTURE(error.what());
            CHECK((code == ErrorCode::corrupt || code == ErrorCode::unsupported || code == ErrorCode::limit ||
                   code == ErrorCode::model_mismatch));
            return code;
        }
    }

private:
    Codec codec_{tiny_model(), 1};
    Bytes good_;
    Image picture_;
};

// The file with another stream in the place of the first tile, and correct checksums.
Bytes with_stream(const Bytes& file, const Bytes& stream) {
    Container container = parse_container(file);
    container.tiles[0] = stream;
    return write_container(container);
}

Bytes stream_of(const Bytes& file) {
    const auto tile = parse_container(file).tiles[0];
    return {tile.begin(), tile.end()};
}

Bytes random_bytes(size_t size, std::mt19937& random) {
    Bytes bytes(size);
    for (uint8_t& byte : bytes) byte = uint8_t(random());
    return bytes;
}

}  // namespace

TEST_CASE("a file cut anywhere is refused") {
    Target target;
    for (size_t size = 0; size < target.good().size(); size++) {
        CAPTURE(size);
        const auto code = target.decode(Bytes(target.good().begin(), target.good().begin() + std::ptrdiff_t(size)));
        CHECK((code == ErrorCode::corrupt || code == ErrorCode::unsupported));
    }
    Bytes longer = target.good();
    longer.push_back(0);
    CHECK(target.decode(longer) == ErrorCode::corrupt);
}

TEST_CASE("a file with any bit flipped is refused") {
    Target target;
    for (size_t bit = 0; bit < 8 * target.good().size(); bit++) {
        CAPTURE(bit);
        Bytes bytes = target.good();
        bytes[bit / 8] ^= uint8_t(1u << bit % 8);
        CHECK(target.decode(bytes) != std::nullopt);
    }
}

TEST_CASE("files spliced from two are refused") {
    Target target;
    std::mt19937 random(1);
    const Bytes other = target.codec().encode(noise_image(40, 24, 3)).bytes;
    for (int n = 0; n < 2000; n++) {
        Bytes bytes = target.good();
        switch (n % 4) {
            case 0: {  // the beginning of one, the end of the other
                const size_t cut = 1 + random() % (bytes.size() - 1);
                bytes.resize(cut);
                bytes.insert(bytes.end(), other.begin() + std::ptrdiff_t(std::min(cut, other.size() - 1)), other.end());
                break;
            }
            case 1: {  // a piece moved within the file
                const size_t from = random() % bytes.size(), to = random() % bytes.size();
                const size_t length = 1 + random() % 16;
                for (size_t i = 0; i < length; i++) bytes[(to + i) % bytes.size()] = target.good()[(from + i) % bytes.size()];
                break;
            }
            case 2: {  // a piece left out
                const size_t from = random() % bytes.size(), length = std::min<size_t>(1 + random() % 40, bytes.size() - from);
                bytes.erase(bytes.begin() + std::ptrdiff_t(from), bytes.begin() + std::ptrdiff_t(from + length));
                break;
            }
            default: {  // noise put in
                const Bytes noise = random_bytes(1 + random() % 40, random);
                bytes.insert(bytes.begin() + std::ptrdiff_t(random() % (bytes.size() + 1)), noise.begin(), noise.end());
                break;
            }
        }
        CHECK((bytes == target.good() || bytes == other || target.decode(bytes) != std::nullopt));
    }
}

TEST_CASE("noise is refused") {
    Target target;
    std::mt19937 random(2);
    for (int n = 0; n < 1000; n++) {
        Bytes bytes = random_bytes(random() % 300, random);
        // Half of them begin like a file.
        if (n % 2 == 0) std::copy_n(target.good().begin(), std::min<size_t>(bytes.size(), 1 + random() % 60), bytes.begin());
        CHECK(target.decode(bytes) != std::nullopt);
    }
}

TEST_CASE("streams of noise do not decode") {
    Target target;
    std::mt19937 random(3);
    const size_t usual = stream_of(target.good()).size();
    for (int n = 0; n < 2000; n++) {
        Bytes stream = random_bytes(n % 3 == 0 ? usual : random() % (3 * usual), random);
        if (n % 5 == 0) std::fill(stream.begin(), stream.end(), uint8_t(n % 2 == 0 ? 0 : 255));
        if (n % 7 == 0) stream.resize(stream.size() / 2 * 2);
        CHECK(target.decode(with_stream(target.good(), stream)) == ErrorCode::corrupt);
    }
}

TEST_CASE("damaged streams do not decode, or decode to a picture") {
    Target target;
    std::mt19937 random(4);
    const Bytes stream = stream_of(target.good());
    size_t decoded = 0, total = 0;
    const auto try_stream = [&](const Bytes& damaged) {
        const auto code = target.decode(with_stream(target.good(), damaged));
        CHECK((code == std::nullopt || code == ErrorCode::corrupt));
        decoded += code == std::nullopt ? 1 : 0;
        total++;
    };
    for (size_t bit = 0; bit < 8 * stream.size(); bit++) {
        Bytes damaged = stream;
        damaged[bit / 8] ^= uint8_t(1u << bit % 8);
        try_stream(damaged);
    }
    for (size_t size = 0; size < stream.size(); size++) {
        try_stream({stream.begin(), stream.begin() + std::ptrdiff_t(size)});
        try_stream({stream.begin() + std::ptrdiff_t(size + 1), stream.end()});
    }
    for (int n = 0; n < 1000; n++) {
        // States of which symbols come that are as improbable as possible, and words that keep them coming.
        Bytes damaged = stream;
        for (size_t i = 0; i < 16; i++) damaged[i] = uint8_t(random() % 4 == 0 ? random() : 255);
        for (uint32_t i = 0; i < random() % 20; i++) damaged[random() % damaged.size()] = uint8_t(random());
        damaged.resize(damaged.size() + 2 * (random() % 100), uint8_t(random()));
        try_stream(damaged);
    }
    // 64 bits of redundancy: only a changed raw field gets through.
    CAPTURE(decoded);
    CHECK(decoded < total / 20);
}

TEST_CASE("a stream under another header does not decode, or decodes to a picture") {
    Target target;
    std::mt19937 random(5);
    std::map<std::optional<ErrorCode>, int> outcomes;
    const Container good = parse_container(target.good());
    for (int n = 0; n < 1500; n++) {
        Container container = good;
        Header& header = container.header;
        const uint32_t what = 1 + random() % 31;
        if (what & 1) header.width = 1 + random() % 300;
        if (what & 2) header.height = 1 + random() % 300;
        if (what & 4) header.quality = uint16_t(random() % 600);
        if (what & 8) header.channels = header.channels == 3 ? 1 : 3;
        if (what & 16) header.tile = uint16_t(random() % 3 == 0 ? 1 + random() % 400 : 1 + random() % 20);
        container.tiles.assign(tile_grid(header).count(), good.tiles[0]);
        outcomes[target.decode(write_container(container))]++;
    }
    CHECK(outcomes[ErrorCode::corrupt] > 1000);
    // One channel in the place of three is a matter of the header alone, and so is a size within the same latents.
    CHECK(outcomes[std::nullopt] > 0);
    CHECK(outcomes[ErrorCode::limit] > 0);

    Container container = good;
    container.header.model ^= 1;
    CHECK(target.decode(write_container(container)) == ErrorCode::model_mismatch);
}

TEST_CASE("a small file that announces a picture as large as allowed fails before memory for it is taken") {
    Codec codec(tiny_model(), 1);
    const Bytes file = codec.encode(mixed_image(40, 24, 3)).bytes;
    const auto resident_kilobytes = [] {
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        return usage.ru_maxrss;
    };
    const auto before = resident_kilobytes();
    Container container = parse_container(file);
    container.header.width = container.header.height = 1u << 14;
    for (const uint16_t tile : {64, 256, 1024, 65535}) {
        container.header.tile = tile;
        container.tiles.assign(tile_grid(container.header).count(), container.tiles[0]);
        const Bytes bytes = write_container(container);
        CHECK_THROWS_AS(codec.decode(bytes), Error);
        CHECK_THROWS_AS(codec.symbol_hash(bytes), Error);
    }
    // The picture would be 768 MiB, and its latents 64 MiB.
    CHECK(resident_kilobytes() - before < 60 * 1024);
}

TEST_CASE("nothing but empty streams") {
    Target target;
    for (const auto& [w, h] : {std::pair<uint32_t, uint32_t>{1, 1}, {40, 24}, {255, 255}}) {
        Container container = parse_container(target.good());
        container.header.width = w;
        container.header.height = h;
        container.tiles = {std::span<const uint8_t>()};
        CHECK(target.decode(write_container(container)) == ErrorCode::corrupt);
    }
}
