#!/usr/bin/env bash
# denoise: files and folders, names of the results, the level in the report, models that are missing or of another kind.
source "$(dirname "$0")/lib.bash"

# A denoiser as small as can be, trained for a few steps.
cat >tiny.json <<'JSON'
{"name": "tiny", "task": "denoise", "noise": "photo", "networks": {"denoise": {"channels_in": 4, "layers": [
  {"name": "pixels", "op": "unshuffle", "factor": 2},
  {"name": "head", "channels": 16, "kernel": 3, "activation": "relu"},
  {"name": "tail", "channels": 12, "kernel": 3, "init": "zero"},
  {"name": "residual", "op": "shuffle", "factor": 2}]}}}
JSON
mkdir data
for name in aa bb; do  # by its name, bb is held out
    cp "$SAMPLES/landscape.png" data/$name.png
done
expect_exit 0 "$DECANT" train --config tiny.json --data data --batch 2 --crop 64 --steps 4 --out tiny.safetensors
expect_contains "$ERR" 'sigma 25'
expect_exit 0 "$DECANT" info tiny.safetensors
expect_contains "$OUT" denoise
expect_exit 0 "$DECANT" info --json tiny.safetensors
expect_contains "$OUT" '"task":"denoise"'
model=(-m ./tiny.safetensors)

# One file: the result lies beside the input, under a name of its own.
mkdir one
make_png one/a.png 65 33
expect_exit 0 "$DECANT" denoise "${model[@]}" one/a.png
expect_contains "$ERR" 'sigma '
expect_only one a.png a.denoised.png
expect_shape one/a.denoised.png 65x33x8
expect_exit 1 "$DECANT" denoise "${model[@]}" one/a.png
expect_matches "$ERR" 'exists'
expect_exit 0 "$DECANT" denoise "${model[@]}" one/a.png --skip-existing
expect_exit 0 "$DECANT" denoise "${model[@]}" one/a.png -o one/b.jpg
expect_magic one/b.jpg ffd8ff
expect_exit 0 "$DECANT" denoise "${model[@]}" one/a.png --strength 0 -o one/same.ppm --sigma 30
expect_exit 0 "$DECANT" compare one/a.png one/same.ppm
expect_contains "$OUT" inf
expect_exit 0 "$DECANT" denoise "${model[@]}" one/a.png --effort 9 -o one/turned.png
expect_shape one/turned.png 65x33x8
expect_exit 0 "$DECANT" denoise "${model[@]}" one/a.png --effort auto -o one/auto.png  # small: in all positions
expect_same one/auto.png one/turned.png
expect_same one/auto.png one/a.denoised.png
expect_exit 2 "$DECANT" denoise "${model[@]}" one/a.png --effort 10 -o one/more.png
expect_exit 0 "$DECANT" denoise "${model[@]}" - -o - <one/a.png
expect_same "$OUT" one/a.denoised.png

# Folders: results of earlier runs are not taken for inputs; the tree is repeated below --output-dir.
mkdir -p many/deep
make_png many/x.png 40 30
make_png many/deep/y.png 30 40 8 1
expect_exit 0 "$DECANT" denoise "${model[@]}" -r many --json --quiet
[[ $(wc -l <"$OUT") == 2 ]] || fail "not two lines of JSON"
expect_matches "$OUT" '"status":"ok".*"model":"tiny".*"sigma":[0-9.]+'
expect_exit 0 "$DECANT" denoise "${model[@]}" -r many -f --json --quiet
[[ $(wc -l <"$OUT") == 2 ]] || fail "results were taken for inputs"
expect_only many x.png x.denoised.png deep deep/y.png deep/y.denoised.png
expect_exit 0 "$DECANT" denoise "${model[@]}" many/x.png many/deep --output-dir out -t 1
expect_only out x.png y.png
expect_same out/x.png many/x.denoised.png
expect_exit 0 "$DECANT" denoise "${model[@]}" -n many/x.png --output-dir dry
expect_no_file dry

# One bad file does not stop the others.
echo 'no picture' >many/bad.png
expect_exit 1 "$DECANT" denoise "${model[@]}" many --output-dir rest
expect_only rest x.png
expect_matches "$ERR" '^decant: many/bad\.png: '

# Usage, inputs and models.
expect_exit 2 "$DECANT" denoise
expect_exit 2 "$DECANT" denoise "${model[@]}" --sigma much one/a.png
expect_exit 2 "$DECANT" denoise "${model[@]}" --sigma 256 one/a.png
expect_exit 2 "$DECANT" denoise "${model[@]}" --strength 101 one/a.png
expect_exit 0 "$DECANT" denoise "${model[@]}" --sigma auto one/a.png -f
mkdir empty
expect_exit 3 "$DECANT" denoise "${model[@]}" empty
expect_exit 4 "$DECANT" denoise -m "$(dirname "$DECANT")/models/photo.safetensors" one/a.png -f
expect_contains "$ERR" 'no denoising model'
expect_exit 4 "$DECANT" encode "${model[@]}" one/a.png -f
expect_exit 1 "$DECANT" denoise -m missing one/a.png -f

# A folder of models may hold both kinds; short names are those of denoisers first.
mkdir models
cp tiny.safetensors models/denoise-tiny.safetensors
DECANT_MODELS=$PWD/models expect_exit 0 "$DECANT" models
expect_contains "$OUT" denoising
DECANT_MODELS=$PWD/models expect_exit 0 "$DECANT" denoise -m tiny one/a.png -f
DECANT_MODELS=$PWD/models expect_exit 0 "$DECANT" denoise -m denoise-tiny one/a.png -f

# Left to itself it takes the model of what it sees.
for kind in photo:4:12:photo gray:2:4:photo scan:2:4:page; do
    IFS=: read -r name inputs outputs noise <<<"$kind"
    sed "s/\"tiny\"/\"denoise-$name\"/; s/\"photo\"/\"$noise\"/; s/\"channels_in\": 4/\"channels_in\": $inputs/; s/\"channels\": 12/\"channels\": $outputs/" tiny.json >"$name.json"
    expect_exit 0 "$DECANT" train --config "$name.json" --data data --batch 1 --shards 1 --crop 64 --steps 1 --out "models/denoise-$name.safetensors"
done
export DECANT_MODELS=$PWD/models
cp "$SAMPLES/page.png" "$SAMPLES/zone_plate.pgm" "$SAMPLES/film_grain.png" .
for pair in page.png:denoise-scan zone_plate.pgm:denoise-gray film_grain.png:denoise-photo; do
    for choice in "" "-m auto"; do
        # shellcheck disable=SC2086
        expect_exit 0 "$DECANT" denoise $choice "${pair%:*}" --json --quiet -f
        expect_contains "$OUT" "\"model\":\"${pair#*:}\""
    done
done
expect_exit 0 "$DECANT" denoise -m gray film_grain.png -f
expect_contains "$ERR" 'denoise-gray, sigma'
expect_exit 0 "$DECANT" denoise -m photo zone_plate.pgm -f
