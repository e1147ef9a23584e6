#!/usr/bin/env bash
# train: a few steps give a model that encodes and decodes; Ctrl-C leaves a checkpoint that the same command goes on from.
source "$(dirname "$0")/lib.bash"

mkdir data
for name in aa bb; do  # by its name, bb is held out
    cp "$SAMPLES/landscape.png" data/$name.png
done
options=(--data data --batch 1 --shards 1 --crop 64 --validate-every 1000000)

echo "no picture" >data/notes.txt
expect_exit 0 "$DECANT" train "${options[@]}" --steps 2 --out new.safetensors
expect_matches "$ERR" '^pictures to train on: 1, held out: 1, files left out: 1, such as data/notes\.txt: .'
rm data/notes.txt
expect_only . data data/aa.png data/bb.png new.safetensors
expect_exit 0 "$DECANT" encode -m ./new.safetensors "$SAMPLES/film_grain.png" -o grain.dcn
expect_exit 0 "$DECANT" decode -m ./new.safetensors grain.dcn -o grain.png
expect_exit 0 "$DECANT" info new.safetensors
expect_matches "$OUT" '^  steps +2$'
expect_exit 1 "$DECANT" train "${options[@]}" --steps 2 --out new.safetensors
expect_matches "$ERR" '^decant: new\.safetensors: .'

# Fine-tuning starts with the weights of another model.
expect_exit 0 "$DECANT" train "${options[@]}" --steps 1 --from ./new.safetensors --out fine.safetensors --quiet
expect_empty "$ERR"
# What it has brought: with a rate of nothing, nothing.
expect_exit 0 "$DECANT" train "${options[@]}" --steps 1 --rate 1e-15 --from ./new.safetensors --out same.safetensors
expect_matches "$ERR" '^photo, which it started from: .* BD-rate -?0\.0 %$'
expect_exit 0 "$DECANT" info --json same.safetensors
python3 - "$OUT" <<'PYTHON' || fail "the model does not tell what it started with"
import json, sys
metadata = json.load(open(sys.argv[1]))["metadata"]
before, after = json.loads(metadata["start_results"]), json.loads(metadata["results"])
assert len(before) == len(after) == 8
for a, b in zip(before, after):
    assert abs(a["psnr"] - b["psnr"]) < 0.01 and abs(a["bpp"] / b["bpp"] - 1) < 1e-3, (a, b)
PYTHON

options+=(--from ./new.safetensors)
python3 - "$DECANT" train "${options[@]}" --steps 1000000 --progress always --out long.safetensors <<'PYTHON' || fail "not interrupted as it should be"
import signal, subprocess, sys
def restore():  # a shell in the background starts its children with SIGINT ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)
process = subprocess.Popen(sys.argv[1:], preexec_fn=restore, stderr=subprocess.PIPE, text=True)
for line in process.stderr:
    if line.startswith("step"):
        break
process.send_signal(signal.SIGINT)
words = process.communicate(timeout=60)[1]
assert process.returncode == 130, f"exit code {process.returncode}"
assert "long.safetensors.checkpoint" in words, words
PYTHON
expect_file long.safetensors.checkpoint
expect_no_file long.safetensors
# A model of what was learned so far; the checkpoint stays for the rest.
expect_exit 0 "$DECANT" train --export --checkpoint long.safetensors.checkpoint --out so_far.safetensors
expect_exit 0 "$DECANT" encode -m ./so_far.safetensors "$SAMPLES/film_grain.png" -o so_far.dcn
expect_file long.safetensors.checkpoint
expect_exit 0 "$DECANT" train "${options[@]}" --steps 1 --out long.safetensors
expect_contains "$ERR" 'going on from long.safetensors.checkpoint'
expect_file long.safetensors
expect_no_file long.safetensors.checkpoint

# A CPU without AVX-512 has no bf16, and trains without.
ONEDNN_MAX_CPU_ISA=AVX2 expect_exit 0 "$DECANT" train "${options[@]}" --steps 1 --out avx2.safetensors
ONEDNN_MAX_CPU_ISA=AVX2 expect_exit 1 "$DECANT" train "${options[@]}" --steps 1 --compute bf16 --out x.safetensors
expect_contains "$ERR" 'this CPU has no bf16'

# Refused before the training starts.
expect_exit 2 "$DECANT" train --data data
expect_exit 2 "$DECANT" train "${options[@]}" --out model.bin
expect_exit 2 "$DECANT" train "${options[@]}" --crop 65 --out x.safetensors
expect_exit 2 "$DECANT" train "${options[@]}" --compute f16 --out x.safetensors
expect_exit 1 "$DECANT" train "${options[@]}" --out nowhere/x.safetensors
expect_exit 2 "$DECANT" train --export --out x.safetensors
expect_exit 2 "$DECANT" train --export --checkpoint x.checkpoint --data data --out x.safetensors
expect_exit 1,4 "$DECANT" train --export --checkpoint new.safetensors --out x.safetensors
expect_exit 1,4 "$DECANT" train --export --checkpoint missing.checkpoint --out x.safetensors
expect_no_file x.safetensors
mkdir empty
expect_exit 1 "$DECANT" train --data empty --from ./new.safetensors --out x.safetensors

# A mistake in a recipe is named with its line.
sed 's/"kernel": 3, "activation"/"kernal": 3, "activation"/' "$SAMPLES/../models/recipes/denoise-gray.json" >wrong.json
expect_exit 1,4 "$DECANT" train --data data --config wrong.json --out x.safetensors
expect_contains "$ERR" 'wrong.json: line 10: denoise.layers[2].kernal: unknown key "kernal"'
expect_exit 1,4 "$DECANT" info wrong.json
expect_contains "$ERR" 'wrong.json: line 10: denoise.layers[2].kernal: unknown key "kernal"'

# Networks and training in one file; the command line changes any value of it.
cat >recipe.json <<'JSON'
{
  "name": "small", "task": "denoise",
  "networks": {"denoise": {"channels_in": 2, "layers": [
    {"name": "head", "channels": 8, "kernel": 3, "activation": "relu"},
    {"name": "tail", "channels": 1, "kernel": 3}]}},
  "training": {"data": "data", "steps": 3, "batch": 1, "shards": 1, "crop": 64, "rate": 2e-3}
}
JSON
expect_exit 0 "$DECANT" info recipe.json
expect_matches "$OUT" '^  head +conv 3x3 +64x64x8 +152 '
expect_exit 0 "$DECANT" info --json recipe.json
[[ $(field kind) == recipe && $(field parameters) == 225 ]] || fail "the recipe is not described"
expect_exit 0 "$DECANT" train --config recipe.json --out small.safetensors --set networks.denoise.layers.head.channels=12 --steps 2 \
    --set training.rate=1e-4 --seed 3
expect_exit 0 "$DECANT" info small.safetensors
expect_matches "$OUT" '^  head +conv 3x3 +64x64x12 '
expect_matches "$OUT" '^  recipe +\{"steps":2,"batch":1,"crop":64,"shards":1,.*"rate":0.0001,.*"seed":3'
expect_lacks "$OUT" '"data"'
expect_exit 2 "$DECANT" train --config recipe.json --out x.safetensors --set networks.denoise.layers.hed.channels=12
expect_contains "$ERR" '--set networks.denoise.layers.hed.channels=12: there is no "hed.channels" in networks.denoise.layers; there are head, tail'
expect_exit 2 "$DECANT" train --config recipe.json --out x.safetensors --set networks.denoise.layers.head.kernel=2
expect_contains "$ERR" '--set networks.denoise.layers.head.kernel=2: denoise.head.kernel: must be 1, 3, 5 or 7'
expect_exit 2 "$DECANT" train --config recipe.json --out x.safetensors --rate fast
expect_contains "$ERR" '--rate fast: training.rate: "fast" is of the wrong kind'
expect_exit 2 "$DECANT" train --config recipe.json --out x.safetensors --set training.rate
# With a model to start from, a file has the training alone, or networks of its own, which take what fits.
echo '{"name": "other"}' >other.json
expect_exit 1,4 "$DECANT" train --config other.json --from ./small.safetensors --out x.safetensors
expect_contains "$ERR" 'other.json: line 1: name'
cat >grown.json <<'JSON'
{
  "name": "grown", "task": "denoise",
  "networks": {"denoise": {"channels_in": 2, "layers": [
    {"name": "head", "channels": 12, "kernel": 3, "activation": "relu"},
    {"name": "more.a", "channels": 6, "activation": "relu"},
    {"name": "more.b", "channels": 12, "add": "head", "init": "zero"},
    {"name": "tail", "channels": 1, "kernel": 3}]}},
  "training": {"data": "data", "steps": 1, "batch": 1, "shards": 1, "crop": 64, "rate": 1e-12}
}
JSON
expect_exit 0 "$DECANT" train --config grown.json --from ./small.safetensors --out grown.safetensors
expect_matches "$ERR" 'small, which it started from: .* -?0\.00 dB more than that, in the mean$'
expect_exit 0 "$DECANT" info grown.safetensors
expect_matches "$OUT" '^  more\.a +conv 1x1 '
sed 's/"head"/"begin"/; s/"add": "begin"/"add": "head"/; s/"tail"/"end"/' grown.json | sed 's/"add": "head"/"add": "begin"/' >strange.json
expect_exit 4 "$DECANT" train --config strange.json --from ./small.safetensors --out x.safetensors
expect_contains "$ERR" 'no weights of the model that the training starts from fit these networks'
echo '{"training": {"data": "data", "steps": 1, "batch": 1, "shards": 1, "crop": 64}}' >training.json
expect_exit 0 "$DECANT" train --config training.json --from ./small.safetensors --out further.safetensors
expect_matches "$ERR" 'small, which it started from: sigma 0 .* dB more than that, in the mean$'
expect_exit 2 "$DECANT" train --config training.json --from ./small.safetensors --set networks.denoise.layers.head.channels=8 --out x.safetensors
expect_no_file x.safetensors
