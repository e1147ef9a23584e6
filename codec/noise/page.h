// What happens to a page before and while it is scanned. As in codec/noise/noise.h: seeded, values 0 … 255.
#pragma once

#include "codec/noise/noise.h"

namespace decant {

// Ink that is not black on paper that is not white: 0 … 255 becomes black … white.
void fade(Crop& crop, float black, float white);

// What ink covers of the paper, 0 to 1, to the power of `exponent`: below 1 ink spreads as it is printed or photocopied, above 1 thin strokes
// and the edges of others stay light.
void spread_ink(Crop& crop, float exponent);

// Paper that was crumpled and smoothed out: facets between sharp ridges, lit from one side. `strength` is the standard deviation of
// white paper.
void add_wrinkles(Crop& crop, float strength, RandomStream& random);

// Fibres and tooth of paper: brightness at several scales, multiplied onto it; `strength` is the standard deviation of white paper.
void add_paper_texture(Crop& crop, float strength, RandomStream& random);

// Up to `count` blots, with soft edges and a darker rim, as coffee and water leave; what is below shows through. `strength`: share
// of the light that the darkest one takes, 0 … 1.
void add_stains(Crop& crop, int count, float strength, RandomStream& random);

// A straight crease across the crop: a dark line and a light one beside it, `strength` high.
void add_fold(Crop& crop, float strength, RandomStream& random);

// Light that falls off towards a side and a shadow of the binding: factors from 1 down to 1 - strength.
void add_uneven_light(Crop& crop, float strength, RandomStream& random);

// The other side's print, mirrored and blurred; `strength`: share of its darkness that comes through. The crop stands for its own
// back, shifted.
void add_bleed_through(Crop& crop, float strength, RandomStream& random);

// Scanned at `scale` (below 1) of the resolution and brought back.
void reduce_resolution(Crop& crop, float scale);

// Printed with dots: a screen of `period` pixels at a random angle, partly (`strength` 0 … 1) in the place of the tones.
void add_halftone(Crop& crop, float period, float strength, RandomStream& random);

// Dust and the specks that binarisation leaves: spots of one to a few pixels, dark and light; `share` of the pixels are hit.
void add_specks(Crop& crop, float share, RandomStream& random);

// A scanner's black and white: `strength` 1 is a hard threshold, less keeps some gray.
void binarise(Crop& crop, float threshold, float strength);

}  // namespace decant
