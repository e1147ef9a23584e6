#include "codec/container/alpha_section.h"

#include "codec/alpha/plane_coder.h"
#include "codec/error.h"

namespace decant {
namespace {

Image byte_plane(const Image& alpha, int shift) {
    Image plane(alpha.width, alpha.height, 1);
    const std::vector<uint16_t>& samples = alpha.samples<uint16_t>();
    for (size_t i = 0; i < samples.size(); i++) plane.samples()[i] = uint8_t(samples[i] >> shift);
    return plane;
}

}  // namespace

std::vector<Section> pack_alpha(const Image& alpha) {
    if (alpha.depth() == 8) return {{kSectionAlpha, encode_plane(alpha)}};
    const Image upper = byte_plane(alpha, 8), lower = byte_plane(alpha, 0);
    return {{kSectionAlpha, encode_plane(upper)}, {kSectionAlphaLow, lower == upper ? std::vector<uint8_t>() : encode_plane(lower)}};
}

std::optional<Image> unpack_alpha(const Container& container) {
    const Section *section = find_section(container, kSectionAlpha), *low = find_section(container, kSectionAlphaLow);
    const Header& header = container.header;
    if (low != nullptr && (section == nullptr || header.depth == 8)) throw Error(ErrorCode::corrupt, "the lower byte of alpha without the upper one, or of a picture of 8 bits");
    if (section == nullptr) return std::nullopt;
    Image upper = decode_plane(section->payload, header.width, header.height);
    if (header.depth == 8) return upper;
    Image alpha = with_depth(upper, 16);
    if (low == nullptr || low->payload.empty()) return alpha;
    const Image lower = decode_plane(low->payload, header.width, header.height);
    std::vector<uint16_t>& samples = alpha.samples<uint16_t>();
    for (size_t i = 0; i < samples.size(); i++) samples[i] = uint16_t(upper.samples()[i] << 8 | lower.samples()[i]);
    return alpha;
}

std::size_t packed_alpha_size(const Container& container) {
    return section_size(container, kSectionAlpha) + section_size(container, kSectionAlphaLow);
}

}  // namespace decant
