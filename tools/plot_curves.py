#!/usr/bin/env python3
"""Draws rate-distortion curves as an SVG: PSNR over bits per pixel (logarithmic).

usage: plot_curves.py OUT.svg CURVE.json [CURVE.json ...]

A curve is a report of `decant eval --json`, or any file of that form. The first one is drawn with points and a bold line.
Needs nothing but Python.
"""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 480, 58, 150, 20, 52
COLOURS = ["#c2185b", "#1565c0", "#2e7d32", "#ef6c00", "#6a1b9a", "#546e7a", "#795548"]
DASHES = ["", "6 3", "2 3", "8 3 2 3", "", "1 2", "4 4"]


def read(path):
    with open(path) as f:
        report = json.load(f)
    results = report["results"]
    points = sorted(zip(results["bpp"], results.get("psnr-rgb") or results["psnr"]))
    return report.get("name", path), points


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    curves = [read(path) for path in sys.argv[2:]]
    x0, x1 = 0.05, 4.0
    y0, y1 = 24.0, 46.0
    px = lambda bpp: LEFT + (math.log(bpp / x0)) / math.log(x1 / x0) * (WIDTH - LEFT - RIGHT)
    py = lambda psnr: HEIGHT - BOTTOM - (psnr - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" role="img">',
        "<title>PSNR over bits per pixel</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
    ]
    for bpp in (0.05, 0.1, 0.2, 0.5, 1, 2, 4):
        x = px(bpp)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{bpp}</text>')
    for psnr in range(24, 47, 2):
        y = py(psnr)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{psnr}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">bits per pixel</text>')
    out.append(f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">PSNR (RGB), dB</text>')
    for i, (name, points) in enumerate(curves):
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        path = "M" + "L".join(f"{px(b):.1f} {py(p):.1f}" for b, p in points)
        out.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{2.6 if i == 0 else 1.5}" stroke-dasharray="{dash}" clip-path="url(#plot)"/>')
        if i == 0:
            out += [f'<circle cx="{px(b):.1f}" cy="{py(p):.1f}" r="3.5" fill="{colour}"/>' for b, p in points if x0 <= b <= x1 and y0 <= p <= y1]
        y = TOP + 16 + 22 * i
        out.append(f'<path d="M{WIDTH - RIGHT + 12} {y - 4}h26" stroke="{colour}" stroke-width="{2.6 if i == 0 else 1.5}" stroke-dasharray="{dash}"/>')
        label = name.replace("&", "&amp;").replace("<", "&lt;")
        out.append(f'<text x="{WIDTH - RIGHT + 44}" y="{y}">{label}</text>')
    out.append("</svg>")
    with open(sys.argv[1], "w") as f:
        f.write("\n".join(out) + "\n")


main()
