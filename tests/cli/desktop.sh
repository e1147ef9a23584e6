#!/usr/bin/env bash
# .dcn files on a desktop: their type by name and by content, and their pixels and thumbnails through the real tools of gdk-pixbuf.
source "$(dirname "$0")/lib.bash"

build=$(dirname "$DECANT")
source=$(realpath "$(dirname "$0")/../..")

query=$(pkg-config --variable=gdk_pixbuf_query_loaders gdk-pixbuf-2.0 2>/dev/null) || query=
for needed in "$build/decant_gdk_pixbuf.so" "$query" "$(command -v gdk-pixbuf-thumbnailer)" "$(command -v gdk-pixbuf-csource)" \
    "$(command -v update-mime-database)" "$(command -v gio)"; do
    [[ -e $needed ]] || { echo "skipped: not all is here (Debian: libgdk-pixbuf-2.0-dev, libgdk-pixbuf2.0-bin, shared-mime-info, libglib2.0-bin)"; exit 77; }
done

# The type is known by the name and by the content.
mkdir -p data/mime/packages
cp "$source/desktop/decant.xml" data/mime/packages
export XDG_DATA_HOME=$TEMP/none XDG_DATA_DIRS=$PWD/data:/usr/share
expect_exit 0 env PKGSYSTEM_ENABLE_FSYNC=0 update-mime-database "$PWD/data/mime"
type_of() { gio info -a standard::content-type "$1" | sed -n 's/^ *standard::content-type: //p'; }
"$DECANT" encode --quiet "$SAMPLES/flower.webp" -o photo.dcn
[[ $(type_of photo.dcn) == image/x-dcn ]] || fail "the type is not known by the name"
cp photo.dcn no_extension
[[ $(type_of no_extension) == image/x-dcn ]] || fail "the type is not known by the content"
{ printf x; cat photo.dcn; } >other
[[ $(type_of other) != image/x-dcn ]] || fail "other content is taken for it"

skip_sanitized "$build/decant_gdk_pixbuf.so"
export GDK_PIXBUF_MODULE_FILE=$PWD/loaders.cache
expect_exit 0 "$query" "$build/decant_gdk_pixbuf.so"
expect_empty "$ERR"
mv "$OUT" loaders.cache
expect_contains loaders.cache '"image/x-dcn"'

# same_pixels NAME  the loader gives the pixels of NAME.dcn that decode gives; gdk-pixbuf reads PNG itself.
same_pixels() {
    "$DECANT" decode --quiet -f "$1.dcn" -o "$1.png"
    local kind
    for kind in dcn png; do
        expect_exit 0 gdk-pixbuf-csource --raw --name=pixels "$1.$kind"
        mv "$OUT" "pixels.$kind"
    done
    expect_same pixels.dcn pixels.png
}
same_pixels photo
make_png gray.png 33 21 8 1
make_png one.png 1 1
python3 - <<'PYTHON'
import struct, zlib
def png(name, kind, channels, exif=b""):
    rows = b"".join(b"\0" + bytes((x * 5 + y * 3 + 40 * c) % 256 for x in range(45) for c in range(channels)) for y in range(31))
    chunk = lambda k, d: struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 45, 31, 8, kind, 0, 0, 0)) +
                           (chunk(b"eXIf", exif) if exif else b"") +
                           chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
png("rgba.png", 6, 4)
png("gray_alpha.png", 4, 2)
png("turned.png", 2, 3, b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")
PYTHON
for name in gray one rgba gray_alpha; do
    "$DECANT" encode --quiet "$name.png"
    same_pixels "$name"
done

# Thumbnails have the size that was asked for, and smaller pictures their own.
expect_exit 0 gdk-pixbuf-thumbnailer -s 128 photo.dcn thumbnail.png
"$DECANT" decode --quiet -f photo.dcn -o photo.png
expect_exit 0 gdk-pixbuf-thumbnailer -s 128 photo.png wanted.png
expect_shape thumbnail.png "$(png_shape wanted.png)"
expect_exit 0 "$DECANT" compare --json wanted.png thumbnail.png
expect_within 35 "$(field psnr)" 1000
expect_exit 0 gdk-pixbuf-thumbnailer -s 128 one.dcn one_thumbnail.png
expect_file one_thumbnail.png

# They are turned as EXIF says.
"$DECANT" encode --quiet turned.png
expect_exit 0 gdk-pixbuf-thumbnailer -s 20 turned.dcn turned_thumbnail.png
expect_shape turned_thumbnail.png 14x20x8

# Damaged files are errors, never crashes.
size=$(stat -c %s gray.dcn)
for ((at = 8; at < size; at += 13)); do
    cp gray.dcn damaged.dcn
    printf '\xA5' | dd of=damaged.dcn bs=1 seek=$at conv=notrunc status=none
    cmp -s gray.dcn damaged.dcn || expect_exit 1 gdk-pixbuf-csource --raw damaged.dcn
    head -c "$at" gray.dcn >damaged.dcn
    expect_exit 1 gdk-pixbuf-csource --raw damaged.dcn
done
expect_matches "$ERR" 'failed to load "damaged.dcn": .'
