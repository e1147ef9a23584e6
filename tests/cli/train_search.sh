#!/usr/bin/env bash
# train --search: a table of trials, the best one's model; interrupted or repeated it goes on with what it knows.
source "$(dirname "$0")/lib.bash"

mkdir data
for name in aa bb; do  # by its name, bb is held out
    cp "$SAMPLES/landscape.png" data/$name.png
done
cat >recipe.json <<'JSON'
{
  "name": "small", "task": "denoise",
  "networks": {"denoise": {"channels_in": 2, "layers": [
    {"name": "head", "channels": 4, "kernel": 3, "activation": "relu"},
    {"name": "tail", "channels": 1, "kernel": 3}]}},
  "training": {"data": "data", "batch": 1, "shards": 1, "crop": 64, "warm_up": 1}
}
JSON
search=("$DECANT" train --config recipe.json --out best.safetensors --quiet)

# A useful rate is better than none.
cat >grid.json <<'JSON'
{
  "method": "grid", "steps": 30,
  "values": {
    "training.rate": [1e-12, 3e-3],
    "networks.*.layers.*.activation": ["relu", "gelu"]
  }
}
JSON
expect_exit 0 "${search[@]}" --search grid.json --results results.jsonl --log table.csv --html page.html
expect_only . data data/aa.png data/bb.png recipe.json grid.json best.safetensors results.jsonl table.csv page.html
cp "$OUT" table
python3 - <<'PYTHON' || fail "not the results of a grid"
import csv, json
lines = [json.loads(line) for line in open("results.jsonl")]
assert len(lines) == 4 and len({line["recipe"] for line in lines}) == 4
assert {(line["values"]["training.rate"], line["values"]["networks.*.layers.*.activation"]) for line in lines} == {
    (rate, word) for rate in ("1e-12", "0.003") for word in ('"relu"', '"gelu"')}
best = min(lines, key=lambda line: line["loss"] if line["loss"] is not None else 1e9)
assert best["values"]["training.rate"] == "0.003", best
assert all(line["steps"] == 30 and line["seconds"] > 0 and len(line["validation"]) == 5 for line in lines)
rows = list(csv.DictReader(open("table.csv")))
assert len(rows) == 4 and rows[0]["training.rate"] == "0.003"
assert float(rows[0]["loss"]) == best["loss"] and float(rows[0]["psnr_0"]) == best["validation"][0]["psnr"]
losses = [float(row["loss"]) for row in rows if row["loss"]]
assert losses == sorted(losses)
PYTHON
expect_matches table '^rate +activation +budget +loss'
expect_contains page.html '4 of 4 trials'
expect_lacks page.html 'http-equiv="refresh"'
expect_exit 0 "$DECANT" info best.safetensors
expect_matches "$OUT" '^  recipe .*"rate":0.003'

# Nothing is done twice; what was cut off is.
cp best.safetensors kept.safetensors
expect_exit 0 "${search[@]}" --search grid.json --results results.jsonl
expect_same "$OUT" table
expect_same best.safetensors kept.safetensors

{ head -n 2 results.jsonl && sed -n 3p results.jsonl | head -c 50; } >cut.jsonl
expect_exit 0 "${search[@]}" --search grid.json --results cut.jsonl
cut -d, -f1-4 cut.jsonl >a
cut -d, -f1-4 results.jsonl >b
expect_same a b

# Interrupted in the middle of a trial.
cat >long.json <<'JSON'
{"method": "random", "steps": 100000, "trials": 3, "values": {"training.rate": {"low": 1e-4, "high": 1e-2, "scale": "log"}}}
JSON
python3 - "$DECANT" train --config recipe.json --out long.safetensors --search long.json --progress always <<'PYTHON' || fail "not interrupted as it should be"
import signal, subprocess, sys
def restore():  # a shell in the background starts its children with SIGINT ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)
process = subprocess.Popen(sys.argv[1:], preexec_fn=restore, stderr=subprocess.PIPE, text=True)
for line in process.stderr:
    if "step " in line:
        break
process.send_signal(signal.SIGINT)
words = process.communicate(timeout=60)[1]
assert process.returncode == 130 and "the same command goes on" in words, (process.returncode, words)
PYTHON
expect_file long.search.jsonl.*.checkpoint

# Halving, with time for a budget.
cat >halving.json <<'JSON'
{"method": "halving", "seconds": 0.2, "least": 0.1, "eta": 2, "trials": 2, "values": {"training.rate": {"low": 1e-4, "high": 1e-2, "scale": "log"}}}
JSON
expect_exit 0 "$DECANT" train --config recipe.json --out half.safetensors --search halving.json
[[ $(wc -l <half.search.jsonl) == 3 ]] || fail "not two trials and then one"
expect_contains "$ERR" 'trial 3 of 3'

# A trial whose recipe is wrong is a result, the first one's mistake is the search's.
sed 's/\[1e-12, 3e-3\]/[1e-3, 2]/' grid.json >wrong.json
expect_exit 0 "$DECANT" train --config recipe.json --out some.safetensors --search wrong.json --log some.csv
expect_contains some.csv 'training.rate=2: training.rate: 2 is out of range'
sed 's/training.rate/trainin.rate/' grid.json >wrong.json
expect_exit 2 "$DECANT" train --config recipe.json --out x.safetensors --search wrong.json
expect_contains "$ERR" 'there is no "trainin.rate"'
echo '{"steps": 1, "values": {"a": 1}}' >wrong.json
expect_exit 1,4 "$DECANT" train --config recipe.json --out x.safetensors --search wrong.json
expect_contains "$ERR" 'wrong.json: line 1: values.a: a list of values'
echo 'nothing' >broken.jsonl
expect_exit 1,4 "$DECANT" train --config recipe.json --out x.safetensors --search grid.json --results broken.jsonl
expect_exit 2 "$DECANT" train --config recipe.json --out x.safetensors --results x.jsonl
expect_no_file x.safetensors
