#!/usr/bin/env bash
# Ctrl-C in the middle of a batch: exit code 130, finished files stay whole, no partial and no temporary file. --skip-existing resumes.
source "$(dirname "$0")/lib.bash"

mkdir in
make_png a.png
for i in $(seq -w 300); do
    ln "$SAMPLES/film_grain.png" "in/$i.png" 2>/dev/null || cp "$SAMPLES/film_grain.png" "in/$i.png"
done
python3 - "$DECANT" <<'PYTHON' || fail "not interrupted as it should be"
import os, signal, subprocess, sys, time
def restore():  # a shell in the background starts its children with SIGINT ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)
process = subprocess.Popen([sys.argv[1], "encode", "in", "--output-dir", "out"], preexec_fn=restore, stderr=subprocess.PIPE)
deadline = time.time() + 60
while process.poll() is None and time.time() < deadline:
    if os.path.isdir("out") and any(name.endswith(".dcn") for name in os.listdir("out")):
        break
    time.sleep(0.01)
process.send_signal(signal.SIGINT)
process.communicate(timeout=60)
assert process.returncode == 130, f"exit code {process.returncode}"
left = [name for name in os.listdir("out") if not name.endswith(".dcn")]
assert not left, f"left behind: {left}"
finished = len(os.listdir("out"))
assert 0 < finished < 300, f"{finished} files were done"
PYTHON

# What was finished is whole, and a second run starts with the files that are not there yet.
expect_exit 0 "$DECANT" decode out --output-dir back
first=$(find out -name '*.dcn' | sort | head -n 1)
stamp=$(stat -c '%i %z' "$first")
find in -name '*.png' | sort | tail -n +4 | xargs rm -f
expect_exit 0 "$DECANT" encode --skip-existing in --output-dir out
[[ $(stat -c '%i %z' "$first") == "$stamp" ]] || fail "$first was written again"
expect_file out/001.dcn out/002.dcn out/003.dcn
