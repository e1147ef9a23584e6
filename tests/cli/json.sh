#!/usr/bin/env bash
# --json: one object a file on stdout and nothing else there; words stay on stderr.
source "$(dirname "$0")/lib.bash"

make_png a.png
make_png b.png 50 40
make_png c.png 40 30 8 1

# check VERB EXPRESSION  each line of $OUT is an object with the keys of the contract; EXPRESSION over `rows` holds.
check() {
    local line
    while IFS= read -r line; do
        python3 -m json.tool <<<"$line" >/dev/null || fail "no JSON: $line"
    done <"$OUT"
    python3 - "$OUT" "$1" <<'PYTHON' || fail "does not hold: $1"
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
keys = "input output status input_bytes output_bytes width height depth bpp psnr seconds model error".split()
for row in rows:
    missing = [key for key in keys if key not in row]
    assert not missing, f"keys missing: {missing} in {row}"
    assert row["status"] in ("ok", "skipped", "failed"), row["status"]
    if row["status"] == "ok":
        assert not row["error"], row
        assert isinstance(row["seconds"], (int, float)) and row["seconds"] >= 0, row
        assert isinstance(row["model"], str) and row["model"], row
    if row["status"] == "failed":
        assert isinstance(row["error"], str) and row["error"], row
by_input = {row["input"]: row for row in rows}
assert eval(sys.argv[2]), json.dumps(rows, indent=1)
PYTHON
}

expect_exit 0 "$DECANT" encode --json a.png b.png c.png
check 'len(rows) == 3 and {r["input"] for r in rows} == {"a.png", "b.png", "c.png"} and all(r["status"] == "ok" for r in rows)'
check '(lambda r: r["output"] == "a.dcn" and (r["width"], r["height"], r["depth"]) == (64, 48, 8))(by_input["a.png"])'
check '(by_input["c.png"]["width"], by_input["c.png"]["height"], by_input["c.png"]["depth"]) == (40, 30, 8)'
check "by_input['a.png']['input_bytes'] == $(stat -c %s a.png) and by_input['a.png']['output_bytes'] == $(stat -c %s a.dcn)"
check 'all(abs(r["bpp"] - r["output_bytes"] * 8 / (r["width"] * r["height"])) < 0.01 for r in rows)'

expect_exit 0 "$DECANT" decode --json a.dcn b.dcn --output-dir back
check 'len(rows) == 2 and all(r["status"] == "ok" and r["output"] == "back/" + r["input"][0] + ".png" for r in rows)'
check "by_input['a.dcn']['output_bytes'] == $(stat -c %s back/a.png) and by_input['a.dcn']['width'] == 64"

# Skipped and failed files have their line too.
expect_exit 1 "$DECANT" encode --json --skip-existing a.png missing.png
check 'len(rows) == 2 and by_input["a.png"]["status"] == "skipped" and by_input["missing.png"]["status"] == "failed"'
expect_matches "$ERR" '^decant: missing\.png: .'
head -c 40 a.dcn >cut.dcn
expect_exit 4 "$DECANT" decode --json cut.dcn --output-dir back
check 'len(rows) == 1 and rows[0]["status"] == "failed"'

# --verify knows the error; --skip-if-larger keeps a picture that is smaller than its .dcn file.
expect_exit 0 "$DECANT" encode --json --verify a.png -o verified.dcn
check 'rows[0]["status"] == "ok" and 10 < rows[0]["psnr"] < 100'
printf 'P5 1 1 255\n.' >dot.pgm
expect_exit 0 "$DECANT" encode --json --skip-if-larger dot.pgm -o dot.dcn
expect_no_file dot.dcn
check 'rows[0]["status"] == "skipped"'

# Names that JSON must escape.
cp a.png 'quote " back\slash é.png'
expect_exit 0 "$DECANT" encode --json 'quote " back\slash é.png'
check 'len(rows) == 1 and rows[0]["input"] == "quote \" back\\slash é.png"'

# Progress and verbosity never reach stdout.
expect_exit 0 "$DECANT" encode --json -v --progress always -f a.png
check 'len(rows) == 1'

# More quality is more bytes and a smaller error; a target is reached as reported.
cp "$SAMPLES/film_grain.png" grain.png
expect_exit 0 "$DECANT" encode --json -q 20 grain.png -o low.dcn
low=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["output_bytes"])' "$OUT")
expect_exit 0 "$DECANT" encode --json -q 80 grain.png -o high.dcn
check "rows[0]['output_bytes'] > $low"
if has_option encode --target-size; then
    expect_exit 0 "$DECANT" encode --json --target-size 6000 grain.png -o target.dcn
    check "rows[0]['output_bytes'] == $(stat -c %s target.dcn)"
fi

# info and models give JSON as well.
for arguments in 'info a.dcn' models; do
    # shellcheck disable=SC2086
    expect_exit 0 "$DECANT" $arguments --json
    expect_file "$OUT"
    while IFS= read -r line; do
        python3 -m json.tool <<<"$line" >/dev/null || fail "no JSON: $line"
    done <"$OUT"
done

# eval writes one report in the field's form.
expect_exit 0 "$DECANT" eval --json a.png b.png
python3 - "$OUT" <<'PYTHON' || fail "not the form of a report"
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
assert isinstance(report["name"], str) and isinstance(report["description"], str)
columns = [report["results"][key] for key in ("bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time", "decoding_time")]
assert all(isinstance(column, list) and column for column in columns)
assert len({len(column) for column in columns}) == 1
assert all(value is None or isinstance(value, (int, float)) for column in columns for value in column)
assert all(value > 0 for value in report["results"]["bpp"])
PYTHON
