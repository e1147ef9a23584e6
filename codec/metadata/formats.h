// Metadata in the single formats; embedding.h chooses among them. Not for callers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/error.h"
#include "codec/metadata/embedding.h"

namespace decant {

// Takes the blocks that a reader finds, and leaves out what is not good, with a remark.
class MetadataCollector {
public:
    MetadataCollector(Metadata& metadata, Remarks& remarks) : metadata_(metadata), remarks_(remarks) {}

    void add_icc(std::span<const std::uint8_t> block);
    void add_exif(std::span<const std::uint8_t> block);
    void add_xmp(std::span<const std::uint8_t> block);
    void add_resolution(const Resolution& resolution);  // one that is not valid is no resolution
    void leave_out(const std::string& what_and_why);    // "the ICC profile is damaged"
    bool has_icc() const { return !metadata_.icc.empty(); }

    // Calls work; an Error of it is why `what` is left out.
    template <class Work>
    void attempt(const std::string& what, const Work& work) {
        try {
            work();
        } catch (const Error& error) {
            leave_out("the " + what + " cannot be used (" + error.what() + ")");
        }
    }

private:
    Metadata& metadata_;
    Remarks& remarks_;
};

// A block of its own kind beside the four that are carried.
inline constexpr const char* kIptcRemark = "the IPTC block is not supported";

// Both throw Error(corrupt) for a file whose structure is damaged; what was found before counts.
void read_png_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector);
void read_jpeg_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector);
void read_webp_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector);
void read_tiff_metadata(std::span<const std::uint8_t> file, MetadataCollector& collector);

// Blocks are good ones, and the profile fits the channels.
void embed_png_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector);
void embed_jpeg_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector);
void embed_webp_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector);
void embed_tiff_metadata(std::vector<std::uint8_t>& file, const Metadata& metadata, MetadataCollector& collector);

// A resolution in whole numbers of the given size, as PNG and JPEG have it; none if it does not come to 1 … largest.
struct WholeResolution {
    std::uint32_t x = 0, y = 0;
};
// Pixels a `unit`, where one inch is 2.54 centimetres; rounded to nearest. With Unit::none the ratio x : y, which is not rounded.
// `unit_numerator` / `unit_denominator` is the length in inches or centimetres (whichever the resolution is in) of the unit wanted.
std::optional<WholeResolution> whole_resolution(const Resolution& resolution, std::uint64_t unit_numerator,
                                                std::uint64_t unit_denominator, std::uint32_t largest);

}  // namespace decant
