#!/usr/bin/env bash
# embed: arrays that NumPy reads, and copies of a picture found by them.
source "$(dirname "$0")/lib.bash"

find_python "numpy, PIL.Image"

array() {  # FILE  prints its shape and type
    "$python" -c 'import numpy, sys; a = numpy.load(sys.argv[1]); assert numpy.isfinite(a).all(); print(*a.shape, a.dtype)' "$1"
}

make_png a.png 70 50
expect_exit 0 "$DECANT" embed a.png
[[ $(array a.npy) =~ ^4\ 5\ [0-9]+\ float32$ ]] || fail "shape $(array a.npy)"
expect_exit 1 "$DECANT" embed a.png
expect_contains "$ERR" "exists"
expect_exit 0 "$DECANT" embed --pooled 2 --json -f a.png
[[ $(field status) == ok ]] || fail "$(field status)"
channels=$(array a.npy | cut -d' ' -f1)
expect_exit 0 "$DECANT" embed --pooled 1 -o one.npy a.png
[[ $(array one.npy | cut -d' ' -f1) == $((channels / 4)) ]] || fail "four cells should have four times the values of one"
"$DECANT" embed -o - a.png | cmp - <("$DECANT" embed -o - - <a.png) || fail "pipes differ from files"
expect_exit 2 "$DECANT" embed --pooled 0 a.png
expect_exit 3 "$DECANT" embed -r "$(mktemp -d -p .)"
echo junk >junk.png
expect_exit 1 "$DECANT" embed junk.png
expect_no_file junk.npy
expect_exit 4 "$DECANT" embed -m denoise-photo -f a.png
expect_contains "$ERR" "no code"

# Copies: another size, another format, another brightness.
mkdir pictures
cp "$SAMPLES"/*.png pictures
"$python" - <<'PYTHON'
from PIL import Image, ImageEnhance
Image.open("pictures/landscape.png").convert("RGB").save("pictures/landscape_copy.jpg", quality=40)
picture = Image.open("pictures/still_life.png").convert("RGB")
picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save("pictures/still_life_copy.png")
ImageEnhance.Brightness(Image.open("pictures/bricks.png").convert("RGB")).enhance(1.15).save("pictures/bricks_copy.png")
PYTHON
expect_exit 0 "$DECANT" embed --pooled 4 pictures --output-dir vectors
"$python" "$SAMPLES/../tools/find_duplicates.py" vectors >pairs
for name in landscape still_life bricks; do expect_contains pairs "${name}  ${name}_copy"; done
(($(wc -l <pairs) == 3)) || fail "$(cat pairs)"

# Only an autoencoder has a decoder for its code.
expect_exit 4 "$DECANT" embed --decoded a.png
expect_no_file a.decoded.png
expect_exit 2 "$DECANT" embed --decoded --pooled 2 a.png
