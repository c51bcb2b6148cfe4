"""Who is photographed: bodies, faces, hair and wardrobes, drawn at random from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fhpt_eval.pairing.naming import Gender
from fhpt_eval.synthetic.body import CHANGES, load_body
from fhpt_eval.synthetic.fabrics import Colour
from fhpt_eval.synthetic.hair import Haircut, Style
from fhpt_eval.synthetic.lots import as_colour, pick, vary
from fhpt_eval.synthetic.skin import Beard, Complexion
from fhpt_eval.synthetic.wardrobe import Item, draw_item

_SKINS: tuple[Colour, ...] = (
    *((0.96, 0.82, 0.75), (0.92, 0.75, 0.65), (0.90, 0.72, 0.58), (0.86, 0.66, 0.54), (0.82, 0.62, 0.46)),
    *((0.74, 0.54, 0.41), (0.66, 0.46, 0.33), (0.56, 0.38, 0.28), (0.48, 0.33, 0.25), (0.42, 0.28, 0.21)),
)
_HAIRS: tuple[Colour, ...] = (
    *((0.07, 0.06, 0.06), (0.13, 0.09, 0.07), (0.22, 0.14, 0.10), (0.34, 0.22, 0.14), (0.47, 0.31, 0.19)),
    *((0.72, 0.55, 0.34), (0.86, 0.75, 0.54), (0.50, 0.20, 0.10), (0.66, 0.33, 0.16), (0.42, 0.12, 0.14)),
    *((0.55, 0.53, 0.52), (0.80, 0.79, 0.78)),
)
_GREYS = _HAIRS[-2:]
_WOMENS_HAIR: tuple[Style, ...] = (
    *("bob", "bob", "bob", "long", "long", "long", "long", "bun", "ponytail", "braids", "curly", "short"),
)
_MENS_HAIR: tuple[Style, ...] = ("cropped", "cropped", "short", "short", "short", "curly", "bun", "bob")
_BEARDS: tuple[Beard, ...] = ("none", "none", "stubble", "stubble", "full", "full", "goatee", "moustache")
_IRISES: tuple[Colour, ...] = ((0.2, 0.12, 0.07), (0.32, 0.2, 0.1), (0.35, 0.45, 0.55), (0.35, 0.42, 0.28))
_DARK_TONE = 6
"""From which skin on hair is dark."""


@dataclass(frozen=True)
class Identity:
    """A person.

    Attributes:
        number: In the data set, from 1.
        gender: ``MEN`` or ``WOMEN``.
        build: Where between the average man (−1) and woman (1), or beyond.
        shape: Principal shapes, standard deviations.
        changes: Of the face by name, on [−1, 1].
        complexion: Colours of the face.
        haircut: How they wear their hair.
        items: Their wardrobe.
    """

    number: int
    gender: Gender
    build: float
    shape: tuple[float, ...]
    changes: tuple[tuple[str, float], ...]
    complexion: Complexion
    haircut: Haircut
    items: tuple[Item, ...]


def sample_identity(seed: int, number: int, items: int = 2) -> Identity:
    """Draw a person; the same for equal arguments."""
    rng = np.random.default_rng([seed, number])
    female = number % 2 == 0
    tone = int(rng.integers(len(_SKINS)))
    skin = vary(_SKINS[tone], 0.015, rng)
    age = float(rng.uniform(0, 1))
    hairs = _GREYS if age > 0.85 and rng.random() < 0.6 else _HAIRS[:4] if tone >= _DARK_TONE else _HAIRS[:-2]
    hair = vary(pick(hairs, rng), 0.02, rng)
    return Identity(
        number=number,
        gender="WOMEN" if female else "MEN",
        build=float(rng.normal(1.35, 0.1)) * (1 if female else -1),
        shape=tuple(float(v) for v in np.clip(rng.normal(0, 1.0, load_body().shape_count), -2.2, 2.2)),
        changes=tuple((name, _change(name, age, rng)) for name in CHANGES),
        complexion=_complexion(female, tone, skin, hair, age, rng),
        haircut=_haircut(female, hair, rng),
        items=tuple(draw_item(female, rng) for _ in range(items)),
    )


def _change(name: str, age: float, rng: np.random.Generator) -> float:
    if name == "smile":
        return float(rng.uniform(0, 0.6))
    if name == "head-age-incr":
        return float(np.clip(1.6 * age - 0.8, -1, 1))
    return float(np.clip(rng.normal(0, 0.45), -1, 1))


def _complexion(
    female: bool, tone: int, skin: Colour, hair: Colour, age: float, rng: np.random.Generator
) -> Complexion:
    painted = female and rng.random() < 0.7
    blood = np.array(skin) * ([0.9, rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.6)] if painted else [0.9, 0.72, 0.7])
    return Complexion(
        skin=skin,
        lips=as_colour(blood * rng.uniform(0.7, 1.02)),
        brows=as_colour(np.array(hair) * rng.uniform(0.45, 0.85)),
        iris=pick(_IRISES[: 2 if tone >= _DARK_TONE else 4], rng),
        brow_height=float(rng.normal(0, 0.003)),
        brow_width=float(rng.uniform(0.001, 0.0034) if female else rng.uniform(0.0024, 0.0056)),
        brow_arch=float(rng.uniform(0.3, 1.6)),
        liner=float(rng.uniform(0.3, 0.9) if female else rng.uniform(0.1, 0.35)),
        blush=float(rng.uniform(0, 0.9) if female else rng.uniform(0, 0.3)),
        freckles=float(rng.uniform(0.4, 1) if tone < _DARK_TONE and rng.random() < 0.25 else 0),
        lines=max(0.0, 1.6 * age - 0.6),
        beard="none" if female else pick(_BEARDS, rng),
        seed=int(rng.integers(1, 2**31)),
    )


def _haircut(female: bool, colour: Colour, rng: np.random.Generator) -> Haircut:
    style = pick(_WOMENS_HAIR if female else _MENS_HAIR, rng)
    volume = {"cropped": (0.003, 0.007), "curly": (0.018, 0.04), "short": (0.01, 0.03)}.get(style, (0.008, 0.026))
    side = float(rng.uniform(66, 90))
    fringed = style in {"bob", "long", "bun", "ponytail", "short"} and rng.random() < (0.4 if female else 0.25)
    return Haircut(
        style=style,
        colour=colour,
        end=float(rng.uniform(0.6, 0.72) if style == "bob" else rng.uniform(0.32, 0.58)),
        side=side,
        volume=float(rng.uniform(*volume)),
        forehead=float(rng.uniform(-0.014, 0.016 if female else 0.026)),
        parting=float(rng.uniform(-0.045, 0.045)),
        fringe=float(rng.uniform(0.022, 0.04) if fringed else 0),
        wave=float(rng.uniform(0.3, 1) if style in {"bob", "long", "ponytail"} and rng.random() < 0.5 else 0),
        streaks=float(rng.uniform(0.15, 0.5)),
    )
