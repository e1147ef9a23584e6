# Helpers for the scripts in this folder. Each runs with DECANT (the program) and SAMPLES (the pictures) set, by hand for example:
#     DECANT=build/developer/decant SAMPLES=samples bash tests/cli/roundtrip.sh
# It starts in an empty folder of its own that is gone afterwards. A failed expectation ends the script and names its line.
set -euo pipefail

DECANT=$(realpath -- "${DECANT:?the program to test}")
SAMPLES=$(realpath -- "${SAMPLES:?the folder of sample pictures}")
export LC_ALL=C.UTF-8
TEMP=$(mktemp -d)
OUT=$TEMP/stdout  # of the command that expect_exit ran last
ERR=$TEMP/stderr
trap 'rm -rf -- "$TEMP"' EXIT
trap 'echo "$0:$LINENO: failed: $BASH_COMMAND" >&2' ERR
mkdir "$TEMP/work"
cd "$TEMP/work"
exec </dev/null

fail() {
    echo "$0:${BASH_LINENO[-2]}: $*" >&2
    local stream
    for stream in "$OUT" "$ERR"; do
        if [[ -s $stream ]]; then
            echo "--- last ${stream##*/}:" >&2
            head -c 4000 -- "$stream" | tr -d '\000' >&2
        fi
    done
    trap - ERR
    exit 1
}

# expect_exit CODE[,CODE...] COMMAND...  runs the command; what it wrote is in $OUT and $ERR afterwards.
expect_exit() {
    local codes=$1 code=0
    shift
    timeout 120 "$@" >"$OUT" 2>"$ERR" || code=$?
    [[ ,$codes, == *,$code,* ]] || fail "exit code $code instead of $codes: $*"
}

# has_option VERB OPTION  for checks of options that come in later versions.
has_option() {
    "$DECANT" "$1" --help | grep -qE -- "(^|[[:space:],])$2( |\$)"
}

expect_contains() {  # FILE TEXT
    grep -qF -- "$2" "$1" || fail "$1 does not contain '$2'"
}

expect_lacks() {  # FILE TEXT
    ! grep -qF -- "$2" "$1" || fail "$1 contains '$2'"
}

expect_matches() {  # FILE REGEX
    grep -qE -- "$2" "$1" || fail "no line of $1 matches '$2'"
}

expect_empty() {
    [[ ! -s $1 ]] || fail "$1 is not empty"
}

expect_file() {
    local file
    for file in "$@"; do
        [[ -f $file && -s $file ]] || fail "$file is missing or empty"
    done
}

expect_no_file() {
    local file
    for file in "$@"; do
        [[ ! -e $file ]] || fail "$file exists"
    done
}

expect_same() {  # FILE FILE
    cmp -s -- "$1" "$2" || fail "$1 and $2 differ"
}

expect_differ() {  # FILE FILE
    ! cmp -s -- "$1" "$2" || fail "$1 and $2 are the same"
}

# expect_only FOLDER NAME...  the folder holds these entries and nothing else (no temporary file, no partial output).
expect_only() {
    local folder=$1 found wanted
    shift
    found=$(find "$folder" -mindepth 1 -printf '%P\n' | sort)
    wanted=
    if (($#)); then wanted=$(printf '%s\n' "$@" | sort); fi
    [[ $found == "$wanted" ]] || fail "$folder holds [${found//$'\n'/, }] instead of [${wanted//$'\n'/, }]"
}

# make_png FILE [WIDTH HEIGHT [DEPTH [CHANNELS]]]  a small smooth picture with some texture; every size gives a different one.
make_png() {
    python3 - "$1" "${2:-64}" "${3:-48}" "${4:-8}" "${5:-3}" <<'PYTHON'
import math, struct, sys, zlib
name, (width, height, depth, channels) = sys.argv[1], map(int, sys.argv[2:])
top, rows = 2 ** depth - 1, bytearray()
for y in range(height):
    rows.append(0)
    for x in range(width):
        for c in range(channels):
            value = 0.5 + 0.3 * math.sin(x / 9 + c + height) + 0.15 * math.cos(y / 7 - c + width) + 0.03 * ((x * 7 + y * 5) % 11 / 5 - 1)
            rows += round(value * top).to_bytes(depth // 8, "big")
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
with open(name, "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, {1: 0, 3: 2}[channels], 0, 0, 0)) +
               chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b""))
PYTHON
}

# png_shape FILE  prints WIDTHxHEIGHTxDEPTH from the header of a PNG.
png_shape() {
    python3 - "$1" <<'PYTHON'
import struct, sys
head = open(sys.argv[1], "rb").read(26)
assert head[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG"
print("%dx%dx%d" % struct.unpack(">IIB", head[16:25]))
PYTHON
}

expect_shape() {  # FILE WIDTHxHEIGHTxDEPTH
    local shape
    shape=$(png_shape "$1") || fail "$1 is no PNG"
    [[ $shape == "$2" ]] || fail "$1 is $shape instead of $2"
}

expect_magic() {  # FILE HEX  the first bytes of the file
    local bytes
    bytes=$(head -c $((${#2} / 2)) -- "$1" | od -An -tx1 | tr -d ' \n')
    [[ $bytes == "$2" ]] || fail "$1 starts with $bytes instead of $2"
}

field() {  # KEY  its value in the first line of JSON in $OUT
    python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).readline())[sys.argv[2]])' "$OUT" "$1"
}

expect_within() {  # LOW VALUE HIGH
    python3 -c 'import sys; low, value, high = map(float, sys.argv[1:]); sys.exit(not low <= value <= high)' "$@" || fail "$2 is not in $1 ... $3"
}

# find_python MODULES  sets $python to one that can import these (numpy, PIL.Image); without any the script ends as skipped.
find_python() {
    for python in python3 /usr/bin/python3; do
        if "$python" -c "import $1" 2>/dev/null; then return; fi
    done
    echo "skipped: no python3 here can import $1 (Debian: python3-numpy, python3-pil, python3-torch)"
    exit 77
}

# skip_sanitized LIBRARY  ends the script as skipped where it has a sanitizer in it, which other programs that load it have not.
skip_sanitized() {
    if ldd "$1" | grep -qE 'lib(a|t|ub)san'; then
        echo "skipped: $(basename "$1") has a sanitizer in it, and the programs that are to load it have none"
        exit 77
    fi
}
