#!/usr/bin/env bash
# 16 bits a sample: kept from end to end, reduced only where --depth 8 asks for it, refused where they cannot be held.
source "$(dirname "$0")/lib.bash"

denoise=("$DECANT" denoise -m gray)

# A ramp over 40 of 256 levels with noise of 6 levels: clean.pgm and noisy.pgm, both of 16 bits.
python3 - <<'PYTHON'
import random
width, height, random = 320, 96, random.Random(5)
def write(name, rows):
    with open(name, "wb") as file:
        file.write(b"P5 %d %d 65535\n" % (width, height) + b"".join(value.to_bytes(2, "big") for row in rows for value in row))
clean = [[round(257 * (100 + 40 * x / width)) for x in range(width)] for _ in range(height)]
write("clean.pgm", clean)
write("noisy.pgm", [[round(value + random.gauss(0, 6 * 257)) for value in row] for row in clean])
PYTHON

# A result has more levels than 8 bits have, and they are true: it follows the ramp, not steps of 257.
expect_exit 0 "${denoise[@]}" noisy.pgm --json --quiet
expect_contains "$OUT" '"depth":16'
expect_shape noisy.denoised.png 320x96x16
expect_exit 0 "${denoise[@]}" noisy.pgm -o result.pgm
expect_exit 0 "$DECANT" compare noisy.denoised.png result.pgm
expect_contains "$OUT" inf
expect_exit 0 "${denoise[@]}" noisy.pgm -o reduced.pgm --depth 8 --json
expect_contains "$OUT" '"depth":8'
python3 - <<'PYTHON' || fail "the result of 16 bits is not what it should be"
def read(name):
    data = open(name, "rb").read()
    fields = data.split(None, 4)[:4]
    depth = 2 if int(fields[3]) > 255 else 1
    pixels = data[len(data) - int(fields[1]) * int(fields[2]) * depth:]
    return [int.from_bytes(pixels[i:i + depth], "big") for i in range(0, len(pixels), depth)]
clean, noisy, result, reduced = map(read, ("clean.pgm", "noisy.pgm", "result.pgm", "reduced.pgm"))
def error(a): return (sum((x - y) ** 2 for x, y in zip(a, clean)) / len(clean)) ** 0.5
assert len(set(result)) > 1000, len(set(result))
assert error(result) < 0.5 * error(noisy), (error(result), error(noisy))
assert len(set(reduced)) < 256 and max(reduced) < 256
assert all(abs(a - 257 * b) <= 129 for a, b in zip(result, reduced)), "--depth 8 does not round to nearest"
PYTHON

# 8 bits in: 8 out, or 16 with finer steps. Without strength the samples are the same ones, in every format that holds them.
make_png shallow.png 50 40
make_png deep.png 50 40 16
expect_exit 0 "${denoise[@]}" shallow.png -o kept.png
expect_shape kept.png 50x40x8
expect_exit 0 "${denoise[@]}" shallow.png --depth 16 -o raised.png
expect_shape raised.png 50x40x16
for name in same.png same.ppm same.tif; do
    expect_exit 0 "${denoise[@]}" deep.png --strength 0 -o "$name"
    expect_exit 0 "$DECANT" compare deep.png "$name"
    expect_contains "$OUT" inf
done

# Formats of 8 bits: refused before work begins, unless 8 bits are asked for.
for name in a.jpg a.webp a.bmp; do
    expect_exit 1 "${denoise[@]}" deep.png -o "$name"
    expect_matches "$ERR" '^decant: deep\.png: .*--depth 8'
    expect_exit 2 "${denoise[@]}" deep.png --depth 16 -o "$name"
    expect_no_file "$name"
done
expect_exit 0 "${denoise[@]}" deep.png --depth 8 -o a.jpg
expect_magic a.jpg ffd8ff
expect_exit 2 "${denoise[@]}" deep.png --depth 12 -o b.png

# compare: two depths are two kinds of pictures.
expect_exit 1 "$DECANT" compare deep.png kept.png
expect_matches "$ERR" '^decant: kept\.png: .*differ in depth: 50x40, 3 channels, 16 bit and 50x40, 3 channels, 8 bit'
expect_exit 0 "$DECANT" compare deep.png raised.png

# encode: 16 bits go into the file and come out, from a file row by row, from a pipe as a whole.
mkdir coded
expect_exit 0 "$DECANT" encode deep.png shallow.png --output-dir coded
expect_only coded deep.dcn shallow.dcn
expect_exit 0 "$DECANT" encode - -o piped.dcn <deep.png
expect_same piped.dcn coded/deep.dcn
expect_exit 0 "$DECANT" decode coded/deep.dcn -o deep_back.ppm --json
expect_contains "$OUT" '"depth":16'
expect_exit 0 "$DECANT" compare deep.png deep_back.ppm
expect_exit 0 "$DECANT" decode coded/deep.dcn -o deep_back.tif
expect_exit 0 "$DECANT" compare deep_back.tif deep_back.ppm
expect_contains "$OUT" 'inf'
expect_exit 0 "$DECANT" decode coded/deep.dcn --depth 8 -o deep8.ppm --json
expect_contains "$OUT" '"depth":8'
expect_exit 1 "$DECANT" decode coded/deep.dcn -o deep.jpg
expect_matches "$ERR" '^decant: coded/deep\.dcn: JPEG holds 8 bits a sample, not 16'
expect_no_file deep.jpg
expect_exit 0 "$DECANT" eval deep.png
rm coded/deep.dcn

# decode: 8 bits as stored, or each value times 257.
expect_exit 0 "$DECANT" decode coded/shallow.dcn -o back8.ppm --json
expect_contains "$OUT" '"depth":8'
expect_exit 0 "$DECANT" decode coded/shallow.dcn -o back16.ppm --depth 16 --json
expect_contains "$OUT" '"depth":16'
python3 - <<'PYTHON' || fail "decode --depth 16 is not 257 times decode"
size = 50 * 40 * 3
shallow, deep = open("back8.ppm", "rb").read()[-size:], open("back16.ppm", "rb").read()[-2 * size:]
assert all(deep[2 * i] == deep[2 * i + 1] == shallow[i] for i in range(size))
PYTHON
expect_exit 2 "$DECANT" decode coded/shallow.dcn --depth 16 --format jpg
expect_only coded shallow.dcn
