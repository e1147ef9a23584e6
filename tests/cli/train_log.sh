#!/usr/bin/env bash
# train --log and --html: the table goes on over an interruption without doubling, the page follows the training and shows what it shows
# without a network.
source "$(dirname "$0")/lib.bash"

mkdir data
for name in aa bb; do  # by its name, bb is held out
    cp "$SAMPLES/landscape.png" data/$name.png
done
cat >recipe.json <<'JSON'
{
  "name": "small", "task": "denoise",
  "networks": {"denoise": {"channels_in": 4, "layers": [
    {"name": "head", "channels": 8, "kernel": 3, "activation": "relu"},
    {"name": "tail", "channels": 3, "kernel": 3}]}},
  "training": {"data": "data", "steps": 40, "batch": 1, "shards": 1, "crop": 64, "validate_every": 10}
}
JSON
train=("$DECANT" train --config recipe.json --out small.safetensors --checkpoint kept.checkpoint)

expect_exit 0 "${train[@]}" --steps 20 --log log.csv --html page.html
expect_only . data data/aa.png data/bb.png recipe.json small.safetensors kept.checkpoint log.csv page.html
check_log() {  # STEP...  of the validations
    python3 - "$@" <<'PYTHON' || fail "log.csv is not as it should be"
import csv, math, sys
rows = list(csv.DictReader(open("log.csv")))
steps = [int(row["step"]) for row in rows]
assert steps == sorted(set(steps)), steps
validated = [int(row["step"]) for row in rows if row["validation_loss"]]
assert validated == [int(a) for a in sys.argv[1:]], validated
for row in rows:
    for key in ("seconds", "learning_rate", "loss", "gradient_norm", "psnr"):
        assert math.isfinite(float(row[key])), row
    assert row["bpp"] == ""
    if row["validation_loss"]:
        values = [float(row["validation_psnr_" + name]) for name in ("sigma_0", "sigma_15", "sigma_25", "sigma_50", "mixture")]
        assert abs(sum(values) / 5 + float(row["validation_loss"])) < 1e-6
PYTHON
}
check_log 10 20
cp page.html first.html
# Goes on; a line that was cut off, and lines of steps that are done again, are gone.
printf '35,1,0.1,1,1,,30,,,,,,\n36,1,0.1' >>log.csv
expect_exit 0 "${train[@]}" -f --steps 40 --log log.csv --html page.html
check_log 10 20 30 40
# Without the table the page itself remembers.
cp first.html alone.html
rm kept.checkpoint
expect_exit 0 "${train[@]}" -f --steps 20 --html other.html
expect_exit 0 "${train[@]}" -f --steps 40 --html alone.html
python3 - <<'PYTHON' || fail "the page lost its beginning"
import json, re
data = json.loads(re.search(r'id="data">(.*?)</script>', open("alone.html", encoding="utf-8").read(), re.S).group(1))
loss = next(chart for chart in data["charts"] if chart["title"].startswith("Loss of the held-out"))
assert [x for x, y in loss["series"][0]["points"]] == [10, 20, 30, 40], loss
assert len(data["examples"]) == 3 and [p["label"] for p in data["examples"][0]["pictures"]] == ["original", "noisy", "denoised"]
PYTHON
expect_contains alone.html 'finished: step 40 of 40'
expect_lacks alone.html 'http-equiv="refresh"'
! grep -oE '(src|href)="?(https?:)?//[^"]*' alone.html || fail "the page refers to something else"
[[ $(stat -c %s alone.html) -lt 4000000 ]] || fail "the page is too large"

# What exists is overwritten on demand only.
rm kept.checkpoint
expect_exit 1 "${train[@]}" -f --steps 1 --log nowhere/log.csv
mv small.safetensors kept.safetensors
expect_exit 1 "${train[@]}" --steps 1 --html page.html
expect_contains "$ERR" 'page.html: exists already'
expect_no_file small.safetensors

# While it goes on the page loads itself again; interrupted it does not.
python3 - "$DECANT" train --config recipe.json --out long.safetensors --steps 1000000 --html long.html --progress always <<'PYTHON' || fail "not interrupted as it should be"
import os, signal, subprocess, sys
def restore():  # a shell in the background starts its children with SIGINT ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)
process = subprocess.Popen(sys.argv[1:], preexec_fn=restore, stderr=subprocess.PIPE, text=True)
validations = 0
for line in process.stderr:  # the line is there before the page
    validations += ", held out: " in line and line.startswith("step")
    if validations == 2:
        break
assert os.path.exists("long.html")
assert 'http-equiv="refresh"' in open("long.html", encoding="utf-8").read()
process.send_signal(signal.SIGINT)
words = process.communicate(timeout=60)[1]
assert process.returncode == 130, (process.returncode, words)
PYTHON
expect_contains long.html 'stopped: step'
expect_lacks long.html 'http-equiv="refresh"'

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "skipped: no Chromium; Debian has it as the package chromium"
    exit 77
}
cat >probe.html <<'HTML'
<script>
{
const seen = {};
seen.charts = document.querySelectorAll("svg.chart").length;
seen.curves = document.querySelectorAll("path.curve").length;
seen.examples = document.querySelectorAll(".examples img").length;
seen.rows = document.querySelectorAll("tbody tr").length;
const chart = document.querySelector("svg.chart");
chart.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
seen.value = /at step/.test(chart.parentElement.querySelector("figcaption").textContent);
seen.alt = [...document.images].every(image => image.alt);
seen.fetched = performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length;
const done = () => {
    seen.decoded = [...document.images].every(image => image.complete && image.naturalWidth > 0);
    document.body.dataset.seen = JSON.stringify(seen);
};
document.readyState === "complete" ? done() : addEventListener("load", done);
}
</script>
HTML
cat alone.html probe.html >probed.html
timeout 100 "$chromium" --headless --no-sandbox --disable-gpu --user-data-dir="$TEMP/profile" --virtual-time-budget=8000 \
    --enable-logging=stderr --dump-dom "file://$PWD/probed.html" >dom 2>browser.log || fail "the browser failed"
! grep -a CONSOLE browser.log || fail "messages on the browser's console"
python3 - <<'PYTHON' || fail "not what a reader should see"
import html, json, re
seen = json.loads(html.unescape(re.search(r'data-seen="([^"]*)"', open("dom", encoding="utf-8").read()).group(1)))
print(seen)
assert seen["charts"] == 6 and seen["curves"] >= 6 and seen["examples"] == 9 and seen["rows"] == 5
assert seen["value"] and seen["alt"] and seen["decoded"] and seen["fetched"] == 0
PYTHON
