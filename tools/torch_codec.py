"""The codec's networks and its training loss in PyTorch, number for number those of codec/train/codec_step.h.

What is rounded there is rounded here, gradients pass or stop at the same places, and noise comes from the same generator; so a
training can change between the two trainers, and tests/cli/torch.sh compares them. Tensors are NCHW.
"""
import functools
import json
import math
import re
import struct
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import Function

ACTIVATION_EXPONENT = 5  # activations of integer layers: u8, multiples of 1/32
WEIGHT_LIMIT, MAX_WEIGHT_EXPONENT, ROW_LIMIT = 63, 20, (1 << 24) // 255  # codec/network/rounding.h
CONTEXT_STEPS, CONTEXT_LIMIT, PREDICTION_TAPS = 4, 2047, 28
PREDICTION_EXPONENT = 12  # codec/network/model_file.h
LATENT_LIMIT = 32767 / 1024  # of what the decoder's synthesis reads, s16
MIN_SCALE, MIN_PROBABILITY = 0.06, 1e-9
MIN_LOG2_SCALE, MAX_LOG2_SCALE = -14.0, 6.0
PIXEL_ZERO, PIXEL_UNIT = 128, 256
PIXEL_PEAK2 = (255 / PIXEL_UNIT) ** 2
LN2 = math.log(2)


# The description of a model (codec/network/description.h).


OPERATIONS, ACTIVATIONS = ("conv", "unshuffle", "shuffle"), ("none", "relu", "leaky_relu")
ARITHMETICS = ("wide", "compute", "integer")


@dataclass(frozen=True)
class Layer:
    name: str
    op: str = "conv"
    input: str = ""
    add: str = ""
    channels: int = 0
    kernel: int = 1
    stride: int = 1
    factor: int = 1
    activation: str = "none"
    slope: float = 0.01
    arithmetic: str = "compute"
    quality_bias: bool = False
    input_exponent: int = 5
    init: str = "he"
    init_scale: float = 1.0

    def __post_init__(self):
        for value, known in ((self.op, OPERATIONS), (self.activation, ACTIVATIONS), (self.arithmetic, ARITHMETICS)):
            if value not in known:
                raise ValueError(f'network description: {self.name}: "{value}" is not one of {", ".join(known)}')


@dataclass(frozen=True)
class PlannedLayer:
    layer: Layer
    prefix: str  # of its parameters
    source: str  # name of the layer read
    channels_in: int
    reads_activations: bool
    reads_signed: bool


def plan(name, network):
    channels = {"input": network["channels_in"]}
    activation = {"input": None}  # of the convolution that a value comes from, directly or through (un)shuffles
    planned, previous = [], "input"
    for entry in network["layers"]:
        layer = Layer(**entry)
        source = layer.input or previous
        area = layer.factor**2
        channels[layer.name] = {"conv": layer.channels, "unshuffle": channels[source] * area, "shuffle": channels[source] // area}[layer.op]
        activation[layer.name] = layer.activation if layer.op == "conv" else activation[source]
        reads_activations = layer.op == "conv" and activation[source] not in (None, "none")
        reads_signed = layer.op == "conv" and layer.arithmetic == "integer" and activation[source] == "none"
        planned.append(PlannedLayer(layer, f"{name}.{layer.name}", source, channels[source], reads_activations, reads_signed))
        previous = layer.name
    return planned


class Description:
    def __init__(self, text):
        self.text = text
        comments = r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/'
        self.root = root = json.loads(re.sub(comments, lambda m: m[1] or "", text, flags=re.DOTALL))
        self.latent_channels, self.hyper_channels = root["latent_channels"], root["hyper_channels"]
        self.lambdas = root["lambda"]
        self.first_level, self.last_level = root.get("serves", (0, len(self.lambdas) - 1))
        # What steps are drawn from (codec/train/codec_step.h).
        self.trained_range = max(0, self.first_level - 0.25), min(len(self.lambdas) - 1, self.last_level + 0.25)
        self.networks = {name: plan(name, network) for name, network in root["networks"].items()}
        self.colours = root["networks"]["analysis"]["channels_in"]  # of a picture: 3, or 1 for gray

    @property
    def levels(self):
        return len(self.lambdas)

    def convolutions(self):
        return [p for network in self.networks.values() for p in network if p.layer.op == "conv"]

    def shapes(self):
        """Names and shapes in the order of codec/network/parameters.h."""
        shapes = {}
        for p in self.convolutions():
            shapes[p.prefix + ".weight"] = (p.layer.channels, p.channels_in, p.layer.kernel, p.layer.kernel)
            shapes[p.prefix + ".bias"] = (p.layer.channels,)
            if p.layer.quality_bias:
                shapes[p.prefix + ".quality"] = (self.levels, p.layer.channels)
        shapes["gain"] = shapes["inverse_gain"] = (self.levels, self.latent_channels)
        shapes["latent_std"] = (self.latent_channels,)
        shapes["prediction"] = (PREDICTION_TAPS, self.latent_channels)
        shapes["hyper_mean"] = shapes["hyper_log2_scale"] = (self.hyper_channels,)
        return shapes

    def mix_levels(self, quality):
        """The rate point below each quality, and the share of the one above."""
        quality = quality.clamp(0, self.levels - 1)
        level = quality.long().clamp(max=self.levels - 2)
        return level, quality - level

    def lambda_at(self, quality):
        level, upper = self.mix_levels(quality)
        logs = torch.tensor(self.lambdas, dtype=torch.float64, device=quality.device).log()
        return (logs[level] * (1 - upper) + logs[level + 1] * upper).exp()


class Parameters:
    """Named views of one flat vector, and of one for their gradients: so the optimiser works on whole vectors."""

    def __init__(self, description, values):
        self.values, self.gradient = values, torch.zeros_like(values)
        self.named, offset = {}, 0
        for name, shape in description.shapes().items():
            end = offset + math.prod(shape)
            leaf = values[offset:end].view(shape).requires_grad_(name != "latent_std")
            if leaf.requires_grad:
                leaf.grad = self.gradient[offset:end].view(shape)
            self.named[name], offset = leaf, end
        if offset != values.numel():
            raise ValueError(f"{values.numel()} parameters, the description has {offset}")

    def __getitem__(self, name):
        return self.named[name]


# Files (codec/network/safetensors.h).

DTYPES = {"F32": np.float32, "I8": np.int8, "U8": np.uint8, "I16": np.int16, "U16": np.uint16, "I32": np.int32, "BF16": np.uint16}


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    texts = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = array.reshape(entry["shape"])
    return arrays, texts


def write_safetensors(path, arrays, texts):
    """Arrays of float32."""
    header, offset = {"__metadata__": texts}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, np.float32).tobytes())


def read_model(path):
    """The description of a model file and its parameters as one vector. Weights of integers come with an exponent an output."""
    arrays, texts = read_safetensors(path)
    description, values = Description(texts["description"]), []
    for name, shape in description.shapes().items():
        array = arrays[name]
        if name == "prediction":
            array = array.astype(np.float32) * 2.0**-PREDICTION_EXPONENT
        elif array.dtype != np.float32:
            exponent = arrays[name.rpartition(".")[0] + ".exponent"].astype(np.int32)
            array = np.ldexp(array.astype(np.float32), -exponent.reshape(-1, *[1] * (array.ndim - 1)))
        if array.shape != shape:
            raise ValueError(f"{path}: tensor {name} is of shape {array.shape}, the description says {shape}")
        values.append(array.ravel())
    return description, torch.from_numpy(np.concatenate(values).astype(np.float32))


# Random numbers as a function of a key and a counter (codec/tensor/random.h).

MASK = 0xFFFFFFFF


def mix_bits(x):
    """Of an integer, or of a tensor of int64."""
    x = x ^ (x >> 16)
    x = (x * 0x21F0AAAD) & MASK
    x = x ^ (x >> 15)
    x = (x * 0x735A2D97) & MASK
    return x ^ (x >> 15)


def random_key(*numbers):
    key = 0x9E3779B9
    for n in (*numbers, *[0] * (4 - len(numbers))):
        key = mix_bits(key ^ (n & MASK))
        key = mix_bits(key ^ (n >> 32))
    return key


class RandomStream:
    def __init__(self, key):
        self.key, self.counter = key, 0

    def bits(self):
        self.counter += 1
        return mix_bits(mix_bits(self.counter - 1) ^ self.key)

    def next(self):
        return (self.bits() >> 8) * 2.0**-24

    def below(self, n):
        return (self.bits() * n) >> 32


@functools.lru_cache(maxsize=16)
def mixed_counters(samples, channels, height, width, device):
    counters = torch.arange(samples * channels * height * width, device=device)
    return mix_bits(counters).view(samples, height, width, channels).permute(0, 3, 1, 2)


def noise_like(x, keys):
    """Uniform in ±1/2. Each shard of the batch has a key of its own, and counts in the order NHWC."""
    mixed = mixed_counters(x.shape[0] // len(keys), *x.shape[1:], x.device)
    return torch.cat([(mix_bits(mixed ^ key) >> 8).float() * 2.0**-24 - 0.5 for key in keys])


# Roundings, with the gradients that training gives them.


class StraightThrough(Function):
    """The value of the second argument, the gradient of the first."""

    @staticmethod
    def forward(ctx, source, value):
        return value.clone()

    @staticmethod
    def backward(ctx, g):
        return g, None


class QuantisedRelu(Function):
    @staticmethod
    def forward(ctx, x):
        level = torch.floor(x * 2.0**ACTIVATION_EXPONENT + 0.5).clamp(0, 255)
        ctx.save_for_backward((level > 0) & (level < 255))
        return level * 2.0**-ACTIVATION_EXPONENT

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class QuantisedSigned(Function):
    """What an integer layer sees of signed values."""

    @staticmethod
    def forward(ctx, x, exponent):
        step = 2.0**-exponent
        ctx.save_for_backward((x >= -128.5 * step) & (x < 127.5 * step))
        return torch.floor(x / step + 0.5).clamp(-128, 127) * step

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None


class QuantisedContext(Function):
    """What the context networks see of decoded latents, in standard deviations, companded (codec/latents/layout.h)."""

    @staticmethod
    def forward(ctx, x):
        step = 2.0**-ACTIVATION_EXPONENT
        clip = CONTEXT_LIMIT * step
        slope = torch.where(x.abs() <= 1, torch.ones_like(x), 2.0 ** (-1 - torch.frexp(x.abs().clamp(min=1))[1].float() + 1))
        ctx.save_for_backward(torch.where(x.abs() < clip, slope, torch.zeros_like(x)))
        rounded = (torch.floor(x / step + 0.5) * step).clamp(-clip, clip)
        size = rounded.abs()
        fraction, exponent = torch.frexp(size.clamp(min=1))  # the fraction is in 1/2 … 1
        above = 1 + 0.5 * (exponent - 1 + torch.floor((2 * fraction - 1) * 16) / 16)
        return torch.where(size <= 1, rounded, torch.where(rounded < 0, -above, above))

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class HyperParts(Function):
    """Hyper-latents as the hyper-synthesis reads them: rounded, positive and negative parts in quarters."""

    @staticmethod
    def forward(ctx, z):
        rounded = torch.floor(z + 0.5)
        ctx.save_for_backward(rounded)
        return torch.cat([rounded, -rounded], 1).clamp(0, 255) * 0.25

    @staticmethod
    def backward(ctx, g):
        (rounded,) = ctx.saved_tensors
        share = (rounded.sign() + 1) / 2  # at zero, where most symbols are, both parts pass half
        positive, negative = g.chunk(2, 1)
        return 0.25 * (share * positive - (1 - share) * negative)


def power_of_two(exponent):
    """2^exponent of an int32 tensor, exactly: from the bits of the float."""
    return ((exponent + 127) << 23).view(torch.float32)


@torch.no_grad()
def rounded_weights(weight):
    """±63·2^-exponent with one exponent an output (codec/network/rounding.cpp), and the exponents."""
    rows = weight.flatten(1)
    bits = rows.abs().amax(1).view(torch.int32)
    octave, mantissa = (bits >> 23) - 126, bits & 0x7FFFFF
    top_fits = mantissa <= (WEIGHT_LIMIT - 32) << 18  # is the fraction, in [1/2, 1), at most 63/64?
    exponent = (5 + top_fits.to(torch.int32) - octave).clamp(0, MAX_WEIGHT_EXPONENT)
    levels = lambda: (rows * power_of_two(exponent)[:, None]).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT).round()
    # A fixed number of tries, enough for rows of nothing but their largest weight: on a GPU, asking whether all fit would wait.
    for _ in range(max(0, math.ceil(math.log2(WEIGHT_LIMIT * rows.shape[1] / ROW_LIMIT))) + 1):
        too_large = (levels().abs().sum(1) > ROW_LIMIT) & (exponent > 0)
        exponent = exponent - too_large.to(torch.int32)
    return (levels() * power_of_two(-exponent)[:, None]).view_as(weight), exponent


def rounded_bias(bias, grid):
    with torch.no_grad():
        rounded = (bias * power_of_two(grid)).round().clamp(-(2.0**28), 2.0**28) * power_of_two(-grid)
    return StraightThrough.apply(bias, rounded)


# Networks.


def unshuffle(x, factor):
    """Channels at the low resolution are in the order (dy, dx, c)."""
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h // factor, factor, w // factor, factor, c)
    return x.transpose(2, 3).reshape(n, h // factor, w // factor, factor * factor * c).permute(0, 3, 1, 2)


def shuffle(x, factor):
    n, c, h, w = x.shape
    c //= factor * factor
    x = x.permute(0, 2, 3, 1).reshape(n, h, w, factor, factor, c)
    return x.transpose(2, 3).reshape(n, h * factor, w * factor, c).permute(0, 3, 1, 2)


def convolve(p, x, parameters, mix, bf16):
    layer = p.layer
    weight, bias = parameters[p.prefix + ".weight"], parameters[p.prefix + ".bias"]
    quality = parameters[p.prefix + ".quality"] if layer.quality_bias else None
    if layer.arithmetic == "integer":
        rounded, exponent = rounded_weights(weight)
        weight, grid = StraightThrough.apply(weight, rounded), exponent + layer.input_exponent
        bias = rounded_bias(bias, grid)
        quality = None if quality is None else rounded_bias(quality, grid)
        if p.reads_signed:
            x = QuantisedSigned.apply(x, layer.input_exponent)
    # Tensor cores hold the factors of integer layers exactly in TF32, those of wide layers not. bf16 is for `compute` layers alone:
    # PyTorch would round the sums of the others to it, too.
    torch.backends.cudnn.allow_tf32 = layer.arithmetic != "wide"
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16 and layer.arithmetic == "compute"):
        y = F.conv2d(x, weight, bias, layer.stride, layer.kernel // 2).float()
    if layer.arithmetic != "integer" and layer.activation != "none":
        y = F.leaky_relu(y, layer.slope if layer.activation == "leaky_relu" else 0.0)
    if quality is not None:
        level, upper = mix
        y = y + (quality[level] * (1 - upper)[:, None] + quality[level + 1] * upper[:, None])[:, :, None, None]
    if layer.arithmetic == "integer" and layer.activation != "none":
        y = QuantisedRelu.apply(y)
    return y


def run(network, x, parameters, mix, bf16=False, observe=None):
    """observe(prefix, value): told what each layer gives."""
    values = {"input": x}
    for p in network:
        source = values[p.source]
        if p.layer.op == "conv":
            x = convolve(p, source, parameters, mix, bf16)
            x = values[p.layer.add] + x if p.layer.add else x
        else:
            x = (unshuffle if p.layer.op == "unshuffle" else shuffle)(source, p.layer.factor)
        values[p.layer.name] = x
        if observe is not None:
            observe(p.prefix, x)
    return x


# Rates.


class LogisticBits(Function):
    """Bits of the unit bin around `deviation` under a logistic (codec/train/logistic.h)."""

    UNIT = math.sqrt(3) / math.pi  # of the logistic, in standard deviations

    @staticmethod
    def forward(ctx, deviation, scale):
        v, unit = deviation.abs(), scale * LogisticBits.UNIT
        p = torch.sigmoid((0.5 - v) / unit) - torch.sigmoid((-0.5 - v) / unit)
        ctx.save_for_backward(deviation, scale, p)
        return -torch.log2(p.clamp(min=MIN_PROBABILITY))

    @staticmethod
    def backward(ctx, g):
        deviation, scale, p = ctx.saved_tensors
        v, unit = deviation.abs(), scale * LogisticBits.UNIT
        a, b = (v - 0.5) / unit, (v + 0.5) / unit
        density_a, density_b = (torch.sigmoid(-t) * torch.sigmoid(t) for t in (a, b))
        per_p = 1 / (LN2 * p.clamp(min=MIN_PROBABILITY))
        # Far out, where the probability has no digits left, the slopes go on as those of an exponential.
        far = p < MIN_PROBABILITY
        by_value = torch.where(far, torch.full_like(p, 1 / LN2), per_p * (density_a - density_b)) / unit
        by_scale = torch.where(far, -a.clamp(max=21) / LN2, per_p * (density_b * b - density_a * a)) / scale
        return g * torch.where(deviation < 0, -by_value, by_value), g * by_scale


class LatentScale(Function):
    """2^log2_scale · unit, bounded; a bounded scale still feels the pull upwards (Ballé 2018)."""

    @staticmethod
    def forward(ctx, log2_scale, unit):
        free = torch.exp2(log2_scale.clamp(MIN_LOG2_SCALE, MAX_LOG2_SCALE)) * unit
        scale = free.clamp(min=MIN_SCALE)
        ctx.save_for_backward(free, scale, unit)
        return scale

    @staticmethod
    def backward(ctx, g):
        free, scale, unit = ctx.saved_tensors
        by_log = torch.where((free >= MIN_SCALE) | (g < 0), g * scale, torch.zeros_like(g))
        return by_log * LN2, (by_log / unit).sum((2, 3), keepdim=True)


class HyperScale(Function):
    @staticmethod
    def forward(ctx, log2_scale):
        scale = torch.exp2(log2_scale).clamp(min=MIN_SCALE)
        ctx.save_for_backward(scale)
        return scale

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0] * LN2


@functools.lru_cache(maxsize=16)
def step_masks(channels, height, width, device):
    """Which channels each position codes in each step (codec/latents/layout.h): [step, 1, channels, height, width]."""
    phase = torch.tensor([[0, 2], [3, 1]], device=device)
    y, x = torch.arange(height, device=device)[:, None] & 1, torch.arange(width, device=device)[None] & 1
    step = torch.arange(CONTEXT_STEPS, device=device)[:, None, None, None, None]
    group = torch.arange(channels, device=device)[:, None, None] // (channels // CONTEXT_STEPS)
    return (phase[y, x] - step) % CONTEXT_STEPS == group


OFFSETS_BEFORE = [(0, -2), (-2, 0), (-2, -2), (-2, 2)]
OFFSETS_AROUND = [(-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]


@functools.lru_cache(maxsize=16)
def neighbours(step, height, width, device):
    """Where each tap of a step reads for the channels that a position codes then, [taps, height * width], and whether something is
    known there (codec/latents/layout.h)."""
    phase = ((0, 2), (3, 1))
    coded = lambda group, y, x: (phase[y & 1][x & 1] - group) % CONTEXT_STEPS

    def position(dy, dx, y, x):
        ty, tx = y + dy, x + dx
        if step == 0 and (ty < 0 or tx < 0 or tx >= width):
            if y < 2 and x < 2:
                return -1
            ty, tx = (y - 2, x) if y >= 2 else (y, x - 2)
        elif step > 0:
            ty = ty if 0 <= ty < height else y - dy
            tx = tx if 0 <= tx < width else x - dx
            if not (0 <= ty < height and 0 <= tx < width):
                return -1
            group = (phase[y & 1][x & 1] - step) % CONTEXT_STEPS
            if coded(group, ty, tx) >= step:
                return -1
        return ty * width + tx

    offsets = OFFSETS_BEFORE if step == 0 else OFFSETS_AROUND
    table = torch.tensor([[position(*o, y, x) for y in range(height) for x in range(width)] for o in offsets], device=device)
    return table.clamp(min=0), (table >= 0).float()


def predict_and_decode(step, symbol, mean, decoded, weights):
    """The linear prediction of a step's latents from decoded ones, and what is decoded with both means; right where the step codes."""
    height, width = symbol.shape[2:]
    at, there = neighbours(step, height, width, symbol.device)
    first = 0 if step == 0 else 8 * step - 4
    taps = weights[first : first + len(at)]
    round_to = lambda s, m: StraightThrough.apply(s, m.detach() + torch.floor(s.detach() - m.detach() + 0.5))
    if step > 0:
        flat = decoded.flatten(2)
        base = sum(flat[:, :, at[t]] * there[t] * taps[t][None, :, None] for t in range(len(at))).view_as(symbol)
        return base, round_to(symbol, mean + base)
    # Position by position: each needs what was decoded before it.
    bases, done = [], []
    flat_symbol, flat_mean, nothing = symbol.flatten(2), mean.flatten(2), torch.zeros_like(symbol[:, :, 0, 0])
    sources = [[int(at[t, p]) if there[t, p] else -1 for t in range(len(at))] for p in range(height * width)]
    for p, source in enumerate(sources):
        base = sum((done[q] * taps[t] for t, q in enumerate(source) if q >= 0), start=nothing)
        bases.append(base)
        done.append(round_to(flat_symbol[:, :, p], flat_mean[:, :, p] + base))
    return torch.stack(bases, 2).view_as(symbol), torch.stack(done, 2).view_as(symbol)


@dataclass
class Result:
    loss: torch.Tensor
    bits_y: torch.Tensor  # a pixel, each sample
    bits_z: torch.Tensor
    mse: torch.Tensor  # of values in 0 … 1, each sample


def codec_step(description, parameters, pixels, quality, weight, keys=None, hyper_rate=1.0, bf16=False, observe=None):
    """pixels: u8 [samples, height, width, colours]. With keys, one a shard, bits are those of noisy latents, as for training; without, those
    of rounded ones, as coded. Networks always see rounded ones."""
    d, mix = description, description.mix_levels(quality)
    level, upper = mix
    net = lambda name, x: run(d.networks[name], x, parameters, mix, bf16, observe)
    mixed = lambda table: torch.exp2(table[level] * (1 - upper)[:, None] + table[level + 1] * upper[:, None])[:, :, None, None]
    gain, inverse_gain = mixed(parameters["gain"]), mixed(parameters["inverse_gain"])
    unit = parameters["latent_std"][None, :, None, None] * gain  # quantisation steps a standard deviation
    inverse_unit = 1 / unit

    original = (pixels.permute(0, 3, 1, 2).float() - PIXEL_ZERO) * (1 / PIXEL_UNIT)
    area = pixels.shape[1] * pixels.shape[2]
    symbol = net("analysis", original) * gain
    z = net("hyper_analysis", torch.cat([0.5 * torch.log2(1 + symbol.abs()), symbol * inverse_unit], 1))
    coded = torch.floor(z + 0.5) if keys is None else z + noise_like(z, [key ^ 0x5BD1E995 for key in keys])
    mean, scale = parameters["hyper_mean"], HyperScale.apply(parameters["hyper_log2_scale"])
    bits_z = LogisticBits.apply(coded - mean[None, :, None, None], scale[None, :, None, None]).sum((1, 2, 3)) / area

    # The features cover whole cells of z, the latents' plane may end inside one.
    features = net("hyper_synthesis", HyperParts.apply(z))[:, :, : symbol.shape[2], : symbol.shape[3]]
    base = mean = log2_scale = decoded = torch.zeros_like(symbol)
    for k, mask in enumerate(step_masks(*symbol.shape[1:], symbol.device)):
        seen = features if k == 0 else torch.cat([features, QuantisedContext.apply(decoded * inverse_unit)], 1)
        step_mean, step_log2_scale = net(f"context{k}", seen).chunk(2, 1)
        step_base, step_decoded = predict_and_decode(k, symbol, step_mean * unit, decoded, parameters["prediction"])
        mean, log2_scale = torch.where(mask, step_mean, mean), torch.where(mask, step_log2_scale, log2_scale)
        base, decoded = torch.where(mask, step_base, base), torch.where(mask, step_decoded, decoded)
    deviation = symbol - (mean * unit + base)
    deviation = torch.floor(deviation + 0.5) if keys is None else deviation + noise_like(symbol, keys)
    bits_y = LogisticBits.apply(deviation, LatentScale.apply(log2_scale, unit)).sum((1, 2, 3)) / area

    error = net("synthesis", (decoded * inverse_gain).clamp(-LATENT_LIMIT, LATENT_LIMIT)) - original
    mse = (error * error).mean((1, 2, 3)) / PIXEL_PEAK2
    distortion = d.lambda_at(quality).float() * 255**2 * mse
    return Result((weight * (bits_y + hyper_rate * bits_z + distortion)).mean(), bits_y, bits_z, mse)


def learning_rates(description, parameters):
    """Factors on the learning rate of each parameter; the reasons are in codec/train/initialise.cpp."""
    usual_weight, branch_rate, linear_rate, network_rate = 0.1, 0.3, 1.0, 2.0
    usual = {"latent_std": 0.0, "prediction": 0.1}
    factors = {name: torch.full(shape, usual.get(name, 1.0)) for name, shape in description.shapes().items()}
    for p in description.convolutions():
        name = p.prefix + ".weight"
        rows = parameters[name].detach().cpu().flatten(1)
        if p.layer.arithmetic == "wide":
            squares = rows * rows
            scale = (squares.mean(1)[:, None] * squares.mean(0)[None] / squares.mean().clamp(min=1e-12)).sqrt()
            factors[name] = (scale / usual_weight).clamp(0.003, 1.0)
        else:
            transform = p.prefix.startswith(("analysis.", "synthesis."))
            linear = p.reads_signed and p.layer.activation == "none"
            rate = min(1.0, math.sqrt(2 / rows.shape[1]) * (network_rate if not transform else linear_rate if linear else branch_rate))
            factors[name].fill_(rate)
            factors[p.prefix + ".bias"].fill_(min(1.0, 4 * rate))
    return torch.cat([f.flatten() for f in factors.values()])
