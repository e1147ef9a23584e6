#!/usr/bin/env bash
# eval: a row a picture and quality, decoded pictures kept on request, the BD-rate against a published curve.
source "$(dirname "$0")/lib.bash"

make_png a.png 200 170
make_png b.png 180 176
expect_exit 0 "$DECANT" eval -q 20,50,80 a.png b.png
[[ $(grep -c '^[ab]\.png ' "$OUT") == 6 ]] || fail "not 6 rows of pictures"
expect_contains "$OUT" 'mean of 2 pictures'

# --output-dir keeps what was measured.
expect_exit 0 "$DECANT" eval a.png --output-dir kept
expect_only kept a.png
expect_exit 0 "$DECANT" encode a.png
expect_exit 0 "$DECANT" decode a.dcn -o back.png
expect_same back.png kept/a.png
expect_exit 1 "$DECANT" eval a.png --output-dir kept
expect_exit 0 "$DECANT" eval a.png --output-dir kept -f
expect_exit 0 "$DECANT" eval a.png -q 20,80 --output-dir several
expect_only several a_q20.png a_q80.png

# A report compared with itself, with the other name of the PSNR, and with half its rates.
expect_exit 0 "$DECANT" eval -q 20,40,60,80 --json a.png b.png
cp "$OUT" report.json
python3 - report.json same.json half.json <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
results = report["results"]
assert results["bpp"] == sorted(results["bpp"]) and len(results["bpp"]) == 4
results["psnr"] = results.pop("psnr-rgb")
json.dump(report, open(sys.argv[2], "w"))
results["bpp"] = [value / 2 for value in results["bpp"]]
json.dump(report, open(sys.argv[3], "w"))
PYTHON
expect_exit 0 "$DECANT" eval -q 20,40,60,80 --against same.json a.png b.png
expect_matches "$OUT" '^BD-rate against decant .*: [+-]?0\.0 %'
expect_exit 0 "$DECANT" eval -q 20,40,60,80 --against half.json --json a.png b.png
python3 -c 'import json, sys; assert abs(json.load(open(sys.argv[1]))["bd-rate"]["percent"] - 100) < 1e-6' "$OUT" || fail "not +100 %"

# Refused before anything is measured, or said after it.
expect_exit 2 "$DECANT" eval --against same.json a.png
expect_exit 2 "$DECANT" eval -q 20,,80 a.png
echo '{}' >no_report.json
expect_exit 1,4 "$DECANT" eval -q 20,80 --against no_report.json a.png
expect_matches "$ERR" '^decant: no_report\.json: .'
expect_empty "$OUT"
mkdir empty
expect_exit 3 "$DECANT" eval empty
