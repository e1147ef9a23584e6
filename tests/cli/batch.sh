#!/usr/bin/env bash
# A folder as it is in life: whatever is in the way is named, the rest is done, no original is touched, nothing is left half done.
source "$(dirname "$0")/lib.bash"

fingerprint() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sh -c 'sha256sum -- "$@"; stat -c "%n %Y %a %i %s" -- "$@"' sh); }

make_png a.png
make_png b.png 50 40

# Names of all kinds, from a list with a 0 behind each, as find -print0 makes it.
mkdir names
names=('two words.png' 'Grüße 図.png' -dash.png $'line\nend.png' $'tab\there.png' 'quote"back\slash.png' '*.png' 'a .. .png' $'\xff latin.png')
for name in "${names[@]}"; do cp a.png "names/$name"; done
find names -name '*.png' -print0 >list
before=$(fingerprint names)
expect_exit 0 "$DECANT" encode --files-from list --output-dir listed --json
[[ $(find listed -name '*.dcn' -printf x) == "$(printf 'x%.0s' "${names[@]}")" ]] || fail 'not all names were done'
[[ $(wc -l <"$OUT") == "${#names[@]}" ]] || fail 'a line of JSON a file'
python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]' "$OUT" || fail 'no JSON'
expect_file $'listed/line\nend.dcn' listed/-dash.dcn 'listed/*.dcn' $'listed/\xff latin.dcn'
find names -name '*.png' -print0 | expect_exit 0 "$DECANT" encode --files-from - --skip-existing --output-dir listed
expect_exit 0 "$DECANT" encode names --output-dir by_folder
expect_exit 0 diff -r listed by_folder
# A message is one line, and no name moves the cursor.
printf 'no picture' >$'names/bad\n\x1b[2Jname.png'
expect_exit 1 "$DECANT" encode $'names/bad\n\x1b[2Jname.png' --output-dir none
[[ $(wc -l <"$ERR") == 1 ]] || fail 'a message of several lines'
expect_contains "$ERR" 'names/bad\n\x1b[2Jname.png: is no picture'
rm $'names/bad\n\x1b[2Jname.png'
[[ $before == "$(fingerprint names)" ]] || fail 'an original was changed'

# Everything that can be in the way, in one folder.
mkdir -p in/sub in/folder.png
cp a.png in/1_good.png
: >in/2_empty.png
echo 'this is a text' >in/3_text.png
head -c 200 a.png >in/4_cut.png
cp b.png in/5_good.png
ln -s 5_good.png in/6_link.png
ln -s nowhere.png in/7_broken.png
ln -s .. in/loop
ln -s . in/sub/itself
cp a.png in/sub/8_good.png
cp b.png in/folder.png/9_inside.png
mkfifo in/pipe.png
echo 'a text' >in/notes.txt
before=$(fingerprint in)
expect_exit 1 "$DECANT" encode -r in --output-dir out --json
expect_only out 1_good.dcn 5_good.dcn 6_link.dcn folder.png folder.png/9_inside.dcn sub sub/8_good.dcn
for bad in 2_empty 3_text 4_cut 7_broken; do expect_matches "$ERR" "^decant: in/$bad\.png: ."; done
[[ $(grep -c '^decant:' "$ERR") == 4 ]] || fail 'four complaints'
expect_contains "$ERR" '5 of 9 files'
expect_contains "$ERR" '4 failed'
[[ $(grep -c '"status":"ok"' "$OUT") == 5 && $(grep -c '"status":"failed"' "$OUT") == 4 ]] || fail 'a true report'
expect_same out/5_good.dcn out/6_link.dcn
# Once more: what is there stays, what failed is tried again.
expect_exit 1 "$DECANT" encode -r in --output-dir out --skip-existing
expect_contains "$ERR" '5 skipped; 4 failed'
[[ $before == "$(fingerprint in)" ]] || fail 'an original was changed'
# Without -r the folder alone.
expect_exit 1 "$DECANT" encode in --output-dir flat
expect_only flat 1_good.dcn 5_good.dcn 6_link.dcn

# --dry-run says what would be done and does nothing, also of what is in the way.
expect_exit 0 "$DECANT" encode -n a.png b.png --output-dir dry
expect_no_file dry
expect_contains "$ERR" 'a.png -> dry/a.dcn: skipped, a dry run'
mkdir dry && echo precious >dry/a.dcn
expect_exit 1 "$DECANT" encode -n a.png b.png --output-dir dry
expect_contains "$ERR" 'dry/a.dcn: exists already'
expect_only dry a.dcn

# The same file by two names is one job; two files with one output are a mistake.
expect_exit 0 "$DECANT" encode a.png ./a.png names/../a.png --output-dir once
expect_only once a.dcn
mkdir other
cp b.png other/a.png
expect_exit 1 "$DECANT" encode a.png other/a.png b.png --output-dir twice
expect_only twice a.dcn b.dcn
expect_matches "$ERR" '^decant: other/a\.png: its output twice/a\.dcn is also that of a\.png'
expect_same twice/a.dcn once/a.dcn

# A folder where the output belongs.
mkdir -p taken/a.dcn
expect_exit 1 "$DECANT" encode a.png b.png --output-dir taken
expect_only taken a.dcn b.dcn
expect_matches "$ERR" '^decant: .*taken/a\.dcn: is a folder'
expect_exit 1 "$DECANT" encode -f a.png b.png --output-dir taken
[[ -d taken/a.dcn ]] || fail 'a folder was replaced'

# --skip-if-larger keeps the original.
printf 'P5 1 1 255\n.' >dot.pgm
expect_exit 0 "$DECANT" encode --skip-if-larger dot.pgm a.png --output-dir smaller -v
expect_only smaller a.dcn
expect_matches "$ERR" 'dot\.pgm -> .*: skipped, it would have [0-9]+ bytes, the input has [0-9]+'

# --verify of a whole folder.
expect_exit 0 "$DECANT" encode --verify a.png b.png --output-dir verified
expect_only verified a.dcn b.dcn

# Folders and files without permission. Root may do everything, so it gives that up.
as_user=()
if ((EUID == 0)); then
    without=-dac_override,-dac_read_search
    as_user=(setpriv --bounding-set="$without" --inh-caps="$without")
fi
mkdir locked
cp a.png locked/a.png
cp b.png locked/b.png
chmod 000 locked/a.png
expect_exit 1 "${as_user[@]}" "$DECANT" encode locked --output-dir unlocked
expect_only unlocked b.dcn
expect_matches "$ERR" '^decant: locked/a\.png: cannot be opened: Permission denied'
chmod 600 locked/a.png
chmod 555 locked
expect_exit 1 "${as_user[@]}" "$DECANT" encode locked
expect_only locked a.png b.png
expect_matches "$ERR" '^decant: .*locked/b\.dcn: cannot be created in folder .*Permission denied; check the permissions'
expect_exit 1 "${as_user[@]}" "$DECANT" encode a.png --output-dir locked/below
expect_matches "$ERR" 'locked/below: the folder cannot be made'
chmod 755 locked
mkdir closed
chmod 000 closed
expect_exit 1 "${as_user[@]}" "$DECANT" encode closed a.png --output-dir beside_closed
expect_only beside_closed a.dcn
expect_matches "$ERR" '^decant: closed: the folder cannot be listed: Permission denied'
chmod 755 closed

# No space left: a limit of the file size stands for it everywhere, a small file system where one may be mounted.
mkdir limited
expect_exit 1 bash -c 'ulimit -f 16 && exec "$@"' bash "$DECANT" encode -q 100 "$SAMPLES/bricks.png" a.png --output-dir limited
expect_only limited a.dcn
expect_matches "$ERR" '^decant: .*limited/bricks\.dcn: cannot be written: File too large'
mkdir small
if mount -t tmpfs -o size=64k tmpfs small 2>/dev/null; then
    trap 'umount "$TEMP/work/small"; rm -rf -- "$TEMP"' EXIT
    expect_exit 1 "$DECANT" encode -q 100 "$SAMPLES/bricks.png" a.png --output-dir small
    expect_only small a.dcn
    expect_matches "$ERR" '^decant: .*small/bricks\.dcn: cannot be written: No space left on device; free some space'
    expect_exit 0 "$DECANT" decode small/a.dcn -o small_back.png
else
    echo 'no file system may be mounted here: the test of a full disk is left out'
fi
