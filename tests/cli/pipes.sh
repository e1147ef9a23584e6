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

# in the other verbs: denoise, info, compare (either side), eval
expect_exit 0 "$DECANT" denoise -m photo a.png -o clean.png
expect_exit 0 "$DECANT" denoise -m photo - -o - <a.png
expect_same "$OUT" clean.png
expect_exit 0 "$DECANT" info --json - <a.dcn
[[ $(field width) == 64 ]] || fail 'info of standard input'
expect_exit 0 "$DECANT" compare - a.png <a.png
expect_contains "$OUT" inf
expect_exit 0 "$DECANT" compare a.png - <a.png
expect_contains "$OUT" inf
expect_exit 0 "$DECANT" eval -q 50 - <a.png
rm clean.png
# ... and said once only
expect_exit 2 "$DECANT" encode - - -o x.dcn <a.png
printf -- '-\n' >minus
expect_exit 2 "$DECANT" encode - --files-from minus -o x.dcn <a.png
rm minus

# A stream that cannot be written to is an error of every verb, in words; the program does not take it for done.
for arguments in 'encode a.png -o -' 'encode a.png -o x.dcn --json' 'decode a.dcn -o -' 'denoise a.png -m photo -o -' 'info a.dcn' models \
    'compare a.png a.png' 'eval a.png' --help 'decode --help' --version; do
    # shellcheck disable=SC2086
    expect_exit 1 bash -c 'exec "$@" >/dev/full' bash "$DECANT" $arguments
    expect_contains "$ERR" 'standard output: cannot be written: No space left on device'
    rm -f x.dcn
    # shellcheck disable=SC2086
    expect_exit 1 bash -c 'exec "$@" >&-' bash "$DECANT" $arguments
    expect_contains "$ERR" 'standard output: cannot be written: Bad file descriptor'
    rm -f x.dcn
done
# With all three closed, nothing that is said lands in a file.
mkdir closed
cp a.png closed/a.png
cp a.png closed/b.png
: >closed/c.png
expect_exit 1 bash -c 'exec "$@" <&- >&- 2>&-' bash "$DECANT" encode -v closed
expect_same closed/a.dcn a.dcn
expect_same closed/b.dcn a.dcn
[[ ! -s closed/c.png ]] || fail 'an original was written to'
rm -r closed

# A reader that has gone away: no hang, no crash, no file. info and models have nothing to tidy up, so the signal ends them, silently.
python3 - "$DECANT" <<'PYTHON' || fail 'a closed pipe'
import os, signal, subprocess, sys
for arguments, code, said in (("encode a.png -o -", 1, "Broken pipe"), ("decode a.dcn -o -", 1, "Broken pipe"),
                              ("denoise a.png -m photo -o -", 1, "Broken pipe"), ("eval a.png", 1, "Broken pipe"),
                              ("info a.dcn", -signal.SIGPIPE, ""), ("models --json", -signal.SIGPIPE, "")):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.argv[1], *arguments.split()], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert done.returncode == code, (arguments, done)
    assert said in done.stderr and (said or not done.stderr), (arguments, done)
PYTHON
expect_only . a.png a.dcn a_back.png from_stdin.dcn from_stdin.png stdin_back.png to_stdout.dcn through.png list listed listed/a.dcn half.dcn

# A pipe with a name is read as a whole, once.
mkfifo named.png
(cat "$SAMPLES/chart.png" >named.png) &
expect_exit 0 "$DECANT" encode named.png -o named.dcn
wait $!
expect_exit 0 "$DECANT" encode "$SAMPLES/chart.png" -o chart.dcn
expect_same named.dcn chart.dcn
