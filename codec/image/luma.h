// Brightness of a colour, of ITU-R BT.601 as JPEG uses it.
#pragma once

namespace decant {

// In the scale of its arguments.
inline float luma(float r, float g, float b) { return 0.299f * r + 0.587f * g + 0.114f * b; }

}  // namespace decant
