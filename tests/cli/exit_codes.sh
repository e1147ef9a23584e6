#!/usr/bin/env bash
# 0 all done or skipped, 1 a file failed, 2 usage, 3 no input, 4 corrupt (wins over 1).
source "$(dirname "$0")/lib.bash"

make_png a.png
make_png b.png 50 40
expect_exit 0 "$DECANT" encode a.png
cp a.dcn good.dcn
head -c $(($(stat -c %s a.dcn) * 2 / 3)) a.dcn >cut.dcn

# 0: skipped on purpose counts as done.
expect_exit 0 "$DECANT" encode --skip-existing a.png

# 1: a file is missing in the middle of a batch; the rest is done.
expect_exit 1 "$DECANT" encode a.png missing.png b.png --output-dir batch
expect_only batch a.dcn b.dcn
expect_matches "$ERR" '^decant: missing\.png: .'
expect_exit 1 "$DECANT" decode good.dcn missing.dcn a.dcn --output-dir batch_back
expect_only batch_back good.png a.png
expect_exit 1 "$DECANT" encode --fail-fast missing.png a.png --output-dir fast

# 1 or 4: a text that calls itself a picture; the rest is done.
echo 'this is a text' >text.png
expect_exit 1,4 "$DECANT" encode a.png text.png b.png --output-dir mixed
expect_only mixed a.dcn b.dcn
expect_matches "$ERR" '^decant: text\.png: .'

# 1: an output that is there already.
expect_exit 1 "$DECANT" encode a.png

# 2: usage. Nothing is written, the complaint goes to stderr.
usage_errors=(
    ''
    'frobnicate'
    'encode --frobnicate a.png'
    'encode --qual 3 a.png'
    'encode --outpu x.dcn a.png'
    'encode --quality a.png'
    'encode -q 101 a.png'
    'encode -q -1 a.png'
    'encode -q best a.png'
    'encode -q nan a.png'
    'encode -q 50 --target-bpp 0.5 a.png'
    'encode --target-bpp 0.5 --target-psnr 30 a.png'
    'encode --target-size 10K --target-psnr 30 a.png'
    'encode --target-bpp -1 a.png'
    'encode --target-size many a.png'
    'encode -e 0 a.png'
    'encode -e 10 a.png'
    'encode -t -1 a.png'
    'encode -t two a.png'
    'encode --metadata some a.png'
    'encode --progress sometimes a.png'
    'encode --max-pixels 0x a.png'
    'encode -o one.dcn a.png b.png'
    'decode --format gif good.dcn'
    'decode --depth 12 good.dcn'
)
mkdir usage
cp a.png b.png good.dcn usage
cd usage
for arguments in "${usage_errors[@]}"; do
    # shellcheck disable=SC2086
    expect_exit 2 "$DECANT" $arguments
    expect_empty "$OUT"
    expect_matches "$ERR" '^decant: .'
    expect_only . a.png b.png good.dcn
done
cd ..

# 3: no input matched.
mkdir empty no_pictures
echo 'a text' >no_pictures/notes.txt
expect_exit 3 "$DECANT" encode empty
expect_exit 3 "$DECANT" encode -r no_pictures --output-dir none
expect_exit 3 "$DECANT" decode empty
: >no_names.txt
expect_exit 3 "$DECANT" encode --files-from no_names.txt

# 4: corrupt, alone, in a batch whose other files are done, and together with a file that fails otherwise.
expect_exit 4 "$DECANT" decode cut.dcn -o cut.png
expect_no_file cut.png
expect_matches "$ERR" '^decant: cut\.dcn: .'
expect_exit 4 "$DECANT" info cut.dcn
expect_exit 4 "$DECANT" decode good.dcn cut.dcn a.dcn --output-dir corrupt_batch
expect_only corrupt_batch good.png a.png
expect_exit 4 "$DECANT" decode missing.dcn cut.dcn good.dcn --output-dir corrupt_and_missing
expect_only corrupt_and_missing good.png

# A declared size above --max-pixels is refused.
expect_exit 1 "$DECANT" encode --max-pixels 100 a.png -o limited.dcn
expect_exit 1 "$DECANT" decode --max-pixels 100 good.dcn -o limited.png
expect_no_file limited.dcn limited.png

# The other verbs.
expect_exit 0 "$DECANT" info good.dcn
expect_contains "$OUT" 64
expect_contains "$OUT" 48
expect_exit 0 "$DECANT" models
expect_file "$OUT"
expect_exit 0 "$DECANT" eval a.png
expect_file "$OUT"
expect_exit 1,3 "$DECANT" info missing.dcn
expect_exit 1,3 "$DECANT" eval missing.png
expect_exit 1,2 "$DECANT" encode -m no_such_model a.png -o unmade.dcn
expect_no_file unmade.dcn
