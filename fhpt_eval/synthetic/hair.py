"""Hair: a shell about the head that may fall to the shoulders, and knots of hair."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from fhpt_eval.synthetic.body import Float, Index, load_body
from fhpt_eval.synthetic.fabrics import Colour, noise
from fhpt_eval.synthetic.light import from_srgb
from fhpt_eval.synthetic.mesh import Mesh, pinned
from fhpt_eval.synthetic.raytrace import Bool, Paint, Samples, unit

Style = Literal["cropped", "short", "curly", "bob", "long", "bun", "ponytail", "braids"]

_CENTRE = np.array([0.0, -0.045, 0.845])
_AROUND, _DOWN = 96, 24
_LINE = np.array(
    [
        (0, 0.068),
        (25, 0.066),
        (50, 0.05),
        (68, 0.02),
        (80, -0.012),
        (90, -0.02),
        (110, -0.03),
        (140, -0.085),
        (180, -0.1),
    ]
)
"""The hairline: degrees from the front, metres above the eyes."""
_EYES = 0.837
_BRAIDS = (0.095, -0.075, 0.665)
"""Middle of the left braid."""


@dataclass(frozen=True)
class Haircut:
    """How somebody wears their hair; lengths in metres of the average body.

    Attributes:
        style: Its cut.
        colour: sRGB.
        end: Height of the lower ends.
        side: Degrees from the front beyond which it falls.
        volume: Thickness over the crown.
        forehead: By how much the hairline is higher than usual in front.
        parting: Where it is parted, metres to the left of the middle.
        fringe: By how much it hangs below the hairline over the forehead.
        wave: From straight, 0, to wavy, 1.
        streaks: How much strands differ in colour.
    """

    style: Style
    colour: Colour
    end: float
    side: float
    volume: float
    forehead: float
    parting: float
    fringe: float
    wave: float
    streaks: float

    def line(self, angle: Float) -> Float:
        """Height of the lower edge of the hair at degrees from the front (n): the hairline, or a fringe before it."""
        usual = _EYES + np.interp(np.abs(angle), _LINE[:, 0], _LINE[:, 1])
        front = np.clip(1 - np.abs(angle) / 75, 0, 1)
        hanging = self.fringe * np.clip((62 - np.abs(angle)) / 20, 0, 1)
        return np.asarray(usual + (self.forehead if not self.fringe else 0.0) * front - hanging)


@dataclass(frozen=True)
class Hair:
    """Hair on somebody's head.

    Attributes:
        cut: How it is worn.
        seed: Of the strands.
    """

    cut: Haircut
    seed: int

    def present(self, samples: Samples) -> Bool:
        """Behind the hairline, above the ends."""
        point = samples.template
        angle = _angle(point)
        ragged = 0.004 * noise(angle / 3.0, np.zeros(len(angle)), self.seed)
        line = self.cut.line(angle) + ragged
        free = angle < self.cut.side
        behind = (point[:, 2] > line) | ~free
        ends = self.cut.end + 0.02 * noise(angle / 4.0, np.zeros(len(angle)), self.seed + 1)
        knot = point[:, 1] > 0.075
        if self.cut.style == "braids":
            knot = knot | (point[:, 2] < _BRAIDS[2] + 0.06)
        if self.cut.style in {"bob", "long"}:
            return np.asarray(behind & (point[:, 2] > ends))
        return np.asarray(knot | (point[:, 2] > line))

    def paint(self, samples: Samples) -> Paint:
        """Strands that run from the crown downwards."""
        point, cut = samples.template, self.cut
        angle, height = _signed_angle(point), point[:, 2]
        bent = angle + 6 * cut.wave * np.sin(height / 0.011 + 3 * noise(angle / 20, height / 0.2, self.seed + 6))
        strands = noise(bent / 1.6, height / 0.12, self.seed) + 0.6 * noise(bent / 0.5, height / 0.05, self.seed + 2)
        albedo = from_srgb(cut.colour) * (1 + 0.28 * strands[:, None])
        albedo = albedo * (1 + cut.streaks * noise(bent / 9.0, height / 0.3, self.seed + 8)[:, None])
        if cut.style == "curly":
            curl = noise(angle / 6.0, height / 0.012, self.seed + 4)
            albedo = albedo * (1 + 0.35 * curl[:, None])
        if cut.style == "braids":
            plait = np.sin(height / 0.007 + 0.9 * np.sign(np.sin(angle / 3))) * (height < _BRAIDS[2] + 0.06)
            albedo = albedo * (1 + 0.45 * plait[:, None])
        if cut.style not in {"cropped", "curly"} and not cut.fringe:
            near = np.exp(-(((point[:, 0] - cut.parting) / 0.0035) ** 2)) * (height > _EYES + 0.075)
            albedo = albedo * (1 - 0.55 * (near * (point[:, 1] < 0.0))[:, None])
        across = unit(np.cross(samples.normal, samples.carry(np.tile([0.0, 0.0, 1.0], (len(point), 1)))))
        normal = unit(samples.normal + 0.28 * strands[:, None] * across)
        line = cut.line(angle)
        root = np.clip((height - line) / 0.012, 0, 1)[:, None]
        return Paint(albedo * (0.75 + 0.25 * root), normal, np.full(len(point), 0.09))


def hair_mesh(skin: Mesh, cut: Haircut, seed: int) -> Mesh:
    """Draw the hair about the average head and pin it to a body.

    Args:
        skin: The body's skin.
        cut: How it is worn.
        seed: Of the curls.
    """
    style = cut.style
    turn, rise, direction = _directions()
    radius = _head_radius().reshape(turn.shape)
    down = np.clip((0.3 - np.sin(rise)) / 1.0, 0, 1)
    thick = cut.volume * (1 - 0.45 * down)
    if style == "curly":
        degrees = np.degrees(turn)
        thick = thick + 0.008 * noise(degrees / 14, np.degrees(rise) / 14, seed)
    elif style != "cropped":
        thick = thick + 0.0025 * noise(np.degrees(turn) / 9, np.degrees(rise) / 60, seed)
    at_skin = _CENTRE[2] + direction[..., 2] * radius
    degrees = np.abs(np.degrees(turn))
    above = at_skin - cut.line(degrees)
    frame = degrees < (85 if style in {"bob", "long"} else 181)
    # A parting is a furrow between two rolls of hair.
    if style not in {"cropped", "curly"}:
        side = direction[..., 0] * radius - cut.parting
        top = np.clip((np.sin(rise) - 0.55) / 0.25, 0, 1)
        thick = thick * (1 - 0.35 * np.exp(-((side / 0.012) ** 2)) * top)
    thick = np.where(frame, thick * np.clip(0.12 + 0.88 * above / 0.055, 0.12, 1), thick)
    cap = _CENTRE + direction * (radius + thick)[..., None]
    if style in {"bob", "long"}:
        cap = _falling(cap, cut)
    rows = len(cap)
    points, faces = cap.reshape(-1, 3), _grid(rows, _AROUND)
    for knot, knot_faces in _knots(cut):
        faces = np.concatenate([faces, knot_faces + len(points)])
        points = np.concatenate([points, knot])
    return pinned(skin, points, faces)


def _falling(cap: Float, cut: Haircut) -> Float:
    """Let the shell fall down from where it is widest, and outwards behind the shoulders."""
    widest = int(np.searchsorted(-cap[:, 0, 2], -(_CENTRE[2] - 0.02)))
    kept = cap[: widest + 1]
    edge = kept[-1]
    rows = [kept]
    around = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    for share in np.linspace(0, 1, 16)[1:]:
        row = edge.copy()
        row[:, 2] = edge[:, 2] + share * (cut.end - 0.03 - edge[:, 2])
        back = np.clip((edge[:, 1] - _CENTRE[1]) / 0.08, 0, 1)
        low = np.clip((0.74 - row[:, 2]) / 0.14, 0, 1)
        row[:, 1] += back * low * 0.05
        wide = 1 - 0.06 * np.sin(np.pi * share) + 0.12 * low
        wavy = 0.09 * cut.wave * np.sin(row[:, 2] / 0.011 + 2 * np.sin(2 * around))
        row[:, 0] *= wide + (4 * (cut.volume - 0.015) + wavy) * share
        rows.append(row[None])
    return np.concatenate(rows)


def _knots(cut: Haircut) -> Iterator[tuple[Float, Index]]:
    """Yield ellipsoids: a bun or a tail behind the crown, or two braids before the shoulders."""
    rows, columns = 14, 20
    rise, turn = np.meshgrid(
        np.linspace(np.pi / 2, -np.pi / 2, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False)
    )
    ball = np.stack([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)], axis=-1)
    ball = ball.transpose(1, 0, 2)
    taper = 0.7 + 0.3 * ball[..., [2]]
    tapered = np.concatenate([taper, taper, np.ones_like(taper)], axis=-1)
    grid = _grid(rows, columns)
    if cut.style == "bun":
        yield (ball * (0.032 + cut.volume) + np.array([0, 0.03 + cut.volume, 0.955])).reshape(-1, 3), grid
    elif cut.style == "ponytail":
        length = 0.08 + 0.35 * (0.6 - cut.end)
        placed = ball * [0.03 + 0.4 * cut.volume, 0.034, length] * tapered
        yield (placed + np.array([0, 0.082 + cut.volume, 0.94 - length])).reshape(-1, 3), grid
    elif cut.style == "braids":
        for side in (-1, 1):
            placed = ball * [0.02, 0.02, 0.11] * tapered
            yield (placed + np.array(_BRAIDS) * [side, 1, 1]).reshape(-1, 3), grid


def _grid(rows: int, columns: int) -> Index:
    """Triangles of a grid that closes around."""
    corner = np.arange((rows - 1) * columns).reshape(rows - 1, columns)
    right = np.roll(corner, -1, axis=1)
    below, across = corner + columns, right + columns
    upper = np.stack([corner, below, right], axis=-1).reshape(-1, 3)
    lower = np.stack([right, below, across], axis=-1).reshape(-1, 3)
    return np.concatenate([upper, lower])


def _directions() -> tuple[Float, Float, Float]:
    """Angles around and above the centre of the head in a grid, and the directions (…×3)."""
    turns = np.linspace(-np.pi, np.pi, _AROUND, endpoint=False)
    turn, rise = np.meshgrid(turns, np.radians(np.linspace(89, -38, _DOWN)))
    direction = np.stack([np.cos(rise) * np.sin(turn), -np.cos(rise) * np.cos(turn), np.sin(rise)], axis=-1)
    return turn, rise, direction


@functools.cache
def _head_radius() -> Float:
    """Distance from the centre to the average head's skin, the farthest vertex of those nearest in direction."""
    body = load_body()
    used = np.unique(body.faces["body"])
    head = body.mean.vertices[used][body.masks["head"][used] > 0.5]
    relative = head - _CENTRE
    distance = np.linalg.norm(relative, axis=1)
    _, _, directions = _directions()
    nearest = cKDTree(relative / distance[:, None]).query(directions.reshape(-1, 3), k=6)[1]
    return np.asarray(distance[nearest].max(axis=1))


def _signed_angle(point: Float) -> Float:
    """Degrees from the front, −180 to 180."""
    return np.asarray(np.degrees(np.arctan2(point[:, 0], _CENTRE[1] - point[:, 1])))


def _angle(point: Float) -> Float:
    return np.abs(_signed_angle(point))
