"""Soft studio light: an environment that is bright from above and one side, hidden by what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fhpt_eval.synthetic.body import Float
from fhpt_eval.synthetic.raytrace import Paint, Samples, Scene, unit

_RAYS = 6
_BLOOD = np.array([1.0, 0.35, 0.2])
"""How far red, green and blue travel under skin, relative to red."""


@dataclass(frozen=True)
class Studio:
    """Light and background.

    Attributes:
        key: Unit direction to the brightest light.
        strength: Of the key light against the even light of the room.
        top: Background at the upper edge, linear RGB.
        bottom: At the lower edge.
    """

    key: tuple[float, float, float]
    strength: float
    top: tuple[float, float, float]
    bottom: tuple[float, float, float]

    def light(self, directions: Float) -> Float:
        """Brightness of the environment in each direction."""
        facing = directions @ np.asarray(self.key)
        lifted = 0.5 + 0.5 * directions[..., 2]
        return np.asarray(0.35 + 0.35 * lifted + self.strength * np.clip(facing, 0, 1) ** 3)


def draw_studio(rng: np.random.Generator) -> Studio:
    """Draw a studio as shops have them."""
    side = rng.choice([-1, 1]) * rng.uniform(0.3, 0.9)
    key = unit(np.array([side, -1.0, rng.uniform(0.5, 1.0)]))
    bright = rng.uniform(0.72, 0.97)
    tint = 1 + rng.normal(0, 0.012, 3)
    top = np.clip(bright * tint, 0, 0.99)
    bottom = np.clip(top * rng.uniform(0.9, 1.02), 0, 0.99)
    strength = float(rng.uniform(0.45, 0.85))
    return Studio(tuple(key.tolist()), strength, tuple(top.tolist()), tuple(bottom.tolist()))


def shade(scene: Scene, samples: Samples, paint: Paint, studio: Studio, camera: Float, lots: Float) -> Float:
    """Return the linear colour of points, n×3, seen from ``camera``; ``lots`` (n×2, on [0, 1)) turn their rays."""
    rays = _cosine_rays(paint.normal, lots)
    light = studio.light(rays)
    starts = samples.position + 3e-3 * samples.normal
    hidden = scene.blocked(np.repeat(starts, _RAYS, axis=0), rays.reshape(-1, 3)).reshape(-1, _RAYS)
    open_light = light.mean(axis=1)
    seen = (light * ~hidden).sum(axis=1) / light.sum(axis=1)
    # What hides the light is itself lit.
    lit = open_light * (0.18 + 0.82 * seen)
    diffuse = paint.albedo * lit[:, None]
    if paint.blood:
        wrapped = np.clip((paint.normal @ np.asarray(studio.key) + 0.4) / 1.4, 0, 1)[:, None] * _BLOOD
        diffuse = diffuse * (1 + 0.15 * paint.blood * studio.strength * (wrapped - 0.3))
    view = unit(camera - samples.position)
    half = unit(view + np.asarray(studio.key))
    facing = np.clip(np.einsum("nd,nd->n", paint.normal, half), 0, 1)
    return np.asarray(diffuse + (paint.gloss * studio.strength * facing**24 * seen)[:, None])


def _cosine_rays(normals: Float, lots: Float) -> Float:
    """n×rays×3 unit directions about the normals, dense as the cosine."""
    index = np.arange(_RAYS)
    turn = 2 * np.pi * lots[:, :1]
    radius = np.sqrt((index + lots[:, 1:]) / _RAYS)
    angle = turn + index * (np.pi * (3 - np.sqrt(5)))
    helper = np.where(np.abs(normals[:, [2]]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    tangent = unit(np.cross(helper, normals))
    other = np.cross(normals, tangent)
    across = radius * np.cos(angle)
    along = radius * np.sin(angle)
    up = np.sqrt(np.clip(1 - radius**2, 0, 1))
    return np.asarray(
        across[..., None] * tangent[:, None] + along[..., None] * other[:, None] + up[..., None] * normals[:, None]
    )


def to_srgb(linear: Float) -> Float:
    """Linear to sRGB on [0, 1], highlights rolled off softly."""
    return encoded(np.where(linear > 0.8, 0.8 + 0.2 * np.tanh((linear - 0.8) / 0.2), linear))


def encoded(linear: Float) -> Float:
    """Linear to sRGB on [0, 1], as the standard has it; what is negative becomes black."""
    clipped = np.clip(linear, 0, None)
    return np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * np.clip(clipped, 1e-9, None) ** (1 / 2.4) - 0.055)


def from_srgb(colour: Float | tuple[float, float, float]) -> Float:
    """From sRGB on [0, 1] to linear."""
    values = np.asarray(colour, dtype=float)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
