#!/usr/bin/env python3
"""Draws a crop of a picture several times, side by side.

usage: make_figure.py compress OUT.png PICTURE QUALITY X Y   the original, JPEG and decant at the same file size
       make_figure.py denoise OUT.png PICTURE SIGMA X Y      with white noise, by OpenCV's non-local means, by decant, and clean
       make_figure.py clean OUT.png NOISY X Y                a noisy picture as it is and by decant
       make_figure.py decoded OUT.png PICTURE MODEL... X Y   the original and what autoencoders make of it; of MODELs named ...denoising...
                                                             of it with white noise of sigma 25, which is shown, too

The crop is 256×256 pixels at X, Y. Needs python3-pil and fonts-dejavu-core.
"""
import io
import json
import os
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw, ImageFont

SIDE, GAP, LABEL = 256, 8, 26


def decant(*arguments):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    program = os.environ.get("DECANT", os.path.join(root, "build", "release", "decant"))
    return subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def jpeg_of_size(picture, limit):
    """The best JPEG of at most `limit` bytes, as (bytes, picture)."""
    for quality in range(95, 0, -1):
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality, optimize=True)
        if stream.tell() <= limit:
            break
    return stream.tell(), Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def compressed(folder, path, quality):
    original = Image.open(path).convert("RGB")
    dcn, png = os.path.join(folder, "a.dcn"), os.path.join(folder, "a.png")
    decant("encode", "--quiet", "-q", quality, "-o", dcn, path)
    decant("decode", "--quiet", "-o", png, dcn)
    size = os.path.getsize(dcn)
    jpeg_size, jpeg = jpeg_of_size(original, size)
    return [("original", original), (f"JPEG, {jpeg_size:,} bytes", jpeg), (f"decant, {size:,} bytes", Image.open(png))]


def denoised(folder, path, sigma):
    """Noise is added and PSNR measured by decant eval, blind."""
    measures = decant("eval", "--denoise", "--against", "nlm", "--sigma", sigma, "--output-dir", folder, "--json", path)
    results = json.loads(measures)["results"]
    stem = os.path.join(folder, os.path.splitext(os.path.basename(path))[0])
    label = lambda name, key: f"{name}, {results[key][0]:.2f} dB"
    return [(label("noisy", "psnr-rgb-noisy"), Image.open(stem + "_noisy.png")),
            (label("OpenCV NLM", "nlm-psnr-rgb"), Image.open(stem + "_nlm.png")),
            (label("decant", "psnr-rgb"), Image.open(stem + ".png")), ("clean", Image.open(path))]


def cleaned(folder, path):
    png = os.path.join(folder, "a.png")
    decant("denoise", "--quiet", "-o", png, path)
    return [("scanned", Image.open(path)), ("decant", Image.open(png))]


def psnr_label(name, reference, path):
    return f"{name}, {json.loads(decant('compare', '--json', reference, path))['psnr']:.2f} dB"


def decoded(folder, path, *models):
    """What autoencoders make of a picture."""
    original = os.path.join(folder, "original.png")
    Image.open(path).convert("RGB").save(original)
    result = [("original", Image.open(original))]
    for model in models:
        name, source = os.path.splitext(os.path.basename(model))[0].removeprefix("autoencoder-"), original
        if "denoising" in name:
            decant("eval", "--denoise", "--sigma", "25", "--output-dir", os.path.join(folder, "noise"), "--json", "--quiet", original)
            source = os.path.join(folder, "noise", "original_noisy.png")
            result.append((psnr_label("noisy", original, source), Image.open(source)))
        png = os.path.join(folder, name + ".png")
        decant("embed", "--decoded", "--quiet", "-m", model, "-o", png, source)
        result.append((psnr_label(name, original, png), Image.open(png)))
    return result


MODES = {"decoded": decoded, "compress": compressed, "denoise": denoised, "clean": cleaned}


def main():
    if len(sys.argv) < 6 or sys.argv[1] not in MODES:
        sys.exit(__doc__)
    mode, out, path, *values, x, y = sys.argv[1:]
    x, y = int(x), int(y)
    with tempfile.TemporaryDirectory() as folder:
        pictures = [(label, picture.convert("RGB")) for label, picture in MODES[mode](folder, path, *values)]
    figure = Image.new("RGB", (len(pictures) * (SIDE + GAP) - GAP, SIDE + LABEL), "white")
    draw = ImageDraw.Draw(figure)
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 15)
    for i, (label, picture) in enumerate(pictures):
        figure.paste(picture.crop((x, y, x + SIDE, y + SIDE)), (i * (SIDE + GAP), LABEL))
        draw.text((i * (SIDE + GAP), 4), label, fill="black", font=font)
    figure.save(out, optimize=True)


main()
