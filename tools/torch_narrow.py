#!/usr/bin/env python3
"""Makes the beginning of a codec for gray pictures out of a trained one for colours: a training's checkpoint.

    tools/torch_narrow.py --from photo.safetensors --recipe models/recipes/photo-gray.json --data pictures --checkpoint gray.checkpoint
    decant train --config models/recipes/photo-gray.json --data pictures --checkpoint gray.checkpoint --out photo-gray.safetensors

--set changes the recipe as that of `decant train` does, which is then to be given the same. The recipe has the layers of the model,
with fewer channels. What gray pictures do in the model is watched, with the gradients of its loss. Of latents and of what lies behind a
ReLU, those channels are kept whose loss would weigh most. The values of linear trunks, to which residual branches add, are projected:
on the subspace in which they, times what the loss feels of them, have most of their energy. Weights are turned into the new bases, so
that, but for what falls beside the subspaces, the narrow network computes what the wide one does.

Needs Python 3.11, PyTorch 1.13, NumPy and Pillow.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from torch_codec import Description, Parameters, RandomStream, codec_step, learning_rates, random_key, read_model, write_safetensors
from torch_train import Dataset, in_channels

LUMA = (0.299, 0.587, 0.114)
RMS = 1.2  # of projected channels, so that 8 bits of them reach far enough (input_exponent 4: to 8)
FLOOR = 1e-4  # of gradients' energies, of their largest: no direction is worth nothing


class Space:
    """The values of a place in the wide network, and what the narrow one has of them: narrow = reduce^T wide, wide = expand narrow."""

    def __init__(self, reduce, expand):
        self.reduce, self.expand = reduce, expand

    @staticmethod
    def selection(kept, wide):
        columns = torch.eye(wide, dtype=torch.float64)[:, kept]
        return Space(columns, columns)

    def times(self, n):
        """n values side by side, as unshuffling puts them."""
        return Space(torch.block_diag(*[self.reduce] * n), torch.block_diag(*[self.expand] * n))

    def beside(self, other):
        return Space(torch.block_diag(self.reduce, other.reduce), torch.block_diag(self.expand, other.expand))


class Statistics:
    """Second moments of values and of the loss' gradients to them, a place each."""

    def __init__(self):
        self.values, self.gradients, self.weights, self.crops = {}, {}, {}, 0

    def add(self, place, value):
        rows = value.detach().movedim(1, -1).flatten(0, -2).double()
        slopes = value.grad.movedim(1, -1).flatten(0, -2).double() if value.grad is not None else torch.zeros_like(rows)
        for sums, x in ((self.values, rows), (self.gradients, slopes)):
            sums[place] = sums.get(place, 0) + x.T @ x / len(x)
        # What the loss feels of a channel that is taken away.
        self.weights[place] = self.weights.get(place, 0) + (rows * slopes).square().mean(0)

    def selection(self, place, narrow, groups=1):
        wide = len(self.weights[place])
        by_group = self.weights[place].view(groups, wide // groups)
        kept = by_group.topk(narrow // groups).indices.sort().values + torch.arange(groups)[:, None] * (wide // groups)
        return Space.selection(kept.flatten(), wide)

    def projection(self, places, narrow):
        values, gradients = (sum(sums[p] for p in places) for sums in (self.values, self.gradients))
        energies, axes = torch.linalg.eigh(gradients)
        energies = energies.clamp(min=0) + FLOOR * energies.max()
        root, inverse = (axes @ torch.diag(energies**power) @ axes.T for power in (0.5, -0.5))
        kept, directions = torch.linalg.eigh(root @ values @ root)
        directions = directions.flip(1)[:, :narrow]
        reduce, expand = root @ directions, inverse @ directions
        rms = (torch.diag(reduce.T @ values @ reduce) / (self.crops * len(places))).sqrt()
        scale = torch.exp2((RMS / rms.clamp(min=1e-6)).log2().round())
        return Space(reduce * scale, expand / scale), 1 - (kept.flip(0)[:narrow].sum() / kept.sum()).item()


def watch(description, parameters, dataset, crops, seed):
    """Statistics of gray crops, at qualities from all of those that the model serves."""
    statistics, first, last = Statistics(), description.first_level, description.last_level
    middle = description.lambdas[description.levels // 2]
    for n in range(crops):
        random = RandomStream(random_key(seed, 3, n, 0))
        pixels = torch.from_numpy(in_channels(dataset.crop(random, 192)[None], 1)).expand(-1, -1, -1, 3).contiguous()
        quality = torch.tensor([first + random.next() * (last - first)], dtype=torch.float32)
        places = {}

        def observe(prefix, value):
            if value.requires_grad:
                value.retain_grad()
            places[prefix] = value

        weight = (description.lambda_at(quality) / middle).pow(-0.45).float()
        codec_step(description, parameters, pixels, quality, weight, [random_key(seed, 4, n, 0)], observe=observe).loss.backward()
        for prefix, value in places.items():
            statistics.add(prefix, value)
        statistics.crops += 1
    return statistics


class Narrowing:
    def __init__(self, wide, narrow, parameters, statistics):
        self.wide, self.narrow, self.parameters, self.statistics = wide, narrow, parameters, statistics
        self.shapes, self.result = narrow.shapes(), {}
        if [p.prefix for p in wide.convolutions()] != [p.prefix for p in narrow.convolutions()]:
            sys.exit("the recipe has other layers than the model")

    def width(self, prefix):
        return self.shapes[prefix + ".weight"][0]

    def network(self, name, source, target=None):
        """Turns the weights of a network that reads values of `source`; the space of its result is `target`, or is returned."""
        layers = self.wide.networks[name]
        # Values that are added to each other are of one space. What a shuffle gives is a space, and what it reads is several of it.
        trunk = {}
        for p in layers:
            trunk[p.layer.name] = trunk[p.layer.add] if p.layer.add else p.layer.name
        members = lambda root: [p.prefix for p in layers if trunk[p.layer.name] == root]
        shuffled = {p.source: p for p in layers if p.layer.op == "shuffle"}
        spaces = {"input": source}
        for i, p in enumerate(layers):
            layer = p.layer
            if layer.op == "unshuffle":
                spaces[layer.name] = spaces[p.source].times(layer.factor**2)
                continue
            if layer.op == "shuffle":
                continue  # known with the layer before
            if layer.add:
                space = spaces[trunk[layer.name]]
            elif layer.name in shuffled:
                after = shuffled[layer.name]
                area = after.layer.factor**2
                ends = after is layers[-1]
                one = target if ends and target else self.space(members(after.layer.name), self.width(p.prefix) // area, layer.activation != "none")
                spaces[after.layer.name], space = one, one.times(area)
            elif i == len(layers) - 1 and target:
                space = target
            else:
                space = self.space(members(layer.name), self.width(p.prefix), layer.activation != "none")
            spaces[layer.name] = space
            self.convolution(p, spaces[p.source], space)
        return spaces[layers[-1].layer.name]

    def space(self, places, narrow, is_selection):
        if is_selection:
            return self.statistics.selection(places[0], narrow)
        space, lost = self.statistics.projection(places, narrow)
        print(f"{places[0]}: {len(space.reduce)} to {narrow} channels, without {lost:.2e} of the energy", file=sys.stderr)
        return space

    def convolution(self, p, source, target):
        weight = self.parameters[p.prefix + ".weight"].double()
        self.result[p.prefix + ".weight"] = torch.einsum("oiyx,om,in->mnyx", weight, target.reduce, source.expand)
        self.result[p.prefix + ".bias"] = self.parameters[p.prefix + ".bias"].double() @ target.reduce
        if p.layer.quality_bias:
            self.result[p.prefix + ".quality"] = self.parameters[p.prefix + ".quality"].double() @ target.reduce

    def run(self):
        wide, narrow, s = self.wide, self.narrow, self.statistics
        colours = Space(torch.tensor(LUMA, dtype=torch.float64)[:, None], torch.ones(3, 1, dtype=torch.float64))
        latents = s.selection("analysis.latents", narrow.latent_channels, 4)  # of the groups of codec/latents/layout.h
        hyper = s.selection("hyper_analysis.conv3", narrow.hyper_channels)
        self.network("analysis", colours, latents)
        self.network("synthesis", latents, colours)
        self.network("hyper_analysis", latents.beside(latents), hyper)
        features = self.network("hyper_synthesis", hyper.beside(hyper))
        for k in range(4):
            self.network(f"context{k}", features if k == 0 else features.beside(latents), latents.beside(latents))
        kept = lambda name, space: self.parameters[name].double() @ space.reduce
        for name in ("gain", "inverse_gain", "latent_std", "prediction"):
            self.result[name] = kept(name, latents)
        for name in ("hyper_mean", "hyper_log2_scale"):
            self.result[name] = kept(name, hyper)
        for name, shape in self.shapes.items():
            if tuple(self.result[name].shape) != tuple(shape):
                sys.exit(f"{name}: is of shape {tuple(self.result[name].shape)}, the recipe says {tuple(shape)}")
        return torch.cat([self.result[name].flatten() for name in self.shapes]).float()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", required=True, metavar="MODEL", help="model file for pictures in colour")
    parser.add_argument("--recipe", required=True, help="description of the narrow network")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the recipe: serves=[3,7], companion=NAME; may be given again")
    parser.add_argument("--data", required=True, help="folder of pictures")
    parser.add_argument("--checkpoint", required=True, help="file to write; none may be there")
    parser.add_argument("--crops", type=int, default=48, help="to watch the model on; default: 48")
    parser.add_argument("--seed", type=int, default=1)
    o = parser.parse_args()
    if Path(o.checkpoint).exists():
        parser.error(f"{o.checkpoint} exists")
    wide, values = read_model(o.start)
    recipe = Description(Path(o.recipe).read_text()).root
    for key, value in (change.split("=", 1) for change in o.set):
        recipe[key] = json.loads(value) if value.startswith("[") else value
    narrow = Description(json.dumps(recipe))
    parameters = Parameters(wide, values)
    statistics = watch(wide, parameters, Dataset(o.data, 256, 1 << 30), o.crops, o.seed)
    with torch.no_grad():
        weights = Narrowing(wide, narrow, parameters, statistics).run()
    rates = learning_rates(narrow, Parameters(narrow, weights.clone()))
    arrays = {"weights": weights, "first": torch.zeros_like(weights), "second": torch.zeros_like(weights), "average": weights, "rate": rates}
    write_safetensors(o.checkpoint, {name: tensor.detach().numpy() for name, tensor in arrays.items()},
                      {"description": narrow.text, "step": "0", "seconds": "0"})


if __name__ == "__main__":
    main()
