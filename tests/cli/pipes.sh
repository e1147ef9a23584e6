#!/usr/bin/env bash
# `-` is stdin and stdout: data and nothing else on stdout, also in the middle of a pipeline.
source "$(dirname "$0")/lib.bash"

make_png a.png
expect_exit 0 "$DECANT" encode a.png -o a.dcn
expect_exit 0 "$DECANT" decode a.dcn -o a_back.png

# stdin
expect_exit 0 "$DECANT" encode - -o from_stdin.dcn <a.png
expect_empty "$OUT"
expect_exit 0 "$DECANT" decode from_stdin.dcn -o from_stdin.png
expect_same from_stdin.png a_back.png
expect_exit 0 "$DECANT" decode - -o stdin_back.png <a.dcn
expect_same stdin_back.png a_back.png

# stdout
expect_exit 0 "$DECANT" encode a.png -o -
cp "$OUT" to_stdout.dcn
expect_same to_stdout.dcn a.dcn
expect_exit 0 "$DECANT" decode a.dcn -o -
expect_same "$OUT" a_back.png
expect_exit 0 "$DECANT" decode a.dcn --format ppm -o -
expect_magic "$OUT" 5036

# both ends, verbose, in one pipeline
"$DECANT" encode -v - -o - <a.png 2>"$ERR" | "$DECANT" decode -v - -o - >through.png 2>>"$ERR" || fail "the pipeline failed"
expect_same through.png a_back.png

# a list of names
printf 'a.png\n' >list
expect_exit 0 "$DECANT" encode --files-from - --output-dir listed <list
expect_only listed a.dcn

# nothing, nonsense or half a file on stdin: an error that says so, nothing on stdout, nothing left behind
expect_exit 1,4 "$DECANT" encode - -o - </dev/null
expect_empty "$OUT"
expect_matches "$ERR" '^decant: .'
expect_exit 1,4 "$DECANT" encode - -o none.dcn <list
expect_no_file none.dcn
head -c $(($(stat -c %s a.dcn) / 2)) a.dcn >half.dcn
expect_exit 4 "$DECANT" decode - -o - <half.dcn
expect_empty "$OUT"
expect_exit 1,4 "$DECANT" decode - -o - </dev/null
expect_empty "$OUT"

# two files would mix on stdout
expect_exit 2 "$DECANT" encode a.png from_stdin.png -o -

# a reader that goes away early: no hang, no crash, no file
code=0
timeout 60 "$DECANT" decode a.dcn -o - 2>"$ERR" | head -c 1 >/dev/null || code=$?
[[ $code != 124 && $code != 139 && $code != 134 ]] || fail "exit code $code after a closed pipe"
expect_only . a.png a.dcn a_back.png from_stdin.dcn from_stdin.png stdin_back.png to_stdout.dcn through.png list listed listed/a.dcn half.dcn
