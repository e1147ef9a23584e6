#!/usr/bin/env bash
# --target-bpp, --target-size, --target-psnr: met as they say, reported, exclusive of each other and of -q.
source "$(dirname "$0")/lib.bash"

cp "$SAMPLES/film_grain.png" grain.png
make_png small.png 90 70


expect_exit 0 "$DECANT" encode --target-size 12K grain.png -o size.dcn
expect_within 11880 "$(stat -c %s size.dcn)" 12000
expect_lacks "$ERR" 'not to be had'
expect_exit 0 "$DECANT" encode --target-size 12000 grain.png -o same.dcn
expect_same size.dcn same.dcn
expect_exit 0 "$DECANT" encode --target-size 0.012M grain.png -o same.dcn -f
expect_same size.dcn same.dcn

expect_exit 0 "$DECANT" encode --json --target-bpp 0.6 grain.png -o bpp.dcn
expect_within 0.594 "$(field bpp)" 0.6
expect_within 0 "$(field quality)" 100

expect_exit 0 "$DECANT" encode --json --target-psnr 33 grain.png -o psnr.dcn
expect_within 33 "$(field psnr)" 33.05
expect_exit 0 "$DECANT" decode psnr.dcn -o psnr.png
expect_exit 0 "$DECANT" compare --json grain.png psnr.png
expect_within 33 "$(field psnr)" 33.05

# A batch: each file for itself.
expect_exit 0 "$DECANT" encode --target-bpp 1 grain.png small.png --output-dir batch
expect_only batch grain.dcn small.dcn

# Out of reach: the nearest, with a word of it.
expect_exit 0 "$DECANT" encode --json --target-size 10 small.png -o least.dcn
expect_contains "$ERR" 'small.png: --target-size 10 is not to be had'
expect_exit 0 "$DECANT" encode -q 0 small.png -o lowest.dcn
[[ $(stat -c %s lowest.dcn) == "$(stat -c %s least.dcn)" ]] || fail "not the smallest file"
expect_exit 0 "$DECANT" encode --json --target-psnr 99 small.png -o most.dcn
expect_contains "$ERR" 'small.png: --target-psnr 99 is not to be had'
expect_within 100 "$(field quality)" 100

for arguments in '-q 50 --target-bpp 1' '--target-bpp 1 -q 50' '--target-bpp 1 --target-size 5K' '--target-size 5K --target-psnr 30' \
    '--target-psnr 30 --target-bpp 1' '--target-size 5T' '--target-size K' '--target-size 0' '--target-size -5K' '--target-size 1e300' \
    '--target-psnr nan' '--target-bpp 0'; do
    # shellcheck disable=SC2086
    expect_exit 2 "$DECANT" encode $arguments small.png -o unmade.dcn
done
expect_contains "$ERR" 'target-bpp'
expect_no_file unmade.dcn
