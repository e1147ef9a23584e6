#!/usr/bin/env bash
# Pictures larger than what they are worked on with: rows in and out, regions, previews, --max-memory.
source "$(dirname "$0")/lib.bash"

# make_large NAME WIDTH HEIGHT: soft waves with grain, as PPM.
make_large() {
    python3 - "$@" <<'PYTHON'
import random, sys
name, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(1)
grain = [random.randbytes(3 * width) for _ in range(37)]
fade = [bytes((v * (64 + k)) >> 9 for v in range(256)) for k in range(128)]
with open(name, "wb") as file:
    file.write(b"P6\n%d %d\n255\n" % (width, height))
    for y in range(height):
        file.write(grain[y % 37].translate(fade[(y // 8) % 128]))
PYTHON
}

# peak_of COMMAND...: the most memory that it had, in kB, in $PEAK.
peak_of() {
    PEAK=$(python3 -c 'import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
assert code == 0, code
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@") || fail "$* failed"
}

# 64 megapixels, 192 MB of pixels, which nothing has in memory at once: programs and networks of two threads take 240 MB, 255 with AMX.
make_large large.ppm 8000 8000
peak_of "$DECANT" encode -t 2 -q 20 --quiet large.ppm
((PEAK < 300000)) || fail "encoding took $PEAK kB"
# Verified by rows, too: with the synthesis of two decoders.
peak_of "$DECANT" encode -f -t 2 -q 20 --quiet --verify large.ppm
((PEAK < 520000)) || fail "encoding with --verify took $PEAK kB"
rm large.ppm
peak_of "$DECANT" decode -t 2 --quiet large.dcn --format ppm -o /dev/null
((PEAK < 350000)) || fail "decoding took $PEAK kB"
expect_exit 0 "$DECANT" decode large.dcn --region 500x300+7000+7600 -o part.ppm
expect_exit 0 "$DECANT" decode large.dcn --region 500x300+7000+7600 -t 1 --format png -o part.png
expect_exit 0 "$DECANT" compare part.ppm part.png
expect_contains "$OUT" 'inf'
# The preview of a large picture is in its file.
expect_exit 0 "$DECANT" decode large.dcn --preview 256 -o preview.png
expect_shape preview.png 256x256x8

# Bounds: a JPEG is read as a whole, and refused where that is too much; a PNG of the same size is not.
make_large wide.ppm 6000 4000
"$DECANT" encode -q 20 --quiet wide.ppm
"$DECANT" decode --quiet wide.dcn -o wide.jpg
"$DECANT" decode --quiet wide.dcn -o wide.png
expect_exit 1 "$DECANT" encode -f --max-memory 320M -t 1 wide.jpg -o refused.dcn
expect_matches "$ERR" '^decant: wide\.jpg: takes 144 MB of memory, .* of --max-memory are left'
expect_no_file refused.dcn
expect_exit 0 "$DECANT" encode -f --max-memory 320M -t 1 wide.png -o taken.dcn
expect_exit 2 "$DECANT" encode -f --max-memory 100M wide.png -o refused.dcn
expect_matches "$ERR" '^decant: --max-memory 100000000: at least [0-9]* is needed'

# Regions that cannot be.
for region in 10x10 10x10+1 0x5+1+1 10x10+1+1+ -1x5+1+1 ax5+1+1 5x5-1+1 99999999999x1+0+0 ''; do
    expect_exit 2 "$DECANT" decode wide.dcn --region "$region" -o no.png
done
expect_exit 1 "$DECANT" decode wide.dcn --region 10x10+5995+0 -o no.png
expect_matches "$ERR" '^decant: wide\.dcn: a region of 10x10 pixels at 5995,0 is not in a picture of 6000x4000'
expect_exit 2 "$DECANT" decode wide.dcn --region 10x10+0+0 --preview 10 -o no.png
expect_exit 2 "$DECANT" decode wide.dcn --preview 0 -o no.png
expect_no_file no.png
