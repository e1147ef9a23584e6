// Image codecs behind one interface, so that all are measured by the same code, on the same pixels, in the same process.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/image/image.h"

namespace decant {

// Not to be called by several threads at once.
class ImageCodec {
public:
    virtual ~ImageCodec() = default;

    virtual std::string name() const = 0;         // "WebP"
    virtual std::string parameter() const = 0;    // what decides on rate and quality, by the name that its users know: "quality"
    virtual std::string description() const = 0;  // library and version, and the settings that are not the parameter

    // A whole file of an 8-bit gray or RGB picture. Throws Error: invalid_argument or unsupported for pictures that the codec cannot
    // hold, internal if its library fails.
    virtual std::vector<std::uint8_t> encode(const Image& image, double parameter) = 0;
    // channels: 1 or 3, those of the picture that was encoded; some codecs have no gray. Throws Error(corrupt).
    virtual Image decode(std::span<const std::uint8_t> bytes, int channels) = 0;
};

// The codecs of others that decant may be compared with.
struct PeerInfo {
    const char* id;  // "webp"
    const char* name;
    const char* parameter;
    const char* media_type;      // by which browsers show its files; "" where they do not
    std::vector<double> points;  // values of the parameter from few bits to many, which cover what photographs are stored with
};
const std::vector<PeerInfo>& peers();

// nullptr for an id that is none of theirs.
const PeerInfo* find_peer(std::string_view id);

// Loads the libraries behind the codec, none of which the program is linked with. threads: 0 = all cores; a codec may use fewer.
// Throws Error(unsupported), saying what is missing.
std::unique_ptr<ImageCodec> make_peer(const PeerInfo& peer, int threads = 0);

}  // namespace decant
