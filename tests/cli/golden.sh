#!/usr/bin/env bash
# Files of earlier versions decode to the same pixels forever, under every instruction set; others are refused with their message.
source "$(dirname "$0")/lib.bash"

golden=$(cd "$(dirname "$0")/../golden" && pwd)
model=$golden/golden.safetensors

# Made by a model for pictures in colour, by one for gray ones, and by one with a filter, in each version of the format.
for instructions in SSE41 AVX2 AVX512_CORE AVX512_CORE_VNNI DEFAULT; do
    export ONEDNN_MAX_CPU_ISA=$instructions
    for made_by in "$model:" "$golden/gray/golden_gray.safetensors:gray" "$golden/filter/golden_filter.safetensors:"{filter,version2,version3,version4}; do
        folder=$golden/${made_by#*:}
        out=$instructions-${made_by#*:}
        expect_exit 0 "$DECANT" decode -m "${made_by%:*}" "$folder" --output-dir "$out" --format ppm
        (cd "$out" && sha256sum --check --strict --quiet "$folder/sha256sums") || fail "$out: other pixels"
        expect_only "$out" $(cut -d ' ' -f 3 "$folder/sha256sums")
    done
done

expect_exit 0 "$DECANT" decode -m "$model" "$golden/sections.dcn" -o sections.png
for chunk in iCCP eXIf iTXt pHYs; do
    grep -q --binary-files=text "$chunk" sections.png || fail "$chunk is missing"
done
expect_exit 0 "$DECANT" decode -m "$model" "$golden/sections.dcn" --preview 256 -o preview.png
expect_shape preview.png 256x160x8
expect_exit 0 "$DECANT" decode -m "$model" "$golden/deep_gray.dcn" -o deep.png
expect_shape deep.png 40x20x16

count=0
while read -r name code message; do
    expect_exit "$code" "$DECANT" decode -m "$model" "$golden/refused/$name.dcn" -o refused.ppm
    expect_contains "$ERR" "$message"
    expect_no_file refused.ppm
    count=$((count + 1))
done <"$golden/refused/messages"
((count == $(ls "$golden"/refused/*.dcn | wc -l))) || fail "not every file has its message"
