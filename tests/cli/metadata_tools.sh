#!/usr/bin/env bash
# What other programs say of a picture before and after: ExifTool of every tag of EXIF, XMP, ICC profile and resolution, ImageMagick's
# identify of size, depth, colour space, resolution, orientation and profiles. The originals are made by these programs as well.
source "$(dirname "$0")/lib.bash"

for tool in exiftool convert identify; do
    command -v $tool >/dev/null || { echo "SKIPPED: $tool is missing (Debian: libimage-exiftool-perl, imagemagick)"; exit 77; }
done

# Every tag that is carried, with its group and value. What says how TIFF lays out its pixels is not.
tags() {  # FILE
    exiftool -a -G1 -s -n "$1" 2>&1 |
        sed -nE '/^\[(IFD0|ExifIFD|GPS|InteropIFD|XMP-[a-z]+|ICC[-_a-zA-Z]*|JFIF|PNG-pHYs)\]/p' |
        sed -E '/^\[IFD0\] +(SubfileType|Compression|FillOrder|StripOffsets|RowsPerStrip|StripByteCounts|SampleFormat|Predictor|PageNumber|WhitePoint|PrimaryChromaticities) /d' |
        sed -E '/^\[IFD0\] +Orientation +: 1$/d' |  # "as stored" says nothing
        sort
}

# WebP's resolution lies in EXIF, of which identify takes no notice. Its warnings are of its own XMP reader.
looks() {  # FILE
    identify -format '%wx%h, %z bit, %[colorspace], %x x %y %U, %[orientation], %[channels]\n' "$1" 2>/dev/null
    identify -verbose "$1" 2>/dev/null | sed -nE '/Profile-(icc|icm|exif|xmp)/p' | sort
}

expect_unchanged() {  # BEFORE AFTER
    tags "$1" >tags.before
    tags "$2" >tags.after
    diff tags.before tags.after >"$OUT" || fail "ExifTool: $2 differs from $1"
    looks "$1" >looks.before
    looks "$2" >looks.after
    diff looks.before looks.after >"$OUT" || fail "identify: $2 differs from $1"
}

make_png base.png 96 64
exiftool -q -b -ICC_Profile "$SAMPLES/foliage.jpg" >rgb.icc
expect_file rgb.icc

# enrich FILE  tags of all kinds, and 300 dpi in the format's own field.
enrich() {
    exiftool -q -q -overwrite_original '-ICC_Profile<=rgb.icc' -Make=Maker -Model='Model X' -Orientation#=6 \
        -Copyright='Someone' -DateTimeOriginal='2024:02:29 12:00:00' -OffsetTimeOriginal='+01:00' -ExposureTime=1/250 -FNumber=2.8 \
        -ISO=400 -UserComment='Grüße' -GPSLatitude=48.1 -GPSLatitudeRef=N -GPSLongitude=11.5 -GPSLongitudeRef=E \
        -IFD0:XResolution=300 -IFD0:YResolution=300 -IFD0:ResolutionUnit=inches \
        -XMP-dc:Title='Ein Bild' -XMP-dc:Subject=one -XMP-dc:Subject=two -XMP-xmp:Rating=4 "$1"
    case $1 in
        *.png) exiftool -q -q -overwrite_original -PNG-pHYs:PixelsPerUnitX=11811 -PNG-pHYs:PixelsPerUnitY=11811 -PNG-pHYs:PixelUnits=meters "$1" ;;
        *.jpg) exiftool -q -q -overwrite_original -JFIF:XResolution=300 -JFIF:YResolution=300 -JFIF:ResolutionUnit=inches "$1" ;;
    esac
}

for format in png jpg webp tif; do
    convert base.png -quality 95 "full.$format"
    enrich "full.$format"
    expect_exit 0 "$DECANT" encode "full.$format" -o "$format.dcn"
    expect_lacks "$ERR" 'left out'
    expect_exit 0 "$DECANT" decode "$format.dcn" -o "back.$format"
    expect_lacks "$ERR" 'left out'
    expect_unchanged "full.$format" "back.$format"
    # The comparison has something to compare.
    for tag in Make Model Orientation Copyright DateTimeOriginal ExposureTime UserComment GPSLatitude Title Subject Rating \
        ProfileDescription XResolution; do
        expect_contains tags.after " $tag "
    done
    [[ $format == png || $format == webp ]] || expect_contains looks.after 'RightTop'  # identify looks for it nowhere else
done

# From each format to each other: all of EXIF, XMP and the profile, and the resolution wherever it lies there. Of TIFF's own fields
# some describe the pixels.
content() {  # FILE
    exiftool -j -G1 -n "$1" | python3 -c '
import json, re, sys
tags, metre = json.load(sys.stdin)[0], 0.0254
for tag in sorted(tags):
    if re.match("(ExifIFD|GPS|InteropIFD|XMP|ICC)|IFD0:(Make|Model|Orientation|Copyright)$", tag): print(tag, tags[tag])
places = (("PNG-pHYs:PixelsPerUnitX", "PNG-pHYs:PixelsPerUnitY", "PNG-pHYs:PixelUnits", {1: metre}),
          ("JFIF:XResolution", "JFIF:YResolution", "JFIF:ResolutionUnit", {1: 1, 2: 2.54}),
          ("IFD0:XResolution", "IFD0:YResolution", "IFD0:ResolutionUnit", {2: 1, 3: 2.54}))
x, y, factor = next((tags[x], tags[y], inches[tags[unit]]) for x, y, unit, inches in places if x in tags)
print("%.0f x %.0f dpi" % (x * factor, y * factor))'
}
content full.jpg >wanted
for tag in '300 x 300 dpi' ExifIFD:DateTimeOriginal GPS:GPSLatitude XMP-dc:Title ICC_Profile: IFD0:Orientation; do expect_contains wanted "$tag"; done
for from in png jpg webp tif; do
    for to in png jpg webp tif; do
        expect_exit 0 "$DECANT" decode "$from.dcn" -o "$from-to.$to"
        content "$from-to.$to" >found
        diff wanted found >"$OUT" || fail "ExifTool: $from-to.$to differs from full.jpg"
    done
done

# Other resolutions, in centimetres and different along the sides; identify sees them where the format has a field of its own.
for format in png jpg tif; do
    convert base.png -units PixelsPerCentimeter -density 40x60 "cm.$format"
    expect_exit 0 "$DECANT" encode "cm.$format" -o cm.dcn -f
    expect_exit 0 "$DECANT" decode cm.dcn -o "cm_back.$format"
    expect_unchanged "cm.$format" "cm_back.$format"
    expect_contains looks.after '40 x 60 PixelsPerCentimeter'
done

# Gray stays gray; depth stays 16.
for format in png jpg tif; do
    convert base.png -colorspace gray "gray.$format"
    expect_exit 0 "$DECANT" encode "gray.$format" -o gray.dcn -f
    expect_exit 0 "$DECANT" decode gray.dcn -o "gray_back.$format"
    expect_unchanged "gray.$format" "gray_back.$format"
    expect_contains looks.after ', Gray,'
done
# Alpha as ImageMagick sees it, by the hash of its plane.
alpha_of() { convert "$1" -alpha extract -depth 8 -format '%#' info: 2>/dev/null; }
for format in png webp tif; do
    convert base.png \( -size 96x64 radial-gradient: \) -alpha off -compose CopyOpacity -composite -define webp:lossless=true "alpha.$format"
    expect_exit 0 "$DECANT" encode "alpha.$format" -o alpha.dcn -f
    expect_exit 0 "$DECANT" decode alpha.dcn -o "alpha_back.$format"
    expect_unchanged "alpha.$format" "alpha_back.$format"
    expect_contains looks.after ', srgba'
    [[ $(alpha_of "alpha.$format") == "$(alpha_of "alpha_back.$format")" ]] || fail "alpha of alpha_back.$format differs"
done

make_png deep.png 96 64 16
for format in png tif; do
    [[ $format == png ]] || convert deep.png "deep.$format"
    enrich "deep.$format"
    expect_exit 0 "$DECANT" denoise -m photo "deep.$format" -o "clean.$format"
    expect_unchanged "deep.$format" "clean.$format"
    expect_contains looks.after '16 bit'
    expect_exit 0 "$DECANT" encode "deep.$format" -o deep.dcn -f
    expect_exit 0 "$DECANT" decode deep.dcn -o "deep_back.$format"
    expect_unchanged "deep.$format" "deep_back.$format"
    expect_contains looks.after '16 bit'
done

# ImageMagick keeps XMP of a PNG in hexadecimal digits in a compressed text.
convert full.jpg magick.png
grep -q 'Raw profile type xmp' magick.png || fail 'ImageMagick writes XMP otherwise; the test needs another PNG'
expect_exit 0 "$DECANT" encode magick.png
expect_exit 0 "$DECANT" decode magick.dcn -o magick_back.png
for tag in XMP-dc:Title XMP-dc:Subject XMP-xmp:Rating ExifIFD:DateTimeOriginal GPS:GPSLatitude; do
    [[ $(exiftool -s -s -s "-$tag" magick_back.png) == "$(exiftool -s -s -s "-$tag" full.jpg)" ]] || fail "$tag differs"
done

# What is not carried is said: IPTC, and a gamma that is not that of sRGB without a profile.
for format in jpg tif; do
    convert base.png "iptc.$format"
    exiftool -q -q -overwrite_original -IPTC:Keywords=word "iptc.$format"
    expect_exit 0 "$DECANT" encode -f "iptc.$format"
    expect_contains "$ERR" 'the IPTC block is not supported; it is left out'
done
exiftool -q -q -overwrite_original -IPTC:Keywords=word magick.png
expect_exit 0 "$DECANT" encode -f magick.png
expect_contains "$ERR" 'the IPTC block is not supported; it is left out'
convert base.png -set gamma 1 -define png:include-chunk=gAMA linear.png
if identify -verbose linear.png | grep -q 'png:gAMA.*gamma=1 '; then
    expect_exit 0 "$DECANT" encode linear.png
    expect_contains "$ERR" 'gamma'
fi
