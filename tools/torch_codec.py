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
CONTEXT_STEPS, CONTEXT_LIMIT = 4, 127
MIN_SCALE, MIN_PROBABILITY = 0.11, 1e-9
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
        root = json.loads(re.sub(comments, lambda m: m[1] or "", text, flags=re.DOTALL))
        self.latent_channels, self.hyper_channels = root["latent_channels"], root["hyper_channels"]
        self.lambdas = root["lambda"]
        self.networks = {name: plan(name, network) for name, network in root["networks"].items()}

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

DTYPES = {"F32": np.float32, "I8": np.int8, "U8": np.uint8, "I16": np.int16, "U16": np.uint16, "BF16": np.uint16}


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
        if array.dtype != np.float32:
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
    """What the context networks see of decoded latents, in standard deviations."""

    @staticmethod
    def forward(ctx, x):
        step = 2.0**-ACTIVATION_EXPONENT
        clip = CONTEXT_LIMIT * step
        ctx.save_for_backward(x.abs() < clip)
        return (torch.floor(x / step + 0.5) * step).clamp(-clip, clip)

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


def run(network, x, parameters, mix, bf16=False):
    values = {"input": x}
    for p in network:
        source = values[p.source]
        if p.layer.op == "conv":
            x = convolve(p, source, parameters, mix, bf16)
            x = values[p.layer.add] + x if p.layer.add else x
        else:
            x = (unshuffle if p.layer.op == "unshuffle" else shuffle)(source, p.layer.factor)
        values[p.layer.name] = x
    return x


# Rates.


class GaussianBits(Function):
    """Bits of the unit bin around `deviation` under a Gaussian (codec/train/gaussian.h)."""

    @staticmethod
    def forward(ctx, deviation, scale):
        v = deviation.abs()
        a, b = (0.5 - v) / scale, (-0.5 - v) / scale
        p = 0.5 * (torch.erfc(-a * math.sqrt(0.5)) - torch.erfc(-b * math.sqrt(0.5)))
        safe = p.clamp(min=MIN_PROBABILITY)
        ctx.save_for_backward(deviation, scale, p)
        return -torch.log2(safe)

    @staticmethod
    def backward(ctx, g):
        deviation, scale, p = ctx.saved_tensors
        v = deviation.abs()
        a, b = (0.5 - v) / scale, (-0.5 - v) / scale
        density_a, density_b = (torch.exp(-0.5 * t * t) / math.sqrt(2 * math.pi) for t in (a, b))
        per_p = -1 / (LN2 * p.clamp(min=MIN_PROBABILITY))
        # Far out, where the probability has no digits left, the slopes stay those of six standard deviations.
        far, z = p < MIN_PROBABILITY, (-a).clamp(max=6)
        by_value = torch.where(far, z / LN2, per_p * (density_b - density_a)) / scale
        by_scale = torch.where(far, -z * z / LN2, per_p * (density_b * b - density_a * a)) / scale
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


@dataclass
class Result:
    loss: torch.Tensor
    bits_y: torch.Tensor  # a pixel, each sample
    bits_z: torch.Tensor
    mse: torch.Tensor  # of values in 0 … 1, each sample


def codec_step(description, parameters, pixels, quality, weight, keys=None, hyper_rate=1.0, bf16=False):
    """pixels: u8 [samples, height, width, 3]. With keys, one a shard, bits are those of noisy latents, as for training; without, those
    of rounded ones, as coded. Networks always see rounded ones."""
    d, mix = description, description.mix_levels(quality)
    level, upper = mix
    net = lambda name, x: run(d.networks[name], x, parameters, mix, bf16)
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
    bits_z = GaussianBits.apply(coded - mean[None, :, None, None], scale[None, :, None, None]).sum((1, 2, 3)) / area

    # The features cover whole cells of z, the latents' plane may end inside one.
    features = net("hyper_synthesis", HyperParts.apply(z))[:, :, : symbol.shape[2], : symbol.shape[3]]
    mean = log2_scale = decoded = torch.zeros_like(symbol)
    for k, mask in enumerate(step_masks(*symbol.shape[1:], symbol.device)):
        seen = features if k == 0 else torch.cat([features, QuantisedContext.apply(decoded * inverse_unit)], 1)
        step_mean, step_log2_scale = net(f"context{k}", seen).chunk(2, 1)
        mean, log2_scale = torch.where(mask, step_mean, mean), torch.where(mask, step_log2_scale, log2_scale)
        with torch.no_grad():
            rounded = step_mean * unit + torch.floor(symbol - step_mean * unit + 0.5)
        decoded = torch.where(mask, StraightThrough.apply(symbol, rounded), decoded)
    deviation = symbol - mean * unit
    deviation = torch.floor(deviation + 0.5) if keys is None else deviation + noise_like(symbol, keys)
    bits_y = GaussianBits.apply(deviation, LatentScale.apply(log2_scale, unit)).sum((1, 2, 3)) / area

    error = net("synthesis", decoded * inverse_gain) - original
    mse = (error * error).mean((1, 2, 3)) / PIXEL_PEAK2
    distortion = d.lambda_at(quality).float() * 255**2 * mse
    return Result((weight * (bits_y + hyper_rate * bits_z + distortion)).mean(), bits_y, bits_z, mse)


def learning_rates(description, parameters):
    """Factors on the learning rate of each parameter; the reasons are in codec/train/initialise.cpp."""
    usual_weight, branch_rate, linear_rate, network_rate = 0.1, 0.3, 1.0, 2.0
    factors = {name: torch.full(shape, float(name != "latent_std")) for name, shape in description.shapes().items()}
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
