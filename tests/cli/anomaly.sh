#!/usr/bin/env bash
# anomaly: learns what is normal from a folder, scores pictures, and says where; and samples of a variational model.
source "$(dirname "$0")/lib.bash"

find_python "numpy, PIL.Image"

mkdir good
"$python" - <<'PYTHON'
import numpy, PIL.Image
for i in range(16):
    random = numpy.random.default_rng(i)
    y, x = numpy.mgrid[:256, :256]
    v = 128 + 60 * numpy.sin(x / 3 + random.random()) * numpy.sin(y / 3 + random.random()) + random.normal(0, 4, (256, 256))
    rgb = numpy.clip(numpy.stack([v, v * 0.9, v * 0.8], 2), 0, 255).astype(numpy.uint8)
    if i == 15:
        rgb[100:130, 60:90] = 40
        PIL.Image.fromarray(rgb).save("bad.png")
    else:
        PIL.Image.fromarray(rgb).save("new.png" if i == 14 else f"good/{i}.png")
PYTHON

expect_exit 2 "$DECANT" anomaly bad.png
expect_contains "$ERR" "-m MODEL"
expect_exit 2 "$DECANT" anomaly --learn good
expect_exit 4 "$DECANT" anomaly -m photo bad.png
expect_contains "$ERR" "what is normal"
expect_exit 3 "$DECANT" anomaly --learn "$(mktemp -d -p .)" --out none.safetensors
expect_no_file none.safetensors

expect_exit 0 "$DECANT" anomaly --learn good --out normal.safetensors --set training.steps=150 --progress never
expect_exit 1 "$DECANT" anomaly --learn good --out normal.safetensors --set training.steps=150
expect_contains "$ERR" "exists"
expect_exit 0 "$DECANT" anomaly -m ./normal.safetensors --json new.png
[[ $(field anomalous) == False ]] || fail "a normal picture scores $(field score)"
expect_exit 0 "$DECANT" anomaly -m ./normal.safetensors --json --output-dir maps bad.png
[[ $(field anomalous) == True ]] || fail "a spoilt picture scores $(field score)"
expect_within 55 "$(field x)" 95
expect_within 95 "$(field y)" 135
expect_shape maps/bad.png 256x256x8
"$python" - <<'PYTHON' || fail "the heat map is not red where the defect is"
import numpy, PIL.Image
red = numpy.asarray(PIL.Image.open("maps/bad.png").convert("RGB")).astype(float)
red = red[..., 0] - red[..., 1]
assert red[105:125, 65:85].mean() > 100 + red[160:, 160:].mean()
PYTHON
expect_exit 1 "$DECANT" anomaly -m ./normal.safetensors --output-dir maps bad.png
expect_exit 0 "$DECANT" anomaly -m ./normal.safetensors good bad.png
expect_matches "$OUT" "bad.png .*not normal"
# The same autoencoder may learn other pictures.
expect_exit 0 "$DECANT" anomaly --learn good -m ./normal.safetensors --out again.safetensors
expect_exit 0 "$DECANT" anomaly -m ./again.safetensors --json bad.png
[[ $(field anomalous) == True ]] || fail "a spoilt picture scores $(field score)"

# Samples: functions of the seed.
recipes=$(realpath -- "$SAMPLES/../models/recipes")
expect_exit 0 "$DECANT" train --config "$recipes/autoencoder-variational.json" --data good --out v.safetensors --steps 5 --batch 2 --progress never
expect_exit 0 "$DECANT" sample -m ./v.safetensors -o a.png -n 5 --side 32
expect_shape a.png 96x64x8
expect_exit 0 "$DECANT" sample -m ./v.safetensors -o b.png -n 5 --side 32
expect_same a.png b.png
expect_exit 0 "$DECANT" sample -m ./v.safetensors -o b.png -f -n 5 --side 32 --seed 2
expect_differ a.png b.png
expect_exit 1 "$DECANT" sample -m ./v.safetensors -o b.png
expect_exit 4 "$DECANT" sample -m ./normal.safetensors -o c.png
expect_contains "$ERR" "no variational"
expect_no_file c.png
expect_exit 2 "$DECANT" sample -o c.png

# What it makes of a picture that is normal is close to it; what `embed --decoded` writes is that.
expect_exit 0 "$DECANT" embed --decoded -m ./normal.safetensors new.png
expect_shape new.decoded.png "$(png_shape new.png)"
expect_exit 0 "$DECANT" compare --json new.png new.decoded.png
python3 -c 'import json, sys; assert json.loads(open(sys.argv[1]).readline())["psnr"] > 18' "$OUT" || fail "decoded: $(cat "$OUT")"
