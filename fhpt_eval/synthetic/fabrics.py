"""What cloth looks like: plain, striped, checked, dotted, plaid, floral and logo fabrics, folds and weave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fhpt_eval.synthetic.body import Float
from fhpt_eval.synthetic.light import from_srgb

Pattern = Literal["plain", "striped", "checked", "dotted", "plaid", "floral", "logo", "denim"]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Fabric:
    """A cloth.

    Attributes:
        pattern: What is on it.
        colours: Ground and up to two others, sRGB on [0, 1].
        period: Of the pattern, metres.
        upright: Whether stripes run along the body rather than around it.
        seed: Of what is random in it.
    """

    pattern: Pattern
    colours: tuple[Colour, Colour, Colour]
    period: float
    upright: bool
    seed: int

    def albedo(self, across: Float, along: Float) -> Float:
        """n×3 linear colours at cloth coordinates in metres; the chest's middle is at (0, 0)."""
        ground, second, third = (from_srgb(colour) for colour in self.colours)
        colour = np.tile(ground, (len(across), 1))
        u, v = across / self.period, along / self.period
        if self.pattern == "striped":
            return blend(colour, second, _band(u if self.upright else v, 0.5))
        if self.pattern == "checked":
            return blend(blend(colour, second, 0.5 * _band(u, 0.5)), second, 0.5 * _band(v, 0.5))
        if self.pattern == "plaid":
            for value in (u, v):
                colour = blend(colour, second, 0.55 * _band(value, 0.42))
                colour = blend(colour, third, 0.8 * _band(value + 0.29, 0.09))
            return colour
        if self.pattern == "dotted":
            row = np.floor(v)
            x = (u + 0.5 * (row % 2)) % 1 - 0.5
            return blend(colour, second, _disc(np.hypot(x, v % 1 - 0.5), 0.24))
        if self.pattern == "floral":
            return self._flowers(colour, u, v, second, third)
        if self.pattern == "logo":
            return self._logo(colour, across, along, second, third)
        if self.pattern == "denim":
            worn = 0.5 + 0.5 * noise(across / 0.09, along / 0.16, self.seed)
            twill = 0.06 * _band((across + along) / 0.004, 0.5)
            return colour * (0.75 + 0.5 * worn[:, None] + twill[:, None])
        return colour

    def _flowers(self, colour: Float, u: Float, v: Float, petal: Float, heart: Float) -> Float:
        for layer in range(2):
            x, y = u + 0.37 * layer, v + 0.61 * layer
            cell = np.floor(x).astype(int), np.floor(y).astype(int)
            dx, dy, size, turn = (_hash(*cell, self.seed + 7 * layer + k) for k in range(4))
            x, y = x % 1 - 0.5 - 0.3 * (dx - 0.5), y % 1 - 0.5 - 0.3 * (dy - 0.5)
            radius = np.hypot(x, y) / (0.6 + 0.5 * size)
            angle = np.arctan2(y, x) + 2 * np.pi * turn
            colour = blend(colour, petal, _disc(radius / (1 + 0.3 * np.cos(5 * angle)), 0.3))
            colour = blend(colour, heart, _disc(radius, 0.1))
        return colour

    def _logo(self, colour: Float, across: Float, along: Float, second: Float, third: Float) -> Float:
        """Return a mirrored emblem of blocks on the chest."""
        size = 0.032
        column, row = np.floor(np.abs(across) / size).astype(int), np.floor(along / size).astype(int)
        inside = (column < 3) & (row >= -3) & (row < 2)
        drawn = inside & (_hash(column, row, self.seed) < 0.6)
        edge = (column < 3) & ((row == 3) | (row == -5)) & (np.abs(along % size - size / 2) < size / 4)
        return blend(blend(colour, second, drawn.astype(float)), third, edge.astype(float))


def noise(x: Float, y: Float, seed: int) -> Float:
    """Smooth values on [−1, 1] over the plane, without a direction; one unit is one bump."""
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - column, y - row
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    corner = [[_hash(column + i, row + j, seed) for i in (0, 1)] for j in (0, 1)]
    low = corner[0][0] * (1 - fx) + corner[0][1] * fx
    high = corner[1][0] * (1 - fx) + corner[1][1] * fx
    return np.asarray(2 * (low * (1 - fy) + high * fy) - 1)


def _hash(x: Float, y: Float, seed: int) -> Float:
    """Return a value on [0, 1) for each cell."""
    mixed = (np.asarray(x).astype(np.int64) * 374761393 + np.asarray(y).astype(np.int64) * 668265263) & 0xFFFFFFFF
    mixed = (mixed ^ (seed * 2246822519 & 0xFFFFFFFF)) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 2654435761) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 15)) / 2.0**32


def _band(value: Float, width: float) -> Float:
    """1 on the first share ``width`` of each unit."""
    return ((value % 1) < width).astype(float)


def _disc(radius: Float, size: float) -> Float:
    return (radius < size).astype(float)


def blend(under: Float, over: Float, amount: Float) -> Float:
    """Mix linear colours (n×3, or one), with ``amount`` (n, on [0, 1]) of what is over."""
    return np.asarray(under * (1 - amount[:, None]) + over * amount[:, None])
