#!/usr/bin/env bash
# What a picture carries: ICC profile, EXIF with orientation, XMP and resolution, through .dcn files and denoising, between all formats
# that hold them; what --metadata takes away; what is said of losses; time and mode of files.
source "$(dirname "$0")/lib.bash"

# Readers of our own for the four formats, so that nothing is checked with the code that wrote it.
cat >carried.py <<'PYTHON'
import struct, sys, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def directory(data, start, order):
    """Tags of a TIFF directory: tag -> list of numbers, or bytes."""
    result = {}
    (count,) = struct.unpack_from(order + "H", data, start)
    for i in range(count):
        tag, kind, number = struct.unpack_from(order + "HHI", data, start + 2 + 12 * i)
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}.get(kind, 0) * number
        at = start + 10 + 12 * i
        if size > 4: (at,) = struct.unpack_from(order + "I", data, at)
        value = data[at:at + size]
        if kind == 3: value = struct.unpack(order + "%dH" % number, value)
        if kind == 4: value = struct.unpack(order + "%dI" % number, value)
        if kind == 5: value = struct.unpack(order + "%dI" % (2 * number), value)
        assert tag not in result, "tag %d comes twice" % tag
        result[tag] = value
    tags = [struct.unpack_from(order + "H", data, start + 2 + 12 * i)[0] for i in range(count)]
    assert tags == sorted(tags), tags
    return result

def read_tiff(data):
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    tags = directory(data, start, order)
    found = {"orientation": tags.get(274, [1])[0], "icc": tags.get(34675, b""), "xmp": tags.get(700, b"")}
    if 271 in tags: found["make"] = tags[271].rstrip(b"\0").decode()
    if 34665 in tags: found["date"] = directory(data, tags[34665][0], order)[36867].rstrip(b"\0").decode()
    if 282 in tags:
        (a, b), (c, d) = tags[282], tags[283]
        factor = 2.54 if tags.get(296, [2])[0] == 3 else 1
        found["dpi"] = [round(factor * a / b), round(factor * c / d)]
    return found

def read_png(data):
    found, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack_from(">I", data, at + 8 + length)[0]
        if kind == b"iCCP": found["icc"] = zlib.decompress(body.split(b"\0", 1)[1][1:])
        if kind == b"eXIf": found["exif"] = body
        if kind == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0"): found["xmp"] = body[22:]
        if kind == b"pHYs": found["dpi"] = [round(v * 0.0254) for v in struct.unpack(">IIB", body)[:2]]
        at += 12 + length
    return found

def read_jpeg(data):
    found, at, icc = {}, 2, {}
    while data[at + 1] != 0xDA:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        body = data[at + 4:at + 2 + length]
        if marker == 0xE0:
            unit, x, y = struct.unpack_from(">BHH", body, 7)
            if unit: found["dpi"] = [round(v * (2.54 if unit == 2 else 1)) for v in (x, y)]
        if body.startswith(b"Exif\0\0"): found["exif"] = body[6:]
        if body.startswith(b"http://ns.adobe.com/xap/1.0/\0"): found["xmp"] = body[29:]
        if body.startswith(b"ICC_PROFILE\0"): icc[body[12]] = body[14:]
        at += 2 + length
    if icc: found["icc"] = b"".join(icc[i] for i in sorted(icc))
    return found

def read_webp(data):
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    found, at, flags = {}, 12, 0
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8:at + 8 + length]
        if kind == b"VP8X": flags = body[0]
        if kind in (b"ICCP", b"EXIF", b"XMP "): found[{b"ICCP": "icc", b"EXIF": "exif", b"XMP ": "xmp"}[kind]] = body
        at += 8 + length + length % 2
    assert flags == 0x20 * ("icc" in found) + 0x08 * ("exif" in found) + 0x04 * ("xmp" in found), flags
    return found

def read(name):
    data = open(name, "rb").read()
    kinds = {b"\x89PNG": read_png, b"RIFF": read_webp, b"II*\0": read_tiff, b"MM\0*": read_tiff}
    found = kinds.get(data[:4], read_jpeg)(data)
    if "exif" in found: found = {**read_tiff(found["exif"]), **found}
    return {key: value for key, value in found.items() if value and key != "exif" and (key, value) != ("orientation", 1)}

def make_exif():
    """Big endian, as many cameras have it: orientation 6, a maker, a date, and a resolution of 72 dpi that PNG's field contradicts."""
    def entries(start, items):
        rows, values, at = b"", b"", start + 6 + 12 * len(items)
        for tag, kind, number, value in items:
            field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(">I", at + len(values))
            if len(value) > 4: values += value + b"\0" * (len(value) % 2)
            rows += struct.pack(">HHI", tag, kind, number) + field
        return struct.pack(">H", len(items)) + rows + b"\0\0\0\0" + values
    def first(pointer):
        return entries(8, [(271, 2, 6, b"Maker\0"), (274, 3, 1, b"\0\x06"), (34665, 4, 1, struct.pack(">I", pointer))])
    pointer = 8 + len(first(0))
    return b"MM\0*\0\0\0\x08" + first(pointer) + entries(pointer, [(36867, 2, 20, b"2024:02:29 12:00:00\0")])

icc = bytearray((i * 7919 >> 3) & 255 for i in range(3000))
icc[0:4], icc[16:20], icc[36:40] = struct.pack(">I", 3000), b"RGB ", b"acsp"
xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- ' + "Grüße".encode() + b" --></x:xmpmeta>"
everything = {"icc": bytes(icc), "xmp": xmp, "orientation": 6, "make": "Maker", "date": "2024:02:29 12:00:00", "dpi": [300, 150]}

if __name__ == "__main__" and sys.argv[1] == "make":
    plain = open(sys.argv[2], "rb").read()
    extra = chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(icc))) + chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1))
    extra += chunk(b"eXIf", make_exif())
    with open(sys.argv[3], "wb") as file:
        file.write(plain[:33] + extra + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp) + plain[33:])
elif __name__ == "__main__":
    # carried.py FILE [KEY...]: the file carries these, or everything, as they were, and nothing else.
    wanted = {key: everything[key] for key in (sys.argv[2:] or everything) if key != "nothing"}
    found = read(sys.argv[1])
    assert found == wanted, "%s carries %s instead of %s" % (sys.argv[1], found, wanted)
PYTHON

expect_carried() {  # FILE [KEY...]
    python3 carried.py "$@" 2>"$ERR" || fail "$1 does not carry what it should"
}

make_png plain.png
python3 carried.py make plain.png rich.png
expect_carried rich.png
expect_carried plain.png nothing

# From each format to each: the first round makes pictures of all formats, the second starts from these.
expect_exit 0 "$DECANT" encode rich.png
expect_empty "$OUT"
expect_lacks "$ERR" 'left out'
for from in png jpg webp tif; do
    expect_exit 0 "$DECANT" decode rich.dcn -o "from.$from"
    expect_lacks "$ERR" 'left out'
    expect_carried "from.$from"
    expect_exit 0 "$DECANT" encode "from.$from" -o "$from.dcn"
    expect_lacks "$ERR" 'left out'
    for to in png jpg webp tif; do
        expect_exit 0 "$DECANT" decode "$from.dcn" -o "$from-to.$to"
        expect_carried "$from-to.$to"
    done
done
# The pixels are those of a file without metadata.
expect_exit 0 "$DECANT" encode plain.png
expect_exit 0 "$DECANT" decode plain.dcn -o plain_back.png
expect_exit 0 "$DECANT" compare plain_back.png from.tif
expect_contains "$OUT" inf

# denoise carries them, too.
for to in png jpg webp tif; do
    expect_exit 0 "$DECANT" denoise -m photo from.tif -o "clean.$to"
    expect_carried "clean.$to"
done
expect_exit 0 "$DECANT" denoise -m photo --metadata icc rich.png -o clean_icc.png
expect_carried clean_icc.png icc

# --metadata, when encoding and when decoding. Without EXIF the picture lies on its side, and that is said.
expect_exit 0 "$DECANT" encode --metadata none rich.png -o none.dcn
expect_contains "$ERR" 'rich.png: its orientation (6 of 8) is left out'
expect_same none.dcn plain.dcn
expect_exit 0 "$DECANT" encode --metadata xmp,exif rich.png -o some.dcn
expect_exit 0 "$DECANT" decode some.dcn -o some.jpg
expect_carried some.jpg xmp orientation make date dpi
expect_exit 0 "$DECANT" decode --metadata icc rich.dcn -o icc.png --json
expect_carried icc.png icc
expect_contains "$OUT" '"notes":["its orientation (6 of 8) is left out'
expect_exit 0 "$DECANT" decode --metadata none rich.dcn -o none.tif
expect_carried none.tif nothing
for kinds in some '' icc, ,xmp all,xmp; do
    expect_exit 2 "$DECANT" encode --metadata "$kinds" rich.png -o never.dcn
    expect_no_file never.dcn
done

# Formats that hold none: a word, not a failure, and silence where it was asked for.
for name in a.ppm a.bmp; do
    expect_exit 0 "$DECANT" decode rich.dcn -o "$name"
    expect_matches "$ERR" '^rich\.dcn: .* files hold no metadata: ICC profile, EXIF, XMP and resolution left out'
    expect_exit 0 "$DECANT" decode -f --quiet rich.dcn -o "$name"
    expect_empty "$ERR"
    expect_exit 0 "$DECANT" decode -f plain.dcn -o "$name"
    expect_lacks "$ERR" 'left out'
done

# info lists them.
expect_exit 0 "$DECANT" info rich.dcn
expect_matches "$OUT" 'ICC profile +3000 bytes'
expect_matches "$OUT" 'EXIF +[0-9]+ bytes, orientation 6'
expect_matches "$OUT" 'XMP +[0-9]+ bytes'
expect_matches "$OUT" 'resolution +118\.11 x 59\.06 per cm'
expect_exit 0 "$DECANT" info --json rich.dcn plain.dcn
python3 - "$OUT" <<'PYTHON' || fail "info --json"
import json, sys
rich, plain = (json.loads(line)["metadata"] for line in open(sys.argv[1]))
assert plain is None
assert rich["icc"] == 3000 and rich["orientation"] == 6 and 0 < rich["bytes"] < 4000 and rich["exif"] > 0 and rich["xmp"] > 0, rich
PYTHON

# Damaged metadata are left out with a word; the picture is encoded. In a .dcn file they are damage like any other.
python3 - <<'PYTHON'
data = bytearray(open("rich.png", "rb").read())
data[data.index(b"eXIf") + 20] ^= 1
open("wrong.png", "wb").write(data)
data = bytearray(open("rich.dcn", "rb").read())
data[data.index(b"\x28\xb5\x2f\xfd") + 40] ^= 1  # in the Zstandard frame
open("wrong.dcn", "wb").write(data)
PYTHON
expect_exit 0 "$DECANT" encode wrong.png -o from_wrong.dcn
expect_matches "$ERR" '^wrong\.png: the EXIF block cannot be used \(PNG: a wrong checksum\); it is left out'
expect_exit 0 "$DECANT" decode from_wrong.dcn -o from_wrong.png
expect_carried from_wrong.png icc xmp dpi
expect_exit 4 "$DECANT" decode wrong.dcn -o from_wrong.tif
expect_no_file from_wrong.tif

# Colours that are converted: a palette, and CMYK (one block of medium gray).
python3 - <<'PYTHON'
import struct, zlib
from carried import chunk
with open("palette.png", "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0)) + chunk(b"PLTE", bytes(range(6))) +
               chunk(b"IDAT", zlib.compress((b"\0" + b"\0\1" * 4) * 8)) + chunk(b"IEND", b""))
def segment(marker, data):
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(data)) + data
one_code = b"\1" + bytes(15) + b"\0"  # a single code: no difference, end of block
components = range(1, 5)
with open("cmyk.jpg", "wb") as file:
    file.write(b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC0, b"\x08\0\x08\0\x08\x04" + b"".join(bytes((c, 0x11, 0)) for c in components)) +
               segment(0xC4, b"\0" + one_code) + segment(0xC4, b"\x10" + one_code) +
               segment(0xDA, b"\x04" + b"".join(bytes((c, 0)) for c in components) + b"\0\x3f\0") + b"\0" + b"\xff\xd9")
PYTHON
expect_exit 0 "$DECANT" encode palette.png
expect_contains "$ERR" 'palette.png: the palette was converted to RGB'
expect_exit 0 "$DECANT" encode cmyk.jpg
expect_contains "$ERR" 'cmyk.jpg: CMYK was converted to RGB'
expect_exit 0 "$DECANT" info palette.dcn cmyk.dcn
expect_matches "$OUT" 'channels +3'

# Modification time and mode, there and back.
touch -d '2001-02-03 04:05:06.789' rich.png
chmod 640 rich.png
expect_exit 0 "$DECANT" encode rich.png -o dated.dcn
expect_exit 0 "$DECANT" decode dated.dcn -o dated.tif
expect_exit 0 "$DECANT" denoise -m photo rich.png -o dated.jpg
for name in dated.dcn dated.tif dated.jpg; do
    [[ $(stat -c '%Y %a' "$name") == "$(stat -c '%Y %a' rich.png)" ]] || fail "$name has another time or mode: $(stat -c '%y %a' "$name")"
done
