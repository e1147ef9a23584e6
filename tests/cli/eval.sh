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
python3 -c 'import json, sys; assert abs(json.load(open(sys.argv[1]))["bd-rate"][0]["percent"] - 100) < 1e-6' "$OUT" || fail "not +100 %"

# Other codecs in the same run, and a file among them; the same in CSV.
expect_exit 0 "$DECANT" eval --repeats 1 -q 20,50,80 --against jpeg,same.json,webp --json --csv table.csv a.png b.png
python3 - "$OUT" table.csv <<'PYTHON' || fail "not the expected reports"
import csv, json, sys
report = json.load(open(sys.argv[1]))
assert [other["name"] for other in report["against"]] == ["JPEG", "WebP"]
for key in "picture_percents", "picture_bd_psnrs":
    assert [len(delta[key]) for delta in report["bd-rate"]] == [2, 2, 0]
assert all(psnr > 0 for delta in report["bd-rate"] for psnr in delta["picture_bd_psnrs"])
assert all(abs(percent / delta["percent"] - 1) < 0.5 for delta in report["bd-rate"][:2] for percent in delta["picture_percents"])
assert [delta["against"] for delta in report["bd-rate"]] == ["JPEG", "WebP", report["name"]], report["bd-rate"]
for codec in [report, *report["against"]]:
    results = codec["results"]
    assert len({len(values) for values in results.values()}) == 1
    for key in "bpp", "psnr-rgb", "psnr-y", "ssim-rgb", "ms-ssim-rgb", "max-error", "encoding_time", "decoding_speed":
        assert all(value > 0 for value in results[key]), key
    assert sorted(results["psnr-rgb"]) == results["psnr-rgb"]
    assert [picture["picture"] for picture in codec["pictures"]] == ["a.png", "b.png"]
rows = list(csv.DictReader(open(sys.argv[2])))
assert len(rows) == 2 * (3 + 6 + 6) and {row["codec"] for row in rows} == {report["name"], "JPEG", "WebP"}
assert float(rows[0]["bpp"]) == report["pictures"][0]["bpp"][0]
PYTHON
expect_exit 1 "$DECANT" eval -q 20,50 --csv table.csv a.png  # is there already
expect_matches "$ERR" '^decant: .*table\.csv'

# A codec that is missing is said: that its library is, or that it is no codec and no file.
for codec in jp2 avif heic jxl; do
    expect_exit 0,1 "$DECANT" eval --repeats 1 -q 20,80 --against $codec b.png
    if [[ -s $OUT ]]; then expect_matches "$OUT" '^BD-rate against '; else expect_matches "$ERR" '^decant: .*needs .*install'; fi
done
expect_exit 1 "$DECANT" eval -q 20,80 --against gif a.png
expect_matches "$ERR" '^decant: .*gif'

# Refused before anything is measured, or said after it.
expect_exit 2 "$DECANT" eval -q 50 --against same.json a.png
expect_exit 2 "$DECANT" eval -q 20,,80 a.png
echo '{}' >no_report.json
expect_exit 1,4 "$DECANT" eval -q 20,80 --against no_report.json a.png
expect_matches "$ERR" '^decant: no_report\.json: .'
expect_empty "$OUT"
mkdir empty
expect_exit 3 "$DECANT" eval empty
