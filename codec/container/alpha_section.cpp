#include "codec/container/alpha_section.h"

#include "codec/alpha/plane_coder.h"

namespace decant {

Section pack_alpha(const Image& alpha) { return {kSectionAlpha, encode_plane(alpha)}; }

std::optional<Image> unpack_alpha(const Container& container) {
    const Section* section = find_section(container, kSectionAlpha);
    if (section == nullptr) return std::nullopt;
    return decode_plane(section->payload, container.header.width, container.header.height);
}

std::size_t packed_alpha_size(const Container& container) { return section_size(container, kSectionAlpha); }

}  // namespace decant
