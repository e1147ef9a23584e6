#!/usr/bin/env python3
"""Compares the results of two releases (measure_release.py), and fails where the later one is worse.

usage: compare_releases.py [RESULTS]       the last two versions in RESULTS, models/results unless given
       compare_releases.py OLD NEW         two folders of results

A regression is: 1 % more bits at the same PSNR, 0.05 dB less at the same bits or the same noise, or 10 % less speed, as a ratio to the other
codecs of the same run: machines differ, and of several codecs the median counts, since their libraries change, too. Speeds of CPUs with other
instruction sets ("engine") are told, but do not count: AMX alone makes decant several times as fast, and the others not. Results that are gone
count as well. What was worth it is in accepted.json of the new folder, {"decoding speed beside others": "why"}: told, but does not count. Exit code: 0 no regression, 1 regressions, 2 usage or unreadable results.
"""
import json
import math
import os
import statistics
import sys

MOST_PERCENT, MOST_DB, MOST_SPEED = 1.0, 0.05, 0.10
ACCEPTED = "accepted.json"


def mean_difference(old, new):
    """Of two curves, lists of (x, y), over the x that both cover. Straight between points: of releases, which are measured at the same
    qualities, what cubics would add is the same on both sides."""
    old, new = sorted(old), sorted(new)
    low, high = max(old[0][0], new[0][0]), min(old[-1][0], new[-1][0])
    if not low < high:
        raise ValueError("the curves have no range in common")

    def at(curve, x):
        for (x0, y0), (x1, y1) in zip(curve, curve[1:]):
            if x <= x1:
                return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        return curve[-1][1]

    knots = sorted({low, high, *(x for x, _ in old + new if low < x < high)})
    gaps = [at(new, x) - at(old, x) for x in knots]
    return sum((a + b) / 2 * (x1 - x0) for a, b, x0, x1 in zip(gaps, gaps[1:], knots, knots[1:])) / (high - low)


def curve(results):
    return [(math.log(bpp), psnr) for bpp, psnr in zip(results["bpp"], results["psnr-rgb"]) if psnr != "inf"]


def seconds(results, key, parameter, values):
    """Of all points that both releases have."""
    return sum(time for value, time in zip(results[parameter], results[key]) if value in values)


def speed_ratio(old, new, of_report, peers):
    """How much faster the new one is beside its peers than the old one was beside its own: the median over the peers of both."""
    ratios = [of_report(new, peer) / of_report(old, peer) for peer in peers]
    return statistics.median(ratios) if ratios else None


def compare_compression(old, new):
    """Yields (what, how much in words, is it a regression)."""
    a, b = curve(old["results"]), curve(new["results"])
    rate = 100 * math.expm1(mean_difference([(y, x) for x, y in a], [(y, x) for x, y in b]))
    yield "bits at the same PSNR", f"{rate:+.2f} %", rate > MOST_PERCENT
    quality = mean_difference(a, b)
    yield "PSNR at the same bits", f"{quality:+.3f} dB", quality < -MOST_DB
    shared = set(old["results"]["q"]) & set(new["results"]["q"])
    peers = {codec["name"] for codec in old["against"]} & {codec["name"] for codec in new["against"]}
    for what, key in (("encoding", "encoding_time"), ("decoding", "decoding_time")):
        def beside(report, peer):
            other = next(codec for codec in report["against"] if codec["name"] == peer)
            return sum(other["results"][key]) / seconds(report["results"], key, "q", shared)
        yield speed_line(what, speed_ratio(old, new, beside, peers))


def compare_denoising(old, new):
    a, b = old["results"], new["results"]
    for sigma, before in zip(a["sigma"], a["psnr-rgb"]):
        if sigma not in b["sigma"]:
            yield f"sigma {sigma}", "is gone", True
            continue
        gain = b["psnr-rgb"][b["sigma"].index(sigma)] - before
        yield f"PSNR at sigma {sigma:g}", f"{gain:+.3f} dB", gain < -MOST_DB
    shared = set(a["sigma"]) & set(b["sigma"])
    beside = lambda report, _: (seconds(report["results"], "nlm-denoising_time", "sigma", shared) /
                                seconds(report["results"], "denoising_time", "sigma", shared))
    yield speed_line("denoising", speed_ratio(old, new, beside, ["non-local means"]))


def speed_line(what, ratio):
    if ratio is None:
        return what + " speed", "no codec was measured beside both", True
    return what + " speed beside others", f"{100 * (ratio - 1):+.1f} %", ratio < 1 - MOST_SPEED


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def compare(old_folder, new_folder):
    regressions = 0
    names = sorted(name for name in os.listdir(old_folder) if name.endswith(".json") and name != ACCEPTED)
    if not names:
        raise ValueError(f"{old_folder}: no results")
    accepted_path = os.path.join(new_folder, ACCEPTED)
    accepted = read(accepted_path) if os.path.exists(accepted_path) else {}
    print(f"{new_folder} beside {old_folder}")
    for name in names:
        new_path = os.path.join(new_folder, name)
        if not os.path.exists(new_path):
            lines = [("results", "are gone", True)]
        else:
            old, new = read(os.path.join(old_folder, name)), read(new_path)
            lines = list((compare_denoising if "sigma" in old["results"] else compare_compression)(old, new))
            if old.get("engine") != new.get("engine"):
                lines = [(what, f"{words} (another instruction set)", False) if "speed beside" in what else (what, words, is_worse) for what, words, is_worse in lines]
        for what, words, is_worse in lines:
            is_accepted = is_worse and what in accepted
            print(f"  {name}: {what}: {words}{f'   accepted: {accepted[what]}' if is_accepted else '   REGRESSION' if is_worse else ''}")
            regressions += is_worse and not is_accepted
    return regressions


def main():
    arguments = sys.argv[1:]
    if len(arguments) > 2 or any(argument.startswith("-") for argument in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if len(arguments) < 2:
            results = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models", "results")
            versions = sorted((name for name in os.listdir(results) if name[0].isdigit() and os.path.isdir(os.path.join(results, name))),
                              key=lambda name: [int(part) if part.isdigit() else -1 for part in name.split(".")])
            if len(versions) < 2:
                print(f"{results}: {len(versions)} release with results, nothing to compare with")
                return 0
            arguments = [os.path.join(results, version) for version in versions[-2:]]
        return 1 if compare(*arguments) else 0
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        print(f"compare_releases.py: {error!r}", file=sys.stderr)
        return 2


sys.exit(main())
