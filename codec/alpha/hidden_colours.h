// Colours that cannot be seen: those of pixels whose alpha is 0.
#pragma once

#include "codec/image/image.h"

namespace decant {

// Replaces them by a smooth continuation of the colours around, so that neither bits nor ringing at the edges come from what nobody
// sees. Where nothing can be seen at all, the picture becomes black. Throws as check_alpha does.
void fill_hidden_colours(Image& image, const Image& alpha);

// The picture in front of white, for what cannot hold alpha. Throws as check_alpha does.
Image in_front_of_white(const Image& image, const Image& alpha);

}  // namespace decant
