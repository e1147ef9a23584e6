#!/usr/bin/env python3
"""Makes pictures to train a codec on of free photographs that Debian packages hold.

usage: fetch_photos.py OUT [LIST]

LIST, fetch_photos.txt beside this script unless another is given, has a photograph a line: package, tab, path in it. FILE.rcc#N is the
N-th WebP picture of at least 30,000 bytes in a resource file of Qt. Packages come by `apt-get download`, so those that the system's release
does not have, or has without a picture, are named and left out (most are of Debian 12 and 13). Their licences (CC0, CC-BY, CC-BY-SA, GPL,
MIT, public domain) are in each package's debian/copyright.

Each photograph is turned upright, converted to sRGB and reduced (Lanczos) by 1.5 to 4, the more the stronger it is compressed, so that
no artefacts are left. Of up to five places OUT gets 512 x 512 pixels or a little less, as PNG; nothing that is there is written anew.
Needs Pillow and NumPy.
"""
import collections
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageCms, ImageOps

Image.MAX_IMAGE_PIXELS = None
TILE, SMALLEST, MOST = 512, 320, 5  # pixels a side, and tiles of a photograph
GOOD_BPP, LEAST_BPP = 4.0, 2.5  # of JPEG, bits a pixel after reduction


def members(package, wanted):
    """Yields (path, bytes) of those of the package's files that are wanted; nothing if there is no such package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", package], cwd=folder, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for archive in os.listdir(folder):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", os.path.join(folder, archive)], stdout=subprocess.PIPE) as process:
                with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                    for entry in tar:
                        path = entry.name.removeprefix("./")
                        if path in wanted and entry.isfile():
                            yield path, tar.extractfile(entry).read()


def webp_of_rcc(data):
    """The WebP files of at least 30,000 bytes in a resource file of Qt."""
    out, at = [], data.find(b"RIFF")
    while at >= 0:
        size = int.from_bytes(data[at + 4:at + 8], "little") + 8
        if data[at + 8:at + 12] == b"WEBP" and size > 30000:
            out.append(data[at:at + size])
            at = data.find(b"RIFF", at + size)
        else:
            at = data.find(b"RIFF", at + 4)
    return out


def load(data):
    """The picture in sRGB, and its bits a pixel as JPEG would have them."""
    image = Image.open(io.BytesIO(data))
    image.load()
    kind, profile = image.format, image.info.get("icc_profile")
    bpp = len(data) * 8 / (image.width * image.height)
    bpp = {"PNG": max(bpp, 6.0), "WEBP": 1.5 * bpp}.get(kind, bpp)
    image = ImageOps.exif_transpose(image)
    if profile and image.mode == "RGB":
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
        except ImageCms.PyCMSError:
            pass
    return image.convert("RGB"), bpp


def downscale(image, bpp):
    """Reduced so that artefacts vanish; None where the picture is too small for that."""
    short = min(image.size)
    least = 1.5 if bpp >= 1.5 and short <= 800 else 2.0
    factor = min(max(least, (GOOD_BPP / bpp) ** 0.5), 4.0, short / SMALLEST)
    if factor < least or bpp * factor * factor < LEAST_BPP:
        return None
    size = (round(image.width / factor), round(image.height / factor))
    return image.resize(size, Image.LANCZOS) if max(size) >= 480 else None


def crops(image, seed):
    """Up to MOST tiles from all over the picture that are not flat and do not overlap."""
    spans = []
    for length in image.size:
        count = -(-length // TILE)
        if count > 1 and length // count < 384:
            count -= 1
        tile = min(TILE, length // count)
        gap = (length - count * tile) / count
        spans.append([(int((gap + tile) * i + gap / 2), tile) for i in range(count)])
    tiles = [image.crop((x, y, x + w, y + h)) for y, h in spans[1] for x, w in spans[0]]
    tiles = [t for t in tiles if np.asarray(t.convert("L"), float).std() > 8]
    order = np.random.default_rng(seed).permutation(len(tiles))[:MOST]
    return [tiles[i] for i in sorted(order)]


def name_of(package, picture):
    parts = picture.replace("#", "-").split("/")
    stem = re.sub(r"\.(jpe?g|png|webp|rcc)", "", parts[-1], flags=re.I)
    if re.fullmatch(r"\d+x\d+", stem):  # Plasma's: the folder has the name
        stem = parts[-4]
    return re.sub(r"[^A-Za-z0-9_.]+", "-", f"{package}-{stem}")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    packages = collections.defaultdict(list)
    with open(sys.argv[2] if len(sys.argv) == 3 else os.path.splitext(os.path.abspath(__file__))[0] + ".txt") as lines:
        for line in lines:
            package, picture = line.rstrip("\n").split("\t")
            packages[package].append(picture)
    photographs = count = 0
    for package, pictures in packages.items():
        missing = set(pictures)
        for path, data in members(package, {p.split("#")[0] for p in pictures}):
            inside = webp_of_rcc(data) if path.endswith(".rcc") else None
            for picture in (p for p in pictures if p.split("#")[0] == path):
                image, bpp = load(inside[int(picture.split("#")[1])] if inside else data)
                reduced = downscale(image, bpp)
                tiles = crops(reduced, zlib.crc32(picture.encode())) if reduced else []
                for i, tile in enumerate(tiles):
                    target = os.path.join(out, f"{name_of(package, picture)}-{i:02d}.png")
                    if not os.path.exists(target):
                        tile.save(target, icc_profile=None)
                missing.discard(picture)
                photographs += bool(tiles)
                count += len(tiles)
        for picture in sorted(missing):
            print(f"{package}: no {picture}", file=sys.stderr)
    print(f"{photographs} photographs, {count} pictures in {out}")
    if not count:
        sys.exit("nothing was fetched: apt needs its lists, `apt-get update`")


main()
