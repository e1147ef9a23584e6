#!/usr/bin/env bash
# A batch that is killed with SIGKILL again and again, and resumed with --skip-existing: whatever stands in the output folder at any moment
# is whole, nothing else is left behind, and in the end every file is that of a run that nothing disturbed.
# RESUME_FILES and RESUME_KILLS set the size; 200 and 20 are the numbers that the long test has.
source "$(dirname "$0")/lib.bash"

python3 - "$DECANT" "${RESUME_FILES:-40}" "${RESUME_KILLS:-8}" <<'PYTHON' || fail 'not resumed as it should be'
import hashlib, os, random, struct, subprocess, sys, time, zlib
decant, count, kills = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
os.makedirs("in/sub")
noise = random.Random(1)
for i in range(count):  # all different, so that no file can stand for another
    width, height = 150 + i % 17, 100 + i % 13
    rows = b"".join(b"\0" + bytes(max(0, min(255, x + 2 * y + i + noise.randrange(-20, 20))) for x in range(width)) for y in range(height))
    with open("in/%s%03d.png" % ("sub/" if i % 3 == 0 else "", i), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

def files(folder):
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.relpath(os.path.join(path, name), folder)] = hashlib.sha256(file.read()).hexdigest()
    return found

def command(folder):
    return [decant, "encode", "-r", "in", "--output-dir", folder, "--skip-existing", "--quiet"]

originals = files("in")
start = time.time()
subprocess.run(command("undisturbed"), check=True)
seconds = time.time() - start
wanted = files("undisturbed")
assert len(wanted) == count, len(wanted)

# SIGKILL at random moments: behind a random number of further outputs and a moment more, so that every stage of a file is hit; now
# and then before the first.
def outputs():
    return sum(len(names) for _, _, names in os.walk("killed"))
moments, done, was_partial = random.Random(2), 0, 0
for kill in range(kills):
    process = subprocess.Popen(command("killed"))
    target = outputs() + moments.randrange(max(2, 2 * count // kills))
    time.sleep(moments.uniform(0.0, 0.1))
    while outputs() < target and process.poll() is None:
        time.sleep(0.001)
    time.sleep(moments.uniform(0.0, 2 * seconds / count))
    process.kill()
    process.wait()
    found = files("killed") if os.path.isdir("killed") else {}
    for name, digest in found.items():
        # On file systems without nameless files a temporary one may be left; it never has the name of an output.
        if os.path.basename(name).startswith("."):
            os.remove(os.path.join("killed", name))
        else:
            assert wanted[name] == digest, name + " is not whole after a SIGKILL"
    assert len(found) >= done
    done = len(found)
    was_partial += 0 < done < count
assert was_partial > 0, "no run was killed in the middle"
subprocess.run(command("killed"), check=True)
assert files("killed") == wanted, "the resumed run differs from the undisturbed one"
assert files("in") == originals, "an original was changed"
print("%d files, %d kills, %d of them in the middle; %.1f s undisturbed" % (count, kills, was_partial, seconds))
PYTHON
