#!/usr/bin/env bash
# -e: every effort gives a file that decodes; with more effort, less rate at the same quality.
source "$(dirname "$0")/lib.bash"

make_png a.png 120 90
make_png small.png 40 30
for effort in 1 2 4; do
    expect_exit 0 "$DECANT" encode -t 1 -e $effort a.png -o $effort.dcn
    expect_exit 0 "$DECANT" decode $effort.dcn
    expect_shape $effort.png 120x90x8
done
expect_exit 0 "$DECANT" encode a.png -o default.dcn
expect_same 2.dcn default.dcn
expect_exit 0 "$DECANT" encode -t 1 --verify --effort 4 a.png -o again.dcn
expect_same 4.dcn again.dcn
expect_differ 1.dcn 2.dcn
expect_differ 2.dcn 4.dcn
expect_exit 0 "$DECANT" encode -t 1 -e 9 small.png
expect_exit 0 "$DECANT" decode small.dcn -o back.png
expect_shape back.png 40x30x8

# BD-rate of an effort against another one: eval takes it, and says what it is.
expect_exit 0 "$DECANT" eval -t 1 -e 1 -q 20,40,60,80 --json "$SAMPLES/film_grain.png"
expect_contains "$OUT" 'effort 1'
cp "$OUT" quick.json
expect_exit 0 "$DECANT" eval -t 1 -e 4 -q 20,40,60,80 --against quick.json "$SAMPLES/film_grain.png"
expect_matches "$OUT" '^BD-rate against decant .*: -'
expect_exit 2 "$DECANT" eval -e 0 a.png
