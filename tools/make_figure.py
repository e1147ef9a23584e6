#!/usr/bin/env python3
"""Draws a crop of a picture three times, side by side: the original, JPEG and decant at the same file size.

usage: make_figure.py OUT.png PICTURE QUALITY X Y     (needs python3-pil and fonts-dejavu-core; the crop is 256×256 pixels at X, Y)
"""
import io
import os
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw, ImageFont

SIDE, SCALE, GAP, LABEL = 256, 1, 8, 26


def jpeg_of_size(picture, limit):
    """The best JPEG of at most `limit` bytes, as (bytes, picture)."""
    for quality in range(95, 0, -1):
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality, optimize=True)
        if stream.tell() <= limit:
            break
    return stream.tell(), Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    out, path, quality, x, y = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    program = os.environ.get("DECANT", os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "release", "decant"))
    original = Image.open(path).convert("RGB")
    with tempfile.TemporaryDirectory() as folder:
        dcn, png = os.path.join(folder, "a.dcn"), os.path.join(folder, "a.png")
        subprocess.run([program, "encode", "--quiet", "-q", quality, "-o", dcn, path], check=True)
        subprocess.run([program, "decode", "--quiet", "-o", png, dcn], check=True)
        size, decoded = os.path.getsize(dcn), Image.open(png).convert("RGB")
    jpeg_size, jpeg = jpeg_of_size(original, size)
    pictures = [("original", original), (f"JPEG, {jpeg_size:,} bytes", jpeg), (f"decant, {size:,} bytes", decoded)]
    width = SIDE * SCALE
    figure = Image.new("RGB", (3 * width + 2 * GAP, width + LABEL), "white")
    draw = ImageDraw.Draw(figure)
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 15)
    for i, (label, picture) in enumerate(pictures):
        crop = picture.crop((x, y, x + SIDE, y + SIDE)).resize((width, width), Image.NEAREST)
        figure.paste(crop, (i * (width + GAP), LABEL))
        draw.text((i * (width + GAP), 4), label, fill="black", font=font)
    figure.save(out, optimize=True)


main()
