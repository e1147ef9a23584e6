// Tells pages (print or writing on paper) from photographs, so that each goes to the network that knows its kind.
//
// A page is bright ground that changes slowly, and where there is more than ground there are strokes: darker, thin, so that the
// ground is still the median of what surrounds them. Photographs seldom have both. What is on the line counts as a photograph: the
// network for pages would make white of it.
//
// Pale, blurred ink is no darker than much that is in photographs, and asks for clearer ground.
//
// Of 1,190 photographs and noisy photographs in training 22 are taken for pages if they are gray, 12 in colour: drawings, instruments and
// others on plain ground; of 350 pages, most of them spoilt by codec/noise/page.h, 24 for photographs.
#pragma once

#include "codec/image/sample_view.h"

namespace decant {

// What the decision rests on. Shares are of cells of 16 × 16 positions of a reduced picture.
struct PageEvidence {
    double ground = 0;      // mean brightness of the ground, 0 … 255
    double roughness = 0;   // mean relative difference of the ground from cell to cell
    double saturation = 0;  // mean difference of the largest and the smallest of R, G, B
    struct Marks {
        double all = 0;      // share of the cells where something dark is
        double strokes = 0;  // share where that is strokes on ground
    };
    Marks ink;   // darker than 3/4 of the ground
    Marks pale;  // darker than 0.85 of it
};

// All zero of a picture too small to tell.
PageEvidence page_evidence(const SampleView& picture);

bool is_page(const PageEvidence& evidence);
inline bool is_page(const SampleView& picture) { return is_page(page_evidence(picture)); }

}  // namespace decant
