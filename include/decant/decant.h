// decant for programs: pixels to the bytes of a .dcn file, and back.
//
//     decant::Encoder encoder;
//     std::vector<std::uint8_t> file = encoder.encode({pixels, width, height, 3});
//     decant::Decoder decoder;
//     decant::PixelBuffer picture = decoder.decode(file.data(), file.size());
//
// C++17; link with libdecant (pkg-config decant, or find_package(decant) and decant::decant in CMake). Whatever fails throws Error, and
// std::bad_alloc where memory ends. The library neither prints nor exits. Models come from the installation, or from the folder that the
// environment variable DECANT_MODELS names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__GNUC__)
#define DECANT_API __attribute__((visibility("default")))
#else
#define DECANT_API
#endif

namespace decant {

enum class ErrorCode {
    invalid_argument,  // a parameter is out of its range, or parameters exclude each other
    not_found,         // no such file, folder or model
    io,                // reading or writing failed: permissions, disk full, closed pipe
    unsupported,       // a valid input of a kind that is not handled (yet)
    corrupt,           // damaged or truncated data; a checksum that does not match
    model_mismatch,    // the model that a file was made with is not at hand, or a model file does not fit
    limit,             // a declared size exceeds a limit that the caller set
    exists,            // the output is there already and overwriting was not asked for
    cancelled,         // the caller asked to stop
    internal           // a bug in decant
};

// Message convention: what is wrong, where (file, section, tensor), with both values where two disagree, and what to do.
class DECANT_API Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

struct Rational {
    std::uint32_t numerator = 0, denominator = 1;

    bool operator==(const Rational& other) const { return numerator == other.numerator && denominator == other.denominator; }
};

// Pixels a unit of length, as exact as the file said it: PNG's pixels a metre are hundredths a centimetre.
struct Resolution {
    enum class Unit : std::uint8_t { none = 1, inch = 2, centimetre = 3 };  // TIFF's numbers; none: x : y is the shape of a pixel
    Rational x, y;
    Unit unit = Unit::inch;

    bool operator==(const Resolution& other) const { return x == other.x && y == other.y && unit == other.unit; }
};

// What a picture carries beside its pixels; it is kept as it is. Orientation, if there is any, is a tag of EXIF: pixels are not turned.
struct Metadata {
    std::vector<std::uint8_t> icc;         // ICC.1 profile; empty: none, as with the others
    std::vector<std::uint8_t> exif;        // from the TIFF header ("II*\0" or "MM\0*") on
    std::vector<std::uint8_t> xmp;         // packet, UTF-8
    std::optional<Resolution> resolution;  // what the file's own fields say; that of EXIF stays in EXIF

    bool empty() const { return icc.empty() && exif.empty() && xmp.empty() && !resolution; }
    bool operator==(const Metadata& other) const {
        return icc == other.icc && exif == other.exif && xmp == other.xmp && resolution == other.resolution;
    }
};

// Pixels in memory of the caller: rows from top to bottom, channels interleaved.
struct PixelView {
    const void* samples = nullptr;
    std::uint32_t width = 0, height = 0;  // at least 1
    int channels = 3;                     // 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. Colours are not multiplied with alpha
    int depth = 8;                        // bits a sample: 8, or 16 in the machine's byte order
    std::size_t row_bytes = 0;            // from a row to the next one; 0: they lie without gaps
};

// Pixels of their own.
struct PixelBuffer {
    std::vector<std::uint8_t> samples;  // height × width × channels samples of depth / 8 bytes, without gaps
    std::uint32_t width = 0, height = 0;
    int channels = 0, depth = 0;  // as in PixelView
    Metadata metadata;
    int orientation = 1;  // by EXIF, 1 … 8: how a viewer is to turn the pixels, which are as they were stored; 1: not at all

    PixelView view() const { return {samples.data(), width, height, channels, depth, 0}; }
};

// What a file is to have, in the place of a quality. A size is a limit: met from 1 % below it up to it. A PSNR is met from it up to
// 0.05 dB above it. Where qualities are too coarse for that, as with tiny pictures, the nearest result on the good side is taken, and
// where the range of qualities ends, its end.
struct EncodeTarget {
    enum class Kind { none, bytes, bits_per_pixel, psnr };
    Kind kind = Kind::none;
    double value = 0;  // above 0; PSNR in dB, over all samples but alpha
};

struct EncodeSettings {
    double quality = 50;       // 0 … 100, continuous
    int effort = 2;            // 1 … 9: the encoder's work for a smaller file; the decoder's does not depend on it
    EncodeTarget target = {};  // unless none, `quality` is not looked at
    Metadata metadata = {};    // goes into the file, and counts in its size
    // No sample is to differ by more than this, of 255 or 65535; 0: lossless. None: whatever comes of the quality. Not with a target.
    std::optional<std::uint16_t> max_error = {};
};

// Encodes with one model. It keeps what it built for a picture's shape, so that further pictures of that shape are quicker. Several
// threads may use one at once.
class DECANT_API Encoder {
public:
    // model: the name of an installed one, or a file. threads: 0 = all cores; files do not depend on it.
    // Throws Error not_found, io, corrupt, or model_mismatch for a model that is no codec.
    explicit Encoder(const std::string& model = "photo", int threads = 0);
    ~Encoder();
    Encoder(Encoder&&) noexcept;
    Encoder& operator=(Encoder&&) noexcept;

    // The bytes of a .dcn file. Alpha comes back exactly, but where it is 0 colours are not kept, unless max_error is set; where it is
    // opaque everywhere there is none in the file. Throws Error invalid_argument for pixels that are none or settings out of their range.
    std::vector<std::uint8_t> encode(const PixelView& pixels, const EncodeSettings& settings = {});

private:
    struct State;
    std::unique_ptr<State> state_;
};

struct DecodeSettings {
    std::uint64_t max_pixels = std::uint64_t{1} << 28;  // more is refused before anything is allocated
    // Unless 0: the picture reduced to at most that many pixels a side, of 8 bits a sample; quickly, where the file has a preview.
    std::uint32_t largest_side = 0;
};

// Decodes files of all models at hand, which are loaded when they are needed. It keeps what it built, as Encoder does; several threads
// may use one at once.
class DECANT_API Decoder {
public:
    // model: name or file of the only one to use; empty: those of the installation. threads: 0 = all cores; pixels do not depend on it.
    // Throws Error not_found.
    explicit Decoder(const std::string& model = "", int threads = 0);
    ~Decoder();
    Decoder(Decoder&&) noexcept;
    Decoder& operator=(Decoder&&) noexcept;

    // Throws Error unsupported (no .dcn file, or of a later version), corrupt, limit, or model_mismatch if the model is not at hand.
    PixelBuffer decode(const void* bytes, std::size_t size, const DecodeSettings& settings = {});

private:
    struct State;
    std::unique_ptr<State> state_;
};

// What decode would give, told by the file without decoding or verifying its tiles.
struct PictureInfo {
    std::uint32_t width = 0, height = 0;
    int channels = 0, depth = 0;  // as in PixelView
};

// Throws Error unsupported or corrupt as Decoder::decode does.
DECANT_API PictureInfo read_info(const void* bytes, std::size_t size);

// Whether the bytes, of which 4 are enough, are the beginning of a .dcn file.
DECANT_API bool is_dcn(const void* bytes, std::size_t size) noexcept;

// The version of the library, such as "0.1.0".
DECANT_API const char* version() noexcept;

}  // namespace decant
