#!/usr/bin/env bash
# The installed library: the example compiles and runs outside of the tree, with CMake and with pkg-config.
source "$(dirname "$0")/lib.bash"

command -v pkg-config >/dev/null || { echo "skipped: no pkg-config here (Debian: pkgconf)"; exit 77; }
source=$(realpath "$(dirname "$0")/../..")
prefix=$TEMP/prefix
expect_exit 0 cmake --install "$(dirname "$DECANT")" --prefix "$TEMP/there" --strip
mv "$TEMP/there" "$prefix"
expect_only "$prefix/include" decant decant/decant.h
skip_sanitized "$prefix"/lib/*/libdecant.so
flags=(-std=c++17 -Wall -Wextra -Wpedantic -Wshadow -Werror)

# Only what the header declares is seen.
nm -DC --defined-only "$prefix"/lib/*/libdecant.so >symbols
expect_contains symbols "decant::Decoder::decode("
expect_exit 1 grep -vE ' A DECANT_0| (typeinfo|typeinfo name|vtable) for decant::Error@| decant::((En|De)coder::.*|read_info\(.*|is_dcn\(.*|version\(\))@' symbols
expect_exit 0 readelf -d "$prefix"/lib/*/libdecant.so
expect_contains "$OUT" 'soname: [libdecant.so.0.9]'

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(echo "$prefix"/lib/*/pkgconfig)
[[ $(pkg-config --modversion decant) == "$("$DECANT" --version | sed -n 's/^decant //p')" ]] || fail "another version than the program's"
read -ra link_flags < <(pkg-config --cflags --libs decant)
expect_exit 0 c++ "${flags[@]}" "$source/examples/encode_decode.cpp" "${link_flags[@]}" -o by_pkg_config
expect_exit 0 env LD_LIBRARY_PATH="$(pkg-config --variable=libdir decant)" ./by_pkg_config
expect_matches "$OUT" '^320 x 200 pixels in [0-9]+ bytes; no sample differs by more than [0-9]+$'
mv "$OUT" by_pkg_config.txt

mkdir project
cat >project/CMakeLists.txt <<EXAMPLE
cmake_minimum_required(VERSION 3.20)
project(example LANGUAGES CXX)
find_package(decant 0.9 REQUIRED)
add_executable(example $source/examples/encode_decode.cpp)
target_link_libraries(example PRIVATE decant::decant)
target_compile_options(example PRIVATE ${flags[*]:1})
EXAMPLE
expect_exit 0 cmake -S project -B project/build -DCMAKE_PREFIX_PATH="$prefix"
expect_exit 0 cmake --build project/build
expect_exit 0 project/build/example
expect_same "$OUT" by_pkg_config.txt

# Without its models: an error that says where they were looked for.
mv "$prefix/share/decant" "$TEMP"
expect_exit 1 project/build/example
expect_contains "$ERR" "photo.safetensors: is in none of the model folders"
expect_contains "$ERR" "$prefix/share/decant/models"
