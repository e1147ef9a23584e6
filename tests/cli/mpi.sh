#!/usr/bin/env bash
# Several ranks: 2 and 4 train to the numbers of one, to rounding; a batch is shared out, each file once.
source "$(dirname "$0")/lib.bash"

if ! command -v mpirun >/dev/null || [[ ! -e $(dirname -- "$DECANT")/decant_mpi.so ]]; then
    echo "skipped: there is no mpirun, or decant_mpi.so was not built (Debian: libopenmpi-dev, openmpi-bin)"
    exit 77
fi
# As root, on one machine of few cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_NUM_THREADS=1
ranks=(mpirun --oversubscribe -np)

mkdir data
for i in {1..8}; do make_png "data/$i.png" $((264 + i)) 260; done
recipe=$(realpath -- "$SAMPLES/../models/recipes/autoencoder-quantised.json")
train=(train --config "$recipe" --data data --steps 12 --batch 8 --shards 4 --compute f32 --progress never)
expect_exit 0 "$DECANT" "${train[@]}" --out one.safetensors
for number in 2 4; do
    expect_exit 0 "${ranks[@]}" "$number" "$DECANT" "${train[@]}" --out "ranks$number.safetensors"
    python3 - one.safetensors "ranks$number.safetensors" <<'PYTHON' || fail "$number ranks train other numbers"
import json, struct, sys
def tensors(path):
    data = open(path, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    for name, t in header.items():
        if name == "__metadata__": continue
        raw = data[8 + length + t["data_offsets"][0]:8 + length + t["data_offsets"][1]]
        if t["dtype"] == "F32":
            yield name, struct.unpack(f"<{len(raw) // 4}f", raw)
        else:
            yield name, [struct.unpack("<f", b"\0\0" + raw[i:i + 2])[0] for i in range(0, len(raw), 2)]
a, b = dict(tensors(sys.argv[1])), dict(tensors(sys.argv[2]))
assert a.keys() == b.keys()
scale = difference = 0.0
for name in a:
    for x, y in zip(a[name], b[name]):
        scale += x * x
        difference += (x - y) ** 2
print("relative difference", (difference / scale) ** 0.5)
assert difference < 1e-4 * scale  # bf16 in the file, and rounding on the way
PYTHON
done
expect_exit 1,2 "${ranks[@]}" 3 "$DECANT" "${train[@]}" --out three.safetensors
expect_contains "$ERR" "multiple of the 3 ranks"
expect_no_file three.safetensors


mkdir pictures
for i in {1..12}; do make_png "pictures/$i.png" $((40 + i)) 40; done
expect_exit 0 "$DECANT" encode pictures --output-dir alone
expect_exit 0 "${ranks[@]}" 3 "$DECANT" encode pictures --output-dir shared --json
(($(sort -u "$OUT" | grep -c '"status":"ok"') == 12)) || fail "not each picture once"
for i in {1..12}; do expect_same "alone/$i.dcn" "shared/$i.dcn"; done
expect_contains "$ERR" "12 of 12 files"
echo junk >pictures/7.png
expect_exit 1 "${ranks[@]}" 3 "$DECANT" encode pictures --output-dir spoilt
expect_contains "$ERR" "7.png"
expect_contains "$ERR" "11 of 12 files"
expect_exit 1,2 "${ranks[@]}" 2 "$DECANT" eval pictures
expect_contains "$ERR" "without mpirun"
