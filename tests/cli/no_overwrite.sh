#!/usr/bin/env bash
# Existing files are safe unless -f; originals are never touched; time stamp and mode go over to the output.
source "$(dirname "$0")/lib.bash"

make_png a.png
make_png b.png 50 40
touch -d '2020-01-02 03:04:05' a.png
chmod 640 a.png
fingerprint() { sha256sum -- "$@" && stat -c '%n %Y %a %i %s' -- "$@"; }
before=$(fingerprint a.png b.png)

expect_exit 0 "$DECANT" encode a.png
[[ $(stat -c '%Y %a' a.dcn) == "$(stat -c '%Y %a' a.png)" ]] || fail "time or mode not kept: $(stat -c '%y %a' a.dcn)"
expect_exit 0 "$DECANT" decode a.dcn -o back.png
[[ $(stat -c '%Y %a' back.png) == "$(stat -c '%Y %a' a.png)" ]] || fail "time or mode not kept: $(stat -c '%y %a' back.png)"

# Refused, and the file that is there stays as it is.
echo 'precious' >precious.dcn
cp precious.dcn copy
expect_exit 1 "$DECANT" encode a.png -o precious.dcn
expect_matches "$ERR" '^decant: .*precious\.dcn'
expect_same precious.dcn copy
echo 'precious' >precious.png
expect_exit 1 "$DECANT" decode a.dcn -o precious.png
expect_same precious.png copy
# decode beside the input would replace the original
expect_exit 1 "$DECANT" decode a.dcn
expect_only . a.png b.png a.dcn back.png precious.dcn precious.png copy

# One refusal does not stop a batch.
mkdir batch
echo 'precious' >batch/a.dcn
expect_exit 1 "$DECANT" encode a.png b.png --output-dir batch
expect_only batch a.dcn b.dcn
expect_same batch/a.dcn copy

# --skip-existing leaves it and is content; -f replaces it.
expect_exit 0 "$DECANT" encode --skip-existing a.png b.png --output-dir batch
expect_same batch/a.dcn copy
expect_exit 0 "$DECANT" encode -f a.png -o precious.dcn
expect_same precious.dcn a.dcn
expect_exit 0 "$DECANT" decode --force a.dcn -o precious.png
expect_same precious.png back.png

# A failed decode with -f leaves what was there.
head -c 40 a.dcn >cut.dcn
expect_exit 4 "$DECANT" decode -f cut.dcn -o precious.png
expect_same precious.png back.png

# Two inputs that would write the same output: one of them is refused, or both.
mkdir clash
cp a.png clash/x.png
cp "$SAMPLES/foliage.jpg" clash/x.jpg
expect_exit 1,2 "$DECANT" encode clash/x.png clash/x.jpg --output-dir clashed
rm -rf clash clashed

[[ $before == "$(fingerprint a.png b.png)" ]] || fail "an original was changed: $(fingerprint a.png b.png)"
expect_only . a.png b.png a.dcn back.png precious.dcn precious.png copy batch batch/a.dcn batch/b.dcn cut.dcn
