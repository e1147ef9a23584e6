#!/usr/bin/env python3
"""Makes versions of photographs to train a codec on: smaller ones, which are busier, with film grain, and sharpened.

usage: vary_photos.py FOLDER OUT [KIND...]

Of FOLDER/name.jpg OUT gets a link to it and, of the KINDs named (all unless any is), as PNG with the kind's letter behind the name:
  h  half the size, at least 256 pixels a side (Lanczos)
  m  0.7 of the size (Mitchell & Netravali 1988)
  g  0.7 to 1 of the size, with grain of a standard deviation of 1 to 6
  s  256 pixels a side, sharpened, with grain of 0.5 to 3
What is drawn at random depends on the file's name alone. Names keep their part up to the last '_' or '-', by which `decant train` tells
which pictures are of one photograph. Needs ImageMagick's convert and NumPy.

A photograph that was reduced from a large one, as pictures that are collected for training often are, is smoother and cleaner than
what people take: of a model that was trained on nothing else, they get less than its held-out pictures promise.
"""
import os
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

LEAST = 256  # pixels a side, below which `decant train` leaves a picture out


def convert(path, *arguments):
    """The picture after ImageMagick's operations, [height, width, 3]."""
    ppm = subprocess.run(["convert", path, *arguments, "-depth", "8", "ppm:-"], check=True, stdout=subprocess.PIPE).stdout
    width, height = (int(field) for field in ppm.split(None, 4)[1:3])
    return np.frombuffer(ppm[-width * height * 3 :], np.uint8).reshape(height, width, 3)


def write(path, picture):
    picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    ppm = b"P6 %d %d 255\n" % (picture.shape[1], picture.shape[0]) + picture.tobytes()
    subprocess.run(["convert", "ppm:-", "-define", "png:compression-level=1", path], check=True, input=ppm)


def resized(path, factor, filter_name, *more):
    small = convert(path, "-filter", filter_name, "-resize", f"{factor * 100:.2f}%", *more)
    return small if min(small.shape[:2]) >= LEAST else convert(path, "-filter", filter_name, "-resize", f"{LEAST}x{LEAST}^", *more)


def with_grain(picture, sigma, random):
    """Noise with a grain of about a pixel, in part the same in all channels, strongest in the middle tones."""
    picture = picture.astype(np.float32)
    height, width, _ = picture.shape
    spread, common = random.uniform(0, 0.3), random.uniform(0.2, 0.9)

    def field(channels):
        noise = random.standard_normal((height, width, channels)).astype(np.float32)
        for axis in (0, 1):
            noise = noise * (1 - 2 * spread) + spread * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
        return noise / noise.std()

    tone = picture.mean(2, keepdims=True) / 255
    return picture + sigma * (np.sqrt(common) * field(1) + np.sqrt(1 - common) * field(3)) * (0.5 + 2 * tone * (1 - tone))


def log_uniform(random, low, high):
    return np.exp(random.uniform(np.log(low), np.log(high)))


def grainy(path, random):
    picture = resized(path, random.uniform(0.7, 1), "Lanczos")
    return with_grain(picture, log_uniform(random, 1, 6), random)


def sharp(path, random):
    unsharp = f"0x{random.uniform(0.5, 1.2):.2f}+{random.uniform(0.3, 1.2):.2f}+0"
    picture = convert(path, "-filter", "Lanczos", "-resize", f"{LEAST}x{LEAST}^", "-unsharp", unsharp)
    return with_grain(picture, log_uniform(random, 0.5, 3), random)


KINDS = {
    "h": lambda path, random: resized(path, 0.5, "Lanczos"),
    "m": lambda path, random: resized(path, 0.7, "Mitchell"),
    "g": grainy,
    "s": sharp,
}


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-") or not set(sys.argv[3:]) <= set(KINDS):
        sys.exit(__doc__)
    source, target, kinds = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:] or list(KINDS)
    os.makedirs(target, exist_ok=True)

    def vary(name):
        path, stem = os.path.join(source, name), os.path.splitext(name)[0]
        if not os.path.lexists(os.path.join(target, name)):
            os.symlink(path, os.path.join(target, name))
        for kind in kinds:
            write(os.path.join(target, f"{stem}{kind}.png"), KINDS[kind](path, np.random.default_rng(zlib.crc32(f"{stem}{kind}".encode()))))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(vary, sorted(os.listdir(source))):
            pass


main()
