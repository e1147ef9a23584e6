#!/usr/bin/env bash
# The Debian package that cpack makes: its content and dependencies, and what it installs as dpkg lays it out.
source "$(dirname "$0")/lib.bash"

for tool in cpack dpkg-deb dpkg-shlibdeps; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool here (Debian: cmake, dpkg-dev)"; exit 77; }
done
build=$(dirname "$DECANT")
expect_exit 0 cpack --config "$build/CPackConfig.cmake" -B "$TEMP/package"
package=$(echo "$TEMP"/package/decant_*_*.deb)
expect_file "$package"
version=$("$DECANT" --version | sed -n 's/^decant //p')
[[ $(dpkg-deb --field "$package" Version) == "$version" ]] || fail "another version than the program's"
expect_exit 0 dpkg-deb --field "$package" Depends
for library in libc6 libdnnl2 libopencv-imgcodecs406 libpng16-16; do
    expect_contains "$OUT" "$library"
done

# What is in it belongs to root, as the system wants it, and works from where it was unpacked.
expect_exit 0 dpkg-deb --contents "$package"
mv "$OUT" contents
expect_exit 1 grep -vE '^[-dl][rwx-]{9} root/root ' contents
expect_exit 0 dpkg-deb --extract "$package" root
expect_file root/usr/{bin/decant,include/decant/decant.h,lib/*/libdecant.so.0.9,lib/*/cmake/decant/decantConfig.cmake,lib/*/pkgconfig/decant.pc} \
    root/usr/share/{man/man1/decant-encode.1,bash-completion/completions/decant,mime/packages/decant.xml,doc/decant/copyright}
decant=root/usr/bin/decant
make_png a.png
expect_exit 0 "$decant" encode a.png
expect_exit 0 "$decant" decode a.dcn -o a.tif
expect_exit 0 "$decant" models
expect_contains "$OUT" "$PWD/root/usr/share/decant/models/photo.safetensors"
