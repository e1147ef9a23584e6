#!/usr/bin/env bash
# compare: two pictures, or the pictures of the same name in two folders.
source "$(dirname "$0")/lib.bash"

mkdir -p one/deep two/deep
make_png one/a.png 200 170
make_png one/deep/b.png 180 176
expect_exit 0 "$DECANT" encode -r one --output-dir coded
expect_exit 0 "$DECANT" decode -r coded --output-dir two --format ppm

expect_exit 0 "$DECANT" compare one/a.png one/a.png
expect_matches "$OUT" '^one/a\.png +one/a\.png +inf +inf +1\.00000 +1\.00000 +0$'
expect_exit 0 "$DECANT" compare one/a.png one/a.png --json
python3 -c 'import json, sys; row = json.load(open(sys.argv[1])); assert row["psnr"] == row["psnr-y"] == "inf" and row["max-error"] == 0' "$OUT" || fail "not infinite"
expect_exit 0 "$DECANT" compare one/a.png two/a.ppm --json
python3 - "$OUT" <<'PYTHON' || fail "not the expected object"
import json, sys
row = json.load(open(sys.argv[1]))
assert (row["reference"], row["distorted"]) == ("one/a.png", "two/a.ppm") and 15 < row["psnr"] < 60 and 0.3 < row["ms-ssim"] < 1
assert 15 < row["psnr-y"] < 60 and 0.3 < row["ssim"] < 1 and 0 < row["max-error"] < 256
PYTHON


# A perceptual measure, where its library is.
expect_exit 0,1 "$DECANT" compare --butteraugli --json one/a.png two/a.ppm
if [[ -s $OUT ]]; then expect_within 0.1 "$(field butteraugli)" 50; else expect_matches "$ERR" '^decant: Butteraugli needs .*install'; fi

expect_exit 0 "$DECANT" compare -r one two
expect_matches "$OUT" '^one/a\.png +two/a\.ppm '
expect_matches "$OUT" '^one/deep/b\.png +two/deep/b\.ppm '
expect_matches "$OUT" '^mean '

# No partner, another size, a folder with a file, nothing at all.
make_png one/lonely.png
expect_exit 1 "$DECANT" compare one two
expect_matches "$ERR" '^decant: one/lonely\.png: .*two'
expect_exit 1 "$DECANT" compare one/a.png one/lonely.png
expect_matches "$ERR" '^decant: one/lonely\.png: .*200x170'
expect_exit 2 "$DECANT" compare one two/a.ppm
expect_exit 2 "$DECANT" compare one/a.png
mkdir empty
expect_exit 3 "$DECANT" compare empty one
