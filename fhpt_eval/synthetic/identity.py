"""Who is photographed: bodies, faces, hair and wardrobes, drawn at random from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from fhpt_eval.pairing.naming import Gender
from fhpt_eval.synthetic.body import CHANGES, Float, load_body
from fhpt_eval.synthetic.fabrics import Colour, Fabric, Pattern
from fhpt_eval.synthetic.garments import WAIST, Cloth, Cut, Neck, Skirt, Top, Trousers
from fhpt_eval.synthetic.hair import Haircut, Style
from fhpt_eval.synthetic.skin import Complexion

Choice = TypeVar("Choice")

_SKINS: tuple[Colour, ...] = (
    *((0.95, 0.80, 0.72), (0.92, 0.75, 0.65), (0.88, 0.70, 0.58), (0.82, 0.62, 0.49), (0.74, 0.54, 0.41)),
    *((0.63, 0.44, 0.33), (0.52, 0.35, 0.26), (0.42, 0.28, 0.21)),
)
_HAIRS: tuple[Colour, ...] = (
    *((0.07, 0.06, 0.06), (0.13, 0.09, 0.07), (0.22, 0.14, 0.10), (0.34, 0.22, 0.14), (0.47, 0.31, 0.19)),
    *((0.72, 0.55, 0.34), (0.84, 0.72, 0.50), (0.50, 0.20, 0.10), (0.55, 0.53, 0.52)),
)
_WOMENS_HAIR: tuple[Style, ...] = ("bob", "bob", "long", "long", "long", "long", "long", "bun", "ponytail")
_MENS_HAIR: tuple[Style, ...] = ("cropped", "cropped", "cropped", "short", "short", "curly")
_IRISES: tuple[Colour, ...] = ((0.2, 0.12, 0.07), (0.32, 0.2, 0.1), (0.35, 0.45, 0.55), (0.35, 0.42, 0.28))
_CLOTHES: tuple[Colour, ...] = (
    *((0.95, 0.95, 0.93), (0.10, 0.10, 0.11), (0.55, 0.56, 0.58), (0.13, 0.17, 0.32), (0.70, 0.12, 0.15)),
    *((0.85, 0.35, 0.20), (0.93, 0.75, 0.25), (0.20, 0.42, 0.28), (0.35, 0.60, 0.55), (0.30, 0.50, 0.75)),
    *((0.62, 0.78, 0.90), (0.85, 0.55, 0.62), (0.95, 0.80, 0.80), (0.45, 0.25, 0.45), (0.75, 0.68, 0.55)),
    *((0.42, 0.32, 0.24), (0.90, 0.86, 0.76), (0.36, 0.38, 0.24), (0.55, 0.10, 0.28), (0.75, 0.72, 0.85)),
)
_WOMENS = (0, 1, 4, 5, 6, 8, 10, 11, 12, 13, 16, 18, 19)
_MENS = (0, 1, 2, 3, 4, 7, 9, 14, 15, 16, 17)
"""Grounds of their tops among `_CLOTHES`."""
_WOMENS_PATTERNS: tuple[Pattern, ...] = (
    *("plain", "plain", "plain", "striped", "floral", "floral", "floral", "dotted", "dotted", "plaid"),
)
_MENS_PATTERNS: tuple[Pattern, ...] = (
    *("plain", "plain", "plain", "striped", "striped", "checked", "checked", "plaid", "plaid", "logo", "logo"),
)
_DENIMS: tuple[Colour, ...] = ((0.20, 0.28, 0.42), (0.38, 0.50, 0.66), (0.11, 0.14, 0.21), (0.58, 0.68, 0.80))
_TROUSERS: tuple[Colour, ...] = (
    *((0.10, 0.10, 0.11), (0.15, 0.18, 0.28), (0.45, 0.45, 0.47), (0.72, 0.64, 0.50), (0.92, 0.91, 0.88)),
    *((0.33, 0.36, 0.25), (0.40, 0.30, 0.23), (0.50, 0.13, 0.18)),
)
_SHOES: tuple[Colour, ...] = (
    *((0.08, 0.08, 0.08), (0.92, 0.92, 0.92), (0.40, 0.25, 0.15), (0.70, 0.55, 0.40), (0.55, 0.12, 0.14)),
    (0.2, 0.25, 0.4),
)


@dataclass(frozen=True)
class Piece:
    """A garment of a wardrobe.

    Attributes:
        cut: Its form and cloth.
        label: Its class in the masks.
        offset: From the body, metres.
        loose: 0 tight to 1 wide.
    """

    cut: Cut
    label: str
    offset: float
    loose: float


@dataclass(frozen=True)
class Item:
    """Clothes that are photographed together, and what a shop would file them under.

    Attributes:
        category: DeepFashion's word.
        pieces: Innermost first.
        shoe: Colour of the shoes, sRGB.
        sole: Of their soles.
        shaft: Height of the shoes above the ankle, metres.
    """

    category: str
    pieces: tuple[Piece, ...]
    shoe: Colour
    sole: Colour
    shaft: float


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
    skin = _vary(_SKINS[tone], 0.02, rng)
    hairs = _HAIRS[:4] if tone >= 5 else _HAIRS
    hair = _vary(_pick(hairs, rng), 0.02, rng)
    style = _pick(_WOMENS_HAIR if female else _MENS_HAIR, rng)
    changes = tuple(
        (name, float(np.clip(rng.normal(0, 0.52), -1, 1))) if name != "smile" else (name, float(rng.uniform(0, 0.5)))
        for name in CHANGES
    )
    painted = female and rng.random() < 0.9
    blood = np.array(skin) * ([0.9, 0.42, 0.46] if painted else [0.9, 0.72, 0.7])
    complexion = Complexion(
        skin=skin,
        lips=_colour(blood * rng.uniform(0.85, 1.02)),
        brows=_colour(np.array(hair) * 0.75),
        iris=_pick(_IRISES[: 2 if tone >= 4 else 4], rng),
        brow_height=float(rng.normal(0, 0.0022)),
        brow_width=float(rng.uniform(0.0012, 0.0028) if female else rng.uniform(0.0028, 0.0046)),
        liner=float(rng.uniform(0.5, 0.9) if female else rng.uniform(0.1, 0.3)),
        blush=float(rng.uniform(0, 0.8) if female else 0.1),
        beard=float(rng.uniform(0.5, 1.4) if not female and rng.random() < 0.75 else 0),
    )
    return Identity(
        number=number,
        gender="WOMEN" if female else "MEN",
        build=float(rng.normal(1.35, 0.1)) * (1 if female else -1),
        shape=tuple(float(v) for v in np.clip(rng.normal(0, 0.9, load_body().shape_count), -2.2, 2.2)),
        changes=changes,
        complexion=complexion,
        haircut=Haircut(
            style=style,
            colour=hair,
            end=float(rng.uniform(0.61, 0.68) if style == "bob" else rng.uniform(0.38, 0.56)),
            side=float(rng.uniform(66, 90)),
            volume=float({"cropped": 0.004, "curly": 0.024}.get(style, 0.0) or rng.uniform(0.011, 0.022)),
            forehead=float(rng.uniform(-0.018, 0.014)),
        ),
        items=tuple(_item(female, rng) for _ in range(items)),
    )


def _item(female: bool, rng: np.random.Generator) -> Item:
    pieces: tuple[Piece, ...]
    if female and rng.random() < 0.35:
        category, pieces = "Dresses", _dress(rng)
    else:
        category, top = _top(female, rng)
        bottom_category, bottom = _bottom(female, rng)
        if bottom.label == "skirt" and isinstance(top.cut, Top):
            top = replace(top, cut=replace(top.cut, hem=WAIST - 0.015))
        pieces = (bottom, top)
        if rng.random() < 0.4:
            category = bottom_category
    if rng.random() < (0.15 if female else 0.22):
        pieces = (*pieces, _layer(rng))
        category = "Jackets_Coats" if female else "Jackets_Vests"
    dark = rng.random() < 0.5
    return Item(
        category=category,
        pieces=pieces,
        shoe=_vary(_pick(_SHOES, rng), 0.02, rng),
        sole=(0.1, 0.1, 0.1) if dark else (0.9, 0.89, 0.87),
        shaft=float(rng.choice([0.035, 0.035, 0.05, 0.1])),
    )


def _top(female: bool, rng: np.random.Generator) -> tuple[str, Piece]:
    kind = _pick(("tee", "tee", "shirt", "sweater", "tank", "long"), rng)
    hem = float(rng.uniform(0.05, 0.14) if female else rng.uniform(0.01, 0.07))
    loose = float(rng.uniform(0.1, 0.5))
    neck: Neck = "crew"
    depth = 0.035
    if kind in {"tee", "tank", "long"} and rng.random() < (0.85 if female else 0.2):
        neck = _pick(("v", "scoop", "boat") if female else ("v",), rng)
        depth = {"v": 0.12, "scoop": 0.1, "boat": 0.04, "crew": 0.035}[neck] * float(rng.uniform(0.7, 1.1))
    cloth = _cloth(_pattern(female, rng), rng, palette=_WOMENS if female else _MENS)
    if female:
        loose *= 0.5
    if kind == "shirt":
        cut = Top(cloth, float(rng.choice([0.25, 0.98])), hem, "v", 0.06, buttons=True)
        return ("Blouses_Shirts" if female else "Shirts_Polos"), Piece(cut, "top", 0.01, loose)
    if kind == "sweater":
        pattern: Pattern = _pick(("plain", "striped", "plain"), rng)
        cut = Top(
            _cloth(pattern, rng, folds=0.8, palette=_WOMENS if female else _MENS),
            0.97,
            hem,
            _pick(("crew", "high"), rng),
            0.03,
        )
        return "Sweaters", Piece(cut, "top", 0.014, 0.3 + loose)
    if kind == "tank":
        cut = Top(cloth, 0.0, hem, "scoop", depth, straps=bool(female or rng.random() < 0.4))
        return "Tees_Tanks", Piece(cut, "top", 0.007, 0.7 * loose)
    sleeve = float(rng.uniform(0.18, 0.4)) if kind == "tee" else float(rng.uniform(0.6, 0.98))
    return "Tees_Tanks", Piece(Top(cloth, sleeve, hem, neck, depth), "top", 0.008, loose)


def _bottom(female: bool, rng: np.random.Generator) -> tuple[str, Piece]:
    kind = _pick(
        ("denim", "trousers", "shorts", "skirt", "skirt", "skirt", "skirt")
        if female
        else ("denim", "trousers", "shorts"),
        rng,
    )
    waist = float(rng.uniform(0.13, 0.19))
    if kind == "skirt":
        pattern: Pattern = _pick(("plain", "plaid", "floral", "plain", "dotted", "striped"), rng)
        cut: Cut = Skirt(_cloth(pattern, rng), float(rng.choice([-0.12, -0.22, -0.38, -0.52])), WAIST)
        return "Skirts", Piece(cut, "skirt", 0.0, float(rng.uniform(0, 0.9)))
    if kind == "denim":
        fabric = Fabric("denim", (_vary(_pick(_DENIMS, rng), 0.02, rng),) * 3, 0.02, False, _seed(rng))
        cut = Trousers(Cloth(fabric, 0.55, 0.02, 0.0), float(rng.choice([1.0, 0.98, 0.34])), waist)
        return "Denim", Piece(cut, "bottom", 0.006, float(rng.uniform(0, 0.4)))
    if kind == "shorts":
        cloth = _cloth(_pick(("plain", "plain", "checked"), rng), rng)
        return "Shorts", Piece(Trousers(cloth, float(rng.uniform(0.2, 0.48)), waist), "bottom", 0.009, 0.5)
    fabric = Fabric("plain", (_vary(_pick(_TROUSERS, rng), 0.02, rng),) * 3, 0.02, False, _seed(rng))
    cut = Trousers(Cloth(fabric, 0.6, 0.015, 0.01), float(rng.uniform(0.9, 1.0)), waist)
    return "Pants", Piece(cut, "bottom", 0.007, float(rng.uniform(0, 0.7)))


def _dress(rng: np.random.Generator) -> tuple[Piece, ...]:
    cloth = _cloth(
        _pick(("plain", "floral", "striped", "dotted", "plaid", "floral", "plain"), rng), rng, palette=_WOMENS
    )
    neck: Neck = _pick(("crew", "v", "scoop", "boat", "strapless"), rng)
    sleeve = 0.0 if neck == "strapless" else float(rng.choice([0.0, 0.2, 0.55, 0.95]))
    depth = {"v": 0.13, "scoop": 0.1, "boat": 0.03, "crew": 0.035, "strapless": 0.0}[neck]
    straps = sleeve == 0.0 and neck in {"scoop", "v"}
    hem = float(rng.choice([-0.18, -0.28, -0.4, -0.55]))
    upper = Top(cloth, sleeve, WAIST, neck, depth, straps=straps)
    lower = Skirt(cloth, hem, WAIST + 0.03)
    return Piece(lower, "dress", 0.0, float(rng.uniform(0.1, 1))), Piece(upper, "dress", 0.008, 0.08)


def _layer(rng: np.random.Generator) -> Piece:
    """Return a jacket or a cardigan, open in front."""
    cloth = _cloth(_pick(("plain", "plain", "plaid", "denim"), rng), rng, folds=0.7)
    cut = Top(cloth, 0.97, float(rng.uniform(-0.1, 0.1)), "crew", 0.06, open=float(rng.uniform(0.045, 0.075)))
    return Piece(cut, "outer", 0.024, 0.5)


def _cloth(
    pattern: Pattern, rng: np.random.Generator, folds: float = 0.6, palette: tuple[int, ...] = tuple(range(20))
) -> Cloth:
    """Draw a cloth whose ground is one of the ``palette`` among `_CLOTHES`."""
    order = [_pick(palette, rng), *rng.permutation(len(_CLOTHES))[:2]]
    ground, second, third = (_vary(_CLOTHES[int(i)], 0.02, rng) for i in order)
    if np.abs(np.array(ground) - second).max() < 0.3:
        second = (0.95, 0.95, 0.95) if sum(ground) < 1.6 else (0.1, 0.1, 0.14)
    if pattern == "denim":
        ground = _vary(_pick(_DENIMS, rng), 0.02, rng)
    period = {"striped": 0.045, "checked": 0.035, "plaid": 0.1, "dotted": 0.045, "floral": 0.075}.get(pattern, 0.05)
    fabric = Fabric(
        pattern, (ground, second, third), period * float(rng.uniform(0.8, 1.4)), bool(rng.random() < 0.25), _seed(rng)
    )
    return Cloth(fabric, folds, 0.012, 0.015)


def _pattern(female: bool, rng: np.random.Generator) -> Pattern:
    return _pick(_WOMENS_PATTERNS if female else _MENS_PATTERNS, rng)


def _pick(options: Sequence[Choice], rng: np.random.Generator) -> Choice:
    return options[int(rng.integers(len(options)))]


def _vary(colour: Colour, amount: float, rng: np.random.Generator) -> Colour:
    return _colour(np.array(colour) + rng.normal(0, amount, 3))


def _colour(values: Float) -> Colour:
    red, green, blue = np.clip(values, 0.02, 0.98)
    return float(red), float(green), float(blue)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 2**31))
