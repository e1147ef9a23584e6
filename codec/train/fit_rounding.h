// Weights of integer layers, rounded so that the network gives what it gives in floats.
//
// To the nearest integer each weight is wrong by itself; but what a layer reads is correlated, pixels and their neighbours most of all, so that one weight's error can be
// made good by others. Layer by layer, in the order of the network, on crops with noise of the model's domain:
//
//   x   what the layer reads in integers, after all rounding before it
//   y   what it is to give: what it gives in floats; of a sum, so that the sum comes out as in floats
//   W ← W + E[(y - W·x)·xᵀ]·(E[x·xᵀ] + λ)⁻¹     makes good what layers before got wrong (least squares)
//   then one weight of a row after the other is rounded, and its error passed on to those that follow by E[x·xᵀ] (optimal brain surgeon, Hassibi 1992; GPTQ, Frantar 2022)
#pragma once

#include "codec/network/parameters.h"
#include "codec/train/dataset.h"

namespace decant {

// Of a denoiser; parameters: as in floats, equalised (codec/train/equalise.h) or not. Afterwards the weights of integer layers are such that rounding leaves them alone.
// crops: 1 …, of 160×160 pixels. Takes about four seconds a crop and core for denoise-photo.
// Throws Error invalid_argument for other models.
void fit_rounding(const Description& description, const Dataset& dataset, uint64_t seed, int crops, Parameters& parameters);

}  // namespace decant
