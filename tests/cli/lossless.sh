#!/usr/bin/env bash
# --lossless and --max-error: every sample as it was, or within the bound, for every kind of picture; parts of it; with what it cannot go.
source "$(dirname "$0")/lib.bash"

largest() { "$DECANT" compare --json "$1" "$2" | python3 -c 'import json, sys; print(int(json.loads(sys.stdin.readline())["max-error"]))'; }

make_png colour.png 90 70
make_png deep.png 90 70 16
"$DECANT" encode colour.png -o lossy.dcn --quiet
for picture in colour.png deep.png "$SAMPLES/film_grain.png" "$SAMPLES/page.png" "$SAMPLES/zone_plate.pgm"; do
    expect_exit 0 "$DECANT" encode --lossless --verify --json "$picture" -o exact.dcn -f
    expect_contains "$OUT" '"psnr":"inf"'
    expect_exit 0 "$DECANT" info exact.dcn
    expect_matches "$OUT" 'largest error +0: lossless'
    expect_exit 0 "$DECANT" decode exact.dcn -o back.png -f
    [[ $(largest "$picture" back.png) == 0 ]] || fail "$picture: not the same"
    expect_exit 0 "$DECANT" encode --max-error 5 --verify "$picture" -o near.dcn -f
    expect_exit 0 "$DECANT" decode near.dcn -o near.png -f
    error=$(largest "$picture" near.png)
    ((error <= 5)) || fail "$picture: off by $error"
    (($(stat -c %s near.dcn) < $(stat -c %s exact.dcn))) || fail "$picture: a bound of 5 takes no less than none"
done

# 16 bits have more than 8 bits of true precision.
python3 - <<'PYTHON'
import math
with open("ramp.pgm", "wb") as file:
    file.write(b"P5 300 200 65535\n")
    for y in range(200):
        file.write(b"".join(round(257 * (90 + 40 * x / 300 + 6 * math.sin(y / 37))).to_bytes(2, "big") for x in range(300)))
PYTHON
expect_exit 0 "$DECANT" encode --max-error 64 --verify --json ramp.pgm -o ramp.dcn
python3 - "$OUT" <<'PYTHON' || fail "no better than 8 bits"
import json, sys
report = json.loads(open(sys.argv[1]).readline())
assert report["psnr"] > 60.5, report["psnr"]  # 8 bits: 58.9
assert report["bpp"] < 8, report["bpp"]
PYTHON

# Regions, all formats, pipes: the same samples.
expect_exit 0 "$DECANT" encode --lossless colour.png -o colour.dcn
expect_exit 0 "$DECANT" decode colour.dcn --format ppm -o whole.ppm
expect_exit 0 "$DECANT" decode colour.dcn --region 33x21+40+30 --format ppm -o part.ppm
python3 - <<'PYTHON' || fail "the region is another"
def pixels(name):
    data = open(name, "rb").read()
    width, height = map(int, data.split(None, 4)[1:3])
    return width, data[len(data) - 3 * width * height:]
width, whole = pixels("whole.ppm")
columns, part = pixels("part.ppm")
rows = [whole[3 * (width * y + 40):3 * (width * y + 73)] for y in range(30, 51)]
assert columns == 33 and part == b"".join(rows)
PYTHON
"$DECANT" decode - -o - --format ppm <colour.dcn >piped.ppm
[[ $(largest colour.png piped.ppm) == 0 ]] || fail "not the same through a pipe"
expect_exit 0 "$DECANT" decode colour.dcn --preview 40 -o small.png
expect_shape small.png 40x31x8

# With alpha; files without a residual say nothing of one.
convert colour.png -alpha set -channel A -fx 'i/w' alpha.png
expect_exit 0 "$DECANT" encode --lossless --verify alpha.png
expect_exit 0 "$DECANT" decode alpha.dcn -o alpha_back.png
for depth in 8 16; do  # nothing is lost of what cannot be seen, either
    convert colour.png -depth $depth -alpha set -channel A -fx 'i%5==0 ? 0 : i/w*0.731' +channel -define png:color-type=6 -define png:bit-depth=$depth clear.png
    expect_exit 0 "$DECANT" encode -f --lossless --verify clear.png
    expect_exit 0 "$DECANT" decode -f clear.dcn -o clear_back.png
    expect_shape clear_back.png 90x70x$depth
    convert clear.png -depth 16 rgba:clear.raw
    convert clear_back.png -depth 16 rgba:clear_back.raw
    cmp clear.raw clear_back.raw || fail "$depth bits with alpha come back changed"
done
expect_exit 0 "$DECANT" info --json lossy.dcn
expect_contains "$OUT" '"max_error":null'

# A damaged residual is found, and nothing is written.
python3 - <<'PYTHON'
data = bytearray(open("colour.dcn", "rb").read())
data[len(data) // 3] ^= 1  # before the tiles, of which there is less
open("damaged.dcn", "wb").write(data)
PYTHON
expect_exit 4 "$DECANT" decode damaged.dcn -o damaged.png
expect_no_file damaged.png

expect_exit 2 "$DECANT" encode --lossless --max-error 3 colour.png -o no.dcn
expect_exit 2 "$DECANT" encode --lossless --target-bpp 1 colour.png -o no.dcn
expect_exit 2 "$DECANT" encode --max-error 2 --target-psnr 40 colour.png -o no.dcn
expect_exit 2 "$DECANT" encode --max-error 65536 colour.png -o no.dcn
expect_exit 2 "$DECANT" encode --max-error -1 colour.png -o no.dcn
expect_no_file no.dcn
