#!/usr/bin/env bash
# Where models come from: $DECANT_MODELS first, names and files, and the one that a .dcn file asks for.
source "$(dirname "$0")/lib.bash"

make_png a.png
expect_exit 0 "$DECANT" models --json
photo=$(field file)
identity=$(field identity)
expect_file "$photo"

# By name from $DECANT_MODELS, and by file.
mkdir mine
cp "$photo" mine/other.safetensors
expect_exit 0 env DECANT_MODELS=mine "$DECANT" models
expect_contains "$OUT" mine/other.safetensors
expect_exit 0 env DECANT_MODELS=mine "$DECANT" encode -m other a.png -o by_name.dcn
expect_exit 0 "$DECANT" encode -m mine/other.safetensors a.png -o by_file.dcn
expect_exit 0 "$DECANT" encode a.png -o by_default.dcn
expect_same by_name.dcn by_file.dcn
expect_same by_name.dcn by_default.dcn

# What the model holds.
expect_exit 0 "$DECANT" info mine/other.safetensors
expect_contains "$OUT" "$identity"
expect_matches "$OUT" '^synthesis .*parameters .*kMAC/pixel$'
expect_matches "$OUT" '^  decoder +[0-9]+ +[0-9.]+$'
expect_exit 0 "$DECANT" info --json mine/other.safetensors
python3 - "$OUT" "$identity" <<'PYTHON' || fail "the object does not add up"
import json, sys
model = json.load(open(sys.argv[1]))
assert model["identity"] == sys.argv[2]
for network in model["networks"]:
    assert network["parameters"] == sum(layer["parameters"] for layer in network["layers"])
assert model["parameters"] == sum(network["parameters"] for network in model["networks"])
assert 0 < model["decoder_kmac_per_pixel"] < model["encoder_kmac_per_pixel"] + model["decoder_kmac_per_pixel"]
PYTHON

# A copy of the program without models beside it: an error that names the model. With the model it works again.
mkdir bin
cp "$DECANT" bin/decant
expect_exit 4 bin/decant decode by_name.dcn -o back.png
expect_matches "$ERR" "^decant: by_name\.dcn: .*$identity"
expect_no_file back.png
expect_exit 1 bin/decant models
expect_exit 0 env DECANT_MODELS=mine bin/decant decode by_name.dcn -o back.png
expect_exit 0 bin/decant decode -m mine/other.safetensors by_name.dcn -o back2.png
expect_same back.png back2.png

# High qualities are those of a companion's companion, both lie beside it; without one of them, an error that names the file.
expect_exit 0 "$DECANT" encode -q 90 a.png -o high.dcn
for missing in photo-low photo-high; do
    expect_exit 1 "$DECANT" encode -q 90 -m mine/other.safetensors a.png -o high2.dcn
    expect_matches "$ERR" "^decant: .*$missing\\.safetensors"
    expect_no_file high2.dcn
    expect_exit 4 "$DECANT" decode -m mine/other.safetensors high.dcn -o high.png
    expect_no_file high.png
    cp "$(dirname "$photo")/$missing.safetensors" mine
done
expect_exit 0 "$DECANT" encode -q 90 -m mine/other.safetensors a.png -o high2.dcn
expect_same high.dcn high2.dcn
expect_exit 0 "$DECANT" decode -m mine/other.safetensors high.dcn -o high.png
expect_exit 0 env DECANT_MODELS=mine bin/decant decode high.dcn -o high3.png
expect_same high.png high3.png
expect_exit 0 "$DECANT" info mine/other.safetensors
expect_matches "$OUT" '^  companion +photo-low$'
expect_matches "$OUT" '^  gray +photo-gray$'

# A damaged model beside a good one does not matter; alone it is the error.
head -c 5000 "$photo" >mine/broken.safetensors
expect_exit 0 env DECANT_MODELS=mine bin/decant decode by_name.dcn -o back3.png
expect_exit 4 "$DECANT" encode -m mine/broken.safetensors a.png -o none.dcn
expect_matches "$ERR" '^decant: .*broken\.safetensors'
expect_exit 4 "$DECANT" info mine/broken.safetensors
