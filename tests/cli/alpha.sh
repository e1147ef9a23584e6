#!/usr/bin/env bash
# Transparency through the program: kept by encode, decode and denoise, put in front of white where the format has none, refused where
# pixels are measured; colours that nobody sees cost next to nothing.
source "$(dirname "$0")/lib.bash"

# make_alpha FILE KIND SEED  a PNG of 96x64 with a disc of opacity; KIND: hard, soft, palette or gray. SEED: of the hidden colours.
cat >make_alpha.py <<'PYTHON'
import math, random, struct, sys, zlib
name, kind, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
hidden = random.Random(seed)
rows = bytearray()
for y in range(64):
    rows.append(0)
    for x in range(96):
        edge = 26 - math.hypot(x - 48, y - 32)
        a = round(255 * min(max(edge / 6 + 0.5, 0), 1)) if kind in ("soft", "gray") else 255 * (edge > 0)
        color = [round(128 + 90 * math.sin(x / 9 + c) * math.cos(y / 7)) for c in range(3)]
        if a == 0: color = [hidden.randrange(256) for c in range(3)]
        if kind == "palette": rows.append(0 if a == 0 else 1 + (x + y) // 4 % 3)
        elif kind == "gray": rows += bytes([color[0], a])
        else: rows += bytes(color + [a])
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
color_type = {"palette": 3, "gray": 4}.get(kind, 6)
palette = chunk(b"PLTE", bytes([9, 9, 9, 200, 40, 40, 40, 200, 40, 40, 40, 200])) + chunk(b"tRNS", b"\0") if kind == "palette" else b""
with open(name, "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 64, 8, color_type, 0, 0, 0)) + palette +
               chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b""))
PYTHON

# alpha_of FILE  a hash of the alpha of a PNG that has one; our own PNG are filtered, so the filters are undone.
cat >alpha_of.py <<'PYTHON'
import hashlib, struct, sys, zlib
data, at, packed, trns, depth = open(sys.argv[1], "rb").read(), 8, b"", b"", 8
while at < len(data):
    length, kind = struct.unpack_from(">I4s", data, at)
    body = data[at + 8:at + 8 + length]
    if kind == b"IHDR": width, height, depth, color = struct.unpack_from(">IIBB", body)
    if kind == b"IDAT": packed += body
    if kind == b"tRNS": trns = body
    at += 12 + length
assert depth == 8 and color in (3, 4, 6), (depth, color)
step = {3: 1, 4: 2, 6: 4}[color]
raw, stride, above, alpha = zlib.decompress(packed), width * step, bytearray(width * step), bytearray()
for y in range(height):
    kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
    for i in range(stride):
        a, b, c = (row[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
    above = row
    alpha += bytes(trns[v] if v < len(trns) else 255 for v in row) if color == 3 else row[step - 1::step]
print(hashlib.sha256(alpha).hexdigest())
PYTHON
expect_same_alpha() {  # PNG PNG
    [[ $(python3 alpha_of.py "$1") == "$(python3 alpha_of.py "$2")" ]] || fail "alpha of $2 is not that of $1"
}

for kind in hard soft palette gray; do
    python3 make_alpha.py $kind.png $kind 1
    expect_exit 0 "$DECANT" encode --verify $kind.png
    expect_lacks "$ERR" 'transparen'
    expect_exit 0 "$DECANT" decode $kind.dcn -o $kind.back.png
    expect_same_alpha $kind.png $kind.back.png
    # By way of the other formats that hold alpha.
    for format in webp tif; do
        expect_exit 0 "$DECANT" decode $kind.dcn -o $kind.$format
        [[ $(wc -l <"$ERR") == 1 ]] || fail 'a remark about what is kept'
        expect_exit 0 "$DECANT" encode $kind.$format -o by_$format.dcn -f
        expect_exit 0 "$DECANT" decode by_$format.dcn -o by_$format.png -f
        expect_same_alpha $kind.png by_$format.png
    done
    expect_exit 0 "$DECANT" denoise -m photo $kind.png -o clean.png -f
    expect_same_alpha $kind.png clean.png
done

# What nobody sees does not matter: other hidden colours, the same file.
python3 make_alpha.py other.png hard 2
expect_differ other.png hard.png
expect_exit 0 "$DECANT" encode other.png
expect_same other.dcn hard.dcn

# info lists it.
expect_exit 0 "$DECANT" info hard.dcn
expect_matches "$OUT" '^  alpha +[0-9]+ bytes'
expect_exit 0 "$DECANT" info --json hard.dcn
expect_within 10 "$(field alpha)" 400  # 6144 pixels
make_png opaque.png
expect_exit 0 "$DECANT" encode opaque.png
expect_exit 0 "$DECANT" info --json opaque.dcn
[[ $(field alpha) == None ]] || fail 'alpha of an opaque picture'

# Formats without alpha: in front of white, with a word. Hidden corners are white.
for format in ppm bmp jpg; do
    expect_exit 0 "$DECANT" decode hard.dcn -o white.$format
    expect_matches "$ERR" '^hard\.dcn: .* holds no transparency: the picture was put in front of white'
done
[[ $(tail -c 3 white.ppm | od -An -tx1 | tr -d ' ') == ffffff ]] || fail 'the corner is not white'

# Where pixels are measured there is no right answer.
expect_exit 1 "$DECANT" compare hard.png hard.png
expect_matches "$ERR" '^decant: hard\.png: has transparent pixels'
expect_exit 1 "$DECANT" eval hard.png
expect_matches "$ERR" '^decant: hard\.png: has transparent pixels'
