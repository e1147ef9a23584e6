#!/usr/bin/env python3
"""Trains a model with PyTorch, for those who have a GPU: the same steps as `decant train`, from the same crops and random numbers.

    decant train --data pictures --steps 1 --checkpoint new.checkpoint --out start.safetensors     begins anew with the KLT
    tools/torch_train.py --data pictures --checkpoint new.checkpoint --steps 200000 --batch 32 --crop 256
    decant train --export --checkpoint new.checkpoint --out new.safetensors                        makes the model, at any time

Instead of the first line, --from MODEL.safetensors goes on from a finished model. The checkpoint is the one of `decant train`:
either program goes on from the other's. The same command resumes after Ctrl-C. Options mean what they mean there, and numbers
agree but for the rounding of sums (tests/cli/torch.sh). Latents are rounded as by --quantiser scalar of `decant train`; the
encoder's own search, its default, is for the last steps, there. The networks are in torch_codec.py. Needs Python 3.11, PyTorch 1.13,
NumPy, and Pillow to read pictures.

The default is --compute f32: tensor cores then take over what is exact in TF32, and bf16 adds speed only to layers whose
arithmetic is `compute`.
"""
import argparse
import json
import math
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from torch_codec import (Description, Parameters, RandomStream, codec_step, learning_rates, mix_bits, random_key, read_model,
                         read_safetensors, write_safetensors)

VALIDATION_SIDE, VALIDATION_CROPS, HELD_OUT_EVERY = 256, 24, 20
BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8
ARRAYS = ("weights", "first", "second", "average", "rate")  # of a checkpoint; see codec/train/trainer.h


def read_picture(path):
    """[height, width, 3], or nothing for whatever is no picture of 8 bits."""
    try:
        with Image.open(path) as picture:
            if picture.mode in ("RGB", "L", "P", "1", "RGBA", "LA", "CMYK", "YCbCr"):
                return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError):
        pass
    return None


def is_held_out(path):
    """Crops of one photograph (names alike up to the last '_' or '-') stay together."""
    end = max(path.stem.rfind("_"), path.stem.rfind("-"))
    value = 2166136261  # FNV-1a
    for byte in os.fsencode(path.stem[:end] if end >= 0 else path.stem):
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return mix_bits(value) % HELD_OUT_EVERY == 0


def vary_colours(random, crop):
    """codec/train/dataset.cpp: what it draws, in its order, and its single precision."""
    one = np.float32
    if random.next() < one(1) / one(6):
        crop = crop[:, :, ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))[random.below(5)]]
    if random.next() >= one(1) / one(3):
        return crop
    contrast = np.exp2(one(random.next()) * one(1.2) - one(0.4))
    saturation = np.exp2(one(random.next()) * one(1.6) - one(0.6))
    brightness = one(128) + one(50) * (one(random.next()) - one(0.5))
    rgb = crop.astype(np.float32)
    luma = (one(0.299) * rgb[..., 0] + one(0.587) * rgb[..., 1] + one(0.114) * rgb[..., 2])[..., None]
    varied = (luma + (rgb - luma) * saturation - one(128)) * contrast + brightness
    return (varied + one(0.5)).clip(0, 255).astype(np.uint8)


def in_channels(crops, colours):
    """codec/train/crop_channels.h."""
    if colours == 3:
        return crops
    one = np.float32
    rgb = crops.astype(np.float32)
    return (one(0.299) * rgb[..., :1] + one(0.587) * rgb[..., 1:2] + one(0.114) * rgb[..., 2:] + one(0.5)).astype(np.uint8)


class Dataset:
    """codec/train/dataset.cpp: the same pictures held out, the same crops for the same random numbers."""

    def __init__(self, folder, min_side, max_bytes):
        paths = sorted((p for p in Path(folder).rglob("*") if p.is_file()), key=lambda p: [os.fsencode(part) for part in p.parts])
        self.training, self.validation, weights, total = [], [], [], 0
        stretch = 64  # so that no more is decoded than fits, about
        with ThreadPoolExecutor() as threads:
            for first in range(0, len(paths), stretch):
                some = paths[first : first + stretch]
                for path, picture in zip(some, threads.map(read_picture, some)):
                    if picture is None or min(picture.shape[:2]) < min_side or total + picture.nbytes > max_bytes:
                        continue
                    total += picture.nbytes
                    if is_held_out(path):
                        self.validation.append(picture)
                    else:
                        green = picture[::2, ::2, 1].astype(np.int16)
                        weights.append(np.clip(np.abs(np.diff(green, axis=1)).mean(), 2, 12))
                        self.training.append(picture)
                if total >= max_bytes:
                    break
        if not self.training or not self.validation:
            sys.exit(f"{folder}: {len(self.training)} pictures to train on and {len(self.validation)} held out for validation; "
                     f"at least one of each is needed, with sides of at least {min_side} pixels")
        self.cumulative = np.cumsum(weights)

    def crop(self, random, side):
        """Drawn in proportion to the pictures' gradients; flipped and transposed at random, some with other colours."""
        index = np.searchsorted(self.cumulative, random.next() * self.cumulative[-1], side="right")
        picture = self.training[min(int(index), len(self.training) - 1)]
        y = random.below(picture.shape[0] - side + 1)
        x = random.below(picture.shape[1] - side + 1)
        crop, turn = picture[y : y + side, x : x + side], random.bits()
        crop = crop[:, ::-1] if turn & 1 else crop
        crop = crop[::-1] if turn & 2 else crop
        return vary_colours(random, crop.transpose(1, 0, 2) if turn & 4 else crop)

    def validation_crops(self):
        side, count = VALIDATION_SIDE, min(VALIDATION_CROPS, len(self.validation))
        crops = []
        for i in range(count):
            picture = self.validation[i * len(self.validation) // count]
            y, x = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
            crops.append(picture[y : y + side, x : x + side])
        return np.stack(crops)


class Trainer:
    def __init__(self, options):
        self.o = o = options
        self.device = torch.device(o.device)
        self.dataset = Dataset(o.data, max(o.crop, VALIDATION_SIDE), o.max_bytes)
        if os.path.exists(o.checkpoint):
            self.load()
        elif o.start:
            self.description, values = read_model(o.start)
            rate = learning_rates(self.description, Parameters(self.description, values.clone()))
            self.step, self.seconds, self.results = 0, 0.0, []
            self.set_state(dict(zip(ARRAYS, (values, torch.zeros_like(values), torch.zeros_like(values), values, rate))))
        else:
            sys.exit(f"{o.checkpoint}: there is no such checkpoint; `decant train --steps 1 --checkpoint {o.checkpoint}` makes one, "
                     "or --from MODEL says what to begin with")
        self.averaged = Parameters(self.description, self.state["average"])
        self.crops = torch.from_numpy(in_channels(self.dataset.validation_crops(), self.description.colours)).to(self.device)

    # The state, and the file that keeps it.

    def set_state(self, arrays):
        self.state = {name: arrays[name].detach().clone().to(self.device) for name in ARRAYS}
        self.parameters = Parameters(self.description, self.state["weights"])

    def load(self):
        arrays, texts = read_safetensors(self.o.checkpoint)
        if texts.get("optimiser", "adam") != "adam":
            sys.exit(f"{self.o.checkpoint}: of the optimiser {texts['optimiser']}; this program knows adam")
        self.description = Description(texts["description"])
        self.step, self.seconds = int(texts["step"]), float(texts["seconds"])
        self.results = json.loads(texts.get("results", "[]"))
        self.set_state({name: torch.from_numpy(arrays[name].copy()) for name in ARRAYS})

    def save(self):
        o = self.o
        recipe = {name: getattr(o, name) for name in ("steps", "batch", "crop", "shards", "rate", "warm_up", "hold", "clip", "average",
                                                      "balance", "hyper_warm_up", "seed", "compute")}
        texts = {
            "description": self.description.text,
            "step": str(self.step),
            "seconds": f"{self.seconds:.6f}",
            # The rest is for the model that is made of it.
            "program": f"torch_train.py, PyTorch {torch.__version__}",
            "recipe": json.dumps(recipe, separators=(",", ":")),
            "data": f"{len(self.dataset.training)} pictures to learn from, {len(self.dataset.validation)} held out",
            "results": json.dumps(self.results, separators=(",", ":")),
        }
        write_safetensors(o.checkpoint + ".new", {name: tensor.cpu().numpy() for name, tensor in self.state.items()}, texts)
        os.replace(o.checkpoint + ".new", o.checkpoint)

    # One step.

    def batch(self, step):
        o, per_shard = self.o, self.o.batch // self.o.shards
        crops, quality = [], []
        first, last = self.description.trained_range
        for n in range(o.batch):
            random = RandomStream(random_key(o.seed, 3, step, n))
            crops.append(self.dataset.crop(random, o.crop))
            quality.append(first + random.next() * (last - first))
        keys = [random_key(o.seed, 4, step, shard) for shard in range(o.shards)]
        return torch.from_numpy(in_channels(np.stack(crops), self.description.colours)), torch.tensor(quality, dtype=torch.float32), keys

    def learning_rate(self):
        o, done = self.o, self.step / self.o.steps
        decay = 1.0 if done <= o.hold else 0.5 * (1 + math.cos(math.pi * (done - o.hold) / (1 - o.hold)))
        return o.rate * min(1.0, (self.step + 1) / max(o.warm_up, 1)) * max(decay, 0.002)

    def hyper_rate(self):
        done = 1.0 if self.o.hyper_warm_up == 0 else self.step / self.o.hyper_warm_up
        return min(max(done, 0.05), 1.0)

    def train_step(self, batch):
        pixels, quality, keys = batch
        pixels, quality = pixels.to(self.device), quality.to(self.device)
        d = self.description
        weight = (d.lambda_at(quality) / d.lambdas[d.levels // 2]).pow(-self.o.balance).float()
        self.parameters.gradient.zero_()
        result = codec_step(d, self.parameters, pixels, quality, weight, keys, self.hyper_rate(), self.o.compute == "bf16")
        torch.backends.cudnn.allow_tf32 = True  # gradients need no more bits, whatever the values do
        result.loss.backward()
        for p in d.convolutions():
            if p.reads_activations:  # gradient centralisation; see codec/train/optimiser.h
                gradient = self.parameters[p.prefix + ".weight"].grad
                gradient -= gradient.mean((1, 2, 3), keepdim=True)
        norm = torch.linalg.vector_norm(self.parameters.gradient, dtype=torch.float64).item()
        if math.isfinite(norm):
            self.adam_step(min(1.0, self.o.clip / max(norm, 1e-12)))
        self.step += 1
        return result, norm

    @torch.no_grad()
    def adam_step(self, scale):
        """codec/train/optimiser.cpp: Adam, and the average of the weights."""
        s, step = self.state, self.step + 1
        g = self.parameters.gradient * scale
        s["first"].mul_(BETA1).add_(g, alpha=1 - BETA1)
        s["second"].mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        size = (s["second"] / (1 - BETA2**step)).sqrt_().add_(EPSILON)
        s["weights"].addcdiv_(s["first"] * s["rate"], size, value=-self.learning_rate() / (1 - BETA1**step))
        s["average"].lerp_(s["weights"], 1 - min(self.o.average, step / (step + 99)))

    # The whole.

    @torch.no_grad()
    def validate(self):
        """Rate and quality of the averaged weights on the held-out crops, as coded."""
        points = []
        for level in range(self.description.first_level, self.description.last_level + 1):
            bits_y, bits_z, psnr = [], [], []
            for crops in self.crops.split(self.o.batch):
                quality = torch.full((len(crops),), float(level), device=self.device)
                r = codec_step(self.description, self.averaged, crops, quality, torch.ones_like(quality), bf16=self.o.compute == "bf16")
                bits_y.append(r.bits_y)
                bits_z.append(r.bits_z)
                psnr.append(-10 * r.mse.clamp(min=1e-10).log10())
            y, z, psnr = (torch.cat(v).double().mean().item() for v in (bits_y, bits_z, psnr))
            points.append({"level": level, "bpp": y + z, "bpp_hyper": z, "psnr": psnr})
        return points

    def run(self):
        o, started, shown = self.o, time.monotonic(), time.monotonic()
        sums, counted, stop = np.zeros(4), 0, []
        signal.signal(signal.SIGINT, lambda *_: stop.append(True))
        with ThreadPoolExecutor(1) as loader:
            upcoming = loader.submit(self.batch, self.step)
            while self.step < o.steps and not stop:
                batch, upcoming = upcoming.result(), loader.submit(self.batch, self.step + 1)
                result, norm = self.train_step(batch)
                psnr = -10 * result.mse.detach().clamp(min=1e-10).log10()
                sums += [result.loss.item(), norm, (result.bits_y + result.bits_z).mean().item(), psnr.mean().item()]
                counted += 1
                now, last = time.monotonic(), self.step == o.steps
                validate = self.step % o.validate_every == 0 or last
                if validate or now - shown >= o.report_every:
                    loss, norm, bpp, psnr = sums / counted
                    print(f"step {self.step} of {o.steps}  loss {loss:.3f}  gradient {norm:.3f}  {bpp:.3f} bpp  {psnr:.2f} dB  "
                          f"{counted * o.batch / max(now - shown, 1e-9):.1f} crops/s", file=sys.stderr, flush=True)
                    if validate:
                        self.results = self.validate()
                        text = ", ".join(f"{p['bpp']:.3f} bpp {p['psnr']:.2f} dB" for p in self.results)
                        print(f"step {self.step}, held out: {text}", file=sys.stderr, flush=True)
                    sums, counted, shown = np.zeros(4), 0, time.monotonic()
                if last or stop or self.step % o.checkpoint_every == 0:
                    self.seconds += time.monotonic() - started
                    started = time.monotonic()
                    self.save()
        return 130 if stop else 0


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", required=True, help="folder of pictures, with all folders below; one in 20 is held out")
    add("--checkpoint", required=True, help="where the state is kept, and resumed from if it is there")
    add("--from", dest="start", metavar="MODEL", help="model file to begin with if there is no checkpoint")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--compute", choices=("f32", "bf16"), default="f32")
    numbers = {"steps": 10000, "batch": 8, "crop": 192, "shards": 2, "rate": 1e-3, "warm-up": 300, "hold": 0.5, "clip": 1.0,
               "average": 0.999, "balance": 0.45, "hyper-warm-up": 2000, "seed": 1, "checkpoint-every": 2000,
               "validate-every": 500, "max-bytes": 4 << 30, "report-every": 10.0}
    for name, default in numbers.items():
        add("--" + name, type=type(default), default=default, metavar="N" if type(default) is int else "X", help=f"default: {default}")
    o = parser.parse_args()
    torch.backends.cudnn.benchmark = True  # shapes stay the same
    if o.batch % o.shards != 0 or o.crop % 16 != 0 or o.crop < 64:
        parser.error("--batch must be a multiple of --shards, --crop a multiple of 16 from 64 on")
    return o


if __name__ == "__main__":
    sys.exit(Trainer(parse_options()).run())
