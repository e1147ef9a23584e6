#!/usr/bin/env python3
"""Times whole commands side by side: decant against avifenc -s 6 and avifdec (Debian: libavif-bin), on one picture.

usage: compare_speed.py [--decant PROGRAM] [--runs N] PICTURE.png

The commands run in turn, A B A B …, so that a machine whose speed drifts treats both alike. Printed are the medians and the median
of the ratios pair by pair; above 1, decant is the faster.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def seconds(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def pair(what, ours, theirs, runs):
    for command in (ours, theirs):
        seconds(command)  # caches and disk
    a, b = [], []
    for _ in range(runs):
        a.append(seconds(ours))
        b.append(seconds(theirs))
    ratio = statistics.median(t / o for o, t in zip(a, b))
    print(f"{what:8} decant {1000 * statistics.median(a):7.1f} ms   {os.path.basename(theirs[0]):8} {1000 * statistics.median(b):7.1f} ms   ratio {ratio:.2f}")


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decant", default=os.path.join(here, "build", "release", "decant"), help="the program (default: the release build)")
    parser.add_argument("--runs", type=int, default=15, help="timed runs of each command (default: 15)")
    parser.add_argument("picture")
    options = parser.parse_args()
    for program in ("avifenc", "avifdec"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing: install libavif-bin")
    with tempfile.TemporaryDirectory() as folder:
        dcn, avif, png = (os.path.join(folder, name) for name in ("a.dcn", "a.avif", "a.png"))
        pair("encode", [options.decant, "encode", "-f", "--quiet", "-o", dcn, options.picture],
             ["avifenc", "-s", "6", "-j", "all", options.picture, avif], options.runs)
        pair("decode", [options.decant, "decode", "-f", "--quiet", "-o", png, dcn], ["avifdec", "-j", "all", avif, png], options.runs)


main()
