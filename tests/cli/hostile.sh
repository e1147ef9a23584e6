#!/usr/bin/env bash
# Input made to do harm, and files of other times: bombs of a few bytes, metadata that claim gigabytes, models that are damaged or
# do not fit, a format of the future, and many damaged .dcn files. Each ends soon and in little memory, with a message, an exit code
# of 1 or 4, and no output.
# HOSTILE_FILES sets the number of damaged files; 2000 is that of the long test.
source "$(dirname "$0")/lib.bash"

cat >hostile.py <<'PYTHON'
import random, struct, sys, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(width, height, *extra, data=b"\0" * 100):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + b"".join(extra) +
            chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))

def tiff(width, height):
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, 4)]
    return (b"II*\0" + struct.pack("<I", 12) + b"data" + struct.pack("<H", len(tags)) +
            b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags) + b"\0\0\0\0")

def jpeg(width, height):
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 20 + b"\xff\xd9"

def webp(side):
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + struct.pack("<I", side - 1)[:3] + struct.pack("<I", side - 1)[:3]
    return b"RIFF" + struct.pack("<I", len(body)) + body

def bmp(width, height):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + b"\0" * 46

def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

class Dcn:
    """A .dcn file taken apart, and put together with right checksums whatever it says."""
    NUMBERS = dict(zip((b"ALPH", b"ALPL", b"RESI", b"FILT", b"FILX", b"TURN", b"meta", b"prev"), range(1, 9)))
    def __init__(self, data):
        self.at, self.data = 5, data
        self.version, length = data[4], self.take_varint()
        end = self.at + length
        self.model, self.kind = self.take(8), self.take(1)
        self.width, self.height, self.quality, self.tile = (self.take_varint() for _ in range(4))
        self.filter = self.take(2)
        side = lambda pixels: -(-pixels // (16 * self.tile))
        sizes = [self.take_varint() for _ in range(side(self.width) * side(self.height))]
        self.sections = []
        while self.at < end:
            number = self.take(1)[0]
            kind = self.take(4) if number == 0 else next(k for k, n in self.NUMBERS.items() if n == number)
            self.sections.append((kind, self.take(self.take_varint())))
        self.at += 4
        self.tiles = []
        for size in sizes:
            self.tiles.append(self.take(size))
            self.at += 4
        assert self.at == len(data)
    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]
    def take_varint(self):
        byte = self.take(1)[0]
        return byte if byte < 128 else byte - 128 + (self.take_varint() << 7)
    def section(self, kind, data):
        return (bytes([self.NUMBERS[kind]]) if kind in self.NUMBERS else b"\0" + kind) + varint(len(data)) + data
    def bytes(self):
        head = (self.model + self.kind + b"".join(map(varint, (self.width, self.height, self.quality, self.tile))) + self.filter +
                b"".join(varint(len(tile)) for tile in self.tiles) + b"".join(self.section(*s) for s in self.sections))
        head = bytes([self.version]) + varint(len(head)) + head
        crc = struct.pack("<I", zlib.crc32(head))
        result = b"\x8dDCN" + head + crc
        for i, tile in enumerate(self.tiles):
            result += tile + struct.pack("<I", zlib.crc32(crc + struct.pack("<I", i) + tile))
        return result

def read(name):
    return open(name, "rb").read()

def write(name, data):
    with open(name, "wb") as file: file.write(data)
PYTHON

# bounded COMMAND...  under expect_exit 1,4; fails where it takes 10 s or 400 MB, and prints the peak.
cat >bounded.py <<'PYTHON'
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], timeout=10)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
if peak > 400000: sys.exit("%d kB of memory" % peak)
sys.exit(done.returncode)
PYTHON
refused() {  # CODES FILE TEXT [OPTIONS]  encode or decode refuses it with that text, soon and in little memory
    local codes=$1 file=$2 text=$3 verb=encode
    shift 3
    [[ $file != *.dcn ]] || verb=decode
    expect_exit "$codes" python3 bounded.py "$DECANT" $verb "$file" --output-dir out "$@"
    expect_matches "$ERR" "^decant: ${file//./\\.}: .*$text"
    [[ $(wc -l <"$ERR") == 1 ]] || fail 'more than a message'
    [[ ! -d out ]] || expect_only out
}

make_png a.png
cp "$SAMPLES/foliage.jpg" rich.jpg
expect_exit 0 "$DECANT" encode -q 20 a.png
expect_exit 0 "$DECANT" encode -q 20 rich.jpg

# Pictures of a few bytes that claim up to 2^60 pixels.
python3 - <<'PYTHON'
from hostile import *
write("bomb.png", png(2**31 - 1, 2**31 - 1))
write("flat.png", png(16000, 16000))
write("bomb.tif", tiff(2**32 - 1, 2**28))
write("bomb.jpg", jpeg(65500, 65500))
write("bomb.webp", webp(2**24))
write("bomb.bmp", bmp(2**31 - 1, 2**29))
write("bomb.ppm", b"P6\n4294967295 268435456\n255\n")
dcn = Dcn(read("a.dcn"))
dcn.width, dcn.height = 2**32 - 1, 2**28
write("bomb.dcn", dcn.bytes())
dcn.width = dcn.height = 16000
write("flat.dcn", dcn.bytes())
PYTHON
for bomb in bomb.png bomb.tif bomb.jpg bomb.webp bomb.ppm; do refused 1 $bomb 'is more than the limit of 268435456 pixels'; done
refused 1 bomb.bmp 'truncated BMP'
refused 1 bomb.dcn 'the limit is 268435456 pixels'
# Within the limit, but not in so few bytes.
refused 1 flat.png 'bytes cannot hold 16000x16000 pixels'
refused 4 flat.dcn 'tile lengths, where the image has'

# Metadata that unpack to gigabytes: left out of a picture with a word, damage in a .dcn file.
python3 - <<'PYTHON'
from hostile import *
packer = zlib.compressobj(9)
bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()
pixels = read("a.png")
write("profile.png", pixels[:33] + chunk(b"iCCP", b"icc\0\0" + bomb) + chunk(b"zTXt", b"Raw profile type xmp\0\0" + bomb) + pixels[33:])
rich = read("rich.dcn")
def meta(name, data):
    dcn = Dcn(rich)
    dcn.sections = [(b"meta", data)]
    write(name, dcn.bytes())
meta("claim.dcn", b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**30))
meta("claim60.dcn", b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**60))
meta("small_claim.dcn", b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**26))
meta("no_frame.dcn", b"nothing of the kind")
dcn = Dcn(rich)
dcn.sections *= 2
write("twice.dcn", dcn.bytes())
dcn = Dcn(rich)
dcn.sections.append((b"ALPH", b"\xff\xff\xff\x7f"))
write("alpha.dcn", dcn.bytes())
dcn.sections[-1] = (b"ALPH", b"\0\0\0\0" * 8)
write("no_alpha.dcn", dcn.bytes())
PYTHON
expect_exit 0 python3 bounded.py "$DECANT" encode profile.png -o profile.dcn
expect_contains "$ERR" 'the ICC profile cannot be used (more than the 16777216 bytes that are taken); it is left out'
expect_contains "$ERR" 'the raw profile cannot be used'
expect_exit 0 "$DECANT" decode profile.dcn -o back.png
refused 1 claim.dcn 'metadata: 1073741824 bytes; the limit is 67108864'
refused 1 claim60.dcn 'metadata: 1152921504606846976 bytes; the limit is'
refused 4 small_claim.dcn 'metadata: 13 bytes cannot hold 67108864'
refused 4 no_frame.dcn 'metadata: no Zstandard frame'
refused 4 twice.dcn 'two sections "meta"'
refused 4 alpha.dcn 'plane: .* announce 2147483647 bytes'
refused 4 no_alpha.dcn 'entropy-coded data: end before the last symbol'

# A later version of the format, and a section that one needs and this one does not know.
python3 - <<'PYTHON'
from hostile import *
dcn = Dcn(read("a.dcn"))
dcn.version = 9
write("version.dcn", dcn.bytes())
dcn.version = 4
dcn.sections = [(b"Next", b"something")]
write("critical.dcn", dcn.bytes())
dcn.sections = [(b"next", b"something")]
write("ancillary.dcn", dcn.bytes())
dcn = Dcn(read("a.dcn"))
dcn.model = struct.pack("<Q", 0x0123456789abcdef)
write("model.dcn", dcn.bytes())
dcn = Dcn(read("a.dcn"))
dcn.kind = b"\x10"
write("deep.dcn", dcn.bytes())
PYTHON
refused 1 version.dcn '\.dcn version 9; this decoder supports versions 1 to 4'
refused 1 critical.dcn 'critical section "Next" is unknown'
expect_exit 0 "$DECANT" decode ancillary.dcn -o ancillary.png
refused 1 deep.dcn 'kind is 16'
# Made with a model that is not at hand: its identity is said. With one that is not its own: both are.
refused 4 model.dcn '0123456789abcdef'
expect_exit 0 "$DECANT" models --json
photo=$(field file) identity=$(field identity)
refused 4 model.dcn "0123456789abcdef.*$identity" -m "$photo"

# Model files: cut short, with weights that are no numbers, with bytes behind the end, of the other kind, no model at all.
python3 - "$photo" <<'PYTHON'
from hostile import *
import json
data = read(sys.argv[1])
(size,) = struct.unpack_from("<Q", data)
header = json.loads(data[8:8 + size])
def with_value(tensor, kind, value):
    changed, at = bytearray(data), 8 + size + header[tensor]["data_offsets"][0]
    assert header[tensor]["dtype"] == kind, header[tensor]
    changed[at:at + len(value)] = value
    return changed
first = {kind: next(name for name in sorted(header) if name != "__metadata__" and header[name]["dtype"] == kind) for kind in ("F32", "BF16")}
write("nan.safetensors", with_value(first["F32"], "F32", struct.pack("<f", float("nan"))))
write("infinite.safetensors", with_value(first["BF16"], "BF16", b"\x80\x7f"))
for name, length in (("cut", len(data) // 2), ("one_short", len(data) - 1), ("header_only", 8 + size), ("cut_header", size // 2), ("eight", 8)):
    write(name + ".safetensors", data[:length])
write("longer.safetensors", data + b"\0")
write("empty.safetensors", b"")
write("noise.safetensors", random.Random(3).randbytes(5000))
write("huge_header.safetensors", struct.pack("<Q", 2**60) + data[8:1000])
PYTHON
for model in nan infinite cut one_short header_only cut_header eight longer empty noise huge_header; do
    expect_exit 1,4 python3 bounded.py "$DECANT" encode -m $model.safetensors a.png -o never.dcn
    expect_no_file never.dcn
    expect_matches "$ERR" "^decant: .*$model\.safetensors: ."
    [[ $(wc -l <"$ERR") == 1 ]] || fail 'more than a message'
    expect_exit 1,4 "$DECANT" decode -m $model.safetensors a.dcn -o never.png
    expect_no_file never.png
done
expect_exit 4 "$DECANT" encode -m nan.safetensors a.png -o never.dcn
expect_matches "$ERR" 'tensor .*(NaN|nan|finite)'
expect_exit 4 "$DECANT" encode -m "$(dirname "$photo")/denoise-photo.safetensors" a.png -o never.dcn
expect_contains "$ERR" 'cannot encode or decode'

# Damaged files: cut, bits flipped, spliced from two, random behind a good start.
python3 - "${HOSTILE_FILES:-300}" <<'PYTHON'
from hostile import *
import os
r, good = random.Random(4), [read("a.dcn"), read("rich.dcn")]
os.mkdir("damaged")
for i in range(int(sys.argv[1])):
    data = bytearray(r.choice(good))
    at = r.randrange(len(data)) if r.random() < 0.5 else r.randrange(min(len(data), 200))
    kind = i % 4
    if kind == 0: data = data[:at]
    if kind == 1:
        for _ in range(r.choice([1, 1, 2, 50])): data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    if kind == 2:
        other = good[0] if len(data) == len(good[1]) else good[1]
        data = data[:at] + other[r.randrange(len(other)):]
    if kind == 3: data = data[:at] + r.randbytes(r.randrange(1, 3000))
    if bytes(data) in good: data = data[:-1]  # two flips of the same bit
    write("damaged/%05d.dcn" % i, data)
PYTHON
expect_exit 4 "$DECANT" decode --json damaged --output-dir out
[[ ! -d out ]] || expect_only out
python3 - "$OUT" "${HOSTILE_FILES:-300}" <<'PYTHON' || fail 'not each damaged file ends as it should'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == int(sys.argv[2]), len(rows)
assert all(row["status"] == "failed" and row["error"] and row["seconds"] < 10 for row in rows)
PYTHON
