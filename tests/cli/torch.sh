#!/usr/bin/env bash
# tools/torch_train.py takes the same steps as `decant train`: same crops, noise, gradients, weights; and each goes on from the
# other's checkpoints.
source "$(dirname "$0")/lib.bash"

find_python "numpy, torch, PIL.Image"
tools=$(realpath -- "$SAMPLES/../tools")
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$tools

mkdir data
cp "$SAMPLES/landscape.png" data/aa.png
cp "$SAMPLES/landscape.png" data/bb.png  # by its name, bb is held out
cp "$SAMPLES/still_life.png" data/cc.png
cp "$SAMPLES/page.png" data/dd.png  # grey

context() {  # NUMBER CHANNELS_IN
    cat <<JSON
    "context$1": {"channels_in": $2, "layers": [
      {"name": "conv1", "channels": 12, "arithmetic": "integer", "activation": "relu", "quality_bias": true},
      {"name": "conv2", "channels": 12, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
      {"name": "conv3", "channels": 32, "arithmetic": "integer", "quality_bias": true, "init": "small"}]}
JSON
}

# All that a layer can be, in each kind of arithmetic. For pictures in colour, and for gray ones.
for colours in 3 1; do
mkdir $colours
pushd $colours >/dev/null
cat >tiny.json <<JSON
{
  "name": "tiny", "latent_channels": 16, "hyper_channels": 8, "lambda": [0.002, 0.01, 0.05],
  "networks": {
    "analysis": {"channels_in": $colours, "layers": [
      {"name": "pixels", "op": "unshuffle", "factor": 4},
      {"name": "klt1", "channels": 12, "arithmetic": "wide", "init": "klt"},
      {"name": "lap1", "channels": 12, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "add": "klt1", "init": "zero"},
      {"name": "block1.a", "channels": 16, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block1.b", "channels": 12, "kernel": 3, "arithmetic": "integer", "add": "lap1", "init": "zero"},
      {"name": "down", "op": "unshuffle", "factor": 4},
      {"name": "klt2", "channels": 24, "arithmetic": "wide", "quality_bias": true, "init": "klt"},
      {"name": "block2.a", "channels": 16, "kernel": 3, "activation": "leaky_relu"},
      {"name": "block2.b", "channels": 24, "kernel": 3, "add": "klt2", "init": "zero"},
      {"name": "latents", "channels": 16, "arithmetic": "wide", "init": "klt"}]},
    "synthesis": {"channels_in": 16, "layers": [
      {"name": "latents", "channels": 24, "arithmetic": "wide", "quality_bias": true, "init": "klt"},
      {"name": "block2.a", "channels": 16, "kernel": 3, "activation": "leaky_relu", "slope": 0.1},
      {"name": "block2.b", "channels": 24, "kernel": 3, "add": "latents", "init": "zero"},
      {"name": "klt2", "channels": 192, "arithmetic": "wide", "init": "klt"},
      {"name": "up", "op": "shuffle", "factor": 4},
      {"name": "block1.a", "channels": 16, "kernel": 3, "arithmetic": "integer", "input_exponent": 4, "activation": "relu"},
      {"name": "block1.b", "channels": 12, "kernel": 3, "arithmetic": "integer", "add": "up", "init": "zero"},
      {"name": "klt1", "channels": $((16 * colours)), "arithmetic": "wide", "init": "klt"},
      {"name": "pixels", "op": "shuffle", "factor": 4}]},
    "hyper_analysis": {"channels_in": 32, "layers": [
      {"name": "conv1", "channels": 16, "activation": "leaky_relu"},
      {"name": "conv2", "channels": 16, "kernel": 3, "stride": 2, "activation": "leaky_relu"},
      {"name": "conv3", "channels": 8, "kernel": 3, "stride": 2, "init_scale": 8.0}]},
    "hyper_synthesis": {"channels_in": 16, "layers": [
      {"name": "conv1", "channels": 32, "arithmetic": "integer", "activation": "relu", "input_exponent": 2},
      {"name": "up1", "op": "shuffle", "factor": 2},
      {"name": "conv2", "channels": 32, "kernel": 3, "arithmetic": "integer", "activation": "relu"},
      {"name": "up2", "op": "shuffle", "factor": 2}]},
$(context 0 8), $(context 1 24), $(context 2 24), $(context 3 24)
  }
}
JSON

# Large hyper-latents and high rates, so that nothing stays near zero. Crops of 80 pixels: the latents' plane ends inside a cell of
# the hyper-latents.
options=(--data ../data --batch 4 --shards 2 --crop 80 --compute f32 --rate 1e-2 --warm-up 5 --hold 0.9 --hyper-warm-up 100
    --validate-every 1000000)
expect_exit 0 "$DECANT" train "${options[@]}" --quantiser scalar --config tiny.json --steps 40 --checkpoint start.checkpoint --out start.safetensors
cp start.checkpoint cpu.checkpoint
cp start.checkpoint torch.checkpoint
expect_exit 0 "$DECANT" train "${options[@]}" --quantiser scalar --config tiny.json --steps 41 --checkpoint cpu.checkpoint --out cpu.safetensors
expect_exit 0 "$python" "$tools/torch_train.py" "${options[@]}" --steps 41 --checkpoint torch.checkpoint --device cpu

# From the model file, which holds the weights as they are rounded.
options+=(--steps 1)
expect_exit 0 "$DECANT" train "${options[@]}" --quantiser scalar --from ./start.safetensors --checkpoint cpu_from.checkpoint --out cpu_from.safetensors
expect_exit 0 "$python" "$tools/torch_train.py" "${options[@]}" --from start.safetensors --checkpoint torch_from.checkpoint --device cpu

"$python" - >"$OUT" 2>"$ERR" <<'PYTHON' || fail "the trainers do not agree"
import json
import numpy as np
from torch_codec import Description, read_safetensors

def distance(a, b):
    return np.linalg.norm(a.astype(np.float64) - b) / max(np.linalg.norm(b.astype(np.float64)), 1e-12)

def check(what, error, tolerance):
    print(f"{what}: {error:.2e} of {tolerance:.0e}")
    if not error <= tolerance:
        failures.append(what)

failures = []
start, texts = read_safetensors("start.checkpoint")
description = Description(texts["description"])
for case, before in (("", start["first"]), ("_from", 0.0)):
    ours, our_texts = read_safetensors(f"torch{case}.checkpoint")
    theirs, their_texts = read_safetensors(f"cpu{case}.checkpoint")
    assert our_texts["step"] == their_texts["step"]
    check(f"rates{case}", distance(ours["rate"], theirs["rate"]), 1e-5)
    # Adam's first moment moves by a tenth of the gradient. Sums in another order round a few values to another neighbour.
    gradient, wanted = ours["first"] - 0.9 * before, theirs["first"] - 0.9 * before
    check(f"gradient{case}", distance(gradient, wanted), 1e-3)
    offset, worst, zeros = 0, (0.0, ""), []
    for name, shape in description.shapes().items():
        end = offset + int(np.prod(shape))
        worst = max(worst, (distance(gradient[offset:end], wanted[offset:end]), name))
        if not wanted[offset:end].any():
            zeros.append(name)
        offset = end
    check(f"gradient{case} of {worst[1]}, the worst", worst[0], 1e-2)
    assert zeros == ["latent_std"], zeros  # nothing else may be left uncompared
    check(f"squares{case}", distance(ours["second"], theirs["second"]), 1e-3)
    # A model's first step is as long as the rate, whatever the gradient: where that is nearly zero, its sign may differ.
    for name in ("weights", "average"):
        check(f"{name}{case}", distance(ours[name], theirs[name]), 1e-5 if case == "" else 1e-3)
    model_texts = read_safetensors(f"cpu{case}.safetensors")[1]
    for p, q in zip(json.loads(our_texts["results"]), json.loads(model_texts["results"]), strict=True):
        for key in ("bpp", "bpp_hyper"):
            check(f"{key}{case} at {p['level']}", abs(p[key] / q[key] - 1), 5e-4)
        # Where the bits differ by a symbol or so, as they do on some CPUs, the pictures do, too.
        check(f"psnr{case} at {p['level']}", abs(p["psnr"] - q["psnr"]), 1e-3 if abs(p["bpp"] / q["bpp"] - 1) < 1e-6 else 1e-2)
assert not failures, failures
PYTHON
cat "$OUT"

# There and back: a model of the other's checkpoint, and more steps from it.
expect_exit 0 "$DECANT" train --export --checkpoint torch.checkpoint --out torch.safetensors
expect_exit 0 "$DECANT" info torch.safetensors
expect_matches "$OUT" '^  steps +41$'
expect_matches "$OUT" '^  program +torch_train'
expect_exit 0 "$DECANT" train "${options[@]}" --quantiser scalar --steps 42 --config tiny.json --checkpoint torch.checkpoint --out further.safetensors
expect_contains "$ERR" '42 steps'
popd >/dev/null
done

expect_exit 1 "$python" "$tools/torch_train.py" --data data --checkpoint none.checkpoint
expect_contains "$ERR" 'there is no such checkpoint'

# What gray pictures use of the model for colours: all of it, where the recipe leaves it as wide.
narrow=("$python" "$tools/torch_narrow.py" --from 3/start.safetensors --data data --crops 4)
expect_exit 0 "${narrow[@]}" --recipe 1/tiny.json --checkpoint whole.checkpoint
sed 's/"klt1", "channels": 12/"klt1", "channels": 8/; s/"lap1", "channels": 12/"lap1", "channels": 8/; s/"block1.b", "channels": 12/"block1.b", "channels": 8/
    s/"klt2", "channels": 192/"klt2", "channels": 128/; s/"conv1", "channels": 12,/"conv1", "channels": 10,/' 1/tiny.json >narrow.json
expect_exit 0 "${narrow[@]}" --recipe narrow.json --set 'serves=[1, 2]' --set companion=other --checkpoint narrow.checkpoint
expect_exit 2 "${narrow[@]}" --recipe narrow.json --checkpoint narrow.checkpoint
expect_contains "$ERR" 'narrow.checkpoint exists'
"$python" - >"$OUT" 2>"$ERR" <<'PYTHON' || fail "the narrow models do not do what the wide one does"
import numpy as np
import torch
from PIL import Image
from torch_codec import Description, Parameters, codec_step, read_model, read_safetensors

torch.set_grad_enabled(False)
gray = torch.from_numpy(np.asarray(Image.open("data/dd.png").convert("L"))[None, :256, :256, None].copy())

def loss(description, values):
    quality = torch.tensor([1.3])
    return codec_step(description, Parameters(description, values.clone()), gray.expand(-1, -1, -1, description.colours), quality, torch.ones(1)).loss.item()

def narrow(path):
    arrays, texts = read_safetensors(path)
    return loss(Description(texts["description"]), torch.from_numpy(arrays["weights"].copy()))

wide, whole, less = loss(*read_model("3/start.safetensors")), narrow("whole.checkpoint"), narrow("narrow.checkpoint")
print(wide, whole, less)
assert abs(whole / wide - 1) < 0.03, "other bases, but the same function"
assert whole != less and less < 1.5 * wide, "a narrower one loses little"
PYTHON
cat "$OUT"
expect_exit 0 "$DECANT" train --data data --batch 4 --crop 80 --config narrow.json --set serves='[1, 2]' --set companion=other --steps 2 --checkpoint narrow.checkpoint --out narrow.safetensors
expect_contains "$ERR" '2 steps'
