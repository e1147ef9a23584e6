#!/usr/bin/env python3
"""Pictures in a folder that are nearly the same, by the vectors that `decant embed --pooled` makes.

    decant embed --pooled 4 -r pictures --output-dir vectors
    tools/find_duplicates.py vectors

prints the pairs whose vectors, seen from the mean of the folder, have a cosine of at least --least; the most alike first. A copy in
another size, format or quality comes out at 0.95 and above.
"""
import argparse
import pathlib
import sys

import numpy


def read_vectors(folder):
    files = sorted(folder.rglob("*.npy"))
    if len(files) < 3:
        sys.exit(f"{folder}: three or more .npy files are needed, there are {len(files)}")
    vectors = [numpy.load(f) for f in files]
    sizes = {v.shape for v in vectors}
    if len(sizes) != 1 or vectors[0].ndim != 1:
        sys.exit(f"{folder}: one vector of one length a file is needed: decant embed --pooled N")
    return [str(f.relative_to(folder).with_suffix("")) for f in files], numpy.stack(vectors).astype(numpy.float64)


def similarities(vectors):
    from_mean = vectors - vectors.mean(axis=0)
    from_mean /= numpy.maximum(numpy.linalg.norm(from_mean, axis=1, keepdims=True), 1e-12)
    return from_mean @ from_mean.T


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--least", type=float, default=0.95, help="least cosine of a pair, 0.95")
    arguments = parser.parse_args()
    names, vectors = read_vectors(arguments.folder)
    cosine = similarities(vectors)
    pairs = [(cosine[i, j], names[i], names[j]) for i in range(len(names)) for j in range(i) if cosine[i, j] >= arguments.least]
    for value, a, b in sorted(pairs, reverse=True):
        print(f"{value:.3f}  {b}  {a}")


if __name__ == "__main__":
    main()
