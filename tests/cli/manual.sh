#!/usr/bin/env bash
# Manual pages and completion, which are made from the table of options: complete, well formed, and at work in the shells.
source "$(dirname "$0")/lib.bash"

manual=$(dirname "$DECANT")/manual_pages
PATH=$(dirname "$DECANT"):$PATH
verbs=(encode decode denoise eval compare info train embed anomaly sample models)

# Each page has the options of --help, and nothing that a formatter warns of.
for verb in "${verbs[@]}"; do
    page=$manual/man1/decant-$verb.1
    expect_exit 0 "$DECANT" "$verb" --help
    grep -oE '^  (-., |    )--[a-z0-9-]+' "$OUT" | grep -oE -- '--[a-z0-9-]+' >"$TEMP/options"
    [[ $(wc -l <"$TEMP/options") -ge 3 ]] || fail "options of $verb are not found in its help"
    sed 's/\\-/-/g' "$page" >text
    while read -r option; do expect_contains text "$option"; done <"$TEMP/options"
    expect_contains "$manual/man1/decant.1" "decant\\-$verb"
done
if command -v mandoc >/dev/null; then
    for page in "$manual"/man1/*; do
        expect_exit 0 mandoc -Tlint -Wwarning "$page"
        expect_empty "$OUT"
    done
    mandoc -Tascii "$manual/man1/decant-encode.1" | sed 's/.\x08//g' >page
    expect_matches page '^ *-o, --output FILE$'
    expect_matches page '^ *decant encode - -o - <photo.png >photo.dcn +in a pipeline$'
    expect_matches page '^ *130 *interrupted'
fi

# Bash: what is offered for a line, of which the last word is being typed.
mkdir typed
cd typed
touch photo.png other.dcn 'with space.dcn'
mkdir folder
offers() {  # WORD... => OFFER...  exactly these, in any order
    local line=() found wanted
    while [[ $1 != '=>' ]]; do line+=("$1"); shift; done
    shift
    found=$(bash --norc -c '. "$1"; shift; COMP_WORDS=(decant "$@"); COMP_CWORD=$#; _decant 2>&1; printf "%s\n" "${COMPREPLY[@]}"' - \
        "$manual/bash/decant" "${line[@]}" | sort -u)
    wanted=$(printf '%s\n' "$@" | sort -u)
    [[ $found == "$wanted" ]] || fail "decant ${line[*]}: offers [${found//$'\n'/, }] instead of [${wanted//$'\n'/, }]"
}
offers '' '=>' "${verbs[@]}" --help --version
offers en '=>' encode
offers decode --out '=>' --output --output-dir
offers decode --format '' '=>' png jpg tif webp ppm
offers decode --format = p '=>' png ppm
offers decode --format = '=>' png jpg tif webp ppm
offers decode '' '=>' folder other.dcn 'with space.dcn'
offers decode o '=>' other.dcn
offers decode --output-dir '' '=>' folder
offers encode '' '=>' folder other.dcn photo.png 'with space.dcn'
offers encode -q '' '=>' ''
offers encode --model photo '=>' photo photo-0.1 photo-0.2 photo-0.3 photo-gray photo-gray-low photo-high photo-high-0.7 photo-low photo-low-0.3 photo-low-0.3.2 photo-low-0.7
offers encode -m deno '=>' denoise-gray denoise-photo denoise-photo-float denoise-scan
offers encode --verify ph '=>' photo.png
offers models '' '=>' ''
offers nonsense '' '=>' ''
for verb in "${verbs[@]}"; do
    "$DECANT" "$verb" --help | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' | sort -u >"$TEMP/options"
    mapfile -t options <"$TEMP/options"
    offers "$verb" -- '=>' "${options[@]}"
done

# The other shells, as far as they are here.
if command -v fish >/dev/null; then
    cp "$manual/fish/decant.fish" "$TEMP"
    fish_offers() { HOME=$TEMP fish --no-config -c "source $TEMP/decant.fish; complete -C '$1'" | cut -f1; }
    [[ $(fish_offers 'decant enc') == encode ]] || fail "fish offers no verb"
    [[ $(fish_offers 'decant decode --format w') == webp ]] || fail "fish offers no format"
    [[ $(fish_offers 'decant encode --skip-if') == --skip-if-larger ]] || fail "fish offers no option"
    [[ $(fish_offers 'decant decode o') == other.dcn ]] || fail "fish offers no file"
fi
if command -v zsh >/dev/null; then
    expect_exit 0 zsh -n "$manual/zsh/_decant"
fi
