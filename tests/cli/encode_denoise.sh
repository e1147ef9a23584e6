#!/usr/bin/env bash
# encode --denoise: the file holds the clean picture, the level is in the report, the value may be missing.
source "$(dirname "$0")/lib.bash"

psnr_of() {  # FILE.dcn  against the clean picture
    expect_exit 0 "$DECANT" decode "$1" -o "$1.png"
    expect_exit 0 "$DECANT" compare --json "$SAMPLES/landscape.png" "$1.png"
    field psnr
}

# At equal size, less of the noise and more of the picture.
expect_exit 0 "$DECANT" eval --denoise -m photo --sigma 25 --output-dir . "$SAMPLES/landscape.png"
mv landscape.png denoised.png
expect_exit 0 "$DECANT" encode --target-bpp 0.5 landscape_noisy.png -o as_it_is.dcn
expect_exit 0 "$DECANT" encode --target-bpp 0.5 --denoise --json landscape_noisy.png -o clean.dcn
expect_within 22 "$(field sigma)" 30
expect_within 0.495 "$(field bpp)" 0.5
[[ $(field model) == photo && $(field denoiser) == denoise* ]] || fail "not the models"
as_it_is=$(psnr_of as_it_is.dcn)
clean=$(psnr_of clean.dcn)
python3 -c "import sys; sys.exit(not $clean > $as_it_is + 1.5)" || fail "$clean dB with --denoise, $as_it_is dB without"

# It is what denoise and encode do one after the other; so is a target's PSNR.
expect_exit 0 "$DECANT" encode -q 40 denoised.png -o second.dcn
expect_exit 0 "$DECANT" encode -q 40 --denoise landscape_noisy.png -o both.dcn
expect_contains "$ERR" ', sigma '
expect_same both.dcn second.dcn
expect_exit 0 "$DECANT" encode --target-psnr 37 --verify --denoise auto --json landscape_noisy.png -o psnr.dcn
expect_within 37 "$(field psnr)" 37.05
expect_exit 0 "$DECANT" decode psnr.dcn -o psnr.png
expect_exit 0 "$DECANT" compare --json denoised.png psnr.png
expect_within 37 "$(field psnr)" 37.05
expect_exit 0 "$DECANT" denoise -m photo --sigma 15 --strength 60 landscape_noisy.png -o weak.png
expect_exit 0 "$DECANT" encode -q 40 weak.png -o second.dcn -f
expect_exit 0 "$DECANT" encode -q 40 --denoise 15 --strength 60 landscape_noisy.png -o both.dcn -f --json
expect_same both.dcn second.dcn
[[ $(field sigma) == 15.0 ]] || fail "sigma is not the one that was given"

# The value may be missing, or come in either form; an input of such a name is told by its folder.
model=(--denoise-model photo)  # a.png is of no kind
make_png a.png 90 70
make_png b.png 70 90 8 1
cp a.png 25
expect_exit 0 "$DECANT" encode "${model[@]}" --denoise a.png b.png --output-dir bare
expect_only bare a.dcn b.dcn
expect_exit 0 "$DECANT" encode "${model[@]}" --denoise=auto a.png b.png --output-dir named -t 1
expect_same bare/a.dcn named/a.dcn
expect_same bare/b.dcn named/b.dcn
expect_exit 0 "$DECANT" encode "${model[@]}" --denoise 25 a.png -o given.dcn
expect_exit 0 "$DECANT" encode "${model[@]}" a.png -o joined.dcn --denoise=25
expect_same given.dcn joined.dcn
expect_exit 0 "$DECANT" encode "${model[@]}" --denoise ./25 -o file.dcn
expect_same file.dcn bare/a.dcn
cp a.png ./--denoise
expect_exit 0 "$DECANT" encode -o dashes.dcn -- --denoise
expect_exit 0 "$DECANT" encode a.png
expect_same dashes.dcn a.dcn
expect_exit 0 "$DECANT" encode "${model[@]}" --denoise - -o - <a.png
expect_same "$OUT" bare/a.dcn

# Another denoiser by name or file; one that is none, or is missing.
expect_exit 0 "$DECANT" encode --denoise --denoise-model denoise-photo a.png -o again.dcn
expect_same again.dcn bare/a.dcn
expect_exit 4 "$DECANT" encode --denoise --denoise-model "$(dirname "$DECANT")/models/photo.safetensors" a.png -o unmade.dcn
expect_contains "$ERR" 'no denoising model'
expect_exit 1 "$DECANT" encode --denoise --denoise-model missing a.png -o unmade.dcn
mkdir models
cp "$(dirname "$DECANT")/models/photo.safetensors" models
cp "$DECANT" .
expect_exit 0 ./decant encode a.png -o without.dcn
expect_exit 1 ./decant encode --denoise a.png -o unmade.dcn
expect_contains "$ERR" 'none of the model folders'

# Usage. Nothing is written then, and nothing of a file that fails.
for arguments in '--denoise 256' '--denoise -1' '--denoise=much' '--denoise nan' '--denoise=' '--strength 50' '--denoise-model photo' \
    '--denoise --strength 101' '--denoise --sigma 5'; do
    # shellcheck disable=SC2086
    expect_exit 2 "$DECANT" encode $arguments a.png -o unmade.dcn
done
echo 'no picture' >bad.png
expect_exit 1 "$DECANT" encode "${model[@]}" --denoise bad.png a.png --output-dir rest
expect_only rest a.dcn
expect_no_file unmade.dcn
