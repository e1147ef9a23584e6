#!/usr/bin/env bash
# cmake --install: a tree that works wherever it is moved, without the tree that it was built in.
source "$(dirname "$0")/lib.bash"

build=$(dirname "$DECANT")
expect_exit 0 cmake --install "$build" --prefix "$TEMP/there" --strip
mkdir "$TEMP/elsewhere"
mv "$TEMP/there" "$TEMP/elsewhere/decant 1"
prefix="$TEMP/elsewhere/decant 1"
decant=$prefix/bin/decant
expect_file "$prefix/share/decant/models/photo.safetensors" "$prefix/share/doc/decant/copyright"

# No path of the build is in there, but for those that assertions and sanitizers tell.
source=$(realpath "$(dirname "$0")/../..")
if grep -q '^CMAKE_BUILD_TYPE:.*=Release$' "$build/CMakeCache.txt"; then
    expect_exit 1 grep -rlF "$source" "$prefix"
fi

# Models and modules are those of this tree.
expect_exit 0 "$decant" models --json
[[ $(field file) == "$prefix/share/decant/models/photo.safetensors" ]] || fail "another model was found"
make_png a.png
expect_exit 0 "$decant" encode a.png
expect_exit 0 "$decant" decode a.dcn -o a.jpg
expect_magic a.jpg ffd8ff
expect_exit 0 "$decant" decode a.dcn -o b.png
expect_exit 0 "$DECANT" decode a.dcn -o c.png
expect_same b.png c.png
expect_exit 0 "$decant" denoise a.png

# Through a link, as in ~/bin.
ln -s "$decant" link
expect_exit 0 ./link decode a.dcn -o d.png
expect_same b.png d.png

# Without its module: an error that names the folders.
mv "$prefix"/lib/*/decant/decant_opencv.so "$TEMP"
expect_exit 1 "$decant" decode a.dcn -o e.jpg
expect_contains "$ERR" "decant_opencv.so, which is not in $prefix/bin or $prefix/lib/"
expect_exit 0 "$decant" decode a.dcn -o e.png
