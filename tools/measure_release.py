#!/usr/bin/env python3
"""Measures a release, compression and denoising, and keeps the results: models/results/VERSION/kodak.json and kodak-denoise.json.

usage: measure_release.py FOLDER [RESULTS]

FOLDER holds the 24 Kodak images as PNG (r0k.us/graphics/kodak has them); RESULTS is models/results unless given. JPEG, WebP, AVIF and
JPEG XL are measured in the same run, OpenCV's non-local means for denoising, so that speeds of different machines compare by their ratios.
Also draws RESULTS/kodak.svg, prints the tables of README.md, and compares with the release before (compare_releases.py), whose exit code is
its own. DECANT is the program, build/release/decant unless set. Speeds are of use from an idle machine only.
"""
import json
import os
import subprocess
import sys

TOOLS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TOOLS)
DECANT = os.environ.get("DECANT", os.path.join(ROOT, "build", "release", "decant"))
QUALITIES = "0,10,20,30,40,50,60,70,80,90,100"
PEERS = "jpeg,webp,avif,jxl"
ANCHORS = [os.path.join(ROOT, "models", "anchors", f"kodak-{name}.json") for name in ("vtm", "av1", "bpg444", "webp", "jpeg")]
# What is kept of single pictures: enough to see which of them a change of the means comes from.
KEPT = {"picture", "bpp", "psnr-rgb", "ms-ssim-rgb", "psnr-rgb-noisy"}


def decant(*arguments):
    return subprocess.run([DECANT, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"measure_release.py: the machine is busy (load {load:.1f}), speeds will come out too low", file=sys.stderr)
    return f"{names[0]}, {os.cpu_count()} threads, load before the run {load:.1f}"


def engine():
    """The instruction set in use: what speeds depend on most."""
    return next(line.split(":", 1)[1].strip() for line in decant("--version").splitlines() if line.startswith("engine:"))


def shortened(value):
    """Numbers to six digits; of pictures what is KEPT, and of their names no folder."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, dict):
        kept = {key: shortened(item) for key, item in value.items() if "picture" not in value or key in KEPT}
        return kept | {"picture": os.path.basename(value["picture"])} if "picture" in value else kept
    return value


def pretty(value, indent=""):
    """JSON with a line a list of numbers, so that releases can be compared with diff."""
    deeper = indent + " "
    if isinstance(value, dict):
        items = [f"{deeper}{json.dumps(key)}: {pretty(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(deeper + pretty(item, deeper) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def measure(path, name, *arguments):
    where = machine()
    report = shortened(json.loads(decant("eval", "--quiet", "--json", *arguments)))
    report = {"name": name, "description": report["description"], "machine": where, "engine": engine(), **{k: v for k, v in report.items() if k not in ("name", "description")}}
    with open(path, "w", encoding="utf-8") as file:
        file.write(pretty(report) + "\n")
    return report


def table(head, rows):
    print("\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]) + "\n")


def print_tables(report):
    print(report["machine"] + "\n")
    columns = [("bpp", 3), ("raw_ratio", 1), ("psnr-rgb", 2), ("ms-ssim-rgb", 4), ("encoding_speed", 0), ("decoding_speed", 0)]
    results = report["results"]
    table(["`-q`", "bpp", "raw : file", "PSNR, dB", "MS-SSIM", "encode, MP/s", "decode, MP/s"],
          [[f"{q:g}"] + [f"{results[key][i]:.{digits}f}" for key, digits in columns] for i, q in enumerate(results["q"])])
    mean = lambda values: sum(values) / len(values)
    speeds = lambda codec: [f"{mean(codec['results'][key]):.1f}" for key in ("encoding_speed", "decoding_speed")]
    measured = {codec["name"]: speeds(codec) for codec in report["against"]}
    table(["BD-rate against", "by PSNR", "by MS-SSIM", "encode, MP/s", "decode, MP/s"],
          [["decant itself", "", "", *speeds(report)]] +
          [[d["against"], f"{d['percent']:+.1f} %", "" if d["ms_ssim_percent"] is None else f"{d['ms_ssim_percent']:+.1f} %",
            *(measured.get(d["against"], ["", ""]) if d["picture_percents"] else ["published", ""])] for d in report["bd-rate"]])


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder, results = sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else os.path.join(ROOT, "models", "results")
    version = decant("--version").split()[1]
    here = os.path.join(results, version)
    os.makedirs(here, exist_ok=True)
    kodak = os.path.join(here, "kodak.json")
    print_tables(measure(kodak, "decant", "-q", QUALITIES, "--against", ",".join([PEERS, *ANCHORS]), folder))
    measure(os.path.join(here, "kodak-denoise.json"), "decant", "--denoise", "--against", "nlm", folder)
    subprocess.run([os.path.join(TOOLS, "plot_curves.py"), os.path.join(results, "kodak.svg"), kodak, *ANCHORS], check=True)
    sys.exit(subprocess.run([os.path.join(TOOLS, "compare_releases.py"), results]).returncode)


main()
