#!/usr/bin/env bash
# Damaged and foreign input: an exit code and a message for each file, no output, no temporary file, never a crash.
source "$(dirname "$0")/lib.bash"

make_png a.png
expect_exit 0 "$DECANT" encode a.png -o good.dcn

make_random() {  # FILE BYTES
    python3 -c 'import random, sys; open(sys.argv[1], "wb").write(random.Random(7).randbytes(int(sys.argv[2])))' "$@"
}

# Pictures that are none. Each alone, then all with a good one in between.
mkdir bad
: >bad/empty.png
make_random bad/random.png 5000
head -c 100 a.png >bad/truncated.png
head -c 20 a.png >bad/header_only.png
echo 'this is a text' >bad/text.png
printf '\211PNG\r\n\032\n' >bad/signature.png
printf 'P6\n99999999 99999999\n255\n' >bad/huge.ppm
printf 'P5\n10 10\n255\nshort' >bad/short.pgm
head -c 600 "$SAMPLES/foliage.jpg" >bad/cut.jpg
python3 - a.png bad/flipped.png <<'PYTHON'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 0x10
open(sys.argv[2], "wb").write(data)
PYTHON
for file in bad/*; do
    expect_exit 1,4 "$DECANT" encode "$file" --output-dir out
    expect_empty "$OUT"
    expect_matches "$ERR" "^decant: ${file//./\\.}: ."
    [[ ! -d out ]] || expect_only out
done
expect_exit 1,4 "$DECANT" encode bad/empty.png a.png bad/text.png --output-dir out
expect_only out a.dcn
expect_exit 1,4 "$DECANT" eval bad/text.png
rm -rf out

# A folder that looks like a file, a file that cannot be a folder.
mkdir folder.png folder.dcn
expect_exit 1,3 "$DECANT" encode folder.png
expect_exit 1,3 "$DECANT" decode folder.dcn
expect_exit 1,2 "$DECANT" encode a.png -o folder.dcn
expect_exit 1,2 "$DECANT" encode a.png --output-dir a.png
rmdir folder.png folder.dcn  # both are still empty
rm -rf bad
expect_only . a.png good.dcn

# Damaged .dcn files: cut, bits flipped all over the file, bytes appended, other content.
mkdir cut flipped
: >flipped/empty.dcn
echo 'this is a text' >flipped/text.dcn
make_random flipped/random.dcn 3000
cp a.png flipped/picture.dcn
python3 - good.dcn <<'PYTHON'
import sys
data = open(sys.argv[1], "rb").read()
size = len(data)
for step in range(24):
    open(f"cut/{step:02}.dcn", "wb").write(data[:size * step // 24])
# the first bytes one by one, the rest evenly
places = sorted(set(range(16)) | {size - 1} | {16 + (size - 17) * step // 24 for step in range(24)})
for place in places:
    damaged = bytearray(data)
    damaged[place] ^= 1 << (place % 8)
    open(f"flipped/bit_{place:06}.dcn", "wb").write(damaged)
PYTHON
for folder in cut flipped; do
    expect_exit 4 "$DECANT" decode "$folder" --output-dir out
    expect_empty "$OUT"
    for file in "$folder"/*; do
        expect_matches "$ERR" "^decant: ${file//./\\.}: ."
    done
    [[ ! -d out ]] || expect_only out
    expect_exit 4,1 "$DECANT" info "$folder"/*.dcn
done
for file in cut/00.dcn cut/05.dcn cut/23.dcn flipped/bit_000000.dcn flipped/bit_000009.dcn flipped/text.dcn; do
    expect_exit 4,1 "$DECANT" decode "$file" -o alone.png
    expect_no_file alone.png
    expect_matches "$ERR" "^decant: ${file//./\\.}: ."
done

# The good one still decodes, and nothing else was left lying about.
expect_exit 0 "$DECANT" decode good.dcn -o back.png
expect_shape back.png 64x48x8
rm -rf cut flipped out
expect_only . a.png good.dcn back.png
