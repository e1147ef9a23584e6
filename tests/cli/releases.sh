#!/usr/bin/env bash
# tools/measure_release.py keeps results, tools/compare_releases.py finds what became worse: made-up regressions on both sides of each limit.
source "$(dirname "$0")/lib.bash"
TOOLS=$(realpath -- "$SAMPLES/../tools")

# make_up FOLDER [bits=FACTOR] [db=DB] [noise_db=DB] [encoding=FACTOR] [decoding=FACTOR] [denoising=FACTOR] [machine=FACTOR] [avif=FACTOR]
# results of a release: so many times the bits, dB more, times the seconds; of the whole machine, or of one of the codecs beside it.
make_up() {
    python3 - "$@" <<'PYTHON'
import json, os, sys
folder, change = sys.argv[1], dict(argument.split("=") for argument in sys.argv[2:])
of = lambda key, neutral=1: float(change.get(key, neutral))
qualities = [0, 25, 50, 75, 100]
def report(name, bits, db, encode, decode):
    return {"name": name, "results": {
        "q": qualities, "bpp": [bits * 0.05 * 2 ** (q / 18) for q in qualities], "psnr-rgb": [25 + q * (0.25 - q / 2000) + db for q in qualities],
        "encoding_time": [encode * (1 + q / 100) for q in qualities], "decoding_time": [decode * (1 + q / 200) for q in qualities]}}
m = of("machine")
compression = report("decant", of("bits"), of("db", 0), 0.02 * m * of("encoding"), 0.01 * m * of("decoding"))
compression["against"] = [report("JPEG", 2, 0, 0.002 * m, 0.002 * m), report("AVIF", 1, 0, 0.3 * m * of("avif"), 0.02 * m * of("avif")),
                          report("WebP", 1.4, 0, 0.06 * m, 0.01 * m)]
denoising = {"name": "decant", "results": {"sigma": [15, 25, 50], "psnr-rgb": [33 + of("noise_db", 0), 31, 28],
             "denoising_time": [0.1 * m * of("denoising")] * 3, "nlm-denoising_time": [1.5 * m] * 3}}
os.makedirs(folder)
for name, value in ("kodak", compression), ("kodak-denoise", denoising):
    json.dump(value, open(f"{folder}/{name}.json", "w"))
PYTHON
}

# expect_regressions COUNT [CHANGE...]  as of make_up, beside a release without them
expect_regressions() {
    local count=$1
    shift
    rm -rf new
    make_up new "$@"
    expect_exit "$((count > 0))" "$TOOLS/compare_releases.py" old new
    [[ $(grep -c 'REGRESSION$' "$OUT") == "$count" ]] || fail "not $count regressions with $*"
}

make_up old
expect_regressions 0
expect_regressions 0 machine=3
# A percent of the bits is about 0.05 dB on this curve, so either is tried by itself only well within the limits, or beyond both.
expect_regressions 0 bits=1.006
expect_regressions 2 bits=1.02
expect_regressions 0 bits=0.9
expect_regressions 0 db=-0.03
expect_regressions 2 db=-0.1
expect_regressions 0 noise_db=-0.04
expect_regressions 1 noise_db=-0.06
for what in encoding decoding denoising; do
    expect_regressions 0 $what=1.09
    expect_regressions 1 $what=1.13
    expect_contains "$OUT" "$what speed beside others: -11.5 %   REGRESSION"
    expect_regressions 1 machine=0.2 $what=1.13
done
# What a release says was worth it does not count; the rest does.
rm -rf new
make_up new decoding=1.5 encoding=1.5
echo '{"decoding speed beside others": "for better pictures"}' >new/accepted.json
expect_exit 1 "$TOOLS/compare_releases.py" old new
expect_contains "$OUT" 'decoding speed beside others: -33.3 %   accepted: for better pictures'
expect_contains "$OUT" 'encoding speed beside others: -33.3 %   REGRESSION'
[[ $(grep -c REGRESSION "$OUT") == 1 ]] || fail "not one regression"
# One codec that became faster with its library is no regression of ours.
expect_regressions 0 avif=0.3

# bits=1.02 is +2 % and nothing else, as decant computes it.
rm -rf new
make_up new bits=1.02
expect_exit 1 "$TOOLS/compare_releases.py" old new
expect_contains "$OUT" 'bits at the same PSNR: +2.00 %   REGRESSION'

# Results or codecs that are gone, the versions in a folder, what cannot be read.
rm new/kodak-denoise.json
expect_exit 1 "$TOOLS/compare_releases.py" old new
expect_contains "$OUT" 'kodak-denoise.json: results: are gone   REGRESSION'
make_up results/0.9.0 bits=1.5
make_up results/0.10.0 bits=1.2
expect_exit 0 "$TOOLS/compare_releases.py" results
make_up results/0.11.0 bits=1.3
expect_exit 1 "$TOOLS/compare_releases.py" results
expect_contains "$OUT" 'results/0.11.0 beside results/0.10.0'
expect_exit 2 "$TOOLS/compare_releases.py" old nowhere-at-all here
expect_exit 2 "$TOOLS/compare_releases.py" nowhere old
echo '{' >new/kodak.json
expect_exit 2 "$TOOLS/compare_releases.py" old new
mkdir one
mv old one/1.0.0
expect_exit 0 "$TOOLS/compare_releases.py" one
expect_contains "$OUT" 'nothing to compare with'

# Slower, on a CPU with other instructions: told, but no regression; worse pictures still are.
for change in encoding=2 bits=1.2; do
    rm -rf before after
    make_up before
    make_up after "$change"
    python3 - <<'PYTHON'
import json, os
for name in os.listdir("after"):
    report = json.load(open("after/" + name))
    json.dump({**report, "engine": "another"}, open("after/" + name, "w"))
PYTHON
    expect_exit $([[ $change == bits=* ]] && echo 1 || echo 0) "$TOOLS/compare_releases.py" before after
    expect_contains "$OUT" 'another instruction set'
done

# The results in the repository: of each release beside the one before.
expect_exit 0 "$TOOLS/compare_releases.py"

# What measure_release.py writes can be compared, and drawn. It needs all the codecs.
mkdir pictures
make_png pictures/a.png 200 170
make_png pictures/b.png 180 176
code=0
DECANT=$DECANT "$TOOLS/measure_release.py" pictures measured >"$OUT" 2>"$ERR" || code=$?
if ((code)); then
    expect_matches "$ERR" '(avif|jxl)\.so'
    echo "measure_release.py was not tested: $(grep '^decant:' "$ERR")"
    exit 0
fi
version=$("$DECANT" --version | sed -n '1s/decant //p')
expect_file "measured/$version/kodak.json" "measured/$version/kodak-denoise.json" measured/kodak.svg
expect_matches "$OUT" '^\| AVIF \| [+-]'
cp -r measured "$TEMP/again"
expect_exit 0 "$TOOLS/compare_releases.py" "measured/$version" "$TEMP/again/$version"
[[ $(grep -c '+0\.0' "$OUT") == 8 ]] || fail "results differ from themselves"
# decant reads them as curves, with the same BD-rate.
expect_exit 0 "$DECANT" eval -q 0,10,20,30,40,50,60,70,80,90,100 --repeats 1 --json --against "measured/$version/kodak.json" pictures
python3 -c 'import json, sys; assert abs(json.load(open(sys.argv[1]))["bd-rate"][0]["percent"]) < 0.01' "$OUT" || fail "not the same curve"
