#!/usr/bin/env bash
# Files and folders there and back: names, where outputs go, sizes, bit depths, formats, metadata, threads.
source "$(dirname "$0")/lib.bash"

# One file: the output lies beside the input, with its stem.
make_png a.png
expect_exit 0 "$DECANT" encode a.png
expect_only . a.png a.dcn
mkdir back
expect_exit 0 "$DECANT" decode a.dcn -o back/a.png
expect_shape back/a.png 64x48x8
expect_only . a.png a.dcn back back/a.png
expect_exit 0 "$DECANT" decode a.dcn --output-dir back/beside
expect_same back/a.png back/beside/a.png

# The format follows --format, or the output's extension.
expect_exit 0 "$DECANT" decode a.dcn --format ppm --output-dir formats
expect_magic formats/a.ppm 5036
expect_exit 0 "$DECANT" decode a.dcn -o formats/b.jpg
expect_magic formats/b.jpg ffd8ff
expect_exit 0 "$DECANT" decode a.dcn --output=formats/c.webp
expect_magic formats/c.webp 52494646
expect_exit 0 "$DECANT" decode a.dcn -o formats/d.tif
expect_file formats/d.tif

# Sizes that divide by nothing.
mkdir sizes
make_png sizes/dot.png 1 1
make_png sizes/strip.png 7 300
make_png sizes/odd.png 65 33
make_png sizes/gray.png 40 50 8 1
expect_exit 0 "$DECANT" encode sizes/dot.png sizes/strip.png sizes/odd.png sizes/gray.png
expect_exit 0 "$DECANT" decode sizes/dot.dcn sizes/strip.dcn sizes/odd.dcn sizes/gray.dcn --output-dir sizes/back
expect_shape sizes/back/dot.png 1x1x8
expect_shape sizes/back/strip.png 7x300x8
expect_shape sizes/back/odd.png 65x33x8
expect_shape sizes/back/gray.png 40x50x8

# 16 bits stay 16 unless 8 are asked for.
make_png deep.png 50 40 16
expect_exit 0 "$DECANT" encode deep.png
expect_exit 0 "$DECANT" decode deep.dcn -o deep_back.png
expect_shape deep_back.png 50x40x16
expect_exit 0 "$DECANT" decode deep.dcn --depth 8 -o shallow.png
expect_shape shallow.png 50x40x8

# Names with spaces, beyond ASCII, with several dots, with a leading dash.
mkdir names
cp a.png 'names/two words.png'
cp a.png 'names/Grüße 図.png'
cp a.png names/v1.2.final.png
cp a.png names/-dash.png
cd names
expect_exit 0 "$DECANT" encode 'two words.png' 'Grüße 図.png' v1.2.final.png ./-dash.png
expect_file 'two words.dcn' 'Grüße 図.dcn' v1.2.final.dcn ./-dash.dcn
expect_exit 0 "$DECANT" encode -f -- -dash.png
expect_exit 0 "$DECANT" decode --output-dir back -- -dash.dcn 'Grüße 図.dcn' v1.2.final.dcn
expect_file back/-dash.png 'back/Grüße 図.png' back/v1.2.final.png
expect_same back/-dash.png ../back/a.png
cd ..

# A folder: its own files; with -r those below too, and --output-dir mirrors the tree.
mkdir -p tree/one/two empty
make_png tree/top.png 40 30
make_png tree/one/mid.png 41 30
make_png tree/one/two/low.png 42 30
echo 'no picture' >tree/notes.txt
expect_exit 0 "$DECANT" encode tree --output-dir flat
expect_only flat top.dcn
expect_exit 0 "$DECANT" encode -r tree --output-dir mirror
expect_only mirror top.dcn one one/mid.dcn one/two one/two/low.dcn
expect_exit 0 "$DECANT" decode --recursive mirror --output-dir mirror_back
expect_only mirror_back top.png one one/mid.png one/two one/two/low.png
expect_shape mirror_back/one/two/low.png 42x30x8
expect_only tree top.png one one/mid.png one/two one/two/low.png notes.txt

# A list of files.
printf '%s\n' tree/top.png 'names/two words.png' >list.txt
expect_exit 0 "$DECANT" encode --files-from list.txt --output-dir listed
expect_only listed top.dcn 'two words.dcn'

# All kinds of samples are read.
expect_exit 0 "$DECANT" encode "$SAMPLES/zone_plate.pgm" "$SAMPLES/film_grain.png" --output-dir samples
expect_exit 0 "$DECANT" encode "$SAMPLES/flower.webp" "$SAMPLES/foliage.jpg" --output-dir samples
expect_only samples zone_plate.dcn film_grain.dcn flower.dcn foliage.dcn
expect_exit 0 "$DECANT" decode samples/film_grain.dcn samples/foliage.dcn --output-dir samples/back
expect_shape samples/back/film_grain.png 333x217x8

# Colour profile and EXIF survive; --metadata none leaves them out.
if has_option decode --metadata; then
    expect_contains samples/back/foliage.png iCCP
    expect_contains samples/back/foliage.png eXIf
    expect_exit 0 "$DECANT" decode --metadata none samples/foliage.dcn -o bare.png
    expect_lacks bare.png iCCP
    expect_lacks bare.png eXIf
fi

# Neither the file nor the pixels depend on the number of threads.
for threads in 1 2 3; do
    expect_exit 0 "$DECANT" encode -t $threads "$SAMPLES/film_grain.png" -o t$threads.dcn
    expect_exit 0 "$DECANT" decode -t $threads t1.dcn -o t$threads.png
done
expect_same t1.dcn t2.dcn
expect_same t1.dcn t3.dcn
expect_same t1.png t2.png
expect_same t1.png t3.png

# --verify decodes again; --dry-run writes nothing; a higher quality changes the file.
expect_exit 0 "$DECANT" encode --verify --json a.png -o verified.dcn
cp "$OUT" verified.json
expect_exit 0 "$DECANT" decode verified.dcn -o verified.png
expect_exit 0 "$DECANT" compare --json a.png verified.png
python3 - verified.json "$OUT" <<'PYTHON' || fail "--verify reports another PSNR"
import json, sys
a, b = (json.loads(open(name).readline()) for name in sys.argv[1:])
assert abs(a["psnr"] - b["psnr"]) < 1e-6, (a, b)
PYTHON
expect_exit 0 "$DECANT" encode -n a.png -o dry.dcn
expect_no_file dry.dcn
expect_exit 0 "$DECANT" encode -q 10 a.png -o low.dcn
expect_exit 0 "$DECANT" encode --quality=90 a.png -o high.dcn
expect_differ low.dcn high.dcn
