"""Skin, faces, eyes and lashes, painted in the coordinates of the average body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fhpt_eval.synthetic.body import Float
from fhpt_eval.synthetic.fabrics import Colour, blend, noise
from fhpt_eval.synthetic.garments import Cover, covered, where
from fhpt_eval.synthetic.light import from_srgb
from fhpt_eval.synthetic.mesh import Mesh
from fhpt_eval.synthetic.raytrace import Bool, Paint, Samples

Beard = Literal["none", "stubble", "full", "goatee", "moustache"]

EYE = np.array([0.031, -0.126, 0.837])
"""Centre of the left eyeball on the average body."""
_EYEBALL = 0.0152
_UNDER = 0.012
"""How far skin reaches under clothes, metres."""


@dataclass(frozen=True)
class Complexion:
    """Colours of a person, sRGB.

    Attributes:
        skin: Of the face.
        lips: Likewise.
        brows: Likewise.
        iris: Likewise.
        brow_height: Metres above the usual place.
        brow_width: Half the thickness, metres.
        brow_arch: From straight, 0, to strongly bent.
        liner: Darkness around the eyes on [0, 1].
        blush: Of the cheeks on [0, 1].
        freckles: On nose and cheeks, on [0, 1].
        lines: Of age about the mouth and under the eyes, on [0, 1].
        beard: Its form.
        seed: Of freckles and moles.
    """

    skin: Colour
    lips: Colour
    brows: Colour
    iris: Colour
    brow_height: float
    brow_width: float
    brow_arch: float
    liner: float
    blush: float
    freckles: float
    lines: float
    beard: Beard
    seed: int

    def spots(self, template: Float, face: Bool) -> Float:
        """How dark freckles and moles are at points (n×3)."""
        lots = np.random.default_rng(self.seed)
        x, z = template[:, 0], template[:, 2]
        sprinkled = np.clip(noise(x / 0.0032, z / 0.0032, self.seed) - 0.35, 0, 1) * _spot(
            np.abs(x) * 0.6, z - 0.808, 0.022
        )
        dark = 1.6 * self.freckles * sprinkled
        for left, up in zip(lots.uniform(-0.06, 0.06, 2), lots.uniform(0.74, 0.83, 2), strict=True):
            dark = np.maximum(dark, (np.hypot(x - left, z - up) < 0.0022).astype(float))
        return np.asarray(np.clip(dark, 0, 1) * face)

    def hairy(self, x: Float, y: Float, z: Float) -> Float:
        """Where the beard grows; x without its sign."""
        face = np.clip((-0.02 - y) / 0.03, 0, 1) * (z > 0.705)
        jaw = np.clip((0.783 - z + 0.25 * np.clip(x - 0.03, 0, 1)) / 0.014, 0, 1) * (1 - _spot(x, z - 0.766, 0.013))
        side = (
            np.clip((0.84 - z) / 0.01, 0, 1) * np.clip((y + 0.084) / 0.008, 0, 1) * np.clip((-0.055 - y) / 0.01, 0, 1)
        )
        lip = np.clip(1.4 * _spot(x * 0.2, z - 0.7805, 0.0042), 0, 1) * np.clip((0.031 - x) / 0.005, 0, 1)
        chin = np.clip((0.75 - z) / 0.008, 0, 1) * np.clip((0.028 - x) / 0.006, 0, 1)
        grown = {"moustache": lip, "goatee": np.maximum(lip, chin)}.get(self.beard)
        return np.asarray(face * (np.maximum(np.maximum(jaw, side), lip) if grown is None else grown))


@dataclass(frozen=True)
class Skin:
    """The body's own surface, absent where clothes cover it."""

    mesh: Mesh
    complexion: Complexion
    covers: Sequence[Cover]

    def present(self, samples: Samples) -> Bool:
        """Not under clothes."""
        return ~covered(samples, where(self.mesh, samples), self.covers, _UNDER)

    def paint(self, samples: Samples) -> Paint:
        """Skin, lips, brows, nails."""
        look = self.complexion
        x, y, z = np.abs(samples.template[:, 0]), samples.template[:, 1], samples.template[:, 2]
        tone = from_srgb(look.skin)
        albedo = tone * (1 + 0.05 * noise(samples.template[:, 0] / 0.03, z / 0.03, 5)[:, None])
        face = (z > 0.7) & (y < -0.06)
        cheek = _spot(x - 0.045, z - 0.79, 0.024) * face
        albedo = blend(albedo, tone * np.array([1.15, 0.75, 0.75]), 0.5 * look.blush * cheek)
        nose = _spot(x, z - 0.805, 0.02) * face
        albedo = blend(albedo, tone * np.array([1.08, 0.88, 0.85]), 0.3 * nose)
        albedo = albedo * (1 - look.spots(samples.template, face)[:, None] * [0.35, 0.5, 0.55])
        albedo = blend(albedo, tone * np.array([0.5, 0.42, 0.4]), look.lines * _age(x, z) * face)
        if look.beard != "none":
            thick = look.hairy(x, y, z) * (0.55 if look.beard == "stubble" else 0.9)
            grain = 0.85 + 0.15 * noise(samples.template[:, 0] / 0.003, z / 0.004, look.seed)
            albedo = blend(albedo, np.minimum(from_srgb(look.brows), 0.7 * tone), thick * grain)
        rim = np.hypot(x - EYE[0], (z - EYE[2]) / 0.62)
        around = np.exp(-(((rim - 0.0165) / 0.003) ** 2)) * face
        albedo = blend(albedo, tone * 0.25, look.liner * around)
        t = (x - 0.012) / 0.042
        arc = EYE[2] + 0.0195 + look.brow_height + 0.009 * look.brow_arch * np.sin(np.clip(t, 0, 1) * 2.2)
        arc = arc - 0.004 * np.clip(t, 0, 1)
        width = look.brow_width * (1.1 - 0.75 * np.clip(t, 0, 1))
        brow = np.clip(1.6 - np.abs(z - arc) / width, 0, 1) * ((t > 0) & (t < 1) & face)
        albedo = blend(albedo, from_srgb(look.brows), 0.85 * brow)
        lips = np.clip((samples.interpolate(self.mesh.masks["lips"]) - 0.35) / 0.3, 0, 1)
        albedo = blend(albedo, from_srgb(look.lips), 0.9 * lips)
        nails = np.clip((samples.interpolate(self.mesh.masks["fingernails"]) - 0.4) / 0.3, 0, 1)
        albedo = blend(albedo, tone * np.array([1.15, 0.95, 0.95]), nails)
        return Paint(albedo, samples.normal, 0.05 + 0.12 * lips, blood=1.0)


@dataclass(frozen=True)
class Eyes:
    """White, iris and pupil."""

    iris: Colour

    def present(self, samples: Samples) -> Bool:
        """Everywhere."""
        return np.ones(len(samples.faces), dtype=bool)

    def paint(self, samples: Samples) -> Paint:
        """Rings about the axis of sight."""
        x, z = np.abs(samples.template[:, 0]), samples.template[:, 2]
        ring = np.hypot(x - EYE[0], z - EYE[2] + 0.0005)
        front = samples.template[:, 1] < EYE[1]
        albedo = np.tile(from_srgb((0.93, 0.91, 0.9)), (len(x), 1))
        albedo = blend(albedo, from_srgb(self.iris), ((ring < 0.0068) & front).astype(float))
        albedo = blend(albedo, from_srgb(self.iris) * 0.3, ((ring > 0.0058) & (ring < 0.0068) & front).astype(float))
        albedo = blend(albedo, np.full(3, 0.005), ((ring < 0.0028) & front).astype(float))
        shade = np.clip((z - EYE[2] - 0.003) / 0.008, 0, 1)
        return Paint(albedo * (1 - 0.5 * shade[:, None]), samples.normal, np.full(len(x), 0.5))


@dataclass(frozen=True)
class Lashes:
    """A dark line along the lids."""

    length: float

    def present(self, samples: Samples) -> Bool:
        """Only the roots, close to the eyeball; fewer below."""
        away = np.abs(samples.template) - np.array([EYE[0], 0, 0])
        away[:, 1:] = samples.template[:, 1:] - EYE[1:]
        lower = away[:, 2] < -0.002
        reach = np.where(lower, 0.25, 1.0) * self.length
        return np.asarray(np.linalg.norm(away, axis=1) < _EYEBALL + reach)

    def paint(self, samples: Samples) -> Paint:
        """Nearly black."""
        count = len(samples.faces)
        return Paint(np.full((count, 3), 0.012), samples.normal, np.zeros(count))


def _age(x: Float, z: Float) -> Float:
    """Lines from the nose to the corners of the mouth and under the eyes; x without its sign."""
    fold = np.exp(-(((x - 0.019 - 0.35 * (0.79 - z)) / 0.0022) ** 2)) * ((z > 0.757) & (z < 0.79))
    under = np.exp(-(((z - 0.8235 + 0.1 * np.abs(x - EYE[0])) / 0.0018) ** 2)) * (np.abs(x - EYE[0]) < 0.016)
    brow = np.exp(-((((z - 0.872) % 0.011 - 0.0055) / 0.0012) ** 2)) * ((z > 0.867) & (z < 0.9) & (x < 0.035))
    return np.asarray(np.clip(0.6 * fold + 0.5 * under + 0.4 * brow, 0, 1))


def _spot(x: Float, z: Float, size: float) -> Float:
    return np.asarray(np.exp(-(np.hypot(x, z) ** 2) / (2 * size**2)))
