#!/usr/bin/env bash
# --help and --version of the program and of each verb: on stdout, exit code 0, and complete.
source "$(dirname "$0")/lib.bash"

verbs=(encode decode denoise eval compare info train embed anomaly sample models)

for flag in --help -h; do
    expect_exit 0 "$DECANT" $flag
    expect_empty "$ERR"
    for verb in "${verbs[@]}"; do
        expect_matches "$OUT" "(^|[^a-z])$verb([^a-z]|\$)"
    done
done
for flag in --version -V; do
    expect_exit 0 "$DECANT" $flag
    expect_empty "$ERR"
    expect_matches "$OUT" '^decant .*[0-9]+\.[0-9]+\.[0-9]+'
    expect_contains "$OUT" oneDNN
done

# expect_options OPTION...  the last help text names them all.
expect_options() {
    local option
    for option in "$@"; do
        expect_matches "$OUT" "(^|[[:space:],[])$option([^a-z-]|\$)"
    done
}

files=(--output --output-dir --recursive --files-from --force --skip-existing)
batch=(--threads --max-pixels --dry-run --fail-fast --json --progress --quiet --help)
for verb in "${verbs[@]}"; do
    expect_exit 0 "$DECANT" "$verb" -h
    cp "$OUT" short
    expect_exit 0 "$DECANT" "$verb" --help
    expect_same "$OUT" short
    expect_empty "$ERR"
    expect_contains "$OUT" "decant $verb"
    case $verb in
        encode) expect_options "${files[@]}" "${batch[@]}" --model --quality --skip-if-larger --verify ;;
        decode) expect_options "${files[@]}" "${batch[@]}" --model --format ;;
        embed) expect_options "${files[@]}" "${batch[@]}" --model --pooled ;;
        anomaly) expect_options --learn --out --model --output-dir --recursive --json --help ;;
        sample) expect_options --model --output --count --side --seed --help ;;
        denoise) expect_options "${files[@]}" "${batch[@]}" --model --sigma --strength --format ;;
        eval) expect_options --json --threads --recursive --model --quality --against --output-dir ;;
        compare) expect_options --json --recursive ;;
        train) expect_options --data --out --config --from --checkpoint --export --steps --seed --quiet ;;
        info | models) expect_options --json ;;
    esac
    # An entry is a line that starts with an option, and the lines below it that are indented deeper. It has words, and a default
    # ("default 90", "default: off", or Boost's "(=90)").
    python3 - "$OUT" <<'PYTHON' || fail "$verb --help: an option without meaning or default"
import re, sys
entries = []
for line in open(sys.argv[1], encoding="utf-8"):
    if re.match(r"\s{1,8}-", line):
        entries.append(line.rstrip("\n"))
    elif entries and re.match(r"\s{9,}\S", line):
        entries[-1] += " " + line.strip()
    elif line.strip():
        entries.append("") if entries else None
entries = [entry for entry in entries if entry]
assert entries, "no options are listed"
for entry in entries:
    assert len(re.findall(r"[A-Za-z]{2,}", re.sub(r"--?[a-zA-Z-]+", "", entry))) >= 2, f"no meaning: {entry}"
    if not re.search(r"--(help|version)\b", entry):
        assert re.search(r"default|\(=", entry, re.I), f"no default: {entry}"
PYTHON
done
