#!/usr/bin/env bash
# eval --denoise: added noise and pairs of folders, figures against those of compare and denoise, OpenCV's non-local means.
source "$(dirname "$0")/lib.bash"

# check EXPRESSION  holds over `report`, the JSON in $OUT.
check() {
    python3 - "$OUT" "$1" <<'PYTHON' || fail "does not hold: $1"
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
results, pictures = report["results"], report["pictures"]
assert eval(sys.argv[2]), json.dumps(report, indent=1)
PYTHON
}

mkdir clean
cp "$SAMPLES/film_grain.png" clean
make_png clean/waves.png 256 220 8 1
printf 'P5 240 200 255\n' >flat.pgm
head -c 48000 /dev/zero | tr '\0' '\200' >>flat.pgm

# The noise is what it says, on a picture that does not clip: MSE = σ² + 1/12. Blind, the level is found.
expect_exit 0 "$DECANT" eval --denoise -m gray --sigma 5,25 --json flat.pgm
check 'results["sigma"] == [5, 25]'
check 'all(abs(10 ** (4.8130803 - db / 10) / (s * s + 1 / 12) - 1) < 0.03 for s, db in zip(results["sigma"], results["psnr-rgb-noisy"]))'
check 'all(abs(e / s - 1) < 0.1 for s, e in zip(results["sigma"], results["estimated-sigma"]))'
check 'all(gain > 8 for gain in results["psnr-rgb-gain"])'
cp "$OUT" first.json
expect_exit 0 "$DECANT" eval --denoise -m gray --sigma 25 --json flat.pgm
check "pictures[0]['psnr-rgb'][0] == json.load(open('first.json'))['pictures'][0]['psnr-rgb'][1]"
expect_exit 0 "$DECANT" eval --denoise -m gray --sigma 25 --seed 7 --json flat.pgm
check "pictures[0]['psnr-rgb-noisy'][0] != json.load(open('first.json'))['pictures'][0]['psnr-rgb-noisy'][1]"

# All of the report, and each figure again by other means.
expect_exit 0 "$DECANT" eval --denoise -m photo --sigma 25 --against nlm --json --output-dir kept clean
check 'report["name"].startswith("decant denoise") and "blind, effort auto" in report["description"] and "OpenCV" in report["against"] and len(pictures) == 2'
check 'all(abs(sum(p[k][0] for p in pictures) / 2 - results[k][0]) < 1e-9 for k in results if k != "sigma")'
check 'all(p["megapixels_per_second"][0] > 0 and p["nlm-megapixels_per_second"][0] > 0 for p in pictures)'
check 'all(p[k][0] > p["psnr-rgb-noisy"][0] + 3 for p in pictures for k in ("psnr-rgb", "nlm-psnr-rgb"))'
cp "$OUT" report.json
expect_only kept film_grain.png film_grain_noisy.png film_grain_nlm.png waves.png waves_noisy.png waves_nlm.png
recompute() {  # KEY-PREFIX KEY-SUFFIX SUFFIX-OF-FILE
    expect_exit 0 "$DECANT" compare --json clean/film_grain.png "kept/film_grain$3.png"
    python3 - report.json "$OUT" "$1" "$2" <<'PYTHON' || fail "eval and compare differ: $*"
import json, sys
picture, row = json.load(open(sys.argv[1]))["pictures"][0], json.load(open(sys.argv[2]))
key = lambda name: sys.argv[3] + name + sys.argv[4]
assert picture["picture"] == row["reference"]
assert abs(picture[key("psnr-rgb")][0] - row["psnr"]) < 1e-9 and abs(picture[key("ms-ssim-rgb")][0] - row["ms-ssim"]) < 1e-9
PYTHON
}
recompute '' '' ''
recompute '' '-noisy' _noisy
recompute 'nlm-' '' _nlm
expect_exit 0 "$DECANT" denoise -m photo --json kept/film_grain_noisy.png -o again.png
expect_same again.png kept/film_grain.png
python3 -c 'import json, sys; sys.exit(json.load(open("report.json"))["pictures"][0]["estimated-sigma"][0] != float(sys.argv[1]))' \
    "$(field sigma)" || fail "eval and denoise estimate different levels"

# Told the level, there is no estimate, and the result is that of --sigma.
expect_exit 0 "$DECANT" eval --denoise -m photo --sigma 25 --known-sigma --json --output-dir told clean/film_grain.png
check '"told" in report["description"] and results["estimated-sigma"] == [None]'
expect_exit 0 "$DECANT" denoise -m photo --sigma 25 told/film_grain_noisy.png -o again.png -f
expect_same again.png told/film_grain.png
expect_same told/film_grain_noisy.png kept/film_grain_noisy.png

# Tables: a row a picture and level, means, and how the others are made. A clean picture comes back almost untouched.
expect_exit 0 "$DECANT" eval --denoise -m photo --sigma 0,15 clean
[[ $(grep -c '^clean/' "$OUT") == 4 ]] || fail "not 4 rows of pictures"
expect_contains "$OUT" 'mean of 2 pictures'
expect_matches "$OUT" '^clean/film_grain\.png +0 .* inf +[34][0-9]\.'
expect_lacks "$OUT" nlm
expect_exit 0 "$DECANT" eval --denoise -m photo --sigma 15 --against nlm flat.pgm
expect_contains "$OUT" 'nlm MP/s'
expect_contains "$OUT" 'nlm: OpenCV'
# Left to itself it takes the model of what it sees.
expect_exit 0 "$DECANT" eval --denoise --sigma 15 clean/film_grain.png
expect_matches "$OUT" '^model: denoise.* [0-9a-f]{16}$'
# The photo library is loaded for that alone.
mkdir -p bare/models
cp "$DECANT" bare/decant
cp "$(dirname "$DECANT")/models/denoise-photo.safetensors" bare/models
expect_exit 0 bare/decant eval --denoise -m photo --sigma 15 flat.pgm
expect_exit 1 bare/decant eval --denoise -m photo --sigma 15 --against nlm flat.pgm
expect_contains "$ERR" decant_opencv_photo.so
expect_empty "$OUT"

# Pairs of files: as measured with the noise that is in them.
mkdir noisy
cp kept/film_grain_noisy.png noisy/film_grain.png
cp kept/waves_noisy.png noisy/waves.png
expect_exit 0 "$DECANT" eval --denoise -m photo --noisy noisy --against nlm --json clean
check "results['sigma'] == [None] and results['estimated-sigma'] == json.load(open('report.json'))['results']['estimated-sigma']"
check "all(pictures[i][k] == json.load(open('report.json'))['pictures'][i][k] for i in (0, 1) for k in ('psnr-rgb', 'psnr-rgb-noisy', 'ms-ssim-rgb'))"

# A missing partner is a failure, on either side, and the others are measured.
cp flat.pgm clean
cp flat.pgm noisy/alone.pgm
expect_exit 1 "$DECANT" eval --denoise -m photo --noisy noisy --json clean
check 'len(pictures) == 2'
expect_matches "$ERR" '^decant: clean/flat\.pgm: no picture of that name is in noisy'
expect_matches "$ERR" '^decant: noisy/alone\.pgm: no reference picture'
rm clean/flat.pgm noisy/alone.pgm
cp flat.pgm noisy/waves.png
expect_exit 1 "$DECANT" eval --denoise -m photo --noisy noisy --json clean
check 'len(pictures) == 1'
expect_matches "$ERR" '^decant: noisy/waves\.png: .*256x220.*240x200'

# Usage.
for arguments in '--sigma 15' '--denoise --sigma 15,' '--denoise --sigma 256' '--denoise --sigma nan' '--denoise -q 50' '--denoise -e 10' \
    '--noisy noisy' '--denoise --noisy noisy --sigma 15' '--denoise --noisy noisy --known-sigma' '--denoise --noisy noisy --seed 2' \
    '--known-sigma' '--seed 2' '--denoise --against bm3d' '--denoise --seed x'; do
    # shellcheck disable=SC2086
    expect_exit 2 "$DECANT" eval $arguments flat.pgm
done
expect_exit 1 "$DECANT" eval --denoise -m photo --noisy flat.pgm flat.pgm
expect_contains "$ERR" 'is no folder'
expect_exit 4 "$DECANT" eval -m "$(dirname "$DECANT")/models/photo.safetensors" --denoise flat.pgm
mkdir empty
expect_exit 3 "$DECANT" eval --denoise -m photo empty
