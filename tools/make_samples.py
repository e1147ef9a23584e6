#!/usr/bin/env python3
"""Draws the pictures in samples/. They are computed, not photographed: no one else holds a right to them.

    python3 tools/make_samples.py [--output-dir samples] [NAME...]

Needs python3-numpy, python3-pil and fonts-dejavu-core. The files are committed; building and testing never runs this script.
Each picture has a random generator of its own, seeded by SEED and its name, so one can be changed without moving the others.
"""
import argparse
import math
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageFont

SEED = 20240607
FONTS = pathlib.Path("/usr/share/fonts/truetype/dejavu")


# ---------------------------------------------------------------- helpers

def generator(name):
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])


def to_srgb(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_linear(*rgb8):
    value = np.array(rgb8, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_image(values, rng=None):
    """0..1 display values to 8 bits, with a little dither so that smooth areas do not band."""
    values = np.asarray(values) * 255
    if rng is not None:
        values = values + rng.uniform(-0.5, 0.5, values.shape)
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def shrink(values, factor=2):
    height, width = values.shape[0] // factor, values.shape[1] // factor
    return values[:height * factor, :width * factor].reshape(height, factor, width, factor, -1).mean((1, 3)).squeeze()


def smoothstep(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    """From a to b; where they are colours, a map of weights gains the axis of the channels."""
    t = np.asarray(t)
    if t.ndim and 3 in (np.shape(a)[-1:] + np.shape(b)[-1:]) and t.shape[-1] not in (1, 3):
        t = t[..., None]
    return a * (1 - t) + b * t


def normalize(v):
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def dot(a, b):
    return (a * b).sum(-1)


def blur(values, radius):
    """Gaussian blur through the Fourier domain (edges reflect)."""
    pad = int(3 * radius) + 1
    spread = [(pad, pad), (pad, pad)] + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, spread, mode="symmetric")
    fy, fx = np.fft.fftfreq(padded.shape[0]), np.fft.rfftfreq(padded.shape[1])
    response = np.exp(-2 * (math.pi * radius) ** 2 * (fy[:, None] ** 2 + fx[None] ** 2))
    if values.ndim == 3:
        response = response[..., None]
    result = np.fft.irfft2(np.fft.rfft2(padded, axes=(0, 1)) * response, s=padded.shape[:2], axes=(0, 1))
    return result[pad:-pad, pad:-pad]


class Noise:
    """Gradient noise and its fractal sum at any coordinates."""

    def __init__(self, rng):
        self.permutation = np.tile(rng.permutation(256), 3)
        angle = rng.uniform(0, 2 * math.pi, 256)
        self.gradient = np.stack([np.cos(angle), np.sin(angle)], -1)

    def __call__(self, x, y):
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        xi, yi = np.floor(x).astype(int), np.floor(y).astype(int)
        xf, yf = x - xi, y - yi
        u, v = xf ** 3 * (xf * (xf * 6 - 15) + 10), yf ** 3 * (yf * (yf * 6 - 15) + 10)

        def corner(dx, dy):
            index = self.permutation[self.permutation[(xi + dx) & 255] + ((yi + dy) & 255)]
            g = self.gradient[index & 255]
            return g[..., 0] * (xf - dx) + g[..., 1] * (yf - dy)

        low = corner(0, 0) * (1 - u) + corner(1, 0) * u
        high = corner(0, 1) * (1 - u) + corner(1, 1) * u
        return (low * (1 - v) + high * v) * 1.5

    def fractal(self, x, y, octaves=5, gain=0.5):
        total, amplitude = 0.0, 1.0
        for octave in range(octaves):
            total = total + amplitude * self(x * 2 ** octave + 17.3 * octave, y * 2 ** octave - 9.1 * octave)
            amplitude *= gain
        return total


def font(name, size):
    return ImageFont.truetype(str(FONTS / f"{name}.ttf"), size)


# ---------------------------------------------------------------- pictures

def still_life(rng):
    """A traced scene: area light with soft shadows, reflections, marble, wood and a checkered cloth."""
    width, height, factor = 512, 384, 2
    noise = Noise(rng)
    spheres = [  # centre, radius, material
        ((-1.05, 0.80, 0.25), 0.80, "marble"), ((0.75, 0.62, 0.95), 0.62, "mirror"), ((-0.15, 0.34, 1.55), 0.34, "orange"),
        ((1.75, 0.42, 0.05), 0.42, "stripes"), ((-1.75, 0.28, 1.55), 0.28, "blue"), ((1.55, 0.22, 1.85), 0.22, "green")]
    box_centre, box_half, box_angle = np.array([0.65, 0.75, -1.25]), np.array([0.62, 0.75, 0.62]), 0.6
    turn = np.array([[math.cos(box_angle), 0, math.sin(box_angle)], [0, 1, 0], [-math.sin(box_angle), 0, math.cos(box_angle)]])
    light_centre, light_size = np.array([-4.6, 4.9, 0.9]), 1.1

    def hit_box(origin, ray):
        o, d = (origin - box_centre) @ turn.T, ray @ turn.T
        d = np.where(np.abs(d) < 1e-9, 1e-9, d)
        a, b = (-box_half - o) / d, (box_half - o) / d
        near, far = np.minimum(a, b), np.maximum(a, b)
        t = near.max(-1)
        axis = near.argmax(-1)
        t = np.where((t < far.min(-1)) & (t > 1e-3), t, np.inf)
        normal = np.zeros_like(ray)
        normal[np.arange(len(ray)), axis] = -np.sign(d[np.arange(len(ray)), axis])
        return t, normal @ turn

    def hit_sphere(origin, ray, centre, radius):
        oc = origin - np.array(centre)
        b = dot(oc, ray)
        disc = b * b - dot(oc, oc) + radius * radius
        t = -b - np.sqrt(np.maximum(disc, 0))
        return np.where((disc > 0) & (t > 1e-3), t, np.inf)

    def backdrop(ray):
        up = np.clip(ray[:, 1], 0, 1)
        sky = mix(np.array([0.62, 0.55, 0.47]), np.array([0.16, 0.22, 0.34]), smoothstep(0, 0.7, up))
        window = smoothstep(0.93, 0.95, dot(ray, normalize(light_centre)))
        return sky + window[:, None] * np.array([5.0, 4.6, 4.0])

    def shadow(point, normal):
        samples, lit = 4, np.zeros(len(point))
        for i in range(samples):
            for j in range(samples):
                jitter = (np.stack([i + rng.random(len(point)), j + rng.random(len(point))], -1) / samples - 0.5) * 2 * light_size
                target = light_centre + np.stack([jitter[:, 0], np.zeros(len(point)), jitter[:, 1]], -1)
                ray = normalize(target - point)
                origin = point + normal * 1e-3
                clear = ~np.isfinite(hit_box(origin, ray)[0])
                for centre, radius, _ in spheres:
                    clear &= ~np.isfinite(hit_sphere(origin, ray, centre, radius))
                lit += clear
        return lit / samples ** 2

    def surface(material, p, n):
        """Colour (linear), reflectivity, shininess."""
        if material == "floor":
            u, v = p[:, 0] * 1.0 + 0.3, p[:, 2] * 1.0
            board = np.floor(u * 1.6)
            grain = noise.fractal(u * 34 + board * 7.7, v * 2.1 + board * 3.1, 4)
            rings = 0.5 + 0.5 * np.sin(14 * (noise.fractal(u * 2.3 + board * 5.3, v * 0.35 + board, 3)) + 3 * u)
            tone = np.clip(0.5 + 0.32 * grain + 0.20 * (rings - 0.5) + 0.16 * np.sin(board * 12.9), 0, 1)
            colour = mix(to_linear(92, 52, 27), to_linear(196, 140, 88), tone)
            gap = smoothstep(0.018, 0.03, np.minimum(u * 1.6 - board, board + 1 - u * 1.6))
            return colour * (0.25 + 0.75 * gap)[:, None], 0.035, 40
        if material == "marble":
            q = p * 1.6
            vein = np.abs(np.sin(3.2 * q[:, 0] + 2 * q[:, 1] + 4 * noise.fractal(q[:, 0] * 1.3 + q[:, 2], q[:, 1] * 1.3 - q[:, 2], 5)))
            return mix(to_linear(60, 70, 84), to_linear(232, 230, 224), smoothstep(0, 0.55, vein)), 0.08, 90
        if material == "stripes":
            band = smoothstep(-0.06, 0.06, np.sin(p[:, 1] * 26 + 1.2 * np.sin(p[:, 0] * 3)))
            return mix(to_linear(196, 40, 44), to_linear(240, 226, 200), band), 0.05, 60
        if material == "orange":
            return np.broadcast_to(to_linear(232, 128, 28), p.shape) * (0.92 + 0.1 * noise(p[:, 0] * 40, p[:, 1] * 40 + p[:, 2] * 31))[:, None], 0.03, 25
        if material == "box":
            q = (p - box_centre) @ turn.T
            face = np.where(np.abs(np.abs(q[:, 1]) - box_half[1]) < 2e-3, 0, np.where(np.abs(np.abs(q[:, 0]) - box_half[0]) < 2e-3, 1, 2))
            u = np.choose(face, [q[:, 0], q[:, 2], q[:, 0]])
            v = np.choose(face, [q[:, 2], q[:, 1], q[:, 1]])
            weave = np.sin(u * 60) * np.sin(v * 60)
            check = ((np.floor(u * 4.84 + 50) + np.floor(v * 4.84 + 50)) % 2)
            colour = mix(to_linear(38, 84, 96), to_linear(206, 198, 170), check)
            return colour * (0.88 + 0.12 * weave)[:, None], 0.0, 8
        base = {"blue": to_linear(40, 80, 190), "green": to_linear(64, 150, 70), "mirror": to_linear(220, 220, 226)}[material]
        return np.broadcast_to(base, p.shape), 0.85 if material == "mirror" else 0.10, 200

    def trace(origin, ray, depth):
        best = np.full(len(ray), np.inf)
        material = np.full(len(ray), -1)
        names = ["floor", "box"] + [m for _, _, m in spheres]
        t_floor = np.where(ray[:, 1] < -1e-6, -origin[:, 1] / np.minimum(ray[:, 1], -1e-6), np.inf)
        t_floor = np.where(t_floor > 1e-3, t_floor, np.inf)
        t_box, box_normal = hit_box(origin, ray)
        for index, t in enumerate([t_floor, t_box] + [hit_sphere(origin, ray, c, r) for c, r, _ in spheres]):
            material = np.where(t < best, index, material)
            best = np.minimum(best, t)
        colour = backdrop(ray)
        for index, name in enumerate(names):
            chosen = np.nonzero(material == index)[0]
            if not len(chosen):
                continue
            o, d, t = origin[chosen], ray[chosen], best[chosen]
            p = o + d * t[:, None]
            if name == "floor":
                n = np.broadcast_to(np.array([0.0, 1.0, 0.0]), p.shape)
            elif name == "box":
                n = box_normal[chosen]
            else:
                centre, radius, _ = spheres[index - 2]
                n = (p - np.array(centre)) / radius
            base, mirror, shine = surface(name, p, n)
            to_light = normalize(light_centre - p)
            lit = shadow(p, n)
            diffuse = np.clip(dot(n, to_light), 0, 1) * lit
            half = normalize(to_light - d)
            gloss = np.clip(dot(n, half), 0, 1) ** shine * lit * (0.05 + mirror)
            # Open sky above, and darker where a sphere rests on the floor.
            closed = np.ones(len(p))
            for centre, radius, _ in spheres:
                away = p - np.array(centre)
                distance = np.linalg.norm(away, axis=-1)
                facing = np.clip(-dot(n, away) / np.maximum(distance, 1e-6), 0, 1)
                closed *= 1 - 0.75 * facing * np.clip(radius / np.maximum(distance, radius), 0, 1) ** 2 * (distance > radius * 1.001)
            ambient = (0.15 + 0.08 * n[:, 1:2]) * closed[:, None] * np.array([0.92, 0.98, 1.1])
            out = base * (1 - 0.8 * (mirror > 0.5)) * (ambient + diffuse[:, None] * np.array([1.42, 1.27, 1.06])) + gloss[:, None]
            if mirror and depth:
                fresnel = mirror + (1 - mirror) * np.clip(1 + dot(n, d), 0, 1) ** 5 * 0.6
                bounce = d - 2 * dot(d, n)[:, None] * n
                out = out + fresnel[:, None] * trace(p + n * 1e-3, bounce, depth - 1) * (base if mirror > 0.5 else 1)
            if name == "floor":
                out = mix(out, backdrop(d), smoothstep(6, 22, t))
            colour[chosen] = out
        return colour

    eye, aim = np.array([0.15, 2.25, 5.6]), np.array([0.08, 0.52, 0.0])
    forward = normalize(aim - eye)
    right = normalize(np.cross(forward, [0, 1, 0]))
    upward = np.cross(right, forward)
    x = (np.arange(width * factor) + 0.5) / (width * factor) * 2 - 1
    y = 1 - (np.arange(height * factor) + 0.5) / (height * factor) * 2
    x, y = np.meshgrid(x, y * height / width)
    ray = normalize(forward * 2.05 + x[..., None] * right + y[..., None] * upward).reshape(-1, 3)
    linear = trace(np.broadcast_to(eye, ray.shape), ray, 2).reshape(height * factor, width * factor, 3)
    linear = linear / (1 + 0.16 * linear)
    return to_image(to_srgb(shrink(linear)), rng)


def landscape(rng):
    """Mountains over a lake: fractal height field, sun and shadows, haze, clouds, and the noise of a small sensor."""
    width, height, factor = 640, 427, 2
    noise = Noise(rng)
    size, extent = 1536, 24.0
    gy, gx = np.mgrid[0:size, 0:size] * (extent / size)
    warp_x = gx + 0.5 * noise.fractal(gx * 0.4 + 40, gy * 0.4, 4)
    warp_y = gy + 0.5 * noise.fractal(gx * 0.4, gy * 0.4 + 40, 4)
    ridges, amplitude, weight = 0.0, 1.0, 1.0
    for octave in range(9):
        ridge = (1 - np.abs(noise(warp_x * 0.22 * 2 ** octave + 5 * octave, warp_y * 0.22 * 2 ** octave + 3 * octave))) ** 2
        ridges = ridges + amplitude * ridge * weight
        weight = np.clip(ridge * 1.2, 0.15, 1)
        amplitude *= 0.43
    terrain = (ridges - 0.95) * 1.45
    # The eye stands at y = 2 on a lake shore and looks along y: a basin in front, a wall of mountains behind it.
    basin = np.exp(-(((gx - 12.5) / 4.2) ** 2 + ((gy - 7.0) / 3.6) ** 2) * 1.3)
    terrain = terrain * (0.28 + 0.72 * smoothstep(5.0, 13, gy + 1.7 * np.abs(gx - 12) ** 0.8)) - 1.5 * basin + 0.16
    terrain = np.where(terrain > 0, terrain * (0.50 + 0.75 * smoothstep(9, 18, gy)), terrain)
    cell = extent / size
    dy, dx = np.gradient(terrain, cell)
    sun = normalize(np.array([-0.62, -0.25, 0.42]))
    # Shadows: follow each cell towards the sun.
    shade = np.ones_like(terrain)
    step = sun / np.linalg.norm(sun[:2])
    for k in range(1, 110):
        far = k * 2
        shift = (-int(round(step[1] * far)), -int(round(step[0] * far)))
        above = np.roll(terrain, shift, (0, 1)) - (terrain + step[2] * far * cell)
        shade = np.minimum(shade, 1 - smoothstep(-0.01, 0.02 + 0.002 * k, above))

    def lookup(field, px, py):
        u, v = np.clip(px / cell, 0, size - 1.001), np.clip(py / cell, 0, size - 1.001)
        ui, vi = u.astype(int), v.astype(int)
        uf, vf = u - ui, v - vi
        return ((field[vi, ui] * (1 - uf) + field[vi, ui + 1] * uf) * (1 - vf) +
                (field[vi + 1, ui] * (1 - uf) + field[vi + 1, ui + 1] * uf) * vf)

    def sky(ray):
        up = np.clip(ray[:, 2], 0.004, 1)
        colour = mix(np.array([0.66, 0.70, 0.74]), np.array([0.10, 0.24, 0.55]), smoothstep(0, 0.55, up) ** 0.8)
        glow = np.clip(dot(ray, sun), 0, 1)
        colour = colour + (0.30 * glow ** 6)[:, None] * np.array([1.0, 0.8, 0.55])
        cx, cy = ray[:, 0] / (up + 0.10), ray[:, 1] / (up + 0.10)
        cover = noise.fractal(cx * 0.55 + 3, cy * 0.9 + 11, 7, 0.55)
        lit = noise.fractal(cx * 0.55 + 3.18, cy * 0.9 + 10.9, 5, 0.55)
        cloud = smoothstep(0.02, 0.62, cover) * smoothstep(0.03, 0.20, up)
        white = mix(np.array([0.56, 0.60, 0.68]), np.array([1.02, 0.99, 0.95]), smoothstep(-0.15, 0.25, cover - lit + 0.06))
        return mix(colour, white, cloud * 0.92)

    def march(origin, ray, first, last):
        """Distance to the ground, or infinity."""
        t = np.full(len(ray), first)
        before = t.copy()
        found = np.full(len(ray), np.inf)
        active = np.arange(len(ray))
        while len(active):
            p = origin[active] + ray[active] * t[active, None]
            gap = p[:, 2] - lookup(terrain, p[:, 0], p[:, 1])
            touched = gap < 0
            found[active[touched]] = t[active[touched]]
            before[active[~touched]] = t[active[~touched]]
            t[active] += np.maximum(gap * 0.25, 0.0025 * t[active] + 0.002)
            keep = ~touched & (t[active] < last) & ~((p[:, 2] > terrain.max()) & (ray[active, 2] > 0))
            active = active[keep]
        inside = np.nonzero(np.isfinite(found))[0]
        low, high = before[inside], found[inside]
        for _ in range(7):  # the last step went too far: halve it
            middle = (low + high) / 2
            p = origin[inside] + ray[inside] * middle[:, None]
            below = p[:, 2] < lookup(terrain, p[:, 0], p[:, 1])
            low, high = np.where(below, low, middle), np.where(below, middle, high)
        found[inside] = high
        return found

    def ground(p, t):
        slope_x, slope_y = lookup(dx, p[:, 0], p[:, 1]), lookup(dy, p[:, 0], p[:, 1])
        n = normalize(np.stack([-slope_x, -slope_y, np.ones(len(p))], -1))
        level = p[:, 2] + 0.16 * noise.fractal(p[:, 0] * 3, p[:, 1] * 3, 4)
        fine = noise.fractal(p[:, 0] * 26, p[:, 1] * 26, 4)
        grain = noise.fractal(p[:, 0] * 9, p[:, 1] * 9, 4)
        rock = mix(to_linear(74, 68, 64), to_linear(146, 134, 120), np.clip(0.5 + 0.5 * grain + 0.3 * fine, 0, 1))
        grass = mix(to_linear(58, 78, 34), to_linear(128, 132, 66), np.clip(0.5 + 0.6 * grain, 0, 1))
        wood = mix(to_linear(22, 40, 24), to_linear(52, 74, 40), np.clip(0.5 + 0.9 * fine, 0, 1))
        colour = mix(grass, wood, smoothstep(-0.05, 0.15, noise.fractal(p[:, 0] * 1.3 + 9, p[:, 1] * 1.3, 4) + 0.05) * smoothstep(0.85, 0.45, level))
        colour = mix(colour, rock, smoothstep(0.74, 0.58, n[:, 2] + 0.06 * grain))
        colour = mix(colour, rock, smoothstep(0.70, 1.05, level))
        colour = mix(colour, to_linear(150, 138, 112), smoothstep(0.05, 0.015, p[:, 2]) * 0.8)
        snow = smoothstep(0.98, 1.20, level) * smoothstep(0.42, 0.60, n[:, 2])
        colour = mix(colour, np.array([0.88, 0.91, 0.96]), snow)
        bump = 1 + 0.30 * fine * (1 - 0.7 * snow)
        light = np.clip(dot(n, sun), 0, 1) * lookup(shade, p[:, 0], p[:, 1]) * bump
        return colour * (light[:, None] * np.array([2.0, 1.76, 1.38]) + np.array([0.19, 0.25, 0.34]) * (0.55 + 0.45 * n[:, 2:3]))

    def haze(colour, ray, t):
        air = mix(np.array([0.52, 0.60, 0.70]), np.array([0.80, 0.72, 0.60]), np.clip(dot(ray, sun), 0, 1) ** 4)
        return mix(colour, air, 1 - np.exp(-(t / 33) ** 1.5))

    eye = np.array([12.0, 1.2, 0.34])
    x = (np.arange(width * factor) + 0.5) / (width * factor) * 2 - 1
    y = 1 - (np.arange(height * factor) + 0.5) / (height * factor) * 2
    x, y = np.meshgrid(x, y * height / width)
    ray = normalize(np.stack([x * 0.31, np.ones_like(x), y * 0.31 + 0.038], -1)).reshape(-1, 3)
    origin = np.broadcast_to(eye, ray.shape)
    t_ground = march(origin, ray, 0.05, 26)
    t_water = np.where(ray[:, 2] < -1e-5, -eye[2] / np.minimum(ray[:, 2], -1e-5), np.inf)
    colour = sky(ray)
    land = t_ground < t_water
    chosen = np.nonzero(land)[0]
    p = eye + ray[chosen] * t_ground[chosen, None]
    colour[chosen] = haze(ground(p, t_ground[chosen]), ray[chosen], t_ground[chosen])
    chosen = np.nonzero(~land & (t_water < 26))[0]
    if len(chosen):
        d, t = ray[chosen], t_water[chosen]
        p = eye + d * t[:, None]
        calm = 0.35 + 0.65 * smoothstep(-0.2, 0.4, noise.fractal(p[:, 0] * 0.8, p[:, 1] * 0.8, 3))
        ripple = 0.016 * calm / (1 + 0.12 * t)
        n = normalize(np.stack([ripple * noise.fractal(p[:, 0] * 14, p[:, 1] * 22, 4),
                                ripple * 1.6 * noise.fractal(p[:, 0] * 14 + 50, p[:, 1] * 22, 4), np.ones(len(p))], -1))
        bounce = d - 2 * dot(d, n)[:, None] * n
        bounce[:, 2] = np.abs(bounce[:, 2]) + 1e-3
        bounce = normalize(bounce)
        t2 = march(p, bounce, 0.02, 24)
        seen = sky(bounce)
        hit = np.nonzero(np.isfinite(t2))[0]
        q = p[hit] + bounce[hit] * t2[hit, None]
        seen[hit] = haze(ground(q, t2[hit]), bounce[hit], t2[hit] + t[hit])
        fresnel = 0.10 + 0.90 * (1 - np.clip(-dot(d, n), 0, 1)) ** 4
        depth = np.clip(-lookup(terrain, p[:, 0], p[:, 1]), 0, 0.5) * 2
        body = mix(to_linear(92, 104, 84), to_linear(16, 46, 58), smoothstep(0, 0.7, depth))
        colour[chosen] = haze(mix(body, seen, fresnel), d, t)
    linear = shrink((colour * 0.92).reshape(height * factor, width * factor, 3))
    linear = (linear / (1 + 0.28 * linear) * 1.22) ** 1.22 * 1.06
    linear = np.clip(linear + rng.normal(0, 1, linear.shape) * np.sqrt(2e-5 + 1.2e-4 * np.clip(linear, 0, 1)), 0, 1)
    return to_image(to_srgb(linear))


TEXT = """\
A picture that leaves a camera is far larger than what it tells. Neighbouring points resemble each other, slow changes say \
little, and the eye forgives errors where the picture is busy. A codec lives from that: it moves the picture into a form \
in which most numbers are small, rounds them, and writes what is left with as few bits as their probabilities allow.
The classical way chooses the form by hand. Blocks of eight by eight points become waves, the fine waves are rounded more \
coarsely than the broad ones, and a table fixed long ago states how coarsely. It is quick, it is everywhere, and its faults \
are known: edges that ring, skies with steps, and blocks that show themselves as soon as the rate is low.
A learned codec finds the form by example. Layers of small filters bend the picture into a bottleneck, a narrow stack of \
planes that holds shape and colour but no noise; mirrored layers bend it back. Between the two stands a model that \
predicts each number from those already sent, so that the expected costs nothing and only the surprise is paid for.
Noise is nothing but surprise. It cannot be foretold, so it fills most of a file that must hold it, and nobody misses it \
afterwards. A coder that has learned what is noise and what is cloth or grass may leave the one and keep the other.
What remains is to agree on a price. Let the error be D and the length R: whoever pays λ for a bit seeks the least sum of \
both, and each λ draws one point of a curve below which no reader and no writer can go."""


def page(rng):
    """A typeset page in gray: headline, two columns of justified text, a formula line, a footnote, a page number."""
    factor, width, height = 2, 600, 776
    image = Image.new("L", (width * factor, height * factor), 252)
    draw = ImageDraw.Draw(image)
    s = factor
    draw.text((48 * s, 34 * s), "THE BOTTLENECK", font=font("DejaVuSans-Bold", 9 * s), fill=90)
    draw.text((width * s - 48 * s, 34 * s), "Chapter 3", font=font("DejaVuSans", 9 * s), fill=90, anchor="ra")
    draw.line((48 * s, 50 * s, (width - 48) * s, 50 * s), fill=120, width=s)
    draw.text((48 * s, 66 * s), "What a picture", font=font("DejaVuSerif-Bold", 32 * s), fill=20)
    draw.text((48 * s, 104 * s), "can do without", font=font("DejaVuSerif-Bold", 32 * s), fill=20)
    draw.text((48 * s, 152 * s), "On rounding, probability, and the art of leaving out", font=font("DejaVuSerif", 13 * s), fill=70)
    body = font("DejaVuSerif", 10 * s)
    column, gap, top, bottom = 240 * s, 24 * s, 190 * s, 688 * s
    x, y, line_height = 48 * s, top, 15.5 * s
    paragraphs = TEXT.split("\n")
    space = draw.textlength(" ", font=body)
    for number, paragraph in enumerate(paragraphs):
        words, line, first = paragraph.split(), [], True
        while words or line:
            indent = 14 * s if first and number else 0
            while words and draw.textlength(" ".join(line + [words[0]]), font=body) <= column - indent:
                line.append(words.pop(0))
            if y + line_height > bottom:
                x, y = 48 * s + column + gap, top
            widths = [draw.textlength(word, font=body) for word in line]
            stretch = (column - indent - sum(widths)) / max(len(line) - 1, 1) if words else space
            position = x + indent
            for word, word_width in zip(line, widths):
                draw.text((position, y), word, font=body, fill=24)
                position += word_width + stretch
            y += line_height
            line, first = [], False
        y += 5 * s
    # A figure closes the second column: the same ramp as lines and as dots.
    box = (x, y + 14 * s, x + column, bottom - 26 * s)
    draw.rectangle(box, outline=60, width=s)
    middle = (box[1] + box[3]) / 2
    for k in range(1, 60):
        t = k / 60
        across = box[0] + column * t
        draw.line((across, box[1] + 6 * s, across, middle - 4 * s), fill=40, width=max(1, round(3.4 * s * t ** 1.3)))
    rows = int((box[3] - middle - 4 * s) / (5 * s))
    for j in range(rows):
        for k in range(1, 47):
            cx, cy, radius = box[0] + column * k / 47, middle + (5 * j + 4) * s, 2.7 * s * (k / 47) ** 0.7
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=40)
    draw.text((x, bottom - 18 * s), "Fig. 12.  One ramp, drawn as lines and as dots.", font=font("DejaVuSans", 8 * s), fill=50)
    draw.line((48 * s, 704 * s, 168 * s, 704 * s), fill=140, width=s)
    draw.text((48 * s, 711 * s), "¹ In bits a point: R = −Σ log₂ p(ŷ | ẑ) / N;  the sum  D + λR  is made small.", font=font("DejaVuSerif", 8 * s), fill=60)
    draw.text((width * s / 2, 748 * s), "— 57 —", font=font("DejaVuSerif", 9 * s), fill=60, anchor="ma")
    return image.resize((width, height), Image.LANCZOS)


def scan(rng):
    """A part of the page as a cheap scanner sees it years later: a cup's ring, a fold, a shadow, faded ink, noise."""
    height, width = 400, 480
    clean = np.asarray(page(rng).crop((40, 140, 40 + width, 140 + height))).astype(float) / 255
    y, x = np.mgrid[0:height, 0:width].astype(float)
    field = Noise(rng)
    ink = 0.24 + 0.66 * clean
    paper = 1 + 0.02 * rng.normal(size=clean.shape) + 0.03 * field.fractal(x / 60, y / 60) + 0.03 * field.fractal(x / 4, y / 4, 2)
    r = np.hypot(x - 330, y - 120) * (1 + 0.02 * field.fractal(x / 50 + 9, y / 50))
    ring = 0.20 * np.exp(-((r - 88) / 4) ** 2) + 0.10 * np.exp(-((r - 80) / 7) ** 2) + 0.05 * (r < 84)
    blot = 0.16 * smoothstep(62, 50, np.hypot(x - 90, 0.8 * (y - 310)) + 14 * field.fractal(x / 40, y / 40 + 5))
    distance = y - (205 + 0.02 * x + 1.5 * field.fractal(x / 80, y / 400 + 3))
    fold = -0.22 * np.exp(-(distance / 1.6) ** 2) + 0.12 * np.exp(-((distance - 4) / 2.5) ** 2)
    light = 1 - 0.22 * smoothstep(0.55, 1.1, 1 - x / width + 0.1 * y / height)
    values = blur((ink * paper * (1 - ring) * (1 - blot) + fold * (1 - 0.4 * (1 - clean))) * light, 0.5)
    values = values + rng.normal(size=values.shape) * 6 / 255
    return Image.fromarray(np.clip(np.round(values * 255), 0, 255).astype(np.uint8), "L")


def chart(rng):
    """A line chart with axes, markers, a grid and a legend, beside bars."""
    factor, width, height = 2, 640, 480
    s = factor
    image = Image.new("RGB", (width * s, height * s), "white")
    draw = ImageDraw.Draw(image)
    colours = ["#1f5fa8", "#d1495b", "#2e8b57", "#e0a100"]
    left, top, right, bottom = 70 * s, 60 * s, 616 * s, 320 * s
    draw.text((width * s / 2, 18 * s), "Rate and distortion of four coders", font=font("DejaVuSans-Bold", 16 * s), fill="#222", anchor="ma")
    small = font("DejaVuSans", 10 * s)
    for i in range(8):
        value, y = 26 + 2 * i, bottom - (bottom - top) * i / 7
        draw.line((left, y, right, y), fill="#dddddd", width=s)
        draw.text((left - 8 * s, y), str(value), font=small, fill="#333", anchor="rm")
    for i in range(9):
        x = left + (right - left) * i / 8
        draw.line((x, top, x, bottom), fill="#ececec", width=s)
        draw.text((x, bottom + 8 * s), f"{0.25 * i:.2f}", font=small, fill="#333", anchor="ma")
    draw.line((left, top, left, bottom, right, bottom), fill="#222", width=2 * s)
    draw.text(((left + right) / 2, bottom + 26 * s), "rate (bits a pixel)", font=small, fill="#222", anchor="ma")
    label = Image.new("L", (140 * s, 16 * s), 0)
    ImageDraw.Draw(label).text((70 * s, 0), "PSNR (dB)", font=small, fill=255, anchor="ma")
    label = label.rotate(90, expand=True)
    image.paste(Image.new("RGB", label.size, "#222"), (20 * s, int((top + bottom) / 2 - label.size[1] / 2)), label)
    for index, (start, gain, name) in enumerate([(27.4, 6.6, "learned, effort 9"), (27.0, 6.2, "learned, effort 1"), (26.6, 5.6, "wavelet"), (26.1, 5.0, "block cosine")]):
        points = []
        for rate in np.linspace(0.12, 1.95, 11 - index):
            value = start + gain * math.log2(1 + 1.1 * rate) + rng.normal(0, 0.10)
            points.append((left + (right - left) * rate / 2, bottom - (bottom - top) * (value - 26) / 14))
        draw.line([c for p in points for c in p], fill=colours[index], width=2 * s, joint="curve")
        for x, y in points:
            r = 3.5 * s
            if index % 2:
                draw.rectangle((x - r, y - r, x + r, y + r), fill="white", outline=colours[index], width=2 * s)
            else:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=colours[index])
        y = bottom - (84 - 20 * index) * s
        draw.line((right - 190 * s, y, right - 160 * s, y), fill=colours[index], width=2 * s)
        draw.text((right - 152 * s, y), name, font=small, fill="#222", anchor="lm")
    draw.rectangle((right - 200 * s, bottom - 97 * s, right - 14 * s, bottom - 11 * s), outline="#999", width=s)
    base = 455 * s
    for index, (name, seconds) in enumerate([("learned, effort 9", 0.86), ("learned, effort 1", 0.41), ("wavelet", 0.22), ("block cosine", 0.05)]):
        y = base - (3 - index) * 24 * s
        draw.text((172 * s, y), name, font=small, fill="#333", anchor="rm")
        draw.rectangle((180 * s, y - 8 * s, 180 * s + 420 * s * seconds, y + 8 * s), fill=colours[index])
        draw.text((186 * s + 420 * s * seconds, y), f"{seconds:.2f} s", font=small, fill="#333", anchor="lm")
    draw.line((180 * s, base - 86 * s, 180 * s, base + 12 * s), fill="#222", width=s)
    return image.resize((width, height), Image.BOX)


def desktop(rng):
    """A screen: wallpaper, a window with icons and buttons, and a terminal with coloured text (pixel exact edges)."""
    width, height = 768, 512
    y, x = np.mgrid[0:height, 0:width] / height
    wave = np.zeros((height, width, 3)) + mix(to_linear(24, 44, 92), to_linear(120, 60, 130), np.clip(0.6 * x + 0.5 * y - 0.1, 0, 1))
    for k in range(5):
        edge = 0.30 + 0.15 * k + 0.07 * np.sin(x * (2.2 + 0.5 * k) + k * 1.7)
        wave = mix(wave, to_linear(70 + 30 * k, 80 + 8 * k, 170 - 14 * k), 0.35 * smoothstep(0, 0.004, y - edge))
    image = to_image(to_srgb(wave))
    draw = ImageDraw.Draw(image)
    sans, bold, mono = font("DejaVuSans", 11), font("DejaVuSans-Bold", 11), font("DejaVuSansMono", 11)
    draw.rectangle((0, 0, width, 23), fill="#20242c")
    draw.text((12, 12), "Activities", font=bold, fill="#eee", anchor="lm")
    draw.text((width / 2, 12), "Fri 7 Jun  14:32", font=bold, fill="#eee", anchor="mm")
    draw.rectangle((width - 40, 7, width - 20, 16), outline="#eee")
    draw.rectangle((width - 38, 9, width - 27, 14), fill="#eee")

    def window(box, title, dark=False):
        left, top, right, bottom = box
        shadow = Image.new("L", (width, height), 0)
        ImageDraw.Draw(shadow).rounded_rectangle((left + 2, top + 6, right + 2, bottom + 8), 8, fill=150)
        image.paste(Image.new("RGB", (width, height), "black"), (0, 0), shadow.filter(ImageFilter.GaussianBlur(8)))
        draw.rounded_rectangle(box, 8, fill="#1b1e26" if dark else "#fafafa")
        draw.rounded_rectangle((left, top, right, top + 28), 8, fill="#33363f" if dark else "#e2e2e6")
        draw.rectangle((left, top + 18, right, top + 28), fill="#33363f" if dark else "#e2e2e6")
        draw.text(((left + right) / 2, top + 14), title, font=bold, fill="#ddd" if dark else "#333", anchor="mm")
        for i, colour in enumerate(("#e0574f", "#e6b040", "#5fb85a")):
            draw.ellipse((left + 10 + 18 * i, top + 9, left + 20 + 18 * i, top + 19), fill=colour)

    window((36, 48, 470, 348), "Pictures")
    draw.rectangle((36, 76, 146, 340), fill="#ececf0")
    for i, name in enumerate(("Home", "Desktop", "Documents", "Pictures", "Music", "Trash")):
        if name == "Pictures":
            draw.rounded_rectangle((42, 84 + 26 * i, 140, 106 + 26 * i), 5, fill="#3a76d8")
        draw.rectangle((52, 90 + 26 * i, 62, 100 + 26 * i), fill="#fff" if name == "Pictures" else "#7d8694")
        draw.text((70, 95 + 26 * i), name, font=sans, fill="#fff" if name == "Pictures" else "#333", anchor="lm")
    for i in range(12):
        cx, cy = 162 + 76 * (i % 4), 90 + 82 * (i // 4)
        hue = i / 12
        tile = Image.new("HSV", (56, 42), (int(255 * hue), 120, 215)).convert("RGB")
        tile_draw = ImageDraw.Draw(tile)
        tile_draw.ellipse((36, 6, 47, 17), fill="#fff6c8")
        tile_draw.polygon([(0, 42), (18, 16 + i % 5), (32, 34), (42, 24), (56, 42)], fill=tuple(int(c * 0.45) for c in tile.getpixel((1, 1))))
        image.paste(tile, (cx, cy))
        draw.rectangle((cx - 1, cy - 1, cx + 56, cy + 42), outline="#bbb")
        draw.text((cx + 28, cy + 52), f"img_{1040 + i}.png", font=font("DejaVuSans", 9), fill="#444", anchor="mm")
    window((300, 206, 736, 476), "user@debian: ~/pictures", dark=True)
    lines = [[("user@debian", "#7fd36b"), (":", "#ddd"), ("~/pictures", "#6ea8ff"), ("$ decant encode -q 60 *.png", "#ddd")]]
    for i, (name, ratio) in enumerate((("beach", 31), ("castle", 24), ("market", 17), ("portrait", 38), ("storm", 22))):
        lines.append([(f"{name + '.png':<14}", "#ddd"), (f"{rng.uniform(0.9, 9.5):5.1f} MB ", "#e6b040"), ("-> ", "#888"),
                      (f"{rng.uniform(40, 400):5.0f} kB ", "#7fd36b"), (f"({ratio}:1)  {rng.uniform(30, 40):.2f} dB", "#9aa4b5")])
    lines += [[("5 files, 27.3 MB -> 1.0 MB in 3.9 s", "#fff")], [],
              [("user@debian", "#7fd36b"), (":", "#ddd"), ("~/pictures", "#6ea8ff"), ("$ ls -l --color", "#ddd")],
              [("drwxr-xr-x 2 user user   4096 ", "#9aa4b5"), ("originals", "#6ea8ff")],
              [("-rw-r--r-- 1 user user  58211 ", "#9aa4b5"), ("beach.dcn", "#ff8fb0")],
              [("-rw-r--r-- 1 user user 201544 ", "#9aa4b5"), ("castle.dcn", "#ff8fb0")],
              [("user@debian", "#7fd36b"), (":", "#ddd"), ("~/pictures", "#6ea8ff"), ("$ ", "#ddd")]]
    for row, line in enumerate(lines):
        column = 312
        for text, colour in line:
            draw.text((column, 242 + 17 * row), text, font=mono, fill=colour)
            column += draw.textlength(text, font=mono)
        if row == len(lines) - 1:
            draw.rectangle((column, 242 + 17 * row, column + 7, 255 + 17 * row), fill="#ddd")
    return image


def gradients(rng):
    """Nothing but slow changes: soft colour fields, where steps and blocks show first. Not dithered."""
    width, height = 512, 384
    y, x = np.mgrid[0:height, 0:width] / height
    spots = [(0.20, 0.25, 0.42, (250, 110, 90)), (1.10, 0.20, 0.46, (70, 130, 240)), (0.65, 0.80, 0.44, (250, 205, 90)),
             (0.05, 0.95, 0.40, (120, 60, 170)), (1.30, 0.85, 0.42, (40, 190, 160)), (0.70, 0.35, 0.32, (245, 235, 240))]
    total, weight = np.zeros((height, width, 3)), np.zeros((height, width))
    for cx, cy, radius, colour in spots:
        w = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius ** 2 * 0.35))
        total += w[..., None] * to_linear(*colour)
        weight += w
    return to_image(to_srgb(total / weight[..., None]))


def colour_wheel(rng):
    """Every hue at every saturation, at constant value, on gray; a ring of pure hues around it and a gray wedge below."""
    size, factor = 480, 2
    y, x = (np.mgrid[0:size * factor, 0:size * factor] + 0.5) / (size * factor) * 2 - 1
    radius, hue = np.hypot(x, y), (np.arctan2(y, x) / (2 * math.pi)) % 1

    def hsv(h, s, v):
        k = (np.array([5, 3, 1]) + h[..., None] * 6) % 6
        return v[..., None] - v[..., None] * s[..., None] * np.clip(np.minimum(k, 4 - k), 0, 1)

    pixels = np.full(x.shape + (3,), 0.5) + 0.0
    disc = hsv(hue, np.clip(radius / 0.72, 0, 1), np.full_like(x, 0.96))
    steps = hsv(np.floor(hue * 24) / 24 + 1 / 48, np.full_like(x, 1.0), np.full_like(x, 0.92))
    pixels = np.where((radius < 0.72)[..., None], disc, pixels)
    pixels = np.where(((radius > 0.76) & (radius < 0.94))[..., None], steps, pixels)
    wedge = np.floor((x + 1) * 8) / 15
    pixels = np.where((y > 0.955)[..., None], np.broadcast_to(wedge[..., None], pixels.shape), pixels)
    pixels = np.where((y < -0.955)[..., None], np.broadcast_to(((x + 1) / 2)[..., None], pixels.shape), pixels)
    return to_image(shrink(pixels))


def film_grain(rng):
    """A dim, soft scene under strong correlated grain: what the denoiser is for. The size is odd on purpose."""
    width, height = 333, 217
    y, x = np.mgrid[0:height, 0:width] / height
    scene = np.zeros((height, width, 3)) + mix(to_linear(72, 92, 150), to_linear(236, 158, 96), smoothstep(-0.1, 0.62, y))
    scene = scene + np.exp(-((x - 1.05) ** 2 + (y - 0.40) ** 2) / 0.006)[..., None] * np.array([0.9, 0.6, 0.25])
    for k, (base, tone) in enumerate(((0.56, (150, 104, 104)), (0.68, (92, 66, 84)), (0.80, (40, 34, 52)))):
        noise = Noise(rng)
        edge = base + 0.10 * noise.fractal(x[0] * (1.6 + k), 0 * x[0] + k, 5)
        scene = mix(scene, to_linear(*tone), smoothstep(-0.006, 0.006, y - edge[None]))
    values = to_srgb(scene)
    luma = blur(rng.normal(0, 1, (height, width)), 0.8)
    chroma = blur(rng.normal(0, 1, (height, width, 3)), 1.1)
    grain = luma[..., None] / luma.std() + 0.5 * chroma / chroma.std()
    strength = 0.042 * np.sqrt(np.clip(values * (1.15 - values), 0.03, None) * 4)
    return to_image(values + grain * strength)


def bricks(rng):
    """A brick wall in low side light: relief, mortar, stains; regular structure with irregular detail."""
    width, height, factor = 512, 384, 2
    noise = Noise(rng)
    y, x = np.mgrid[0:height * factor, 0:width * factor] / factor
    wobble_x = x + 1.4 * noise.fractal(x / 30, y / 30, 3)
    wobble_y = y + 1.4 * noise.fractal(x / 34 + 20, y / 30, 3)
    brick_w, brick_h, joint = 84.0, 32.0, 2.6
    row = np.floor(wobble_y / brick_h)
    shift = np.where(row % 2 == 0, 0, brick_w / 2) + 5 * np.sin(row * 2.3)
    column = np.floor((wobble_x + shift) / brick_w)
    u, v = (wobble_x + shift) - column * brick_w, wobble_y - row * brick_h
    edge = np.minimum(np.minimum(u, brick_w - u), np.minimum(v, brick_h - v)) + 0.9 * noise.fractal(x / 6, y / 6, 3)
    inside = smoothstep(joint, joint + 3.2, edge)
    key = ((row * 57 + column * 131) % 251).astype(int)
    tone, dark, proud = rng.random(251)[key], rng.random(251)[key], rng.random(251)[key]
    rough = noise.fractal(x / 16 + tone * 90, y / 16, 6, 0.6)
    pits = smoothstep(0.42, 0.62, noise.fractal(x / 5, y / 5, 3))
    relief = inside * (2.6 + 1.2 * proud) + 0.9 * rough * (0.5 + 0.5 * inside) - 1.0 * pits * inside + 0.25 * noise.fractal(x / 2.2, y / 2.2, 2) * (1.6 - inside)
    dy, dx = np.gradient(relief, 1 / factor)
    normal = normalize(np.stack([-dx, -dy, np.full_like(dx, 1.35)], -1))
    light = normalize(np.array([-0.75, -0.55, 0.62]))
    shade = np.ones_like(relief)
    for k in range(1, 13):
        above = np.roll(relief, (int(round(0.59 * k)), int(round(0.81 * k))), (0, 1)) - relief - 0.62 * k / factor
        shade = np.minimum(shade, 1 - 0.85 * smoothstep(-0.1, 0.5, above))
    clay = mix(to_linear(126, 58, 42), to_linear(196, 112, 78), np.clip(tone + 0.35 * rough, 0, 1))
    clay = mix(clay, to_linear(84, 52, 50), (dark > 0.82) * 0.7)
    clay = mix(clay, to_linear(206, 170, 140), (dark < 0.10) * 0.5)
    mortar = mix(to_linear(138, 130, 118), to_linear(186, 178, 164), np.clip(0.5 + 0.6 * rough, 0, 1))
    base = mix(mortar, clay, inside)
    stain = smoothstep(0.1, 0.7, noise.fractal(x / 150, y / 320 + 3, 4) + 0.15 * noise.fractal(x / 12, y / 110, 3))
    base = base * (1 - 0.45 * stain)[..., None]
    moss = smoothstep(0.15, 0.5, noise.fractal(x / 70 + 7, y / 70, 5) + (y / height - 0.95) * 1.1)
    base = mix(base, to_linear(76, 92, 44), 0.75 * moss)
    diffuse = np.clip(dot(normal, light), 0, 1) * shade
    fall = 1.25 - 0.55 * np.hypot(x / width - 0.15, (y / height - 0.1) * 0.8)
    linear = base * (0.22 * np.array([0.85, 0.95, 1.15]) + 1.75 * (diffuse * fall)[..., None] * np.array([1.05, 0.98, 0.86]))
    return to_image(to_srgb(shrink(linear)), rng)


def foliage(rng):
    """Leaf over leaf with veins and shadows, from dark below to sunlit on top: dense detail without repetition."""
    size, factor = 512, 2
    side = size * factor
    noise = Noise(rng)
    canvas = np.zeros((side, side, 3)) + to_linear(14, 20, 10)
    count = 1500
    for i in range(count):
        depth = i / count
        length = (rng.uniform(42, 78) * (0.75 + 0.5 * depth)) * factor
        broad = rng.uniform(0.26, 0.40)
        angle = rng.normal(0.9, 1.1)
        cx, cy = rng.uniform(-30, side + 30, 2)
        reach = int(length * 0.62) + 14
        x0, x1, y0, y1 = max(int(cx) - reach, 0), min(int(cx) + reach, side), max(int(cy) - reach, 0), min(int(cy) + reach, side)
        if x0 >= x1 or y0 >= y1:
            continue
        y, x = np.mgrid[y0:y1, x0:x1].astype(float)
        ca, sa = math.cos(angle), math.sin(angle)
        bend = rng.normal(0, 0.35)

        def local(px, py):
            u = ((px - cx) * ca + (py - cy) * sa) / length + 0.5
            v = (-(px - cx) * sa + (py - cy) * ca) / length
            return u, v + bend * ((u - 0.5) ** 2 - 0.08)

        def cover(u, v, soft):
            inner = np.clip(u, 0, 1)
            profile = broad * 1.25 * inner ** 0.62 * (1 - inner) ** 0.85
            teeth = 0.006 * np.sin(u * 95 + np.sign(v))
            edge = profile + teeth - np.abs(v)
            stalk = 0.010 - np.abs(v) - 4 * np.clip(-u - 0.10, 0, 1)
            return smoothstep(0, soft, np.where(u > 0, edge, np.where(u > -0.12, stalk, -1)) + 0.004) * (u < 1)

        shadow_u, shadow_v = local(x - 7 * factor * 0.6, y - 9 * factor * 0.6)
        patch = canvas[y0:y1, x0:x1]
        patch *= (1 - 0.58 * cover(shadow_u, shadow_v, 0.10))[..., None]
        u, v = local(x, y)
        mask = cover(u, v, 1.4 / length)
        if mask.max() <= 0:
            continue
        side_sign = np.sign(v)
        vein_phase = (u - np.abs(v) * 0.85) * 9
        vein = np.abs(vein_phase - np.round(vein_phase)) / 9
        midrib = smoothstep(0.011 * (1.15 - u), 0.003, np.abs(v))
        veins = smoothstep(0.006, 0.0015, vein) * 0.6
        cell = noise.fractal(u * 26 + i, v * 26, 3)
        hue = rng.random()
        young, old = to_linear(142, 178, 52), to_linear(38, 92, 36)
        base = mix(old, young, np.clip(0.15 + 0.75 * hue * (0.4 + 0.6 * depth) + 0.10 * cell, 0, 1))
        if rng.random() < 0.06:
            base = mix(base, to_linear(196, 132, 36), np.clip(0.5 + 0.6 * cell + 0.3 * u, 0, 1))
        base = mix(base, base * 0.4 + 0.6 * to_linear(186, 204, 120), np.maximum(midrib, 0.55 * veins))
        fold = 0.50 * side_sign * (0.35 + 0.65 * rng.random()) * smoothstep(0, 0.03, np.abs(v))
        pillow = 0.25 * np.sin(vein_phase * 2 * math.pi)
        tilt = rng.normal(0, 0.22)
        facing = 0.78 + (fold * (ca * 0.5 - sa * 0.6)) + pillow * 0.25 + tilt + 0.25 * (u - 0.5) * rng.normal(0, 1)
        bright = (0.20 + 0.95 * depth ** 1.6) * np.clip(facing, 0.12, 1.4)
        gloss = 0.20 * depth ** 2 * np.clip(facing - 0.78, 0, 1) ** 1.5 * (1 + 0.8 * cell)
        leaf = base * bright[..., None] * np.array([1.02, 1.0, 0.90]) + gloss[..., None] * np.array([0.8, 0.9, 1.0])
        canvas[y0:y1, x0:x1] = mix(patch, leaf, mask)
    y, x = np.mgrid[0:side, 0:side] / side
    dapple = 0.62 + 0.70 * smoothstep(-0.35, 0.45, noise.fractal(x * 3.1, y * 3.1, 3))
    linear = shrink(canvas * dapple[..., None] * 1.35)
    return to_image(to_srgb(linear / (1 + 0.25 * linear)), rng)


def zone_plate(rng):
    """Rings that grow finer outwards up to the finest grating there is: shows aliasing and lost frequencies at a glance."""
    size = 256
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    radius2 = x * x + y * y
    wave = np.cos(math.pi * radius2 / size)
    fade = smoothstep(size / 2 + 6, size / 2 - 10, np.sqrt(radius2))
    return to_image(0.5 + 0.46 * wave * fade)


def flower(rng):
    """A flower close up: sharp centre, petals that leave the focus, and a background of blurred lights."""
    size, factor = 480, 2
    side = size * factor
    noise = Noise(rng)
    y, x = np.mgrid[0:side, 0:side] / side * 2 - 1
    # Background: blurred meadow with discs of light.
    back = np.zeros((side, side, 3)) + mix(to_linear(22, 48, 26), to_linear(96, 128, 52), np.clip(0.5 - 0.35 * y + 0.9 * noise.fractal(x * 1.1, y * 1.1, 3), 0, 1))
    for _ in range(70):
        cx, cy, r = rng.uniform(-1.1, 1.1), rng.uniform(-1.1, 0.9), rng.uniform(0.05, 0.15)
        distance = np.hypot(x - cx, y - cy)
        disc = smoothstep(r, r - 0.018, distance) * (0.65 + 0.35 * smoothstep(r - 0.04, r, distance))
        colour = mix(to_linear(176, 200, 96), to_linear(250, 230, 190), rng.random())
        back += (disc * rng.uniform(0.02, 0.16))[..., None] * colour
    for _ in range(14):  # stems far behind
        cx, lean = rng.uniform(-1.1, 1.1), rng.normal(0, 0.25)
        back = mix(back, back * 0.55 + 0.45 * to_linear(60, 98, 44), 0.5 * smoothstep(0.05, 0.02, np.abs(x - cx - lean * y)))
    back = blur(back, 9)
    stem = smoothstep(0.045, 0.03, np.abs(x - 0.06 - 0.10 * (y - 0.1) ** 2)) * (y > 0)
    back = mix(back, to_linear(70, 104, 44) * (0.7 + 8 * np.clip(0.06 - x, -0.05, 0.05))[..., None], blur(stem, 5))
    centre_x, centre_y, squash = 0.03, -0.06, 0.86
    px, py = x - centre_x, (y - centre_y) / squash
    layers = [back]
    blurs = []
    for layer, (petals, reach, wide, lift) in enumerate(((13, 0.86, 0.125, 0.0), (13, 0.78, 0.12, 0.24), (11, 0.62, 0.10, 0.12))):
        canvas, alpha = np.zeros((side, side, 3)), np.zeros((side, side))
        order = rng.permutation(petals)
        for k in order:
            angle = 2 * math.pi * (k + lift) / petals + rng.normal(0, 0.05)
            length = reach * rng.uniform(0.90, 1.06)
            u = (px * math.cos(angle) + py * math.sin(angle)) / length
            v = -px * math.sin(angle) + py * math.cos(angle)
            v = v + 0.10 * rng.normal() * np.clip(u, 0, 1.2) ** 2
            inner = np.clip(u, 0, 1)
            profile = wide * 1.55 * inner ** 0.55 * np.clip(1 - inner ** 3.2, 0, 1) ** 0.6 * (1 - 0.05 * np.cos(v / wide * 9) * (inner > 0.85))
            mask = smoothstep(-0.002, 0.003, profile - np.abs(v)) * (u > 0.05) * (u < 1)
            dim = smoothstep(-0.035, 0.03, profile - np.abs(v - 0.012)) * (u > 0.05) * (u < 1.02)
            canvas *= (1 - 0.35 * dim)[..., None]
            relative = v / np.maximum(profile, 1e-3)
            streak = noise.fractal(relative * 6 + 31 * k, u * 1.6 + layer, 4)
            colour = mix(to_linear(150, 40, 120), to_linear(238, 150, 206), smoothstep(0.1, 0.95, inner + 0.16 * streak))
            colour = mix(colour, to_linear(250, 226, 240), 0.55 * smoothstep(0.75, 1.0, inner))
            ridge = 0.5 + 0.5 * np.cos(relative * 7)
            light = 0.62 + 0.38 * (0.6 * math.cos(angle + 2.2)) - 0.22 * relative * math.sin(angle + 0.9) + 0.10 * ridge + 0.10 * streak
            light = light * (0.55 + 0.45 * smoothstep(0.08, 0.45, inner)) * (0.80 + 0.12 * layer)
            canvas = mix(canvas, colour * np.clip(light, 0.1, 1.3)[..., None], mask)
            alpha = np.maximum(alpha, mask)
        layers.append((canvas, alpha))
        blurs.append((3.4, 1.8, 0.6)[layer])
    result = layers[0]
    distance = np.hypot(px, py)
    for (canvas, alpha), amount in zip(layers[1:], blurs):
        far_alpha, far = blur(alpha, amount * 3.0), blur(canvas * alpha[..., None], amount * 3.0)
        near_alpha, near = blur(alpha, amount), blur(canvas * alpha[..., None], amount)
        focus = smoothstep(0.35, 0.85, distance)
        shadow = blur(np.roll(alpha, (12, 8), (0, 1)), 12)
        result = result * (1 - 0.35 * shadow)[..., None]
        a = mix(near_alpha, far_alpha, focus)
        c = mix(near, far, focus)
        result = result * (1 - a)[..., None] + c
    # Centre: florets in a golden-angle spiral on a dome.
    dome = 0.235
    shade = smoothstep(dome * 1.35, dome * 0.8, np.hypot(px - 0.012, py - 0.02))
    result = result * (1 - 0.65 * shade)[..., None]
    florets = 420
    for k in range(florets - 1, -1, -1):
        radius, angle = dome * math.sqrt((k + 0.5) / florets), k * 2.399963
        height = math.sqrt(max(1 - (radius / dome) ** 2 * 0.9, 0))
        fx, fy = centre_x + radius * math.cos(angle), centre_y + (radius * math.sin(angle)) * squash - 0.05 * height
        r = 0.0125 * (0.55 + 0.6 * (radius / dome))
        x0, x1 = int((fx - 2 * r + 1) / 2 * side), int((fx + 2 * r + 1) / 2 * side) + 2
        y0, y1 = int((fy - 2 * r + 1) / 2 * side), int((fy + 2 * r + 1) / 2 * side) + 2
        lx, ly = (x[y0:y1, x0:x1] - fx) / r, (y[y0:y1, x0:x1] - fy) / r
        rr = np.hypot(lx, ly)
        mask = smoothstep(1.05, 0.9, rr)
        dark = smoothstep(1.7, 0.8, rr)
        lit = np.clip(0.55 - 0.42 * lx - 0.50 * ly, 0, 1.3) * np.sqrt(np.clip(1.15 - rr ** 2, 0.1, 1)) * (0.6 + 0.5 * height)
        base = mix(to_linear(250, 190, 40), to_linear(150, 74, 20), smoothstep(0.25, 0.0, radius / dome) * 0.8 + 0.35 * rng.random())
        patch = result[y0:y1, x0:x1] * (1 - 0.5 * dark)[..., None]
        result[y0:y1, x0:x1] = mix(patch, base * lit[..., None] * 1.5 + (0.35 * np.clip(lit - 0.75, 0, 1))[..., None], mask)
    linear = shrink(result * 1.15)
    linear = np.clip(linear + rng.normal(0, 1, linear.shape) * np.sqrt(1e-5 + 5e-5 * np.clip(linear, 0, 1)), 0, 1)
    return to_image(to_srgb(linear))


# ---------------------------------------------------------------- files

def srgb_profile():
    """The sRGB profile with its date of creation cleared, so that two runs write the same bytes."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    return bytes(data)


def save_jpeg(image, path):
    exif = Image.Exif()
    exif[0x010E] = "Leaf over leaf, computed"  # ImageDescription
    exif[0x0112] = 1                            # Orientation: upright
    exif[0x0131] = "tools/make_samples.py"      # Software
    image.save(path, quality=90, subsampling=0, optimize=True, exif=exif, icc_profile=srgb_profile())


SAMPLES = {
    "still_life.png": still_life, "landscape.png": landscape, "page.png": page, "scan.png": scan, "chart.png": chart, "desktop.png": desktop,
    "gradients.png": gradients, "colour_wheel.png": colour_wheel, "film_grain.png": film_grain, "bricks.png": bricks,
    "foliage.jpg": foliage, "zone_plate.pgm": zone_plate, "flower.webp": flower,
}


def main():
    parser = argparse.ArgumentParser(description="Draw the sample pictures.")
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    parser.add_argument("--output-dir", default=pathlib.Path(__file__).resolve().parent.parent / "samples", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or SAMPLES:
        if name not in SAMPLES:
            parser.error(f"{name}: no such sample; there are: {', '.join(SAMPLES)}")
        image, path = SAMPLES[name](generator(name)), arguments.output_dir / name
        if path.suffix == ".jpg":
            save_jpeg(image, path)
        elif path.suffix == ".webp":
            image.save(path, quality=92, method=6)
        elif path.suffix == ".pgm":
            image.save(path)
        else:
            image.save(path, optimize=True)
        print(f"{name}: {image.size[0]}x{image.size[1]} {image.mode}, {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
