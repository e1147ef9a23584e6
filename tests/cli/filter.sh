#!/usr/bin/env bash
# The filter behind the synthesis: fitted on pictures, kept in the model, asked for by files.
source "$(dirname "$0")/lib.bash"

mkdir data
for name in aa bb; do  # by its name, bb is held out
    cp "$SAMPLES/landscape.png" data/$name.png
done
expect_exit 0 "$DECANT" train --fit-filter 3 --from photo-gray --data data --out mine.safetensors
[[ $(grep -c '^rate point [3-7]: -\?[0-9.]* dB more on 1 held-out picture$' "$ERR") == 5 ]] || fail "not what each rate point gains"
expect_exit 1 "$DECANT" train --fit-filter 3 --from photo-gray --data data --out mine.safetensors
expect_exit 0 "$DECANT" info mine.safetensors
expect_matches "$OUT" '^  filter [0-9] +3 crops of 384x384 pixels of 1 picture$'

# The same model, whose files decode as before; its own files ask for the new filter.
expect_exit 0 "$DECANT" encode -m photo-gray "$SAMPLES/scan.png" -o before.dcn
expect_exit 0 "$DECANT" encode -m ./mine.safetensors "$SAMPLES/scan.png" -o after.dcn
expect_exit 0 "$DECANT" info --json before.dcn
before=$(field model) before_filter=$(field filter)
expect_exit 0 "$DECANT" info --json after.dcn
[[ $(field model) == "$before" ]] || fail "a filter made another model of it"
[[ $(field filter) != "$before_filter" ]] || fail "the file does not ask for the new filter"
expect_exit 0 "$DECANT" decode -m photo-gray before.dcn -o before.png
expect_exit 0 "$DECANT" decode -m ./mine.safetensors before.dcn -o again.png
expect_same before.png again.png
expect_exit 0 "$DECANT" decode -m ./mine.safetensors after.dcn -o after.png
cmp -s before.png after.png && fail "the filter did nothing"
expect_exit 4 "$DECANT" decode -m photo-gray after.dcn -o refused.png
expect_contains "$ERR" 'filter'
expect_no_file refused.png

expect_exit 2 "$DECANT" train --fit-filter 3 --data data --out x.safetensors
expect_exit 2 "$DECANT" train --fit-filter 0 --from photo-gray --data data --out x.safetensors

# Behind a denoiser likewise, for each level of noise.
expect_exit 0 "$DECANT" train --fit-filter 2 --from denoise-gray --data data --out denoise-gray.safetensors
[[ $(grep -c '^sigma [0-9]*: -\?[0-9.]* dB more on 1 held-out picture$' "$ERR") == 6 ]] || fail "not what each level gains"
expect_exit 0 "$DECANT" info denoise-gray.safetensors
expect_matches "$OUT" '^  filter [0-9] +2 crops of 384x384 pixels of 1 picture$'
make_png noisy.png 120 90 8 1
expect_exit 0 "$DECANT" denoise --sigma 20 -m denoise-gray noisy.png -o plain.png
expect_exit 0 "$DECANT" denoise --sigma 20 -m ./denoise-gray.safetensors noisy.png -o filtered.png
cmp -s plain.png filtered.png && fail "the filter did nothing"

cat >code.json <<'JSON'
{"name": "code", "task": "autoencoder", "networks": {
  "encoder": {"channels_in": 3, "layers": [{"name": "in", "channels": 4, "kernel": 3, "stride": 2}]},
  "decoder": {"channels_in": 4, "layers": [{"name": "out", "channels": 12}, {"name": "up", "op": "shuffle", "factor": 2}]}}}
JSON
expect_exit 0 "$DECANT" train --config code.json --data data --batch 2 --crop 64 --steps 2 --out code.safetensors
expect_exit 1,4 "$DECANT" train --fit-filter 3 --from ./code.safetensors --data data --out x.safetensors
expect_contains "$ERR" 'no network that a filter could be behind'
expect_no_file x.safetensors
